//! Whole files of our own, with byte ranges.

use std::path::Path;

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use varde_api::codes::ProblemCode;
use varde_http::Problem;

const READ_BYTES: usize = 256 << 10;

/// Serves a file, or the one range of it that is asked for, until `revoked` resolves.
pub(crate) async fn serve(
    path: &Path,
    kind: &str,
    headers: &HeaderMap,
    revoked: impl Future<Output = ()> + Send + 'static,
) -> Result<Response, Problem> {
    let mut file = tokio::fs::File::open(path).await.map_err(|error| Problem::internal(&error))?;
    let total = file.metadata().await.map_err(|error| Problem::internal(&error))?.len();
    let range = crate::playback::byte_range(headers)?;
    let (first, last) = match range {
        Some((first, last)) => (first, last.map_or(total, |last| (last + 1).min(total))),
        None => (0, total),
    };
    if range.is_some() && first >= total {
        return Err(Problem::new(
            ProblemCode::RangeNotSatisfiable,
            "The byte range lies behind the end of the file.",
        )
        .parameter("bytes", total));
    }
    file.seek(std::io::SeekFrom::Start(first)).await.map_err(|error| Problem::internal(&error))?;
    let body = ReaderStream::with_capacity(file.take(last - first), READ_BYTES);
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, last - first)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "private, no-cache");
    if range.is_some() {
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {first}-{}/{total}", last - 1));
    }
    response
        .body(Body::from_stream(body.take_until(Box::pin(revoked))))
        .map_err(|error| Problem::internal(&error))
}
