//! The recorder's internal HTTP API, under `/internal/v1` on its socket.
//!
//! | call | gives |
//! |---|---|
//! | `GET /status` | [`RecorderStatus`] |
//! | `PUT /config` with a `SignedConfig` | 204, or 409 with a sentence |
//! | `GET /timeline?channel=ID&start=T&end=T[&limit=N]` | [`Timeline`] |
//! | `GET /plan?stream=ID&start=T&end=T[&entry_points_only=true][&limit=N]` | [`Plan`] |
//! | `GET /files/{file}?storage=ID&offset=N&length=N` | bytes of the file, `mdat`s in the clear |
//! | `GET /streams/{stream}/live?from=now\|entry` | the media link |
//! | `GET /events?after=N&wait_ms=N` | [`EventPage`] |
//! | `DELETE /channels/{id}/footage?before=T` | 204 |

use serde::{Deserialize, Serialize};
use varde_codec::Codec;
use varde_ids::{ChannelId, EventId, HardwareId, StorageId, StreamId, WriterId};
use varde_units::Utc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecorderStatus {
    pub writer: WriterId,
    pub started: Utc,
    /// Revision of the configuration in force; 0 before the first.
    pub revision: u64,
    pub channels: Vec<ChannelStatus>,
    pub storages: Vec<StorageStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelStatus {
    pub channel: ChannelId,
    pub hardware: HardwareId,
    /// A code of `CameraState`: the state of the recorded (else the first) stream.
    pub state: String,
    #[serde(default)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    pub state_since: Utc,
    pub recording: bool,
    pub streams: Vec<StreamStatus>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamStatus {
    pub stream: StreamId,
    pub state: String,
    pub codec: Option<Codec>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// RFC 6381 name of the codec with its profile: `avc1.64001f`.
    pub codec_string: Option<String>,
    pub bitrate_bps: u64,
    pub frames_per_second: f64,
    /// Nothing recorded before this instant can be missing any more.
    pub durable_until: Option<Utc>,
    pub units_received: u64,
    pub units_dropped: u64,
    pub packets_lost: u64,
    pub clock_drift_ppm: f64,
    pub clock_offset_ms: Option<i64>,
    pub ring_bytes: u64,
    pub viewers: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StorageStatus {
    pub storage: StorageId,
    /// A code of `StorageState`.
    pub state: String,
    pub path: String,
    /// Bytes of recordings.
    pub used_bytes: u64,
    /// Free bytes of the file system.
    pub free_bytes: u64,
    pub capacity_bytes: u64,
    pub size_max_bytes: Option<u64>,
    pub oldest: Option<Utc>,
    pub newest: Option<Utc>,
    /// Bytes written a day at the present rate.
    pub bytes_per_day: u64,
    pub channels: Vec<ChannelUsage>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChannelUsage {
    pub channel: ChannelId,
    pub used_bytes: u64,
    pub oldest: Option<Utc>,
    pub newest: Option<Utc>,
    pub bytes_per_day: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Timeline {
    pub recordings: Vec<Recording>,
    pub gaps: Vec<Gap>,
    /// Set where the answer was cut at the limit: ask again from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    pub start: Utc,
    pub end: Utc,
    pub stream: StreamId,
    pub codec: Codec,
    /// Of which clock epoch; two recordings may overlap where the clock was set back.
    pub epoch: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub start: Utc,
    /// `None`: still open.
    pub end: Option<Utc>,
    /// A code of `GapCause`.
    pub cause: String,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// Where the bytes of a range lie. Ordered by time; runs of one file share its `file` and `init`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    pub files: Vec<PlanFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Utc>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanFile {
    pub storage: StorageId,
    /// Path below the storage's `media` folder.
    pub file: String,
    pub codec: Codec,
    pub codec_string: String,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub timescale: u32,
    /// Absolute time of the file's `tfdt` zero.
    pub start: Utc,
    pub epoch: u32,
    /// Length of `ftyp` and `moov`, which stand at offset 0.
    pub init_bytes: u64,
    pub fragments: Vec<PlanFragment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFragment {
    pub offset: u64,
    pub bytes: u64,
    /// First decode time, in ticks of the file's timescale since its start.
    pub start_ticks: u64,
    pub duration_ticks: u64,
    pub entry_point: bool,
}

/// An event as the recorder hands it over: CloudEvents attributes and Varde's own (design.md).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: String,
    pub time: Utc,
    /// When it was written down.
    pub recordedat: Utc,
    /// Who counts `originseq`.
    pub origin: WriterId,
    pub originseq: u64,
    /// `begin`, `end` or `pulse`.
    pub phase: String,
    /// Ties `end` to its `begin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<EventId>,
    /// `info`, `warning`, `error`.
    pub severity: String,
    /// The object that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageId>,
    #[serde(default)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Hand in as `after` for what follows.
    pub next: u64,
}
