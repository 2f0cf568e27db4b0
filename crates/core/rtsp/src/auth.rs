//! Basic and digest authentication (RFC 7617, RFC 7616, RFC 2617), both sides.
//!
//! Makes no randomness: the client's nonce and the server's key are handed in. Digest with `qop=auth` or none, MD5 and
//! SHA-256; `auth-int` and the `-sess` forms, which no camera uses, are passed over.

mod client;
mod server;

pub use client::Authenticator;
pub(crate) use server::ReplayGuard;
pub use server::{Nonces, Refused, Verifier};

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// A user name and a password. The password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn of(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Self::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Self::Sha256),
            Some(_) => None,
        }
    }

    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(text.as_bytes())),
            Self::Sha256 => hexadecimal(&Sha256::digest(text.as_bytes())),
        }
    }
}

/// What both sides put into a digest.
struct DigestInput<'a> {
    algorithm: Algorithm,
    credentials: &'a Credentials,
    realm: &'a str,
    nonce: &'a str,
    method: &'a str,
    uri: &'a str,
    /// `nc` and `cnonce`, where `qop=auth` is in use.
    quality: Option<(&'a str, &'a str)>,
}

impl DigestInput<'_> {
    fn response(&self) -> String {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let secret = hash(&[&self.credentials.user, self.realm, &self.credentials.password]);
        let request = hash(&[self.method, self.uri]);
        match self.quality {
            Some((count, client_nonce)) => {
                hash(&[&secret, self.nonce, count, client_nonce, "auth", &request])
            }
            None => hash(&[&secret, self.nonce, &request]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// One challenge or answer: a scheme and its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Scheme<'a> {
    name: &'a str,
    /// What stands behind the scheme where it is no list of parameters: the token of `Basic`.
    token: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Scheme<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Splits `Digest realm="a, b", nonce=c, Basic realm="d"` into its schemes. Stops at what it can't read.
fn parse_schemes(text: &str) -> Vec<Scheme<'_>> {
    const SCHEMES_MAX: usize = 8;
    const PARAMETERS_MAX: usize = 32;
    let mut schemes: Vec<Scheme<'_>> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && schemes.len() < SCHEMES_MAX {
        let (name, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let mut scheme = Scheme { name: name.trim_end_matches(','), token: "", parameters: Vec::new() };
        rest = after.trim_start();
        scheme.token = rest.split([',', ' ']).next().unwrap_or("");
        while let Some((key, after)) = parameter_name(rest) {
            let Some((value, after)) = parameter_value(after) else {
                rest = "";
                break;
            };
            if scheme.parameters.len() < PARAMETERS_MAX {
                scheme.parameters.push((key, value));
            }
            rest = after.trim_start_matches(|each: char| each == ',' || each.is_whitespace());
        }
        // A token without parameters (Basic's answer) is skipped to look at what follows.
        if scheme.parameters.is_empty() {
            rest = rest.split_once(',').map_or("", |(_, after)| after).trim_start();
        }
        schemes.push(scheme);
    }
    schemes
}

/// The name before `=`, unless a new scheme begins here.
fn parameter_name(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.split_once('=')?;
    let name = name.trim_end();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!*+".contains(&byte);
    // Base64 padding (`dXNlcg==`) is no parameter.
    (!name.is_empty() && name.bytes().all(token) && !after.is_empty() && !after.starts_with('='))
        .then_some((name, after.trim_start()))
}

fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, each)) = characters.next() {
        match each {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(each),
        }
    }
    None
}

/// For a quoted string: nothing that ends it, nothing that begins a header.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for each in text.chars().filter(|each| !each.is_control()) {
        if matches!(each, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(each);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_of_the_standards_come_out() {
        // RFC 2617 §3.5 and RFC 7616 §3.9.1.
        let rfc2617 = Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() };
        let rfc7616 = Credentials { user: "Mufasa".into(), password: "Circle of Life".into() };
        let check = |algorithm, credentials, realm, nonce, client_nonce, expected: &str| {
            let quality = Some(("00000001", client_nonce));
            let (method, uri) = ("GET", "/dir/index.html");
            let input = DigestInput { algorithm, credentials, realm, nonce, method, uri, quality };
            assert_eq!(input.response(), expected);
        };
        check(
            Algorithm::Md5,
            &rfc2617,
            "testrealm@host.com",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        );
        check(
            Algorithm::Sha256,
            &rfc7616,
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        );
    }

    #[test]
    fn schemes_are_told_apart() {
        let names = |text: &str| {
            let schemes = parse_schemes(text);
            schemes.iter().map(|each| format!("{}/{}", each.name, each.parameters.len())).collect::<Vec<_>>()
        };
        assert_eq!(
            names(r#"Digest realm="a, b", nonce="c", stale=FALSE, Basic realm="d""#),
            ["Digest/3", "Basic/1"]
        );
        assert_eq!(names("Basic dXNlcjpwYXNz"), ["Basic/0"]);
        assert_eq!(names("Basic dXNlcg=="), ["Basic/0"]);
        assert_eq!(names("Digest realm=\"never closed"), ["Digest/0"]);
        assert_eq!(names(""), Vec::<String>::new());
        let digest = r#"Digest realm = "IP Camera(\"1\")" ,nonce=abc,  algorithm=MD5"#;
        assert_eq!(parse_schemes(digest)[0].get("REALM"), Some(r#"IP Camera("1")"#));
        assert_eq!(parse_schemes(digest)[0].get("algorithm"), Some("MD5"));
    }
}
