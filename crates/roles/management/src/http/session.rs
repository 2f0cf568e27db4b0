//! `/sessions`: sign-in of browsers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use varde_api::session::{Session, SignIn};
use varde_http::{ConnectionInfo, Credential, Json, Principal, Problem, session_cookie_name};

use crate::app::session::{Client, LIFETIME_MAX, SignedIn};
use crate::role::Management;

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Caller(ConnectionInfo);

impl Caller {
    pub fn client(&self) -> Client {
        Client { address: self.0.peer.ip().to_canonical() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().copied().unwrap_or_else(ConnectionInfo::loopback)))
    }
}

fn cookie(caller: &Caller, value: &str, seconds: u64) -> HeaderValue {
    let name = session_cookie_name(caller.0.tls);
    let secure = if caller.0.tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::try_from(text).expect("a token has no characters that a header could not hold")
}

/// 201 with the session, and its secret in the cookie alone.
pub fn answer(signed_in: SignedIn, caller: &Caller) -> Response {
    let cookie = cookie(caller, &signed_in.secret, LIFETIME_MAX.as_secs());
    (StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(signed_in.session)).into_response()
}

fn session_id(principal: &Principal) -> Result<varde_ids::SessionId, Problem> {
    match principal.identity.credential {
        Credential::Session { id, .. } => Ok(id),
        _ => Err(Problem::not_signed_in()),
    }
}

#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "session_create", tag = "sessions",
    request_body = SignIn, responses((status = 201, body = Session)))]
pub async fn session_create(
    State(management): State<Arc<Management>>,
    caller: Caller,
    Json(request): Json<SignIn>,
) -> Result<Response, Problem> {
    Ok(answer(management.session_create(request, caller.client()).await?, &caller))
}

#[utoipa::path(get, path = "/api/v1/sessions/current", operation_id = "session_get", tag = "sessions",
    responses((status = 200, body = Session)))]
pub async fn session_get(
    State(management): State<Arc<Management>>,
    principal: Principal,
) -> Result<Json<Session>, Problem> {
    management.session_get(session_id(&principal)?).map(Json)
}

#[utoipa::path(delete, path = "/api/v1/sessions/current", operation_id = "session_delete", tag = "sessions",
    responses((status = 204)))]
pub async fn session_delete(
    State(management): State<Arc<Management>>,
    caller: Caller,
    principal: Principal,
) -> Result<Response, Problem> {
    management.session_delete(session_id(&principal)?).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie(&caller, "", 0))]).into_response())
}
