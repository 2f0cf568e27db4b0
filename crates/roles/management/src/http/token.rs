//! `/tokens`: for programs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_api::List;
use varde_api::token::{Token, TokenCreate, TokenCreated};
use varde_http::{Credential, Json, MaybePrincipal, Path, Principal, Problem};
use varde_ids::TokenId;

use super::session::Caller;
use crate::role::Management;

/// With `user` and `password` for anybody; else with a session, for its own user. A token makes no others: it would
/// outlive its own end.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "token_create", tag = "tokens",
    request_body = TokenCreate, responses((status = 201, body = TokenCreated)))]
pub async fn token_create(
    State(management): State<Arc<Management>>,
    caller: Caller,
    MaybePrincipal(principal): MaybePrincipal,
    Json(request): Json<TokenCreate>,
) -> Result<Response, Problem> {
    let created = if request.user.is_some() || request.password.is_some() {
        management.token_create_by_password(request, caller.client()).await?
    } else {
        let principal = principal?;
        if !matches!(principal.identity.credential, Credential::Session { .. }) {
            return Err(Problem::forbidden().hint("Sign in with user and password."));
        }
        let user = management.user_enabled(principal.subject().user)?;
        management.token_create(&user, request.name.as_deref(), request.expires_in_days).await?
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// The caller's own.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "token_list", tag = "tokens",
    responses((status = 200, body = List<Token>)))]
pub async fn token_list(
    State(management): State<Arc<Management>>,
    principal: Principal,
) -> Json<List<Token>> {
    Json(List { items: management.token_list(principal.subject().user), next: None })
}

#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "token_delete", tag = "tokens",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn token_delete(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    management.token_delete(principal.subject().user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
