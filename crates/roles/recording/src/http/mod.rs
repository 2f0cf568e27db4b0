//! The recorder's internal API (`varde_api_internal::recorder`), on a Unix socket that only our own user can open.

mod live;
mod read;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use serde_json::json;
use tokio::net::UnixListener;
use varde_api_internal::config::SignedConfig;
use varde_api_internal::recorder::RecorderStatus;

use crate::recorder::Recorder;
use crate::snapshot::{SNAPSHOT_BYTES_MAX, SnapshotError};

/// A refusal: a status and a sentence.
#[derive(Debug)]
pub struct Refusal(StatusCode, String);

impl Refusal {
    fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }

    fn failed(error: impl std::fmt::Display) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "detail": self.1 }))).into_response()
    }
}

fn router(recorder: Arc<Recorder>) -> Router {
    let calls = Router::new()
        .route("/status", get(status))
        .route("/config", put(config).layer(DefaultBodyLimit::max(SNAPSHOT_BYTES_MAX)))
        .route("/timeline", get(read::timeline))
        .route("/plan", get(read::plan))
        .route("/files/{*file}", get(read::file))
        .route("/streams/{stream}/live", get(live::live))
        .route("/events", get(read::events))
        .route("/channels/{channel}/footage", delete(read::erase))
        .with_state(recorder);
    Router::new().nest("/internal/v1", calls)
}

/// Serves until `stop` completes. A socket file that an earlier run left is replaced.
pub async fn serve(
    recorder: Arc<Recorder>,
    socket: &Path,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    axum::serve(listener, router(recorder)).with_graceful_shutdown(stop).await
}

/// Asks the file systems how full they are, and one of them may hang.
async fn status(State(recorder): State<Arc<Recorder>>) -> Result<Json<RecorderStatus>, Refusal> {
    tokio::task::spawn_blocking(move || recorder.status()).await.map(Json).map_err(Refusal::failed)
}

async fn config(
    State(recorder): State<Arc<Recorder>>,
    Json(signed): Json<SignedConfig>,
) -> Result<StatusCode, Refusal> {
    recorder.configure(signed).await.map(|()| StatusCode::NO_CONTENT).map_err(|error| {
        let status = match error {
            SnapshotError::NotKept(_) => StatusCode::INSUFFICIENT_STORAGE,
            SnapshotError::Malformed(_) | SnapshotError::BadSignature => StatusCode::BAD_REQUEST,
            SnapshotError::OtherKey | SnapshotError::OtherInstallation | SnapshotError::Older { .. } => {
                StatusCode::CONFLICT
            }
        };
        Refusal(status, error.to_string())
    })
}
