//! The door of the site: every request passes it before any route, every answer after.
//!
//! Decides on host and origin; gives request ids, security headers and problem documents; writes the access log, which
//! holds paths and never queries, cookies or tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use varde_ambient::{identifier_random, utc_now};
use varde_api::codes::ProblemCode;
use varde_ids::RequestId;

use crate::gate::Gate;
use crate::{Authenticate, ConnectionInfo, Problem};

/// What a page of ours may load. Styles may stand inline (the component library writes them); scripts never.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; \
     worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names under which a server answers: `varde.example.org`, `10.0.0.5`, without a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames(pub Vec<String>);

impl HostNames {
    /// Whether a `Host` value names this server. An address counts where the connection arrived on it; a foreign name
    /// that resolves to us (DNS rebinding) does not.
    pub fn accept(&self, host: &str, connection: &ConnectionInfo) -> bool {
        let Some(name) = host_name(host) else { return false };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            let address = address.to_canonical();
            if address.is_loopback() || address == connection.local.ip().to_canonical() {
                return true;
            }
        }
        self.0.iter().any(|known| known.trim_matches(['[', ']']).eq_ignore_ascii_case(&name))
    }
}

/// `Host` without its port and brackets; `None` for what is no host.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        (name, rest.strip_prefix(':').or(rest.is_empty().then_some("0")))
    } else {
        match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        }
    };
    port?.parse::<u16>().ok()?;
    (!name.is_empty()).then_some(name)
}

#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub authority: Arc<dyn Authenticate>,
    pub host_names: Arc<HostNames>,
}

pub(crate) async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::new(utc_now(), identifier_random()).to_string();
    let connection = ConnectionInfo::of(request.extensions());
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(200).collect();
    let is_api = is_api(&path);
    let mut response = match admit(&door, &request, &connection) {
        Err(problem) => problem.response(&id),
        Ok(()) => {
            request.extensions_mut().insert(Gate(door.authority.clone()));
            next.run(request).await
        }
    };
    finish(&mut response, &id, is_api, connection.tls);
    let status = response.status().as_u16();
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // Answers that serve whole pages of small requests would drown the log; refusals and defects stand out.
    match status {
        500.. => tracing::warn!(%method, path, status, millis, request_id = id, "answered"),
        401 | 403 | 421 | 429 => {
            tracing::info!(%method, path, status, millis, request_id = id, peer = %connection.peer.ip(), "refused");
        }
        _ => tracing::debug!(%method, path, status, millis, request_id = id, "answered"),
    }
    response
}

fn is_api(path: &str) -> bool {
    path == "/metrics" || path == "/api" || path.starts_with("/api/")
}

fn admit(door: &Door, request: &Request, connection: &ConnectionInfo) -> Result<(), Problem> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    // HTTP/1.1 has exactly one `Host`; an absolute request target overrides it (RFC 9112 §3.2.2).
    let host = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let Some(host) = host.filter(|host| door.host_names.accept(host, connection)) else {
        let shown: String = host.unwrap_or_default().chars().take(100).collect();
        return Err(Problem::new(ProblemCode::UnknownHost, "This server does not answer to that name.")
            .hint("Add the name to the server's host names.")
            .parameter("host", shown));
    };
    if is_api(request.uri().path()) { origin_check(headers, host) } else { Ok(()) }
}

/// Refuses what another site's page sends. Programs send neither header and pass.
fn origin_check(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let foreign = || {
        Problem::new(ProblemCode::ForeignOrigin, "The request came from another site's page.")
            .hint("Open Varde under the address that it is served from.")
    };
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Err(foreign());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().map_err(|_| foreign())?;
        let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(foreign());
        }
    }
    // A WebSocket is not under the same-origin policy: a browser always names its origin there, and one that shows a
    // cookie without it is none.
    let is_upgrade = headers.contains_key(header::UPGRADE);
    let by_cookie = headers.contains_key(header::COOKIE) && !headers.contains_key(header::AUTHORIZATION);
    if is_upgrade && by_cookie && !headers.contains_key(header::ORIGIN) {
        return Err(foreign());
    }
    Ok(())
}

fn finish(response: &mut Response, id: &str, is_api: bool, tls: bool) {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let written = problem.response(id);
        // Keeps what else the handler set, such as a cookie that ends.
        let (parts, body) = written.into_parts();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
        *response.body_mut() = body;
    } else if is_api && response.status().is_client_error() && !is_problem(response) {
        let plain = plain_problem(response.status());
        *response = plain.response(id);
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), payment=(), usb=()");
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
    }
    if tls {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
}

/// Refusals of the framework itself, in our form.
fn plain_problem(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(ProblemCode::MethodNotAllowed, "This path does not take this method.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ProblemCode::TooLarge, "The body is too large."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            ProblemCode::UnsupportedMediaType,
            "The body is of another kind than this path takes.",
        ),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            Problem::new(ProblemCode::RangeNotSatisfiable, "The range lies outside the file.")
        }
        _ => Problem::new(ProblemCode::InvalidRequest, "The request is not understood."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let names = HostNames(vec!["varde.example.org".into(), "192.0.2.9".into()]);
        let mut connection = ConnectionInfo::loopback();
        connection.local = "10.0.0.5:443".parse().unwrap();
        let check = |host: &str, ours| assert_eq!(names.accept(host, &connection), ours, "{host}");
        check("localhost:8080", true);
        check("LOCALHOST", true);
        check("127.0.0.1:1", true);
        check("[::1]:8080", true);
        check("10.0.0.5", true);
        check("[::ffff:10.0.0.5]:443", true);
        check("10.0.0.6", false);
        check("Varde.Example.org.:443", true);
        check("192.0.2.9", true);
        check("evil.example", false);
        check("localhost.evil.example", false);
        check("localhost:port", false);
        check("[::1", false);
        check("", false);
        check(":80", false);
    }

    #[test]
    fn foreign_pages_are_refused() {
        let check = |pairs: &[(&'static str, &'static str)], admitted| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(origin_check(&headers, "localhost:8080").is_ok(), admitted, "{pairs:?}");
        };
        check(&[], true);
        check(&[("origin", "http://localhost:8080")], true);
        check(&[("origin", "https://localhost:8080")], true);
        check(&[("origin", "http://localhost:8081")], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "http://localhost:8080.evil.example")], false);
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("upgrade", "websocket"), ("cookie", "varde=x")], false);
        check(&[("upgrade", "websocket"), ("cookie", "varde=x"), ("origin", "http://localhost:8080")], true);
        check(&[("upgrade", "websocket"), ("authorization", "Bearer x")], true);
    }
}
