//! Calls with an answer each.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use varde_api_internal::config::SignedConfig;
use varde_api_internal::recorder::{EventPage, Plan, RecorderStatus, Timeline};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_units::Utc;

use crate::{Error, LiveLink};

/// Between request and answer's head, and for the body of a short answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// The longest JSON answer: a plan of its largest limit fits many times.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const DETAIL_BYTES_MAX: usize = 4 << 10;

/// Speaks to the recorder behind a socket path. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecorderClient {
    socket: Arc<Path>,
}

/// Where a live link begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveFrom {
    /// At the next entry point.
    Now,
    /// At the latest entry point that the recorder still holds.
    Entry,
}

/// Bytes of a file.
pub struct FileBytes {
    /// Bytes in this answer, where the recorder tells.
    pub length: Option<u64>,
    /// Bytes of the whole file so far, where the recorder tells.
    pub total: Option<u64>,
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileBytes")
            .field("length", &self.length)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

impl RecorderClient {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into().into() }
    }

    pub async fn status(&self) -> Result<RecorderStatus, Error> {
        self.json("/status").await
    }

    pub async fn put_config(&self, config: &SignedConfig) -> Result<(), Error> {
        let body = serde_json::to_vec(config).map_err(|error| Error::Malformed(error.to_string()))?;
        self.send(Method::PUT, "/config", body.into(), ANSWER_TIME_MAX).await?;
        Ok(())
    }

    pub async fn timeline(
        &self,
        channel: ChannelId,
        start: Utc,
        end: Utc,
        limit: Option<usize>,
    ) -> Result<Timeline, Error> {
        let limit = parameter("limit", limit);
        self.json(&format!("/timeline?channel={channel}&start={start}&end={end}{limit}")).await
    }

    pub async fn plan(
        &self,
        stream: StreamId,
        start: Utc,
        end: Utc,
        entry_points_only: bool,
        limit: Option<usize>,
    ) -> Result<Plan, Error> {
        let limit = parameter("limit", limit);
        let only = parameter("entry_points_only", entry_points_only.then_some("true"));
        self.json(&format!("/plan?stream={stream}&start={start}&end={end}{only}{limit}")).await
    }

    /// `length` bytes of a media file from `offset`; fewer where the file ends before. Names that leave the media
    /// folder are [`Error::NotFound`] before the recorder sees them.
    pub async fn file(
        &self,
        storage: StorageId,
        file: &str,
        offset: u64,
        length: u64,
    ) -> Result<FileBytes, Error> {
        if !is_file_name(file) {
            return Err(Error::NotFound);
        }
        let path = format!("/files/{file}?storage={storage}&offset={offset}&length={length}");
        let response = self.send(Method::GET, &path, Bytes::new(), ANSWER_TIME_MAX).await?;
        let headers = response.headers();
        let total = header_text(headers, header::CONTENT_RANGE)
            .and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let length = header_text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        Ok(FileBytes { length, total, body: pieces(response.into_body()) })
    }

    pub async fn live(&self, stream: StreamId, from: LiveFrom) -> Result<LiveLink, Error> {
        let from = match from {
            LiveFrom::Now => "now",
            LiveFrom::Entry => "entry",
        };
        let path = format!("/streams/{stream}/live?from={from}");
        let response = self.send(Method::GET, &path, Bytes::new(), ANSWER_TIME_MAX).await?;
        Ok(LiveLink::new(pieces(response.into_body())))
    }

    pub async fn events(&self, after: u64, wait: Duration) -> Result<EventPage, Error> {
        let path = format!("/events?after={after}&wait_ms={}", wait.as_millis());
        self.json_within(&path, wait.saturating_add(ANSWER_TIME_MAX)).await
    }

    /// Erases what the channel recorded before an instant.
    pub async fn footage_erase(&self, channel: ChannelId, before: Utc) -> Result<(), Error> {
        let path = format!("/channels/{channel}/footage?before={before}");
        self.send(Method::DELETE, &path, Bytes::new(), ANSWER_TIME_MAX).await?;
        Ok(())
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.json_within(path, ANSWER_TIME_MAX).await
    }

    async fn json_within<T: DeserializeOwned>(&self, path: &str, time_max: Duration) -> Result<T, Error> {
        let response = self.send(Method::GET, path, Bytes::new(), time_max).await?;
        let collected = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = tokio::time::timeout(ANSWER_TIME_MAX, collected)
            .await
            .map_err(|_| Error::TimedOut(ANSWER_TIME_MAX))?;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Error::Malformed(format!("more than {ANSWER_BYTES_MAX} bytes")),
            Err(error) => Error::Unavailable(error.to_string()),
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| Error::Malformed(error.to_string()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        time_max: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/internal/v1{path}"))
            .header(header::HOST, "recorder")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Error::Malformed(error.to_string()))?;
        let call = async {
            let socket = UnixStream::connect(&*self.socket).await.map_err(unavailable)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(unavailable)?;
            // Ends by itself once the answer's body was read or dropped.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the recorder ended early");
                }
            });
            sender.send_request(request).await.map_err(unavailable)
        };
        let response =
            tokio::time::timeout(time_max, call).await.map_err(|_| Error::TimedOut(time_max))??;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::NotFound),
            StatusCode::RANGE_NOT_SATISFIABLE => Err(Error::OutOfRange),
            status => Err(Error::Refused { status: status.as_u16(), detail: detail(response).await }),
        }
    }
}

fn unavailable(error: impl Display) -> Error {
    Error::Unavailable(error.to_string())
}

/// The sentence of a refusal; empty where it can't be read.
async fn detail(response: Response<Incoming>) -> String {
    let body = Limited::new(response.into_body(), DETAIL_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(ANSWER_TIME_MAX, body).await else { return String::new() };
    let bytes = body.to_bytes();
    match serde_json::from_slice::<Refusal>(&bytes) {
        Ok(refusal) => refusal.detail,
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn pieces(body: Incoming) -> BoxStream<'static, Result<Bytes, Error>> {
    BodyStream::new(body)
        .filter_map(async |frame| match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(unavailable(error))),
        })
        .boxed()
}

fn parameter(name: &str, value: Option<impl Display>) -> String {
    value.map(|value| format!("&{name}={value}")).unwrap_or_default()
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Files of a store are `<channel>/<day>/<name>.mp4`: identifiers, digits and `-`, `.`, `T`, `Z`.
fn is_file_name(file: &str) -> bool {
    file.len() <= 256
        && file.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        })
        && file.split('/').next().is_some_and(|channel| ChannelId::from_str(channel).is_ok())
}

#[cfg(test)]
mod file_names {
    use super::is_file_name;

    #[test]
    fn names_that_leave_the_media_folder_are_none() {
        let channel = "01980f1e-7c3a-7cc1-a9ab-0123456789ab";
        let check = |file: &str, good| assert_eq!(is_file_name(file), good, "{file}");
        check(&format!("{channel}/2026-11-23/20261123T194000.123Z-{channel}-0-7.mp4"), true);
        check(&format!("{channel}/../../etc/passwd"), false);
        check(&format!("{channel}/.hidden"), false);
        check(&format!("{channel}//a.mp4"), false);
        check(&format!("{channel}/a%2e.mp4"), false);
        check(&format!("{channel}/a.mp4?storage=x"), false);
        check("/etc/passwd", false);
        check("", false);
        check("store.json", false);
    }
}
