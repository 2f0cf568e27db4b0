//! Live media over a WebSocket: text messages are [`LiveMessage`]s, binary ones are fragmented MP4.
//!
//! A viewer that reads slowly skips to the next entry point; one that does not read at all is closed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::mpsc;
use varde_access::Action;
use varde_api::codes::ProblemCode;
use varde_api::media::{LiveChoice, LiveCommand, LiveMessage};
use varde_codec::{Codec, Format};
use varde_http::{CameraEntry, Path, Permit, Principal, Problem, Query};
use varde_ids::{ChannelId, StreamId};

use super::choice::{Chosen, candidates, choose};
use super::fragments::{Fragmenter, live_track, suits_media_source};
use crate::gateway::Gateway;
use crate::hub::{Item, NoTranscode, StateInfo, Subscriber};
use crate::problem::limit_reached;
use crate::vision::Target;

/// A viewer that takes nothing for so long is closed.
const UNREAD_MAX: Duration = Duration::from_secs(10);
/// What a client may send is tiny.
const MESSAGE_BYTES_MAX: usize = 1 << 10;
const STATES_WAITING_MAX: usize = 16;
const SOUND_WITHIN: Duration = Duration::from_millis(1_500);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SocketQuery {
    #[serde(default)]
    stream: LiveChoice,
    /// Codecs that the client can show: `avc1,hvc1,av01`. H.264 alone where it is not said.
    accept: Option<String>,
}

/// `GET /cameras/{id}/live/ws`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/live/ws", operation_id = "live_socket", tag = "live",
    params(("id" = String, Path), ("stream" = Option<LiveChoice>, Query), ("accept" = Option<String>, Query, description = "`avc1,hvc1,av01`")),
    responses((status = 101, description = "Text messages are `LiveMessage`s; binary ones a track index (u8), a capture time (u64, big-endian, UTC in µs) and fragmented MP4. The client may send `LiveCommand`s.")))]
pub(crate) async fn socket(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<SocketQuery>,
    permit: Permit,
    principal: Principal,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let entry = gateway.camera(camera)?;
    let limit = gateway.0.limits.live_sockets_max;
    let place = gateway.0.live_sockets.clone().try_acquire_owned();
    let place = place.map_err(|_| limit_reached("live_sockets_max", limit))?;
    let viewer = Viewer {
        gateway,
        streams: candidates(&entry, query.stream),
        sound: if permit.with_audio() { sound_stream(&entry) } else { None },
        accept: accepted(query.accept.as_deref()),
    };
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |mut socket| {
        let frame = tokio::select! {
            closed = viewer.serve(&mut socket) => closed.err().flatten(),
            () = principal.revoked(Action::LiveView, camera, None) => {
                Some(CloseFrame { code: close_code::POLICY, reason: "not_signed_in".into() })
            }
        };
        let _ = tokio::time::timeout(UNREAD_MAX, socket.send(Message::Close(frame))).await;
        drop(place);
    }))
}

fn sound_stream(camera: &CameraEntry) -> Option<StreamId> {
    camera.microphone.as_ref().and_then(|(_, streams)| streams.first()).map(|stream| stream.id)
}

fn accepted(list: Option<&str>) -> Vec<Codec> {
    let names = list.unwrap_or("avc1").split(',').map(|name| name.trim().split('.').next().unwrap_or(""));
    names
        .filter_map(|name| match name {
            "avc1" | "avc3" => Some(Codec::H264),
            "hvc1" | "hev1" => Some(Codec::H265),
            "av01" => Some(Codec::Av1),
            _ => None,
        })
        .take(8)
        .collect()
}

/// Why serving ended: the frame to close with, if one is due.
type Closed = Option<CloseFrame>;

struct Viewer {
    gateway: Gateway,
    streams: Vec<StreamId>,
    sound: Option<StreamId>,
    accept: Vec<Codec>,
}

/// A track on its way to the viewer.
struct Track {
    subscriber: Subscriber,
    fragmenter: Option<Fragmenter>,
    transcoded: bool,
    /// Began at an entry point: pictures that lean on what lies before it can't be decoded.
    fresh: bool,
}

impl Track {
    fn new(subscriber: Subscriber, transcoded: bool) -> Self {
        Self { subscriber, fragmenter: None, transcoded, fresh: true }
    }
}

impl Viewer {
    /// Serves until the viewer leaves, or can't be served.
    async fn serve(&self, socket: &mut WebSocket) -> Result<(), Closed> {
        loop {
            let video = self.video(socket).await?;
            let sound = self.sound().await;
            self.play(socket, video, sound).await?;
        }
    }

    fn accepts(&self, format: &Format) -> bool {
        self.accept.contains(&format.codec()) && suits_media_source(format)
    }

    /// The stream to show, as it is or encoded anew. While the camera is silent, its states are told.
    async fn video(&self, socket: &mut WebSocket) -> Result<(Track, Arc<Format>), Closed> {
        let hub = &self.gateway.0.hub;
        if self.streams.is_empty() {
            return refuse(socket, ProblemCode::NoPicture, "state", "retired".into()).await;
        }
        let mut told: Option<StateInfo> = None;
        loop {
            let (states, mut news) = mpsc::channel(STATES_WAITING_MAX);
            let chosen = {
                let search = choose(
                    hub,
                    &self.streams,
                    |_, format| self.accepts(format),
                    |state| {
                        // A newer one follows where there is no room.
                        let _ = states.try_send(state.clone());
                    },
                );
                tokio::pin!(search);
                loop {
                    tokio::select! {
                        chosen = &mut search => break chosen,
                        Some(state) = news.recv() => {
                            if told.as_ref() != Some(&state) {
                                tell_state(socket, &state).await?;
                                told = Some(state);
                            }
                        }
                    }
                }
            };
            match chosen {
                Chosen::AsIs { subscriber, format } => return Ok((Track::new(subscriber, false), format)),
                Chosen::Other { stream, format } => {
                    let mut subscriber = match hub.subscribe_transcoded(stream, Target::H264) {
                        Ok(subscriber) => subscriber,
                        Err(NoTranscode::Limit(limit)) => {
                            return refuse(socket, ProblemCode::TranscodeLimit, "limit", limit.into()).await;
                        }
                        Err(NoTranscode::NoWorker) => {
                            let codec = format.codec().name();
                            return refuse(socket, ProblemCode::CodecNotSupported, "codec", codec.into())
                                .await;
                        }
                    };
                    let made = async {
                        loop {
                            if let Item::Format(format) = subscriber.next().await {
                                return format;
                            }
                        }
                    };
                    match tokio::time::timeout(UNREAD_MAX, made).await {
                        Ok(format) => return Ok((Track::new(subscriber, true), format)),
                        Err(_) => {
                            let codec = format.codec().name();
                            return refuse(socket, ProblemCode::CodecNotSupported, "codec", codec.into())
                                .await;
                        }
                    }
                }
                // The states have been told; the client may have gone meanwhile.
                Chosen::Silent { .. } => send(socket, Message::Ping(bytes::Bytes::new())).await?,
            }
        }
    }

    /// The sound, where it comes in time: what browsers don't take is encoded anew as Opus.
    async fn sound(&self) -> Option<(Track, Arc<Format>)> {
        let hub = &self.gateway.0.hub;
        let stream = self.sound?;
        let mut track = Track::new(hub.subscribe(stream), false);
        let ready = async {
            loop {
                let Item::Format(format) = track.subscriber.next().await else { continue };
                if suits_media_source(&format) {
                    return Some(format);
                }
                if track.transcoded {
                    return None;
                }
                track = Track::new(hub.subscribe_transcoded(stream, Target::Opus).ok()?, true);
            }
        };
        let format = tokio::time::timeout(SOUND_WITHIN, ready).await.ok()??;
        Some((track, format))
    }

    /// Plays the tracks until one of them needs another choice.
    async fn play(
        &self,
        socket: &mut WebSocket,
        (mut video, format): (Track, Arc<Format>),
        sound: Option<(Track, Arc<Format>)>,
    ) -> Result<(), Closed> {
        let mut tracks = vec![live_track(&format, video.transcoded)];
        let mut sound = sound.map(|(track, format)| {
            tracks.push(live_track(&format, track.transcoded));
            (track, format)
        });
        tell(socket, &LiveMessage::Format { tracks }).await?;
        video.begin(socket, 0, format.clone()).await?;
        if let Some((track, format)) = &mut sound {
            track.begin(socket, 1, format.clone()).await?;
        }
        let (mut paused, mut began) = (false, false);
        loop {
            tokio::select! {
                item = video.subscriber.next() => match item {
                    // The client needs new buffers for another codec, and the choice may be another one.
                    Item::Format(new) if new.codec() != format.codec() => return Ok(()),
                    Item::Format(new) => {
                        tell(socket, &LiveMessage::Format { tracks: self.tracks(&video, &new, sound.as_ref()) }).await?;
                        video.begin(socket, 0, new).await?;
                    }
                    Item::State(state) => tell_state(socket, &state).await?,
                    Item::Unit { .. } if paused => {}
                    Item::Unit { unit, duration, after_skip } => {
                        if !std::mem::replace(&mut began, true) && let Some((sound, _)) = &mut sound {
                            sound.subscriber.start_at(unit.time);
                        }
                        video.unit(socket, &unit, duration, after_skip).await?;
                    }
                },
                item = next_of(sound.as_mut()) => match item {
                    Item::Format(_) => return Ok(()),
                    Item::Unit { unit, duration, after_skip } if began && !paused => {
                        if let Some((sound, _)) = &mut sound {
                            sound.unit(socket, &unit, duration, after_skip).await?;
                        }
                    }
                    // The picture's state is the camera's.
                    _ => {}
                },
                message = socket.recv() => match command(message)? {
                    Some(LiveCommand::Pause) => paused = true,
                    Some(LiveCommand::Resume) => {
                        (paused, began) = (false, false);
                        video.subscriber.restart();
                    }
                    None => {}
                },
            }
        }
    }

    fn tracks(
        &self,
        video: &Track,
        format: &Format,
        sound: Option<&(Track, Arc<Format>)>,
    ) -> Vec<varde_api::media::LiveTrack> {
        let sound = sound.map(|(track, format)| live_track(format, track.transcoded));
        std::iter::once(live_track(format, video.transcoded)).chain(sound).collect()
    }
}

async fn next_of(track: Option<&mut (Track, Arc<Format>)>) -> Item {
    match track {
        Some((track, _)) => track.subscriber.next().await,
        None => std::future::pending().await,
    }
}

impl Track {
    async fn begin(&mut self, socket: &mut WebSocket, index: u8, format: Arc<Format>) -> Result<(), Closed> {
        let fragmenter = Fragmenter::new(index, format);
        let init = fragmenter.init().map_err(|error| {
            tracing::warn!(%error, "a live format can't be written");
            Some(CloseFrame { code: close_code::ERROR, reason: ProblemCode::CodecNotSupported.code().into() })
        })?;
        self.fragmenter = Some(fragmenter);
        send(socket, Message::Binary(init)).await
    }

    async fn unit(
        &mut self,
        socket: &mut WebSocket,
        unit: &varde_codec::AccessUnit,
        duration: Duration,
        after_skip: bool,
    ) -> Result<(), Closed> {
        let Some(fragmenter) = &mut self.fragmenter else { return Ok(()) };
        if unit.flags.entry_point {
            self.fresh |= after_skip;
        } else if self.fresh && unit.flags.skipped_after_seek {
            return Ok(());
        } else {
            self.fresh = false;
        }
        match fragmenter.fragment(unit, duration) {
            Ok(message) => send(socket, Message::Binary(message)).await,
            Err(error) => {
                tracing::debug!(%error, "a live unit can't be written");
                Ok(())
            }
        }
    }
}

/// What a client sent. Anything that is no command closes the socket: it is not our client.
fn command(message: Option<Result<Message, axum::Error>>) -> Result<Option<LiveCommand>, Closed> {
    match message {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|_| {
            Some(CloseFrame { code: close_code::INVALID, reason: ProblemCode::InvalidRequest.code().into() })
        }),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(Some(CloseFrame {
            code: close_code::UNSUPPORTED,
            reason: ProblemCode::InvalidRequest.code().into(),
        })),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(None),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Closed> {
    match tokio::time::timeout(UNREAD_MAX, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

async fn tell(socket: &mut WebSocket, message: &LiveMessage) -> Result<(), Closed> {
    let text = serde_json::to_string(message).expect("a live message is plain data");
    send(socket, Message::Text(text.into())).await
}

async fn tell_state(socket: &mut WebSocket, state: &StateInfo) -> Result<(), Closed> {
    let StateInfo { state, parameters, since } = state.clone();
    tell(socket, &LiveMessage::State { state, parameters, since }).await
}

async fn refuse<T>(
    socket: &mut WebSocket,
    code: ProblemCode,
    name: &str,
    value: serde_json::Value,
) -> Result<T, Closed> {
    let parameters = serde_json::Map::from_iter([(name.to_owned(), value)]);
    tell(socket, &LiveMessage::Refused { code: code.code().to_owned(), parameters }).await?;
    Err(Some(CloseFrame { code: close_code::NORMAL, reason: code.code().into() }))
}
