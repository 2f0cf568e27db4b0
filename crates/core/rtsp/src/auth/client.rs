//! The client's side: which challenge to take, and the answer to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Algorithm, Credentials, DigestInput, Scheme, parse_schemes, quote};

/// Answers the challenge of one server for the rest of a connection.
#[derive(Clone, Debug)]
pub struct Authenticator {
    challenge: Challenge,
    /// Requests answered with the present nonce.
    count: u32,
}

#[derive(Clone, Debug)]
enum Challenge {
    Basic,
    Digest {
        algorithm: Algorithm,
        /// Whether the server named the algorithm; old cameras choke on one that they did not.
        named: bool,
        realm: String,
        nonce: String,
        opaque: Option<String>,
        quality: bool,
    },
}

impl Authenticator {
    /// The strongest challenge of the `WWW-Authenticate` values that can be answered: SHA-256, MD5, basic.
    pub fn from_challenges<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best: Option<(u8, Challenge)> = None;
        for value in values.take(8) {
            for scheme in parse_schemes(value) {
                let Some((rank, challenge)) = Challenge::of(&scheme) else { continue };
                if best.as_ref().is_none_or(|(best, _)| rank > *best) {
                    best = Some((rank, challenge));
                }
            }
        }
        best.map(|(_, challenge)| Self { challenge, count: 0 })
    }

    /// Whether the password travels readable to anyone on the way.
    pub const fn is_basic(&self) -> bool {
        matches!(self.challenge, Challenge::Basic)
    }

    /// The value of the `Authorization` header. `client_nonce` is random.
    pub fn authorization(
        &mut self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        client_nonce: u64,
    ) -> String {
        match &self.challenge {
            Challenge::Basic => {
                let pair = format!("{}:{}", credentials.user, credentials.password);
                format!("Basic {}", STANDARD.encode(pair))
            }
            Challenge::Digest { algorithm, named, realm, nonce, opaque, quality } => {
                self.count = self.count.wrapping_add(1);
                let count = format!("{:08x}", self.count);
                let client_nonce = format!("{client_nonce:016x}");
                let input = DigestInput {
                    algorithm: *algorithm,
                    credentials,
                    realm,
                    nonce,
                    method,
                    uri,
                    quality: quality.then_some((count.as_str(), client_nonce.as_str())),
                };
                let mut text = format!(
                    "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\"",
                    quote(&credentials.user),
                    quote(realm),
                    quote(nonce),
                    quote(uri),
                    input.response()
                );
                if *named {
                    text.push_str(&format!(", algorithm={}", algorithm.name()));
                }
                if let Some(opaque) = opaque {
                    text.push_str(&format!(", opaque=\"{}\"", quote(opaque)));
                }
                if *quality {
                    text.push_str(&format!(", qop=auth, nc={count}, cnonce=\"{client_nonce}\""));
                }
                text
            }
        }
    }
}

impl Challenge {
    fn of(scheme: &Scheme<'_>) -> Option<(u8, Self)> {
        if scheme.name.eq_ignore_ascii_case("Basic") {
            return Some((0, Self::Basic));
        }
        if !scheme.name.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let algorithm = Algorithm::of(scheme.get("algorithm"))?;
        let quality = match scheme.get("qop") {
            None | Some("") => false,
            Some(offers) => {
                if !offers.split(',').any(|each| each.trim().eq_ignore_ascii_case("auth")) {
                    return None;
                }
                true
            }
        };
        let challenge = Self::Digest {
            algorithm,
            named: scheme.get("algorithm").is_some(),
            realm: scheme.get("realm")?.to_owned(),
            nonce: scheme.get("nonce")?.to_owned(),
            opaque: scheme.get("opaque").map(str::to_owned),
            quality,
        };
        Some((if algorithm == Algorithm::Sha256 { 2 } else { 1 }, challenge))
    }
}
