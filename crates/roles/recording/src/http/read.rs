//! What is read: timeline, plan, bytes of files, events.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use varde_api_internal::recorder::{EventPage, Plan, Timeline};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_units::Utc;

use super::Refusal;
use crate::recorder::Recorder;

/// Entries in one answer at most, and where nothing else is asked.
const ENTRIES_MAX: u32 = 20_000;
/// Bytes that are read in one step.
const PIECE_BYTES: u64 = 1 << 20;
/// The longest wait for an event.
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
pub struct TimelineQuery {
    channel: ChannelId,
    start: Utc,
    end: Utc,
    limit: Option<u32>,
}

pub async fn timeline(
    State(recorder): State<Arc<Recorder>>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Timeline>, Refusal> {
    let limit = query.limit.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX);
    blocking(move || recorder.storages().timeline(query.channel, query.start, query.end, limit))
        .await
        .map(Json)
}

#[derive(Debug, Deserialize)]
pub struct PlanQuery {
    stream: StreamId,
    start: Utc,
    end: Utc,
    #[serde(default)]
    entry_points_only: bool,
    limit: Option<u32>,
}

pub async fn plan(
    State(recorder): State<Arc<Recorder>>,
    Query(query): Query<PlanQuery>,
) -> Result<Json<Plan>, Refusal> {
    let limit = query.limit.unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX);
    let only = query.entry_points_only;
    blocking(move || recorder.storages().plan(query.stream, query.start, query.end, only, limit))
        .await
        .map(Json)
}

#[derive(Debug, Deserialize)]
pub struct FileQuery {
    storage: StorageId,
    #[serde(default)]
    offset: u64,
    length: Option<u64>,
}

/// Bytes of a media file. `Content-Range` tells how long the whole file is so far.
pub async fn file(
    State(recorder): State<Arc<Recorder>>,
    Path(file): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Refusal> {
    let FileQuery { storage, offset, length } = query;
    let opened = {
        let (recorder, file) = (Arc::clone(&recorder), file.clone());
        blocking(move || recorder.storages().open_file(storage, &file)).await?
    };
    let total = opened.bytes();
    if offset > total {
        return Err(Refusal(StatusCode::RANGE_NOT_SATISFIABLE, format!("the file has {total} bytes")));
    }
    let length = length.unwrap_or(u64::MAX).min(total - offset);
    let range = match length {
        0 => format!("bytes */{total}"),
        _ => format!("bytes {offset}-{}/{total}", offset + length - 1),
    };
    let opened = Arc::new(opened);
    let pieces = stream::unfold((offset, length), move |(offset, left)| {
        let opened = Arc::clone(&opened);
        async move {
            if left == 0 {
                return None;
            }
            let count = left.min(PIECE_BYTES);
            let read = tokio::task::spawn_blocking(move || opened.read(offset, count)).await;
            Some(match read {
                Ok(Ok(bytes)) => (Ok::<Bytes, std::io::Error>(bytes), (offset + count, left - count)),
                Ok(Err(error)) => (Err(std::io::Error::other(error.to_string())), (offset, 0)),
                Err(error) => (Err(std::io::Error::other(error)), (offset, 0)),
            })
        }
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "video/mp4".to_owned()),
        (header::CONTENT_LENGTH.as_str(), length.to_string()),
        (header::CONTENT_RANGE.as_str(), range),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, Body::from_stream(pieces)).into_response())
}

#[derive(Debug, Deserialize)]
pub struct EventsQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_ms: u64,
}

pub async fn events(
    State(recorder): State<Arc<Recorder>>,
    Query(query): Query<EventsQuery>,
) -> Json<EventPage> {
    let wait = Duration::from_millis(query.wait_ms).min(WAIT_MAX);
    Json(recorder.events().page(query.after, wait).await)
}

#[derive(Debug, Deserialize)]
pub struct EraseQuery {
    before: Utc,
}

/// Erases a channel's footage that ends before an instant.
pub async fn erase(
    State(recorder): State<Arc<Recorder>>,
    Path(channel): Path<ChannelId>,
    Query(query): Query<EraseQuery>,
) -> Result<StatusCode, Refusal> {
    blocking(move || recorder.storages().erase(channel, query.before)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Files and the index are read on threads that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, varde_media_store::ReadError> + Send + 'static,
) -> Result<T, Refusal> {
    use varde_media_store::ReadError;
    let done = tokio::task::spawn_blocking(work).await.map_err(Refusal::failed)?;
    done.map_err(|error| match error {
        ReadError::NotFound => Refusal::not_found(error.to_string()),
        ReadError::OutOfRange => Refusal(StatusCode::RANGE_NOT_SATISFIABLE, error.to_string()),
        other => Refusal::failed(other),
    })
}
