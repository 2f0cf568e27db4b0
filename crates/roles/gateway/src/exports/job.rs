//! The making of one export.

use std::io;

use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use varde_api::codes::ProblemCode;
use varde_ids::ExportId;

use crate::gateway::Gateway;
use crate::playback::Cut;

/// Waits for a place, makes the file, and writes down how it went.
pub(super) async fn run(gateway: Gateway, id: ExportId, cut: Cut) {
    let exports = &gateway.0.exports;
    let Ok(_place) = exports.places.clone().acquire_owned().await else { return };
    let result = make(&gateway, id, cut).await;
    if let Err(code) = result {
        tracing::info!(%id, code = code.code(), "export failed");
        let _ = tokio::fs::remove_file(exports.path(id, "part")).await;
    }
    if let Err(error) = exports.finish(id, result).await {
        tracing::error!(%id, %error, "an export's state can't be written");
    }
}

async fn make(gateway: &Gateway, id: ExportId, cut: Cut) -> Result<u64, ProblemCode> {
    let exports = &gateway.0.exports;
    let disk = |error: io::Error| {
        tracing::error!(%id, %error, "export can't be written");
        ProblemCode::Internal
    };
    let mut recording = crate::playback::cut(gateway, cut).await.map_err(|problem| problem.code)?;
    let part = exports.path(id, "part");
    let mut file = tokio::fs::File::create(&part).await.map_err(disk)?;
    let mut bytes = 0u64;
    while let Some(piece) = recording.pieces.next().await {
        let piece = piece.map_err(|problem| problem.code)?;
        bytes += piece.bytes.len() as u64;
        if !exports.has_room(piece.bytes.len() as u64) {
            return Err(ProblemCode::LimitReached);
        }
        file.write_all(&piece.bytes).await.map_err(disk)?;
        exports.set_progress(id, piece.progress, bytes);
    }
    file.sync_all().await.map_err(disk)?;
    tokio::fs::rename(&part, exports.path(id, "mp4")).await.map_err(disk)?;
    Ok(bytes)
}
