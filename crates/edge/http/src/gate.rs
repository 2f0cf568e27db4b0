//! The gate in front of each route: credential, CSRF, permission.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};
use varde_access::{Action, Footage, Object};
use varde_api::codes::ProblemCode;
use varde_ids::ChannelId;
use varde_units::Utc;

use crate::principal::decide;
use crate::{ConnectionInfo, Credential, Identity, MaybePrincipal, Permission, Principal, Problem};

/// Carries the session's CSRF value on requests that change something.
pub const CSRF_HEADER: &str = "x-varde-csrf";

/// Longest credential that is looked at.
const CREDENTIAL_BYTES_MAX: usize = 256;

/// The one credential that a request shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// The value of the session cookie.
    Session(String),
    Token(String),
    Ticket(String),
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Session(_) => "Session",
            Self::Token(_) => "Token",
            Self::Ticket(_) => "Ticket",
        })
    }
}

/// Checks credentials; the management role does.
#[async_trait]
pub trait Authenticate: std::fmt::Debug + Send + Sync + 'static {
    /// `not_signed_in` for everything that is not valid now, without saying why.
    async fn authenticate(&self, presented: &Presented, address: IpAddr) -> Result<Identity, Problem>;

    /// The identity as it stands now. `in_use`: somebody watches, which counts as use of the session.
    async fn recheck(&self, identity: &Identity, in_use: bool) -> Result<Identity, Problem>;
}

/// The cookie that holds a browser's session. With TLS it has the prefix that binds it to this very host.
pub const fn session_cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-varde" } else { "varde" }
}

/// What the site puts into each request for its gates.
#[derive(Clone, Debug)]
pub(crate) struct Gate(pub Arc<dyn Authenticate>);

/// Runs before the handler of every route.
pub(crate) async fn authorize(permission: Permission, mut request: Request, next: Next) -> Response {
    match check(permission, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check(permission: Permission, request: &mut Request) -> Result<(), Problem> {
    match permission {
        Permission::Public => {}
        Permission::Optional => {
            let principal = recognise(permission, request).await;
            request.extensions_mut().insert(MaybePrincipal(principal));
        }
        Permission::SignedIn => {
            let principal = recognise(permission, request).await?;
            request.extensions_mut().insert(principal);
        }
        Permission::Of(action) | Permission::Media(action) => {
            let principal = recognise(permission, request).await?;
            if !principal.subject().may_somewhere(action) {
                return Err(Problem::forbidden());
            }
            request.extensions_mut().insert(principal);
        }
        Permission::Camera(action) => {
            let principal = recognise(permission, request).await?;
            let permit = camera_check(&principal.identity, action, request).await?;
            request.extensions_mut().insert(permit);
            request.extensions_mut().insert(principal);
        }
    }
    Ok(())
}

/// Who makes the request, by a credential that the route takes, with its CSRF value where it must have one.
async fn recognise(permission: Permission, request: &mut Request) -> Result<Principal, Problem> {
    let Some(Gate(authority)) = request.extensions().get::<Gate>().cloned() else {
        return Err(Problem::internal(&"a route was served without its site"));
    };
    let connection = ConnectionInfo::of(request.extensions());
    let presented = presented(request, connection.tls)?.ok_or_else(Problem::not_signed_in)?;
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if matches!(presented, Presented::Ticket(_)) && !(safe && permission.takes_tickets()) {
        return Err(Problem::not_signed_in());
    }
    let identity = authority.authenticate(&presented, connection.peer.ip()).await?;
    if let Credential::Session { csrf, .. } = &identity.credential
        && !safe
    {
        csrf_check(request.headers(), csrf)?;
    }
    Ok(Principal { identity, authority })
}

async fn camera_check(
    identity: &Identity,
    action: Action,
    request: &mut Request,
) -> Result<crate::Permit, Problem> {
    let footage = footage_asked(request.uri())?;
    let parameters: RawPathParams = request.extract_parts().await.map_err(|_| Problem::not_found())?;
    let id = parameters.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
    // A role without the right learns so before it learns which cameras exist.
    if !identity.subject.may_somewhere(action) {
        return Err(Problem::forbidden());
    }
    let camera = id.and_then(|id| ChannelId::from_str(id).ok()).ok_or_else(Problem::not_found)?;
    decide(&identity.subject, action, Object::Camera(camera), footage)
}

/// The recorded time that the query names by `start` and `end`, or `time`. A name that stands twice is refused, since
/// the gate and the handler could read different ones.
fn footage_asked(uri: &Uri) -> Result<Option<Footage>, Problem> {
    let pairs = query_pairs(uri);
    let find = |name: &str| -> Result<Option<Utc>, Problem> {
        let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() {
            return Err(Problem::invalid(name, format!("`{name}` stands more than once.")));
        }
        // What is not a time is the handler's to refuse; it opens nothing here.
        Ok(first.and_then(|value| value.parse().ok()))
    };
    let (start, end, time) = (find("start")?, find("end")?, find("time")?);
    Ok(match (start, end, time) {
        (Some(start), Some(end), None) => Footage::new(start, end),
        (None, None, Some(time)) => Footage::new(time, time),
        _ => None,
    })
}

fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri).map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

/// Picks the request's one credential: header before ticket before cookie. An invalid one is never backed by another.
/// The ticket is taken out of the URI, so that nothing behind the gate can log it.
fn presented(request: &mut Request, tls: bool) -> Result<Option<Presented>, Problem> {
    let ticket = ticket_take(request)?;
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.filter(|token| !token.is_empty() && token.len() <= CREDENTIAL_BYTES_MAX);
        return token
            .map(|token| Some(Presented::Token(token.to_owned())))
            .ok_or_else(Problem::not_signed_in);
    }
    if let Some(ticket) = ticket {
        return Ok(Some(Presented::Ticket(ticket)));
    }
    Ok(cookie(request.headers(), session_cookie_name(tls)).map(Presented::Session))
}

fn ticket_take(request: &mut Request) -> Result<Option<String>, Problem> {
    let Some(query) = request.uri().query() else { return Ok(None) };
    if !query.split('&').any(|pair| pair.starts_with("ticket=")) {
        return Ok(None);
    }
    let mut ticket = None;
    let mut rest = String::with_capacity(query.len());
    for pair in query.split('&') {
        match pair.strip_prefix("ticket=") {
            Some(_) if ticket.is_some() => return Err(Problem::not_signed_in()),
            Some(value) if value.len() <= CREDENTIAL_BYTES_MAX => ticket = Some(value.to_owned()),
            Some(_) => return Err(Problem::not_signed_in()),
            None => {
                if !rest.is_empty() {
                    rest.push('&');
                }
                rest.push_str(pair);
            }
        }
    }
    let path = request.uri().path().to_owned();
    let without = if rest.is_empty() { path } else { format!("{path}?{rest}") };
    *request.uri_mut() = without.parse().map_err(|_| Problem::not_signed_in())?;
    Ok(ticket)
}

/// The cookie's value; `None` also where the name stands twice, since another site may have set one of them.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let first = found.next().filter(|value| !value.is_empty() && value.len() <= CREDENTIAL_BYTES_MAX)?;
    found.next().is_none().then(|| first.to_owned())
}

fn csrf_check(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let sent = headers.get(CSRF_HEADER).map_or(&b""[..], |value| value.as_bytes());
    if same_bytes(sent, expected.as_bytes()) {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::ForeignOrigin, "The request lacks the session's X-Varde-CSRF value.")
        .hint("Reload the page and try again."))
}

/// Compares in a time that tells nothing of where the difference lies.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn one_credential_counts_and_none_backs_another() {
        let check = |uri: &str, headers: &[(&str, &str)], tls, expected: Result<Option<Presented>, ()>| {
            let found = presented(&mut request(uri, headers), tls).map_err(|_| ());
            assert_eq!(found, expected, "{uri} {headers:?}");
        };
        let session = |text: &str| Ok(Some(Presented::Session(text.into())));
        check("/", &[], false, Ok(None));
        check("/", &[("cookie", "a=1; varde=x; b=2")], false, session("x"));
        check("/", &[("cookie", "varde=x")], true, Ok(None));
        check("/", &[("cookie", "__Host-varde=y")], true, session("y"));
        check("/", &[("cookie", "varde=x; varde=y")], false, Ok(None));
        check("/", &[("cookie", "varde=x"), ("authorization", "Basic eA==")], false, Err(()));
        check(
            "/?ticket=t",
            &[("cookie", "varde=x"), ("authorization", "bearer k")],
            false,
            Ok(Some(Presented::Token("k".into()))),
        );
        check("/?ticket=t", &[("cookie", "varde=x")], false, Ok(Some(Presented::Ticket("t".into()))));
        check("/?ticket=t&ticket=u", &[], false, Err(()));
        check(&format!("/?ticket={}", "t".repeat(300)), &[], false, Err(()));
    }

    #[test]
    fn the_ticket_leaves_the_address() {
        let check = |before: &str, after: &str| {
            let mut request = request(before, &[]);
            ticket_take(&mut request).unwrap();
            assert_eq!(request.uri(), after);
        };
        check("/a?start=1&ticket=t&end=2", "/a?start=1&end=2");
        check("/a?ticket=t", "/a");
        check("/a?myticket=t", "/a?myticket=t");
    }

    #[test]
    fn a_range_that_stands_twice_is_refused() {
        let uri = |query: &str| format!("/a?{query}").parse::<Uri>().unwrap();
        let one = "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z";
        assert!(footage_asked(&uri(one)).unwrap().is_some());
        assert!(footage_asked(&uri(&format!("{one}&end=2027-01-01T00:00:00Z"))).is_err());
        assert_eq!(footage_asked(&uri("start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z")).unwrap(), None);
        assert_eq!(footage_asked(&uri("")).unwrap(), None);
    }
}
