//! `/cameras`: the short form.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_access::Action;
use varde_api::List;
use varde_api::camera::{Camera, CameraCreate, CameraUpdate};
use varde_http::{Cursor, Json, PageRequest, Path, Principal, Problem, Query};
use varde_ids::ChannelId;

use crate::role::Management;

/// The cameras that the caller may know of.
#[utoipa::path(get, path = "/api/v1/cameras", operation_id = "camera_list", tag = "cameras",
    params(("limit" = Option<u32>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = List<Camera>)))]
pub async fn camera_list(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Query(page): Query<PageRequest>,
) -> Result<Json<List<Camera>>, Problem> {
    let (items, more) = management.camera_list(&principal, page.cursor()?, page.limit()?);
    let next = items.last().filter(|_| more).map(|camera| Cursor::write(&camera.id));
    Ok(Json(List { items, next }))
}

#[utoipa::path(post, path = "/api/v1/cameras", operation_id = "camera_create", tag = "cameras",
    request_body = CameraCreate, responses((status = 201, body = Camera)))]
pub async fn camera_create(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Json(request): Json<CameraCreate>,
) -> Result<Response, Problem> {
    // A camera that is not there yet is in nobody's set: only who may change all may add one.
    let _permit = principal.allow_system(Action::CameraChange)?;
    Ok((StatusCode::CREATED, Json(management.camera_create(request, &principal).await?)).into_response())
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}", operation_id = "camera_get", tag = "cameras",
    params(("id" = String, Path)), responses((status = 200, body = Camera)))]
pub async fn camera_get(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Path(id): Path<ChannelId>,
) -> Result<Json<Camera>, Problem> {
    management.camera_get(&principal, id).map(Json)
}

#[utoipa::path(patch, path = "/api/v1/cameras/{id}", operation_id = "camera_update", tag = "cameras",
    params(("id" = String, Path)), request_body = CameraUpdate, responses((status = 200, body = Camera)))]
pub async fn camera_update(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Path(id): Path<ChannelId>,
    Json(request): Json<CameraUpdate>,
) -> Result<Json<Camera>, Problem> {
    management.camera_update(id, request, &principal).await.map(Json)
}

/// Retires the camera; its footage stays until retention.
#[utoipa::path(delete, path = "/api/v1/cameras/{id}", operation_id = "camera_delete", tag = "cameras",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn camera_delete(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Path(id): Path<ChannelId>,
) -> Result<StatusCode, Problem> {
    management.camera_retire(id, &principal).await?;
    Ok(StatusCode::NO_CONTENT)
}
