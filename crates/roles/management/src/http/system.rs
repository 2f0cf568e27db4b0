//! `/health` and `/system`.

use std::sync::Arc;

use axum::extract::State;
use varde_api::system::{Health, System};
use varde_http::Json;

use crate::role::Management;

#[utoipa::path(get, path = "/api/v1/health", operation_id = "health_get", tag = "system",
    responses((status = 200, body = Health)))]
pub async fn health_get() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

#[utoipa::path(get, path = "/api/v1/system", operation_id = "system_get", tag = "system",
    responses((status = 200, body = System)))]
pub async fn system_get(State(management): State<Arc<Management>>) -> Json<System> {
    Json(management.system_get())
}
