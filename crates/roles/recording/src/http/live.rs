//! The media link: a stream's units as the endless body of an answer. A reader that does not read loses units, not we.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use varde_api_internal::link::{self, Message};
use varde_ids::StreamId;

use super::Refusal;
use crate::recorder::Recorder;
use crate::ring::Item;

pub async fn live(
    State(recorder): State<Arc<Recorder>>,
    Path(stream): Path<StreamId>,
) -> Result<Response, Refusal> {
    let ring = recorder.ring(stream).ok_or_else(|| Refusal::not_found(format!("no stream {stream}")))?;
    // A unit goes out as two pieces, its head and its own bytes: no copy is made for the link.
    let pieces = stream::unfold((ring.reader(), None), async |(mut reader, pending): (_, Option<Bytes>)| {
        if let Some(data) = pending {
            return Some((Ok::<_, std::convert::Infallible>(data), (reader, None)));
        }
        Some(match reader.next().await? {
            Item::State(state) => (Ok(link::encode(&Message::State((*state).clone()))), (reader, None)),
            Item::Format(format) => (Ok(link::encode(&Message::Format((*format).clone()))), (reader, None)),
            Item::Unit(unit) => (Ok(link::unit_head(&unit)), (reader, Some(unit.data.clone()))),
        })
    });
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
