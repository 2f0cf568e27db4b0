//! Passwords: which are good enough, and how they are kept (Argon2id, OWASP's and ASVS' parameters).

use std::fmt::Write;
use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::Semaphore;
use varde_ambient::random_bytes;
use varde_api::codes::ProblemCode;
use varde_http::Problem;
use zeroize::Zeroizing;

const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 256;
/// 46 MiB, one pass, one lane.
const MEMORY_KIB: u32 = 46 << 10;
const HASH_BYTES: usize = 32;
/// Hashes at once, so that a flood of sign-ins takes neither all processors nor much memory from recording.
const AT_ONCE_MAX: usize = 2;
/// Sign-ins that wait for their turn; further ones are refused.
const WAITING_MAX: usize = 64;

static COMMON: &str = include_str!("common_passwords.txt");

/// Hashes and verifies, a few at a time.
#[derive(Debug)]
pub struct Passwords {
    turns: Semaphore,
    places: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE_MAX), places: Semaphore::new(WAITING_MAX) }
    }
}

/// Refuses what is too short, too long, common, or the user's own name.
pub fn check(password: &str, user: &str) -> Result<(), Problem> {
    let refuse = |reason: &str, detail: &str| {
        Err(Problem::new(ProblemCode::PasswordRefused, detail)
            .hint("Several words in a row make a good password.")
            .parameter("reason", reason)
            .parameter("length_min", LENGTH_MIN))
    };
    let length = password.chars().count();
    if length < LENGTH_MIN {
        return refuse("too_short", "The password has fewer than 8 characters.");
    }
    if password.len() > LENGTH_MAX {
        return refuse("too_long", "The password has more than 256 bytes.");
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    let is_one_character = lower.chars().all(|c| Some(c) == first);
    if is_one_character || lower == user.to_lowercase() || COMMON.lines().any(|common| common == lower) {
        return refuse("too_common", "This password is one of the first that an attacker tries.");
    }
    Ok(())
}

impl Passwords {
    pub async fn hash(&self, password: &str) -> Result<String, Problem> {
        let salt = random_bytes::<16>();
        let output = self.derive(password, salt).await?;
        let mut text = format!("$argon2id$v=19$m={MEMORY_KIB},t=1,p=1$");
        let _ = write!(text, "{}${}", STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
        Ok(text)
    }

    /// Whether the password fits. Takes as long where there is no such user (`None`).
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, Problem> {
        static NOBODY: LazyLock<([u8; 16], [u8; HASH_BYTES])> =
            LazyLock::new(|| (random_bytes(), random_bytes()));
        let known =
            stored.map(|stored| read(stored).ok_or_else(|| Problem::internal(&"a stored password hash")));
        let (salt, expected) = known.transpose()?.unwrap_or(*NOBODY);
        let output = self.derive(password, salt).await?;
        Ok(aws_lc_rs::constant_time::verify_slices_are_equal(&output, &expected).is_ok() && stored.is_some())
    }

    async fn derive(&self, password: &str, salt: [u8; 16]) -> Result<[u8; HASH_BYTES], Problem> {
        let _place = self.places.try_acquire().map_err(|_| {
            Problem::new(ProblemCode::TooManyRequests, "Too many people are signing in just now.")
                .parameter("retry_after_seconds", 5)
        })?;
        let _turn = self.turns.acquire().await.map_err(|error| Problem::internal(&error))?;
        // What is longer can't be a password of ours; the work stays bounded and the timing the same.
        let cut = password.as_bytes().get(..password.len().min(LENGTH_MAX)).unwrap_or_default();
        let password = Zeroizing::new(cut.to_vec());
        tokio::task::spawn_blocking(move || {
            let parameters =
                Params::new(MEMORY_KIB, 1, 1, Some(HASH_BYTES)).map_err(|error| Problem::internal(&error))?;
            let mut output = [0; HASH_BYTES];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
                .hash_password_into(&password, &salt, &mut output)
                .map_err(|error| Problem::internal(&error))?;
            Ok(output)
        })
        .await
        .map_err(|error| Problem::internal(&error))?
    }
}

fn read(stored: &str) -> Option<([u8; 16], [u8; HASH_BYTES])> {
    let rest = stored.strip_prefix(&format!("$argon2id$v=19$m={MEMORY_KIB},t=1,p=1$"))?;
    let (salt, output) = rest.split_once('$')?;
    Some((
        STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()?,
        STANDARD_NO_PAD.decode(output).ok()?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused() {
        let check = |password: &str, good: bool| {
            assert_eq!(super::check(password, "Guard-Room").is_ok(), good, "{password}");
        };
        check("short", false);
        check("password", false);
        check("PassWord1", false);
        check("12345678", false);
        check("zzzzzzzzzzzz", false);
        check("guard-room", false);
        check(&"long ".repeat(60), false);
        check("heron over the weir", true);
        check("çéàüöäß1", true);
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_alone() {
        let passwords = Passwords::default();
        let stored = passwords.hash("heron over the weir").await.unwrap();
        assert!(passwords.verify("heron over the weir", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("heron over the wein", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("heron over the weir", None).await.unwrap());
    }

    #[test]
    fn the_list_holds_lower_case_alone() {
        assert!(COMMON.lines().all(|line| line == line.to_lowercase() && line.len() >= LENGTH_MIN));
        assert!(COMMON.lines().count() > 150);
    }
}
