//! WHEP (draft-ietf-wish-whep): an offer in, an answer out, and a session that ends when its right ends.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::AbortHandle;
use varde_access::Action;
use varde_ambient::random_token;
use varde_api::codes::ProblemCode;
use varde_api::media::LiveChoice;
use varde_codec::{Codec, Format};
use varde_http::{Path, Permit, Principal, Problem, Query, Text};
use varde_ids::{ChannelId, StreamId, UserId};
use varde_webrtc::{Server, SessionId, Track};

use super::choice::{Chosen, candidates, choose};
use crate::gateway::Gateway;
use crate::hub::{Hub, Item, Subscriber};
use crate::problem::limit_reached;
use crate::vision::Target;

/// How long sound may take to tell its format; the picture does not wait longer.
const SOUND_WITHIN: Duration = Duration::from_millis(1_500);

/// Sessions by their place in the API, and the tracks that they share.
pub(crate) struct Whep {
    server: Server,
    sessions: Arc<Mutex<HashMap<String, Open>>>,
    tracks: Mutex<HashMap<StreamId, Weak<Shared>>>,
}

struct Open {
    user: UserId,
    id: SessionId,
    /// ICE credentials of the offer: a trickled fragment with others asks for a restart.
    ufrag: Option<String>,
}

/// A track and the task that feeds it, for all sessions of a stream.
struct Shared {
    track: Arc<Track>,
    feeding: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.feeding.abort();
    }
}

impl Whep {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, sessions: Arc::default(), tracks: Mutex::default() }
    }

    /// The stream's track; made when nobody else watches. `subscriber` has just told `format`.
    fn track(&self, stream: StreamId, mut subscriber: Subscriber, format: Arc<Format>) -> Arc<Shared> {
        let mut tracks = self.tracks.lock();
        tracks.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = tracks.get(&stream).and_then(Weak::upgrade)
            && !shared.track.has_ended()
            && shared.track.codec() == format.codec()
        {
            return shared;
        }
        let track = Arc::new(self.server.track(format));
        let fed = Arc::downgrade(&track);
        let feeding = tokio::spawn(async move {
            loop {
                let item = subscriber.next().await;
                let Some(track) = fed.upgrade() else { return };
                match item {
                    Item::Format(format) => track.set_format(format),
                    Item::Unit { unit, after_skip, .. } => {
                        if after_skip {
                            track.interrupt();
                        }
                        track.send(&unit);
                    }
                    Item::State(_) => {}
                }
            }
        });
        let shared = Arc::new(Shared { track, feeding: feeding.abort_handle() });
        tracks.insert(stream, Arc::downgrade(&shared));
        shared
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhepQuery {
    #[serde(default)]
    stream: LiveChoice,
}

/// `POST /cameras/{id}/live/whep`
#[utoipa::path(post, path = "/api/v1/cameras/{id}/live/whep", operation_id = "whep_open", tag = "live",
    params(("id" = String, Path), ("stream" = Option<LiveChoice>, Query)),
    request_body(content = String, content_type = "application/sdp"), responses((status = 201, content_type = "application/sdp", body = String)))]
pub(crate) async fn whep_open(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<WhepQuery>,
    permit: Permit,
    principal: Principal,
    headers: HeaderMap,
    Text(offer): Text,
) -> Result<Response, Problem> {
    let entry = gateway.camera(camera)?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !kind.starts_with("application/sdp") {
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, "The body must be application/sdp."));
    }
    let Some(whep) = &gateway.0.whep else {
        return Err(limit_reached("webrtc", "off"));
    };
    let streams = candidates(&entry, query.stream);
    let chosen =
        choose(&gateway.0.hub, &streams, |subscriber, format| passes(subscriber, format, &offer), |_| {})
            .await;
    let (stream, subscriber, format) = match chosen {
        Chosen::AsIs { subscriber, format } => (subscriber.stream(), subscriber, format),
        Chosen::Other { format, .. } => {
            return Err(Problem::new(
                ProblemCode::CodecNotSupported,
                "No stream of this camera can be sent by WebRTC as the offer asks.",
            )
            .parameter("codec", format.codec().name())
            .hint("Use the live WebSocket."));
        }
        Chosen::Silent { state } => {
            let state = state.map_or_else(|| "unknown".to_owned(), |state| state.state);
            return Err(Problem::new(ProblemCode::NoPicture, "The camera gives no picture now.")
                .parameter("state", state));
        }
    };
    let video = whep.track(stream, subscriber, format);
    let sound = match entry.microphone.as_ref().filter(|_| permit.with_audio()) {
        Some((_, streams)) => sound(&gateway.0.hub, whep, streams.first().map(|stream| stream.id)).await,
        None => None,
    };
    let opened =
        whep.server.open(&offer, Some(&video.track), sound.as_ref().map(|sound| &*sound.track)).await;
    let session = opened.map_err(|error| webrtc_problem(&error))?;
    let name = random_token();
    let open =
        Open { user: principal.subject().user, id: session.id, ufrag: ice_ufrag(&offer).map(str::to_owned) };
    whep.sessions.lock().insert(name.clone(), open);
    let (sessions, server, key) = (whep.sessions.clone(), whep.server.clone(), name.clone());
    tokio::spawn(async move {
        // The session holds its tracks until it ends, by itself or because its right does.
        let _tracks = (video, sound);
        let id = session.id;
        tokio::select! {
            _ = session.ended => {}
            () = principal.revoked(Action::LiveView, camera, None) => server.close(id),
        }
        sessions.lock().remove(&key);
    });
    let headers = [
        (header::CONTENT_TYPE, "application/sdp".to_owned()),
        (header::LOCATION, format!("/api/v1/whep/{name}")),
        (header::ETAG, format!("\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, session.answer).into_response())
}

/// Whether the offer names the format's codec, and WebRTC can carry the stream: it has no place for pictures that are
/// shown in another order than they are decoded.
fn passes(subscriber: &Subscriber, format: &Format, offer: &str) -> bool {
    let name = match format.codec() {
        Codec::H264 => " H264/90000",
        Codec::H265 => " H265/90000",
        _ => return false,
    };
    let offered =
        offer.lines().any(|line| line.starts_with("a=rtpmap:") && line.to_ascii_uppercase().contains(name));
    offered && !subscriber.reorders()
}

/// The camera's sound as a track, where it comes in time. What WebRTC does not carry, AAC above all, is encoded anew.
async fn sound(hub: &Hub, whep: &Whep, stream: Option<StreamId>) -> Option<Arc<Shared>> {
    let stream = stream?;
    let mut subscriber = hub.subscribe(stream);
    let ready = async {
        let mut anew = false;
        loop {
            let Item::Format(format) = subscriber.next().await else { continue };
            if Track::carries(&format) {
                return Some((subscriber, format));
            }
            if std::mem::replace(&mut anew, true) {
                return None;
            }
            subscriber = hub.subscribe_transcoded(stream, Target::Opus).ok()?;
        }
    };
    let (subscriber, format) = tokio::time::timeout(SOUND_WITHIN, ready).await.ok()??;
    Some(whep.track(stream, subscriber, format))
}

fn webrtc_problem(error: &varde_webrtc::Error) -> Problem {
    match error {
        varde_webrtc::Error::BadOffer(why) => {
            Problem::invalid("offer", format!("The offer is not accepted: {}.", why.trim_end_matches('.')))
        }
        varde_webrtc::Error::NoCodec => {
            Problem::new(ProblemCode::CodecNotSupported, "The offer has no codec that fits this stream.")
        }
        varde_webrtc::Error::TooMany(limit) => limit_reached("webrtc_sessions_max", *limit),
        varde_webrtc::Error::Stopped => Problem::internal(error),
    }
}

fn ice_ufrag(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

/// A session of the caller's own; another's is as unknown as none.
fn own_session(
    gateway: &Gateway,
    name: &str,
    principal: &Principal,
) -> Result<(SessionId, Option<String>), Problem> {
    let whep = gateway.0.whep.as_ref().ok_or_else(Problem::not_found)?;
    let sessions = whep.sessions.lock();
    let open = sessions.get(name).filter(|open| open.user == principal.subject().user);
    open.map(|open| (open.id, open.ufrag.clone())).ok_or_else(Problem::not_found)
}

/// `PATCH /whep/{session}`: trickled candidates. The server is the side with fixed addresses (ICE lite) and learns the
/// client's from its connectivity checks, so that candidates are taken and not needed.
#[utoipa::path(patch, path = "/api/v1/whep/{session}", operation_id = "whep_trickle", tag = "live",
    params(("session" = String, Path)),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"), responses((status = 204)))]
pub(crate) async fn whep_trickle(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
    principal: Principal,
    Text(fragment): Text,
) -> Result<StatusCode, Problem> {
    let (_, ufrag) = own_session(&gateway, &session, &principal)?;
    if ice_ufrag(&fragment).is_some_and(|sent| ufrag.as_deref() != Some(sent)) {
        return Err(Problem::invalid("ice-ufrag", "An ICE restart is not supported; open a new session."));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /whep/{session}`
#[utoipa::path(delete, path = "/api/v1/whep/{session}", operation_id = "whep_close", tag = "live",
    params(("session" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn whep_close(
    State(gateway): State<Gateway>,
    Path(session): Path<String>,
    principal: Principal,
) -> Result<StatusCode, Problem> {
    let (id, _) = own_session(&gateway, &session, &principal)?;
    if let Some(whep) = &gateway.0.whep {
        whep.server.close(id);
    }
    Ok(StatusCode::NO_CONTENT)
}
