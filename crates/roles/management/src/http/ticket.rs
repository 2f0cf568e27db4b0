//! `/tickets`: for media URLs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use varde_api::token::{Ticket, TicketCreate};
use varde_http::{Json, Principal, Problem};

use crate::role::Management;

#[utoipa::path(post, path = "/api/v1/tickets", operation_id = "ticket_create", tag = "tokens",
    request_body = TicketCreate, responses((status = 201, body = Ticket)))]
pub async fn ticket_create(
    State(management): State<Arc<Management>>,
    principal: Principal,
    Json(request): Json<TicketCreate>,
) -> Result<Response, Problem> {
    Ok((StatusCode::CREATED, Json(management.ticket_create(request, &principal)?)).into_response())
}
