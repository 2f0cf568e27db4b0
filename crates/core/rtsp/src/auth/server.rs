//! The server's side: nonces that need no memory, and the check of an answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use varde_units::Mono;

use super::{Algorithm, Credentials, DigestInput, Scheme, hexadecimal, parse_schemes, quote};

/// Makes nonces and knows its own again: each holds its time and a keyed hash over time and connection.
#[derive(Clone)]
pub struct Nonces {
    key: [u8; 32],
    life: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    Fresh,
    Stale,
    Foreign,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Nonces {
    /// `key` is random and lives as long as the server; a nonce is good for `life`.
    pub const fn new(key: [u8; 32], life: Duration) -> Self {
        Self { key, life }
    }

    fn issue(&self, now: Mono, connection: u64) -> String {
        format!("{:016x}{}", now.as_nanos(), self.mark(now, connection))
    }

    fn mark(&self, at: Mono, connection: u64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(at.as_nanos().to_be_bytes());
        hash.update(connection.to_be_bytes());
        // The key again, so that nobody can lengthen the message.
        hash.update(self.key);
        hexadecimal(&hash.finalize()[..16])
    }

    fn judge(&self, nonce: &str, now: Mono, connection: u64) -> Freshness {
        let Some((time, mark)) = nonce.split_at_checked(16) else { return Freshness::Foreign };
        let Ok(at) = u64::from_str_radix(time, 16).map(Mono::from_nanos) else { return Freshness::Foreign };
        if !equal_in_constant_time(mark.as_bytes(), self.mark(at, connection).as_bytes()) {
            return Freshness::Foreign;
        }
        if at <= now && now.since(at) <= self.life { Freshness::Fresh } else { Freshness::Stale }
    }
}

/// Who may come in, and how they prove it. Shared by all connections of a server.
#[derive(Clone, Debug)]
pub struct Verifier {
    realm: String,
    accounts: Vec<Credentials>,
    nonces: Nonces,
    basic: bool,
}

/// The answer was missing or wrong; these are the `WWW-Authenticate` values to send with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub challenges: Vec<String>,
    /// The answer was right for a nonce whose life is over, so nobody tried a password.
    pub stale: bool,
}

/// What a connection remembers so that an answer can't be used twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayGuard {
    nonce: String,
    count: u32,
}

impl Verifier {
    /// `basic` also takes basic authentication, which shows the password to anyone on the way; for TLS alone.
    pub fn new(realm: &str, accounts: Vec<Credentials>, nonces: Nonces, basic: bool) -> Self {
        Self { realm: realm.to_owned(), accounts, nonces, basic }
    }

    /// Checks the answer to a request; tells the user's name.
    pub(crate) fn verify(
        &self,
        authorization: Option<&str>,
        method: &str,
        uri: &str,
        connection: u64,
        replay: &mut ReplayGuard,
        now: Mono,
    ) -> Result<&str, Refused> {
        let schemes = authorization.map(parse_schemes).unwrap_or_default();
        let mut stale = false;
        if let Some(scheme) = schemes.first() {
            if scheme.name.eq_ignore_ascii_case("Digest") {
                let verdict = self.digest(scheme, method, uri, connection, replay, now);
                match verdict {
                    Some((account, Freshness::Fresh)) => return Ok(&account.user),
                    Some((_, Freshness::Stale)) => stale = true,
                    Some((_, Freshness::Foreign)) | None => {}
                }
            } else if self.basic
                && scheme.name.eq_ignore_ascii_case("Basic")
                && let Some(account) = self.basic(scheme.token)
            {
                return Ok(&account.user);
            }
        }
        Err(Refused { challenges: self.challenges(now, connection, stale), stale })
    }

    fn challenges(&self, now: Mono, connection: u64, stale: bool) -> Vec<String> {
        let nonce = self.nonces.issue(now, connection);
        let realm = quote(&self.realm);
        let stale = if stale { ", stale=true" } else { "" };
        let digest = |algorithm: Algorithm| {
            let name = algorithm.name();
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
        };
        // MD5 last: FFmpeg answers the last digest challenge it sees, and knows MD5 alone.
        let mut challenges = vec![digest(Algorithm::Sha256), digest(Algorithm::Md5)];
        if self.basic {
            challenges.push(format!("Basic realm=\"{realm}\""));
        }
        challenges
    }

    fn basic(&self, token: &str) -> Option<&Credentials> {
        let pair = STANDARD.decode(token).ok()?;
        let mut found = None;
        for account in &self.accounts {
            let wanted = format!("{}:{}", account.user, account.password);
            if equal_in_constant_time(&pair, wanted.as_bytes()) {
                found = Some(account);
            }
        }
        found
    }

    fn digest(
        &self,
        scheme: &Scheme<'_>,
        method: &str,
        request_uri: &str,
        connection: u64,
        replay: &mut ReplayGuard,
        now: Mono,
    ) -> Option<(&Credentials, Freshness)> {
        let algorithm = Algorithm::of(scheme.get("algorithm"))?;
        let (user, nonce, uri) = (scheme.get("username")?, scheme.get("nonce")?, scheme.get("uri")?);
        if scheme.get("realm")? != self.realm || !covers(uri, request_uri) {
            return None;
        }
        let quality = match scheme.get("qop") {
            None => None,
            Some(quality) if quality.eq_ignore_ascii_case("auth") => {
                Some((scheme.get("nc")?, scheme.get("cnonce")?))
            }
            Some(_) => return None,
        };
        let response = scheme.get("response")?.to_ascii_lowercase();
        let mut found = None;
        for account in &self.accounts {
            let input = DigestInput {
                algorithm,
                credentials: account,
                realm: &self.realm,
                nonce,
                method,
                uri,
                quality,
            };
            let right = equal_in_constant_time(input.response().as_bytes(), response.as_bytes());
            if right && account.user == user {
                found = Some(account);
            }
        }
        let account = found?;
        let freshness = self.nonces.judge(nonce, now, connection);
        if freshness == Freshness::Fresh
            && let Some((count, _)) = quality
        {
            let count = u32::from_str_radix(count, 16).ok()?;
            if replay.nonce == nonce && count <= replay.count {
                return None;
            }
            *replay = ReplayGuard { nonce: nonce.to_owned(), count };
        }
        Some((account, freshness))
    }
}

/// Whether the URI that was signed is the one requested. Clients sign the whole URL, its path alone, or the
/// presentation above the track.
fn covers(signed: &str, requested: &str) -> bool {
    let path = |uri: &str| {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
        rest.trim_end_matches('/').to_owned()
    };
    let (signed, requested) = (path(signed), path(requested));
    requested == signed || requested.strip_prefix(&signed).is_some_and(|rest| rest.starts_with('/'))
}

/// Takes as long for a wrong first byte as for a wrong last one.
fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left.iter().zip(right).fold(0u8, |all, (left, right)| all | (left ^ right));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Authenticator;

    const NOW: Mono = Mono::from_nanos(1_000_000_000_000);
    const URI: &str = "rtsp://10.0.0.7/main/trackID=1";

    fn verifier(basic: bool) -> Verifier {
        let account = |user: &str| Credentials { user: user.into(), password: format!("{user}'s: \"word\"") };
        let accounts = vec![account("admin"), account("guard")];
        Verifier::new("Varde \"cameras\"", accounts, Nonces::new([9; 32], Duration::from_secs(60)), basic)
    }

    fn challenge(verifier: &Verifier, pick: impl Fn(&str) -> bool) -> Authenticator {
        let refused = verifier.verify(None, "PLAY", URI, 7, &mut ReplayGuard::default(), NOW).unwrap_err();
        let values = refused.challenges.iter().map(String::as_str).filter(|value| pick(value));
        Authenticator::from_challenges(values).unwrap()
    }

    fn credentials() -> Credentials {
        Credentials { user: "guard".into(), password: "guard's: \"word\"".into() }
    }

    #[test]
    fn a_right_answer_comes_in_once() {
        for wanted in ["MD5", "SHA-256", "Basic"] {
            let verifier = verifier(true);
            let mut client = challenge(&verifier, |value| value.contains(wanted));
            let mut replay = ReplayGuard::default();
            for nonce in [1, 2] {
                let answer = client.authorization(&credentials(), "PLAY", URI, nonce);
                let mut verify = |method, uri, connection, at| {
                    verifier
                        .verify(Some(&answer), method, uri, connection, &mut replay, at)
                        .map(str::to_owned)
                };
                if wanted != "Basic" {
                    assert!(verify("TEARDOWN", URI, 7, NOW).is_err(), "another method");
                    assert!(verify("PLAY", "rtsp://10.0.0.7/other", 7, NOW).is_err(), "another path");
                    assert!(!verify("PLAY", URI, 8, NOW).unwrap_err().stale, "another connection");
                    let late = verify("PLAY", URI, 7, NOW + Duration::from_secs(61)).unwrap_err();
                    assert!(late.stale && late.challenges[0].contains("stale=true"));
                }
                assert_eq!(verify("PLAY", URI, 7, NOW).as_deref(), Ok("guard"), "{wanted}");
                if wanted != "Basic" {
                    assert!(verify("PLAY", URI, 7, NOW).is_err(), "the same answer again");
                }
            }
        }
    }

    #[test]
    fn a_wrong_answer_stays_out() {
        let verifier = verifier(false);
        let mut client = challenge(&verifier, |value| value.starts_with("Digest"));
        let mut wrong = credentials();
        wrong.password.push('x');
        let mut other = credentials();
        other.user = "admin".into();
        for credentials in [wrong, other] {
            let answer = client.authorization(&credentials, "PLAY", URI, 5);
            assert!(
                verifier.verify(Some(&answer), "PLAY", URI, 7, &mut ReplayGuard::default(), NOW).is_err()
            );
        }
        let basic = format!("Basic {}", STANDARD.encode("guard:guard's: \"word\""));
        for answer in
            [&basic, "", "Digest", "Digest username=\"guard\"", "Basic", "Bearer x", "\"\"\"", "Basic ===="]
        {
            let result = verifier.verify(Some(answer), "PLAY", URI, 7, &mut ReplayGuard::default(), NOW);
            assert!(!result.unwrap_err().stale, "{answer}");
        }
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let offers = [
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=MD5",
            "Digest realm=\"x\", nonce=\"z\", algorithm=SHA-256, qop=\"auth,auth-int\"",
            "Digest realm=\"x\", nonce=\"q\", algorithm=MD5-sess",
            "Negotiate",
        ];
        let answer = |offers: &[&str]| {
            let client = Authenticator::from_challenges(offers.iter().copied());
            client.map(|mut client| client.authorization(&credentials(), "OPTIONS", URI, 1))
        };
        assert!(answer(&offers).unwrap().contains("nonce=\"z\""));
        assert!(answer(&offers[..2]).unwrap().contains("nonce=\"y\""));
        assert!(answer(&offers[..1]).unwrap().starts_with("Basic "));
        assert_eq!(answer(&offers[3..]), None);
    }

    #[test]
    fn an_old_camera_gets_no_more_than_it_asked_for() {
        let mut client =
            Authenticator::from_challenges(std::iter::once("Digest realm=\"c\", nonce=\"n\"")).unwrap();
        let answer = client.authorization(&credentials(), "DESCRIBE", URI, 1);
        for word in ["qop", "cnonce", "algorithm", "opaque"] {
            assert!(!answer.contains(word), "{answer}");
        }
    }
}
