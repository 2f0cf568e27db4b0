//! Byte ranges of media files.
//!
//! A file is served only under a camera that it belongs to, and only by a name that the store itself would write. What
//! a ticket that is bound to a range may read is asked of the recorder's plan, byte by byte.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use varde_access::{Action, Footage};
use varde_api::codes::ProblemCode;
use varde_api_internal::recorder::PlanFile;
use varde_footage::FilePath;
use varde_http::{CameraEntry, Path, Permit, Principal, Problem, Query};
use varde_ids::{ChannelId, StorageId};
use varde_units::Utc;

use super::tracks::PLAN_FRAGMENTS_MAX;
use crate::gateway::Gateway;
use crate::problem::recorder_problem;
use crate::recorder::Recorder;

/// A file ends after half an hour; twice that is enough.
const FILE_SPAN_MAX: Duration = Duration::from_secs(3600);
/// A file's name has its start in milliseconds, and clocks are slewed by less than this.
const FILE_SLACK: Duration = Duration::from_secs(2);

/// Where a planned file is fetched. The range goes along, so that a ticket bound to it opens the file.
pub(super) fn url(camera: ChannelId, file: &PlanFile, range: (Utc, Utc), ticket: Option<&str>) -> String {
    let mut url = format!("/api/v1/cameras/{camera}/files/{}/{}", file.storage, file.file);
    if let Some(ticket) = ticket {
        url.push_str(&format!("?start={}&end={}&ticket={ticket}", range.0, range.1));
    }
    url
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileQuery {
    start: Option<Utc>,
    end: Option<Utc>,
}

/// `GET /cameras/{id}/files/{storage}/{file…}`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/files/{storage}/{*file}", operation_id = "file_get", tag = "playback",
    params(("id" = String, Path), ("storage" = String, Path), ("file" = String, Path), ("start" = Option<String>, Query), ("end" = Option<String>, Query)),
    responses((status = 200, content_type = "video/mp4"), (status = 206, content_type = "video/mp4")))]
pub(crate) async fn file(
    State(gateway): State<Gateway>,
    Path((camera, storage, file)): Path<(ChannelId, StorageId, String)>,
    Query(query): Query<FileQuery>,
    permit: Permit,
    principal: Principal,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry = gateway.camera(camera)?;
    let path: FilePath = file.parse().map_err(|_| Problem::not_found())?;
    if !belongs(&entry, &path, permit) {
        return Err(Problem::not_found());
    }
    let range = byte_range(&headers)?;
    let (offset, length) = match range {
        None => (0, u64::MAX),
        Some((first, last)) => (first, last.map_or(u64::MAX, |last| last - first + 1)),
    };
    let footage = query.start.zip(query.end).and_then(|(start, end)| Footage::new(start, end));
    if principal.subject().bounds.as_ref().is_some_and(|bounds| bounds.footage.is_some()) {
        // The gate has checked that `footage` lies within the ticket; here, that the bytes lie within `footage`.
        let footage = footage.ok_or_else(Problem::forbidden)?;
        let last = offset.checked_add(length).ok_or_else(Problem::forbidden)?;
        within(&*gateway.0.recorder, storage, &path, &footage, offset..last).await?;
    }
    let bytes = gateway.0.recorder.file(storage, &file, offset, length).await;
    let bytes = bytes.map_err(|error| recorder_problem(&error))?;
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "video/mp4")
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{}\"", path.name()));
    if let Some(length) = bytes.length {
        response = response.header(header::CONTENT_LENGTH, length);
    }
    response = match (range, bytes.length) {
        (Some(_), Some(0)) => return Err(recorder_problem(&crate::RecorderError::OutOfRange)),
        (Some((first, _)), Some(length)) => {
            let total = bytes.total.map_or("*".to_owned(), |total| total.to_string());
            response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {first}-{}/{total}", first + length - 1))
                // Files only grow: bytes that were read once stay as they are. A browser may keep them for a while, but
                // not for the next person at the same screen.
                .header(header::CACHE_CONTROL, "private, max-age=3600, immutable")
                .header(header::VARY, "cookie, authorization")
        }
        _ => response.header(header::CACHE_CONTROL, "private, no-cache"),
    };
    let revoked = async move { principal.revoked(Action::PlaybackView, camera, footage).await };
    let body = Body::from_stream(bytes.body.take_until(Box::pin(revoked)));
    response.body(body).map_err(|error| Problem::internal(&error))
}

/// A camera's files are its own and, where sound may be heard, those of its microphone.
fn belongs(camera: &CameraEntry, path: &FilePath, permit: Permit) -> bool {
    let microphone = camera.microphone.as_ref().map(|(id, _)| *id);
    path.channel == camera.id || (permit.with_audio() && microphone == Some(path.channel))
}

/// Whether the bytes are the init segment or fragments of the range.
async fn within(
    recorder: &dyn Recorder,
    storage: StorageId,
    path: &FilePath,
    footage: &Footage,
    bytes: std::ops::Range<u64>,
) -> Result<(), Problem> {
    // Of the range, what this file may hold: a plan of it all could end before the file.
    let start = footage.start.max(path.start().minus(FILE_SLACK));
    let end = footage.end.min(path.start().plus(FILE_SPAN_MAX));
    let plan = recorder.plan(path.stream, start, end, false, PLAN_FRAGMENTS_MAX).await;
    let plan = plan.map_err(|error| recorder_problem(&error))?;
    let name = path.to_string();
    let allowed = plan.files.iter().filter(|file| file.storage == storage && file.file == name).any(|file| {
        let fragments = file.fragments.first().zip(file.fragments.last());
        bytes.end <= file.init_bytes
            || fragments.is_some_and(|(first, last)| {
                first.offset <= bytes.start && bytes.end <= last.offset.saturating_add(last.bytes)
            })
    });
    if allowed { Ok(()) } else { Err(Problem::forbidden()) }
}

/// One range of `Range: bytes=`; several, or another unit, are answered whole, as RFC 9110 §14.2 allows.
pub(crate) fn byte_range(headers: &HeaderMap) -> Result<Option<(u64, Option<u64>)>, Problem> {
    let text = headers.get(header::RANGE).map(HeaderValue::to_str).transpose();
    let Ok(Some(text)) = text else { return Ok(None) };
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    if first.is_empty() || last.contains(',') {
        return Ok(None);
    }
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let last_number = number(last);
    match number(first) {
        Some(first) if last.is_empty() => Ok(Some((first, None))),
        // One more than the last must be a number too.
        Some(first) if last_number.is_some_and(|last| first <= last && last < u64::MAX) => {
            Ok(Some((first, last_number)))
        }
        _ => Err(Problem::new(ProblemCode::RangeNotSatisfiable, "The byte range can't be read.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_nonsense_refused() {
        let check = |text: &str, expected: Result<Option<(u64, Option<u64>)>, ()>| {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(byte_range(&headers).map_err(|_| ()), expected, "{text}");
        };
        check("bytes=0-99", Ok(Some((0, Some(99)))));
        check("bytes=100-", Ok(Some((100, None))));
        check("bytes=-5", Ok(None));
        check("bytes=0-1,5-9", Ok(None));
        check("items=0-1", Ok(None));
        check("bytes=9-1", Err(()));
        check("bytes=a-b", Err(()));
        check(&format!("bytes=0-{}", u64::MAX), Err(()));
        check(&format!("bytes={}-", u64::MAX), Ok(Some((u64::MAX, None))));
    }
}
