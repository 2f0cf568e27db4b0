//! Camera URLs: what is accepted, with user and password taken out.

use std::net::IpAddr;

use varde_api::codes::ProblemCode;
use varde_driver::Network;
use varde_http::Problem;

const URL_BYTES_MAX: usize = 1024;

/// A camera's URL without user information, and what stood there.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub url: String,
    pub host: String,
    pub user: Option<String>,
    pub password: Option<String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Reads a URL that somebody sent as `field`. An address that is written in numbers must lie within `networks`; a name
/// is judged by the recorder, on what it resolves to.
pub fn read(field: &str, text: &str, networks: &[Network]) -> Result<Address, Problem> {
    let refuse =
        |detail: &str| Problem::invalid(field, detail).hint("Write it as rtsp://192.168.1.20/stream1.");
    if text.len() > URL_BYTES_MAX {
        return Err(refuse("The URL has more than 1,024 bytes."));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("The URL holds blanks or control characters."));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| refuse("The URL has no scheme."))?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "rtsp" | "rtsps") {
        return Err(refuse("The URL begins neither with rtsp:// nor with rtsps://."));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host_port) = match authority.rsplit_once('@') {
        Some((login, host_port)) => (Some(login), host_port),
        None => (None, authority),
    };
    let host =
        host_of(host_port).ok_or_else(|| refuse("The URL names no host, or its port is no number."))?;
    let written = host.trim_matches(['[', ']']);
    if let Ok(address) = written.parse::<IpAddr>() {
        if !networks.iter().any(|network| network.contains(address)) {
            return Err(Problem::new(
                ProblemCode::AddressNotAllowed,
                "The address lies outside the allowed networks.",
            )
            .hint("An administrator allows further networks where the server is started.")
            .parameter("address", address.to_string()));
        }
    } else if host.starts_with('[') || !is_name(written) {
        return Err(refuse("The host is neither an address nor a name."));
    }
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        None => (None, None),
        Some((user, password)) => {
            let decode = |text: &str| {
                percent_decode(text).ok_or_else(|| refuse("User or password is not well escaped."))
            };
            (Some(decode(user)?), Some(decode(password)?))
        }
    };
    let user = user.filter(|user| !user.is_empty());
    let password = password.filter(|password| !password.is_empty());
    Ok(Address { url: format!("{scheme}://{host_port}{path}"), host: written.to_owned(), user, password })
}

/// The host of `host[:port]`, brackets kept.
fn host_of(text: &str) -> Option<&str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, rest) = rest.split_once(']')?;
            (&text[..inner.len() + 2], rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    (port_is_good && !host.is_empty()).then_some(host)
}

/// A host name. One that ends in a number is refused: `2130706433` and `0x7f.1` are addresses in disguise.
fn is_name(text: &str) -> bool {
    let good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number =
        last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    text.len() <= 253 && text.split('.').all(good) && !is_number
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> Vec<Network> {
        ["10.0.0.0/8", "fd00::/8"]
            .into_iter()
            .map(|text| Network::try_from(text.to_owned()).unwrap())
            .collect()
    }

    #[test]
    fn urls_lose_their_credentials() {
        let check = |text: &str, url: &str, user: Option<&str>, password: Option<&str>| {
            let address = read("url", text, &networks()).unwrap();
            assert_eq!(address.url, url);
            assert_eq!((address.user.as_deref(), address.password.as_deref()), (user, password), "{text}");
        };
        check("rtsp://10.0.0.7/main", "rtsp://10.0.0.7/main", None, None);
        check("RTSP://10.0.0.7:554", "rtsp://10.0.0.7:554", None, None);
        check("rtsp://admin:p%40ss@10.0.0.7/a?b=c", "rtsp://10.0.0.7/a?b=c", Some("admin"), Some("p@ss"));
        check("rtsp://a:b@c@10.0.0.7/", "rtsp://10.0.0.7/", Some("a"), Some("b@c"));
        check("rtsps://[fd00::7]:322/x", "rtsps://[fd00::7]:322/x", None, None);
        check("rtsp://camera-7.example.org/x@y", "rtsp://camera-7.example.org/x@y", None, None);
    }

    #[test]
    fn other_urls_are_refused() {
        for text in [
            "",
            "10.0.0.7/main",
            "exec:touch /tmp/canary",
            "exec://10.0.0.7",
            "file:///etc/passwd",
            "http://10.0.0.7/",
            "rtsp://",
            "rtsp:///main",
            "rtsp://10.0.0.7:0/",
            "rtsp://10.0.0.7:99999/",
            "rtsp://10.0.0.7:x/",
            "rtsp://10.0.0.7/a b",
            "rtsp://10.0.0.7/\r\nX: y",
            "rtsp://-oProxyCommand/",
            "rtsp://a%zz@10.0.0.7/",
            "rtsp://127.0.0.1/",
            "rtsp://169.254.169.254/",
            "rtsp://[::ffff:127.0.0.1]/",
            "rtsp://2130706433/",
            "rtsp://0x7f000001/",
            "rtsp://127.1/",
            "rtsp://[fe80::1/",
        ] {
            assert!(read("url", text, &networks()).is_err(), "{text}");
        }
        assert!(read("url", &format!("rtsp://10.0.0.7/{}", "a".repeat(2000)), &networks()).is_err());
    }
}
