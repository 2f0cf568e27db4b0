//! The first administrator: a code from the server's console instead of a default password.

use std::time::Duration;

use parking_lot::Mutex;
use varde_access::{CameraScope, Role};
use varde_ambient::{identifier_random, random_below_or_equal};
use varde_api::codes::ProblemCode;
use varde_api::session::SetupRequest;
use varde_database::{Error, UserRow};
use varde_http::Problem;
use varde_ids::UserId;
use varde_units::Utc;

use super::password;
use super::session::Client;
use crate::role::Management;
use crate::{problem, role};

/// A start is good for a set-up during this time.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// No letters and digits that look alike; 12 of them carry 59 bits.
const ALPHABET: &[u8; 31] = b"ABCDEFGHJKLMNPQRSTUVWXYZ2345679";
const GROUPS: usize = 3;
const GROUP_LENGTH: usize = 4;

#[derive(Debug)]
pub struct SetupCode(Mutex<Option<Code>>);

struct Code {
    text: String,
    made: Utc,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("made", &self.made).finish_non_exhaustive()
    }
}

impl SetupCode {
    pub fn new(needed: bool, now: Utc) -> Self {
        let group = || -> String {
            let letter = || {
                let index = usize::try_from(random_below_or_equal(ALPHABET.len() as u64 - 1)).unwrap_or(0);
                char::from(ALPHABET[index])
            };
            (0..GROUP_LENGTH).map(|_| letter()).collect()
        };
        let text = || (0..GROUPS).map(|_| group()).collect::<Vec<_>>().join("-");
        Self(Mutex::new(needed.then(|| Code { text: text(), made: now })))
    }

    pub fn code(&self, now: Utc) -> Option<String> {
        self.0.lock().as_ref().filter(|code| now.since(code.made) < LIFETIME).map(|code| code.text.clone())
    }

    /// Compares without regard to case, blanks and dashes.
    fn fits(&self, sent: &str, now: Utc) -> bool {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_uppercase())
                .take(64)
                .collect()
        };
        let Some(code) = self.code(now) else { return false };
        aws_lc_rs::constant_time::verify_slices_are_equal(plain(&code).as_bytes(), plain(sent).as_bytes())
            .is_ok()
    }

    fn spend(&self) {
        *self.0.lock() = None;
    }
}

impl role::Management {
    pub fn setup_needed(&self) -> bool {
        self.configuration().users.is_empty()
    }

    /// Makes the first administrator and signs in.
    pub async fn setup_do(
        &self,
        request: SetupRequest,
        client: Client,
    ) -> Result<super::session::SignedIn, Problem> {
        let done =
            || Problem::new(ProblemCode::SetupDone, "Set-up was done already.").hint("Sign in instead.");
        if !self.setup_needed() {
            return Err(done());
        }
        let now = self.now();
        // An account's name never begins with a blank.
        let key = " set-up";
        self.attempts.begin(key, client.address, now).map_err(super::session::too_many)?;
        if !self.setup.fits(&request.code, now) {
            return Err(Problem::new(
                ProblemCode::WrongSetupCode,
                "The set-up code is wrong or has expired.",
            )
            .hint("The server prints it when it starts; restart it for a new one."));
        }
        self.attempts.succeeded(key, client.address);
        let name = problem::name("user", &request.user)?;
        password::check(&request.password, &name)?;
        let user = UserRow {
            id: UserId::new(now, identifier_random()),
            name,
            password_hash: self.passwords.hash(&request.password).await?,
            role: Role::Administrator,
            cameras: CameraScope::All,
            enabled: true,
            created_at: now,
            version: 1,
        };
        {
            let _change = self.changing.lock().await;
            self.database.user_create_first(&user).await.map_err(|error| match error {
                Error::AlreadyExists(_) => done(),
                other => problem::database(other),
            })?;
            self.setup.spend();
            Management::reload(self).await?;
        }
        tracing::info!("set-up is done: the first administrator was made");
        self.session_open(&user, client).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it_and_ends() {
        let setup = SetupCode::new(true, Utc::EPOCH);
        let code = setup.code(Utc::EPOCH).unwrap();
        assert_eq!(code.len(), 14);
        let typed = code.to_lowercase().replace('-', " ");
        assert!(setup.fits(&typed, Utc::EPOCH));
        assert!(!setup.fits("", Utc::EPOCH));
        assert!(!setup.fits(&code[..13], Utc::EPOCH));
        assert!(!setup.fits(&code, Utc::EPOCH.plus(LIFETIME)));
        assert!(SetupCode::new(false, Utc::EPOCH).code(Utc::EPOCH).is_none());
    }
}
