//! Sign-in of browsers: sessions, and the check of every credential.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use varde_access::Subject;
use varde_ambient::{identifier_random, random_token};
use varde_api::codes::{EventType, ProblemCode};
use varde_api::session::{Session, SessionUser, SignIn};
use varde_bus::Draft;
use varde_database::{Database, SessionRow, UserRow};
use varde_http::{Authenticate, Credential, Identity, Presented, Problem};
use varde_ids::{SessionId, UserId};
use varde_units::Utc;

use super::secret::secret_hash;
use super::user::role_public;
use crate::problem;
use crate::role::Management;

pub const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
pub const LIFETIME_MAX: Duration = Duration::from_secs(12 * 3600);
/// Sessions of one user at once; the one that rested longest ends for a new one.
const PER_USER_MAX: usize = 32;
/// How exactly the database knows when a session was last used.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// From where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub address: IpAddr,
}

/// A new session, whose secret goes into a cookie.
pub struct SignedIn {
    pub secret: String,
    pub session: Session,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Sessions in memory; the database holds them over a restart.
#[derive(Debug, Default)]
pub struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_id: HashMap<SessionId, SessionRow>,
    by_hash: HashMap<String, SessionId>,
}

impl State {
    fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.by_id.remove(&id) {
            self.by_hash.remove(&session.secret_hash);
        }
    }
}

fn is_alive(session: &SessionRow, now: Utc) -> bool {
    now.since(session.used_at) < IDLE_MAX && now.since(session.created_at) < LIFETIME_MAX
}

fn expires_at(session: &SessionRow) -> Utc {
    session.used_at.plus(IDLE_MAX).min(session.created_at.plus(LIFETIME_MAX))
}

impl Sessions {
    pub async fn load(database: &Database, now: Utc) -> Result<Self, varde_database::Error> {
        database.session_delete_older(now.minus(LIFETIME_MAX), now.minus(IDLE_MAX)).await?;
        let sessions = Self::default();
        for session in database.session_list().await? {
            sessions.insert(session);
        }
        Ok(sessions)
    }

    /// Gives the sessions that had to make room.
    fn insert(&self, session: SessionRow) -> Vec<SessionId> {
        let mut state = self.state.lock();
        let mut own: Vec<(Utc, SessionId)> = state
            .by_id
            .values()
            .filter(|other| other.user == session.user)
            .map(|other| (other.used_at, other.id))
            .collect();
        own.sort_unstable();
        let surplus = (own.len() + 1).saturating_sub(PER_USER_MAX);
        let ended: Vec<SessionId> = own.into_iter().take(surplus).map(|(_, id)| id).collect();
        for &id in &ended {
            state.remove(id);
        }
        state.by_hash.insert(session.secret_hash.clone(), session.id);
        state.by_id.insert(session.id, session);
        ended
    }

    fn find(&self, secret: &str, now: Utc) -> Option<SessionRow> {
        let state = self.state.lock();
        let id = state.by_hash.get(&secret_hash(secret))?;
        state.by_id.get(id).filter(|session| is_alive(session, now)).cloned()
    }

    pub fn get(&self, id: SessionId, now: Utc) -> Option<SessionRow> {
        self.state.lock().by_id.get(&id).filter(|session| is_alive(session, now)).cloned()
    }

    /// Marks the session as used; true where the database should learn of it.
    fn touch(&self, id: SessionId, now: Utc) -> bool {
        let mut state = self.state.lock();
        let Some(session) = state.by_id.get_mut(&id) else { return false };
        let is_due = now.since(session.used_at) >= TOUCH_INTERVAL;
        // Below the interval memory stays as exact as the database: a minute of thirty.
        if is_due {
            session.used_at = now;
        }
        is_due
    }

    fn remove(&self, id: SessionId) {
        self.state.lock().remove(id);
    }

    fn remove_of_user(&self, user: UserId, except: Option<SessionId>) -> Vec<SessionId> {
        let mut state = self.state.lock();
        let ids: Vec<SessionId> = state
            .by_id
            .values()
            .filter(|session| session.user == user && Some(session.id) != except)
            .map(|session| session.id)
            .collect();
        for &id in &ids {
            state.remove(id);
        }
        ids
    }

    pub fn forget_ended(&self, now: Utc) {
        let mut state = self.state.lock();
        state.by_id.retain(|_, session| is_alive(session, now));
        let State { by_id, by_hash } = &mut *state;
        by_hash.retain(|_, id| by_id.contains_key(id));
    }
}

pub fn too_many(seconds: u64) -> Problem {
    Problem::new(ProblemCode::TooManyRequests, format!("Too many attempts; try again in {seconds} s."))
        .parameter("retry_after_seconds", seconds)
}

impl Management {
    /// Checks user and password, with the same work and answer whichever is wrong.
    pub async fn password_check(
        &self,
        name: &str,
        password: &str,
        client: Client,
    ) -> Result<UserRow, Problem> {
        if self.setup_needed() {
            return Err(Problem::new(ProblemCode::SetupNeeded, "Nobody can sign in before set-up.")
                .hint("Open Varde in a browser and enter the code that the server printed."));
        }
        let name = name.trim();
        self.attempts.begin(name, client.address, self.now()).map_err(too_many)?;
        let key = name.to_lowercase();
        let user = self.configuration().users.iter().find(|user| user.name.to_lowercase() == key).cloned();
        let stored = user.as_ref().map(|user| user.password_hash.as_str());
        let fits = self.passwords.verify(password, stored).await?;
        if let Some(user) = user.filter(|user| fits && user.enabled) {
            self.attempts.succeeded(name, client.address);
            return Ok(user);
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        self.publish(
            Draft::new(EventType::SignInRefused)
                .warning()
                .data("user", shown)
                .data("address", client.address.to_string()),
        );
        Err(Problem::new(ProblemCode::WrongCredentials, "User or password is wrong."))
    }

    pub async fn session_create(&self, sign_in: SignIn, client: Client) -> Result<SignedIn, Problem> {
        let user = self.password_check(&sign_in.user, &sign_in.password, client).await?;
        self.session_open(&user, client).await
    }

    pub async fn session_open(&self, user: &UserRow, client: Client) -> Result<SignedIn, Problem> {
        let now = self.now();
        let secret = random_token();
        let row = SessionRow {
            id: SessionId::new(now, identifier_random()),
            user: user.id,
            secret_hash: secret_hash(&secret),
            csrf: random_token(),
            created_at: now,
            used_at: now,
        };
        self.database.session_create(&row).await.map_err(problem::database)?;
        let session = session_public(&row, user);
        for ended in self.sessions.insert(row) {
            self.database.session_delete(ended).await.map_err(problem::database)?;
        }
        self.publish(
            Draft::new(EventType::SignIn)
                .data("user", user.name.clone())
                .data("user_id", user.id.to_string())
                .data("address", client.address.to_string()),
        );
        Ok(SignedIn { secret, session })
    }

    pub fn session_get(&self, id: SessionId) -> Result<Session, Problem> {
        let row = self.sessions.get(id, self.now()).ok_or_else(Problem::not_signed_in)?;
        let user = self.user_enabled(row.user)?;
        Ok(session_public(&row, &user))
    }

    /// Ends a session here at once, also while the database is away.
    pub async fn session_delete(&self, id: SessionId) -> Result<(), Problem> {
        self.sessions.remove(id);
        self.tickets.remove_of_session(id);
        self.database.session_delete(id).await.map_err(problem::database)
    }

    /// Ends every session and ticket of a user, but `except`.
    pub async fn sessions_end(&self, user: UserId, except: Option<SessionId>) -> Result<(), Problem> {
        let ended = self.sessions.remove_of_user(user, except);
        ended.iter().for_each(|id| self.tickets.remove_of_session(*id));
        for id in ended {
            self.database.session_delete(id).await.map_err(problem::database)?;
        }
        Ok(())
    }

    pub fn user_enabled(&self, id: UserId) -> Result<UserRow, Problem> {
        let configuration = self.configuration();
        let user = configuration.users.iter().find(|user| user.id == id && user.enabled);
        user.cloned().ok_or_else(Problem::not_signed_in)
    }

    fn session_use(&self, id: SessionId, now: Utc) {
        if self.sessions.touch(id, now) {
            let database = self.database.clone();
            // A session lives on while the database is away; it may then end early after a restart.
            tokio::spawn(async move {
                if let Err(error) = database.session_touch(id, now).await {
                    tracing::debug!(%error, "the last use of a session was not stored");
                }
            });
        }
    }

    /// The identity behind a credential that stands. Also says whether a ticket's own maker still stands.
    fn identity(&self, credential: Credential) -> Result<Identity, Problem> {
        let now = self.now();
        let (user, bounds, credential) = match credential {
            Credential::Session { id, .. } => {
                let row = self.sessions.get(id, now).ok_or_else(Problem::not_signed_in)?;
                (row.user, None, Credential::Session { id, csrf: row.csrf })
            }
            Credential::Token { id } => {
                let row = self.tokens.get(id, now).ok_or_else(Problem::not_signed_in)?;
                (row.user, None, Credential::Token { id })
            }
            Credential::Ticket { text } => {
                let ticket = self.tickets.get(&text, now).ok_or_else(Problem::not_signed_in)?;
                let stands = match &ticket.maker {
                    Credential::Session { id, .. } => self.sessions.get(*id, now).is_some(),
                    Credential::Token { id } => self.tokens.get(*id, now).is_some(),
                    Credential::Ticket { .. } => false,
                };
                if !stands {
                    return Err(Problem::not_signed_in());
                }
                (ticket.user, Some(ticket.bounds), Credential::Ticket { text })
            }
        };
        let user = self.user_enabled(user)?;
        let subject = Subject { bounds, ..Subject::new(user.id, user.role, user.cameras) };
        Ok(Identity { subject, name: user.name, credential })
    }
}

fn session_public(row: &SessionRow, user: &UserRow) -> Session {
    Session {
        user: SessionUser { id: user.id, name: user.name.clone(), role: role_public(user.role) },
        csrf: row.csrf.clone(),
        expires_at: expires_at(row),
    }
}

#[async_trait]
impl Authenticate for Management {
    async fn authenticate(&self, presented: &Presented, _address: IpAddr) -> Result<Identity, Problem> {
        let now = self.now();
        match presented {
            Presented::Session(secret) => {
                let row = self.sessions.find(secret, now).ok_or_else(Problem::not_signed_in)?;
                self.session_use(row.id, now);
                self.identity(Credential::Session { id: row.id, csrf: row.csrf })
            }
            Presented::Token(token) => {
                let id = self.tokens.find(token, now).ok_or_else(Problem::not_signed_in)?;
                self.token_use(id, now);
                self.identity(Credential::Token { id })
            }
            Presented::Ticket(text) => {
                let identity = self.identity(Credential::Ticket { text: text.clone() })?;
                // Watching is use: the session behind the ticket does not end under it.
                if let Some(Credential::Session { id, .. }) = self.tickets.use_it(text, now) {
                    self.session_use(id, now);
                }
                Ok(identity)
            }
        }
    }

    async fn recheck(&self, identity: &Identity, in_use: bool) -> Result<Identity, Problem> {
        let renewed = self.identity(identity.credential.clone())?;
        if in_use {
            let now = self.now();
            let behind = match &identity.credential {
                Credential::Ticket { text } => self.tickets.use_it(text, now),
                own => Some(own.clone()),
            };
            if let Some(Credential::Session { id, .. }) = behind {
                self.session_use(id, now);
            }
        }
        Ok(renewed)
    }
}
