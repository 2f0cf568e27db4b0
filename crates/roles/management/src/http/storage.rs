//! `/storages`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_api::List;
use varde_api::storage::{Storage, StorageCreate, StorageUpdate};
use varde_http::{Json, Path, Problem};
use varde_ids::StorageId;

use crate::role::Management;

/// Whole: a server has at most 64.
#[utoipa::path(get, path = "/api/v1/storages", operation_id = "storage_list", tag = "storages",
    responses((status = 200, body = List<Storage>)))]
pub async fn storage_list(State(management): State<Arc<Management>>) -> Json<List<Storage>> {
    Json(List { items: management.storage_list(), next: None })
}

#[utoipa::path(post, path = "/api/v1/storages", operation_id = "storage_create", tag = "storages",
    request_body = StorageCreate, responses((status = 201, body = Storage)))]
pub async fn storage_create(
    State(management): State<Arc<Management>>,
    Json(request): Json<StorageCreate>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Json(management.storage_create(request).await?)).into_response())
}

#[utoipa::path(get, path = "/api/v1/storages/{id}", operation_id = "storage_get", tag = "storages",
    params(("id" = String, Path)), responses((status = 200, body = Storage)))]
pub async fn storage_get(
    State(management): State<Arc<Management>>,
    Path(id): Path<StorageId>,
) -> Result<Json<Storage>, Problem> {
    management.storage_get(id).map(Json)
}

#[utoipa::path(patch, path = "/api/v1/storages/{id}", operation_id = "storage_update", tag = "storages",
    params(("id" = String, Path)), request_body = StorageUpdate, responses((status = 200, body = Storage)))]
pub async fn storage_update(
    State(management): State<Arc<Management>>,
    Path(id): Path<StorageId>,
    Json(request): Json<StorageUpdate>,
) -> Result<Json<Storage>, Problem> {
    management.storage_update(id, request).await.map(Json)
}
