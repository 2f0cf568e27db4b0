//! `/previews`: a look before a camera is added.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_api::preview::{Preview, PreviewCreate, PreviewCreated};
use varde_http::{Json, Path, Problem};
use varde_ids::ChannelId;

use crate::role::Management;

#[utoipa::path(post, path = "/api/v1/previews", operation_id = "preview_create", tag = "cameras",
    request_body = PreviewCreate, responses((status = 201, body = PreviewCreated)))]
pub async fn preview_create(
    State(management): State<Arc<Management>>,
    Json(request): Json<PreviewCreate>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Json(management.preview_create(request).await?)).into_response())
}

#[utoipa::path(get, path = "/api/v1/previews/{id}", operation_id = "preview_get", tag = "cameras",
    params(("id" = String, Path)), responses((status = 200, body = Preview)))]
pub async fn preview_get(
    State(management): State<Arc<Management>>,
    Path(id): Path<ChannelId>,
) -> Result<Json<Preview>, Problem> {
    management.preview_get(id).map(Json)
}

#[utoipa::path(delete, path = "/api/v1/previews/{id}", operation_id = "preview_delete", tag = "cameras",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn preview_delete(
    State(management): State<Arc<Management>>,
    Path(id): Path<ChannelId>,
) -> Result<StatusCode, Problem> {
    management.preview_delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
