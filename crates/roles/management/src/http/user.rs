//! `/users`: accounts.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_api::List;
use varde_api::user::{User, UserCreate, UserUpdate};
use varde_http::{Cursor, Json, PageRequest, Path, Principal, Problem, Query};
use varde_ids::UserId;

use crate::role::Management;

#[utoipa::path(get, path = "/api/v1/users", operation_id = "user_list", tag = "users",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = List<User>)))]
pub async fn user_list(
    State(management): State<Arc<Management>>,
    Query(page): Query<PageRequest>,
) -> Result<Json<List<User>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor::<UserId>()?);
    let mut items: Vec<User> =
        management.user_list().into_iter().filter(|user| after.is_none_or(|after| user.id > after)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|user| Cursor::write(&user.id));
    Ok(Json(List { items, next }))
}

#[utoipa::path(post, path = "/api/v1/users", operation_id = "user_create", tag = "users",
    request_body = UserCreate, responses((status = 201, body = User)))]
pub async fn user_create(
    State(management): State<Arc<Management>>,
    Json(request): Json<UserCreate>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Json(management.user_create(request).await?)).into_response())
}

#[utoipa::path(get, path = "/api/v1/users/{id}", operation_id = "user_get", tag = "users",
    params(("id" = String, Path)), responses((status = 200, body = User)))]
pub async fn user_get(
    State(management): State<Arc<Management>>,
    Path(id): Path<UserId>,
) -> Result<Json<User>, Problem> {
    management.user_get(id).map(Json)
}

#[utoipa::path(patch, path = "/api/v1/users/{id}", operation_id = "user_update", tag = "users",
    params(("id" = String, Path)), request_body = UserUpdate, responses((status = 200, body = User)))]
pub async fn user_update(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Path(id): Path<UserId>,
    Json(request): Json<UserUpdate>,
) -> Result<Json<User>, Problem> {
    management.user_update(id, request, &principal).await.map(Json)
}

#[utoipa::path(delete, path = "/api/v1/users/{id}", operation_id = "user_delete", tag = "users",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn user_delete(
    State(management): State<Arc<Management>>,
    Path(id): Path<UserId>,
) -> Result<StatusCode, Problem> {
    management.user_delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
