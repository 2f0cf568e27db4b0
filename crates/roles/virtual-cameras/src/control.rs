//! The control endpoint: HTTP and JSON on loopback, by which a test makes running cameras misbehave.
//!
//! - `GET /control/cameras` → `{items}`; `GET /control/cameras/{id}`: one camera, its streams, faults and clocks.
//! - `GET /control/cameras/{id}/frames/{number}[?stream=sub]` → when the picture showing `number` was sent.
//! - `POST /control/cameras/{id}/faults {"fault":…,…,"seconds"?}` → 201 with its `id`; see [`crate::Fault`]. Without
//!   `seconds` it stays until `DELETE /control/cameras/{id}/faults/{fault}` or `DELETE …/faults` (all).
//! - `POST|DELETE /control/server/faults[/{fault}]`: `refuse` for every connection to the RTSP port.
//!
//! `{id}` is a number, or the name of a camera under `/codec/`, such as `h264-aac`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use varde_ambient::{mono_now, utc_now};
use varde_units::Mono;

use crate::Error;
use crate::fault::Fault;
use crate::server::{Camera, Server};
use crate::stream::Stream;

const DURATION_SECONDS_MAX: f64 = 86_400.0;

pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/control/cameras", get(list))
        .route("/control/cameras/{id}", get(show))
        .route("/control/cameras/{id}/frames/{number}", get(frame))
        .route("/control/cameras/{id}/faults", post(start_fault).delete(end_faults))
        .route("/control/cameras/{id}/faults/{fault}", delete(end_fault))
        .route("/control/server/faults", post(start_server_fault).delete(end_server_faults))
        .route("/control/server/faults/{fault}", delete(end_server_fault))
        .with_state(server)
}

/// Why a call was refused.
struct Refused(StatusCode, String);

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "status": self.0.as_u16(), "detail": self.1 }))).into_response()
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

fn find(server: &Server, id: &str) -> Result<Arc<Camera>, Refused> {
    server.camera(id).ok_or_else(|| Refused(StatusCode::NOT_FOUND, "no such camera".to_owned()))
}

async fn list(State(server): State<Arc<Server>>) -> Json<Value> {
    let items: Vec<Value> = server.cameras().iter().map(|camera| describe(camera)).collect();
    Json(json!({ "items": items }))
}

async fn show(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    Ok(Json(describe(&*find(&server, &id)?)))
}

fn describe(camera: &Camera) -> Value {
    let now = mono_now();
    let streams: Vec<Value> = camera.streams.iter().map(|stream| describe_stream(stream)).collect();
    let faults: Vec<Value> = camera
        .faults
        .lock()
        .active(now)
        .iter()
        .map(|active| {
            let mut value = serde_json::to_value(active).unwrap_or_default();
            value["seconds_left"] = json!(active.ends.map(|ends| ends.since(now).as_secs_f64()));
            value
        })
        .collect();
    json!({ "id": camera.id, "name": camera.name, "streams": streams, "faults": faults,
        "now": { "mono_nanos": now.as_nanos(), "utc": utc_now() } })
}

/// Picture `n` is due at `zero + n × period`; a counter shows `n`.
fn describe_stream(stream: &Stream) -> Value {
    let figures = stream.figures();
    let (width, height) = figures.format.dimensions().unwrap_or_default();
    json!({
        "role": stream.role,
        "path": stream.path,
        "codec": figures.format.codec(),
        "audio": stream.audio.as_ref().map(|audio| audio.format.codec()),
        "width": width,
        "height": height,
        "frames_per_second": f64::from(stream.rate_milli) / 1000.0,
        "viewers": figures.viewers,
        "zero": { "mono_nanos": stream.zero.as_nanos(), "utc": stream.zero_utc },
        "period_nanos": stream.picture_due(1).since(stream.zero).as_nanos() as u64,
        "next_frame": figures.next_picture,
        "frames_sent": figures.pictures_sent,
        "frames_dropped": figures.pictures_dropped,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameQuery {
    stream: Option<String>,
}

async fn frame(
    State(server): State<Arc<Server>>,
    Path((id, number)): Path<(String, u32)>,
    Query(query): Query<FrameQuery>,
) -> Result<Json<Value>, Refused> {
    let camera = find(&server, &id)?;
    let missing = |what: &str| Refused(StatusCode::NOT_FOUND, what.to_owned());
    let role = query.stream.as_deref().unwrap_or("main");
    let stream =
        camera.streams.iter().find(|stream| stream.role == role).ok_or_else(|| missing("no such stream"))?;
    let sent = stream.sent_at(number).ok_or_else(|| missing("not sent, or too long ago"))?;
    let utc = utc_now().offset_micros(sent.signed_nanos_since(mono_now()) / 1000);
    Ok(Json(json!({
        "number": number,
        "due_mono_nanos": stream.picture_due(u64::from(number)).as_nanos(),
        "sent": { "mono_nanos": sent.as_nanos(), "utc": utc },
    })))
}

/// Reads a fault and how long it lasts; nothing else may stand there.
fn read_fault(mut body: Map<String, Value>) -> Result<(Fault, Option<Duration>), Refused> {
    let refuse = |what: String| Refused(StatusCode::UNPROCESSABLE_ENTITY, what);
    let duration = match body.remove("seconds") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_f64().filter(|seconds| (0.0..=DURATION_SECONDS_MAX).contains(seconds));
            Some(Duration::from_secs_f64(
                seconds.ok_or_else(|| refuse(format!("seconds is 0 to {DURATION_SECONDS_MAX}")))?,
            ))
        }
    };
    let names: Vec<String> = body.keys().cloned().collect();
    let fault: Fault =
        serde_json::from_value(Value::Object(body)).map_err(|error| refuse(error.to_string()))?;
    // Serde lets anything stand beside the name of a fault that has no numbers.
    let known = serde_json::to_value(&fault).unwrap_or_default();
    match names.iter().find(|name| known.get(name.as_str()).is_none()) {
        Some(name) => Err(refuse(format!("{name:?} does not belong to this fault"))),
        None => Ok((fault, duration)),
    }
}

async fn start_fault(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Refused> {
    let camera = find(&server, &id)?;
    let (fault, duration) = read_fault(body)?;
    let active = camera.start_fault(fault, duration)?;
    Ok((StatusCode::CREATED, Json(active)).into_response())
}

async fn end_fault(
    State(server): State<Arc<Server>>,
    Path((id, fault)): Path<(String, u64)>,
) -> Result<StatusCode, Refused> {
    let ended = find(&server, &id)?.faults.lock().end(fault);
    ended_or_missing(ended)
}

async fn end_faults(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    find(&server, &id)?.faults.lock().end_all();
    Ok(StatusCode::NO_CONTENT)
}

async fn start_server_fault(
    State(server): State<Arc<Server>>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Refused> {
    let (fault, duration) = read_fault(body)?;
    if fault != Fault::Refuse {
        let what = "a whole server can only refuse".to_owned();
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, what));
    }
    let active = server.start_fault(fault, duration)?;
    Ok((StatusCode::CREATED, Json(active)).into_response())
}

async fn end_server_fault(
    State(server): State<Arc<Server>>,
    Path(fault): Path<u64>,
) -> Result<StatusCode, Refused> {
    let ended = server.faults.lock().end(fault);
    ended_or_missing(ended)
}

async fn end_server_faults(State(server): State<Arc<Server>>) -> StatusCode {
    server.faults.lock().end_all();
    StatusCode::NO_CONTENT
}

fn ended_or_missing(ended: bool) -> Result<StatusCode, Refused> {
    if ended {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused(StatusCode::NOT_FOUND, "no such misbehaviour is on".to_owned()))
    }
}

/// An instant on this machine's monotonic clock, for callers in the same process.
pub(crate) fn sent_at(server: &Server, id: &str, role: &str, number: u32) -> Option<Mono> {
    let camera = server.camera(id)?;
    camera.streams.iter().find(|stream| stream.role == role)?.sent_at(number)
}
