//! API tokens: for programs, kept as hashes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use varde_ambient::{identifier_random, random_token};
use varde_api::codes::ProblemCode;
use varde_api::token::{Token, TokenCreate, TokenCreated};
use varde_database::{Database, TokenRow, UserRow};
use varde_http::Problem;
use varde_ids::{TokenId, UserId};
use varde_units::Utc;

use super::secret::secret_hash;
use super::session::Client;
use crate::problem;
use crate::role::Management;

/// Every token begins so, that scanners for leaked secrets find it.
const PREFIX: &str = "varde_";
const DAYS_DEFAULT: u32 = 30;
const DAYS_MAX: u32 = 365;
const PER_USER_MAX: usize = 100;
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Tokens {
    state: Mutex<HashMap<TokenId, TokenRow>>,
    by_hash: Mutex<HashMap<String, TokenId>>,
}

impl Tokens {
    pub async fn load(database: &Database, now: Utc) -> Result<Self, varde_database::Error> {
        database.token_delete_expired(now).await?;
        let tokens = Self::default();
        for token in database.token_list().await? {
            tokens.insert(token);
        }
        Ok(tokens)
    }

    fn insert(&self, token: TokenRow) {
        self.by_hash.lock().insert(token.secret_hash.clone(), token.id);
        self.state.lock().insert(token.id, token);
    }

    pub fn find(&self, token: &str, now: Utc) -> Option<TokenId> {
        let secret = token.strip_prefix(PREFIX)?;
        let id = self.by_hash.lock().get(&secret_hash(secret)).copied()?;
        self.get(id, now).map(|token| token.id)
    }

    pub fn get(&self, id: TokenId, now: Utc) -> Option<TokenRow> {
        self.state.lock().get(&id).filter(|token| now < token.expires_at).cloned()
    }

    fn of_user(&self, user: UserId, now: Utc) -> Vec<TokenRow> {
        let state = self.state.lock();
        let mut own: Vec<TokenRow> =
            state.values().filter(|token| token.user == user && now < token.expires_at).cloned().collect();
        own.sort_unstable_by_key(|token| token.id);
        own
    }

    fn remove(&self, id: TokenId) {
        if let Some(token) = self.state.lock().remove(&id) {
            self.by_hash.lock().remove(&token.secret_hash);
        }
    }

    fn touch(&self, id: TokenId, now: Utc) -> bool {
        let mut state = self.state.lock();
        let Some(token) = state.get_mut(&id) else { return false };
        let is_due = token.used_at.is_none_or(|used| now.since(used) >= TOUCH_INTERVAL);
        if is_due {
            token.used_at = Some(now);
        }
        is_due
    }
}

impl Management {
    /// A token for user and password.
    pub async fn token_create_by_password(
        &self,
        request: TokenCreate,
        client: Client,
    ) -> Result<TokenCreated, Problem> {
        let name = request.user.as_deref().ok_or_else(|| Problem::invalid("user", "`user` is missing."))?;
        let password = request
            .password
            .as_deref()
            .ok_or_else(|| Problem::invalid("password", "`password` is missing."))?;
        let user = self.password_check(name, password, client).await?;
        self.token_create(&user, request.name.as_deref(), request.expires_in_days).await
    }

    pub async fn token_create(
        &self,
        user: &UserRow,
        name: Option<&str>,
        expires_in_days: Option<u32>,
    ) -> Result<TokenCreated, Problem> {
        let now = self.now();
        let days = expires_in_days.unwrap_or(DAYS_DEFAULT);
        if !(1..=DAYS_MAX).contains(&days) {
            let detail = format!("`expires_in_days` must lie between 1 and {DAYS_MAX}.");
            return Err(Problem::invalid("expires_in_days", detail));
        }
        if self.tokens.of_user(user.id, now).len() >= PER_USER_MAX {
            return Err(Problem::new(
                ProblemCode::LimitReached,
                "You have as many tokens as one user may have.",
            )
            .hint("End some that are not used any more.")
            .parameter("limit", PER_USER_MAX));
        }
        let secret = random_token();
        let row = TokenRow {
            id: TokenId::new(now, identifier_random()),
            user: user.id,
            name: problem::name("name", name.unwrap_or("Program"))?,
            secret_hash: secret_hash(&secret),
            created_at: now,
            expires_at: now.plus(Duration::from_secs(u64::from(days) * 86_400)),
            used_at: None,
        };
        self.database.token_create(&row).await.map_err(problem::database)?;
        let created =
            TokenCreated { id: row.id, token: format!("{PREFIX}{secret}"), expires_at: row.expires_at };
        self.tokens.insert(row);
        Ok(created)
    }

    pub fn token_list(&self, user: UserId) -> Vec<Token> {
        let public = |row: TokenRow| Token {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
        };
        self.tokens.of_user(user, self.now()).into_iter().map(public).collect()
    }

    /// Ends one of the user's own tokens, here at once.
    pub async fn token_delete(&self, user: UserId, id: TokenId) -> Result<(), Problem> {
        self.tokens.get(id, self.now()).filter(|token| token.user == user).ok_or_else(Problem::not_found)?;
        self.tokens.remove(id);
        self.database.token_delete(id).await.map_err(problem::database)
    }

    /// Ends every token of a user, but `except`: here all at once, then in the database.
    pub async fn tokens_end(&self, user: UserId, except: Option<TokenId>) -> Result<(), Problem> {
        let mut ending = self.tokens.of_user(user, self.now());
        ending.retain(|token| Some(token.id) != except);
        ending.iter().for_each(|token| self.tokens.remove(token.id));
        for token in ending {
            self.database.token_delete(token.id).await.map_err(problem::database)?;
        }
        Ok(())
    }

    pub fn token_use(&self, id: TokenId, now: Utc) {
        if self.tokens.touch(id, now) {
            let database = self.database.clone();
            tokio::spawn(async move {
                if let Err(error) = database.token_touch(id, now).await {
                    tracing::debug!(%error, "the last use of a token was not stored");
                }
            });
        }
    }
}
