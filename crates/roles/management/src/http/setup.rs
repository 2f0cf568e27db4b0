//! `/setup`: the first administrator.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use varde_api::session::{Session, SetupRequest, SetupState};
use varde_http::{Json, Problem};

use super::session::{Caller, answer};
use crate::role::Management;

#[utoipa::path(get, path = "/api/v1/setup", operation_id = "setup_get", tag = "sessions",
    responses((status = 200, body = SetupState)))]
pub async fn setup_get(State(management): State<Arc<Management>>) -> Json<SetupState> {
    Json(SetupState { needed: management.setup_needed() })
}

#[utoipa::path(post, path = "/api/v1/setup", operation_id = "setup_do", tag = "sessions",
    request_body = SetupRequest, responses((status = 201, body = Session)))]
pub async fn setup_do(
    State(management): State<Arc<Management>>,
    caller: Caller,
    Json(request): Json<SetupRequest>,
) -> Result<Response, Problem> {
    Ok(answer(management.setup_do(request, caller.client()).await?, &caller))
}
