//! `rtsp` and `rtsps` addresses, and how control URLs resolve against them (RFC 2326 §3.2, §C.1.1).
//!
//! Keeps the text as it was given: cameras compare URLs byte by byte, and digest authentication signs them.

use std::fmt;

/// An `rtsp://` or `rtsps://` address without user information.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RtspUrl {
    text: String,
    host: String,
    port: u16,
    tls: bool,
    /// Where path and query begin in `text`.
    path_at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the address must begin with rtsp:// or rtsps://")]
    Scheme,
    #[error("the address names no host")]
    Host,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("user name and password do not belong into the address")]
    UserInformation,
    #[error("the address holds a space or a control character")]
    Character,
    #[error("the address is longer than 2048 bytes")]
    TooLong,
}

impl RtspUrl {
    const BYTES_MAX: usize = 2048;

    /// # Errors
    /// What a person who typed the address has to mend.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > Self::BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "rtsp" => false,
            "rtsps" => true,
            _ => return Err(UrlError::Scheme),
        };
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(UrlError::UserInformation);
        }
        let (host, port) = split_port(authority)?;
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let port = match port {
            Some(port) => port,
            None if tls => 322,
            None => 554,
        };
        let path_at = scheme.len() + 3 + authority.len();
        Ok(Self { text: text.to_owned(), host: host.to_owned(), port, tls, path_at })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A name or an address; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// Path and query, with the leading `/`; empty where the address has none.
    pub fn path(&self) -> &str {
        &self.text[self.path_at..]
    }
}

impl fmt::Display for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RtspUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let number = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(UrlError::Port),
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, number(port)?)),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlError::Host),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Ok((host, number(port)?)),
        None => Ok((authority, None)),
    }
}

/// The URL of a track, from its `a=control` attribute.
///
/// RFC 2326 resolves as RFC 1808 does, and would cut the last segment of a base that has no final slash. Cameras
/// mean concatenation: `rtsp://h/Streaming/Channels/101` with `trackID=1` is `…/101/trackID=1`. So does everyone.
/// A query in the base stays where it is, as live555 and its descendants expect.
pub fn resolve_control(base: &str, control: &str) -> String {
    let control = control.trim();
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    let lower = control.as_bytes();
    let absolute =
        |scheme: &[u8]| lower.len() > scheme.len() && lower[..scheme.len()].eq_ignore_ascii_case(scheme);
    if absolute(b"rtsp://") || absolute(b"rtsps://") || absolute(b"rtspu://") {
        return control.to_owned();
    }
    if control.starts_with('/')
        && let Ok(url) = RtspUrl::parse(base)
    {
        return format!("{}{control}", &base[..url.path_at]);
    }
    if base.ends_with('/') { format!("{base}{control}") } else { format!("{base}/{control}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let check = |text: &str, host, port, tls, path| {
            let url = RtspUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port(), url.tls(), url.path()), (host, port, tls, path), "{text}");
            assert_eq!(url.to_string(), text);
        };
        check("rtsp://10.0.0.7/main", "10.0.0.7", 554, false, "/main");
        check("RTSP://cam.local:8554/a?b=c", "cam.local", 8554, false, "/a?b=c");
        check("rtsps://[fe80::1]:322/", "fe80::1", 322, true, "/");
        check("rtsp://[::1]", "::1", 554, false, "");
        check("rtsps://h?x=1", "h", 322, true, "?x=1");
    }

    #[test]
    fn what_is_no_address_says_why() {
        let check = |text: &str, error| assert_eq!(RtspUrl::parse(text), Err(error), "{text}");
        check("http://h/", UrlError::Scheme);
        check("h/main", UrlError::Scheme);
        check("rtsp:///main", UrlError::Host);
        check("rtsp://[::1/main", UrlError::Host);
        check("rtsp://[::1]x/main", UrlError::Host);
        check("rtsp://h:0/", UrlError::Port);
        check("rtsp://h:99999/", UrlError::Port);
        check("rtsp://h:/", UrlError::Port);
        check("rtsp://admin:secret@h/", UrlError::UserInformation);
        check("rtsp://h/a b", UrlError::Character);
        check("rtsp://h/\r\nX: y", UrlError::Character);
        check(&format!("rtsp://h/{}", "a".repeat(2048)), UrlError::TooLong);
    }

    #[test]
    fn control_urls_are_appended() {
        let check = |base, control, expected: &str| assert_eq!(resolve_control(base, control), expected);
        check("rtsp://h/main", "trackID=1", "rtsp://h/main/trackID=1");
        check("rtsp://h/main/", "trackID=1", "rtsp://h/main/trackID=1");
        check("rtsp://h/main", "*", "rtsp://h/main");
        check("rtsp://h/main", "", "rtsp://h/main");
        check("rtsp://h/a?b=c", "track1", "rtsp://h/a?b=c/track1");
        check("rtsp://h/main/", "/other/track1", "rtsp://h/other/track1");
        check("rtsp://h/main", "RTSP://10.0.0.9/x", "RTSP://10.0.0.9/x");
    }
}
