//! Live and recorded media: timelines, playback plans, live messages and exports.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use varde_ids::{ChannelId, ExportId, StreamId};
use varde_units::Utc;

/// A stretch of time, `start` before `end`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    #[param(value_type = String, format = DateTime)]
    pub start: Utc,
    #[param(value_type = String, format = DateTime)]
    pub end: Utc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    Video,
    Audio,
}

/// What is recorded of a camera, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Timeline {
    pub recordings: Vec<Recording>,
    pub gaps: Vec<Gap>,
    /// Where the answer was cut at its limit: ask again with this `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next: Option<Utc>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Recording {
    #[schema(value_type = String, format = DateTime)]
    pub start: Utc,
    #[schema(value_type = String, format = DateTime)]
    pub end: Utc,
    #[schema(value_type = String, format = "uuid")]
    pub stream: StreamId,
    pub codec: String,
    /// Rises with each correction of the clock; where two overlap, the later stands on top.
    pub epoch: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Gap {
    #[schema(value_type = String, format = DateTime)]
    pub start: Utc,
    /// `null`: still open.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Utc>,
    /// A gap cause.
    pub cause: String,
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

/// Where the bytes of a range lie, for players that fetch them by byte range.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Playback {
    pub tracks: Vec<PlaybackTrack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next: Option<Utc>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct PlaybackTrack {
    pub kind: TrackKind,
    #[schema(value_type = String, format = "uuid")]
    pub stream: StreamId,
    pub codec: String,
    pub files: Vec<PlaybackFile>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct PlaybackFile {
    /// A path of this API that serves byte ranges.
    pub url: String,
    pub codec: String,
    /// RFC 6381 name: `avc1.64001f`.
    pub codec_string: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Ticks a second of `start_ticks` and `duration_ticks`.
    pub timescale: u32,
    /// When tick 0 was.
    #[schema(value_type = String, format = DateTime)]
    pub start: Utc,
    pub epoch: u32,
    /// The init segment is the first so many bytes.
    pub init_bytes: u64,
    /// `[offset, bytes, start_ticks, duration_ticks, entry]`; `entry` is 1 where decoding can begin, else 0.
    #[schema(value_type = Vec<[u64; 5]>)]
    pub fragments: Vec<[u64; 5]>,
}

/// A text message of the live WebSocket.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum LiveMessage {
    /// What the binary messages that follow carry; comes again when it changes, before new init segments.
    Format { tracks: Vec<LiveTrack> },
    State {
        /// A camera state.
        state: String,
        #[schema(value_type = Object)]
        parameters: Map<String, Value>,
        #[schema(value_type = String, format = DateTime)]
        since: Utc,
    },
    /// Why no picture can be sent, though the camera may be well: a problem code.
    Refused {
        code: String,
        #[schema(value_type = Object)]
        parameters: Map<String, Value>,
    },
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct LiveTrack {
    pub kind: TrackKind,
    /// For `MediaSource.addSourceBuffer`: `video/mp4; codecs="avc1.64001f"`.
    pub mime: String,
    pub codec: String,
    /// The server decodes and encodes anew: it costs, and sharpness is lost.
    pub transcoded: bool,
}

/// What a client of the live WebSocket may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum LiveCommand {
    Pause,
    Resume,
}

/// Which of a camera's streams is wanted live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LiveChoice {
    Live,
    Sub,
    /// The first that the client can show.
    #[default]
    Auto,
}

/// Where the recording that is taken out begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// At the entry point at or before `start`: nothing is encoded anew.
    #[default]
    Keyframe,
    /// At `start`: the pictures up to the next entry point are encoded anew, the rest passes through.
    Exact,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportCreate {
    #[schema(value_type = String, format = "uuid")]
    pub camera: ChannelId,
    #[schema(value_type = String, format = DateTime)]
    pub start: Utc,
    #[schema(value_type = String, format = DateTime)]
    pub end: Utc,
    #[serde(default)]
    pub head: Head,
    /// Whether sound is wanted; it is, where the camera has it and the user may hear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<bool>,
    /// For the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportState {
    Running,
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Export {
    #[schema(value_type = String, format = "uuid")]
    pub id: ExportId,
    #[schema(value_type = String, format = "uuid")]
    pub camera: ChannelId,
    #[schema(value_type = String, format = DateTime)]
    pub start: Utc,
    #[schema(value_type = String, format = DateTime)]
    pub end: Utc,
    pub state: ExportState,
    /// 0 to 1.
    pub progress: f64,
    pub bytes: u64,
    pub file_name: String,
    /// A problem code, for a failed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Utc,
}
