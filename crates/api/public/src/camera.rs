//! Cameras: video channels of devices, in the short form that has one device per camera.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use varde_ids::{ChannelId, HardwareId, StorageId, StreamId};
use varde_units::Utc;

use crate::codes::CameraState;
use crate::session::no_secrets_in_debug;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamPurpose {
    /// Shown when a tile is large.
    Live,
    /// Shown when a tile is small, and where the browser can't decode the live one.
    Sub,
    Record,
    Analytics,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Stream {
    #[schema(value_type = String, format = "uuid")]
    pub id: StreamId,
    pub roles: Vec<StreamPurpose>,
    pub codec: Option<String>,
    /// RFC 6381 name: `avc1.64001f`.
    pub codec_string: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub frames_per_second: f64,
    pub bitrate_bps: u64,
    /// Nothing recorded before this instant can be missing any more.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub durable_until: Option<Utc>,
    pub packets_lost: u64,
    pub clock_drift_ppm: f64,
    pub clock_offset_ms: Option<i64>,
    pub viewers: u32,
}

/// A camera. What only those who may change cameras see (`url`, `sub_url`, `user`) is absent for others.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Camera {
    #[schema(value_type = String, format = "uuid")]
    pub id: ChannelId,
    pub name: String,
    pub state: CameraState,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub state_since: Option<Utc>,
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    pub enabled: bool,
    /// Whether it is to be recorded.
    pub record: bool,
    /// Whether it is being recorded.
    pub recording: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub has_password: bool,
    pub transport: Transport,
    pub retention_days: Option<u32>,
    #[schema(value_type = String, format = "uuid")]
    pub storage: StorageId,
    #[schema(value_type = String, format = "uuid")]
    pub hardware: HardwareId,
    /// The channel that holds the camera's sound.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub microphone: Option<ChannelId>,
    pub streams: Vec<Stream>,
    pub version: u64,
}

/// The short form: one URL makes one device with its channels.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraCreate {
    /// Where it is not said: the host in the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `rtsp://` or `rtsps://`. User and password in it are taken out and kept sealed.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub storage: Option<StorageId>,
}

#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraUpdate {
    /// The version that the change is based on.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub sub_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub user: Option<Option<String>>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub retention_days: Option<Option<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub storage: Option<StorageId>,
}

no_secrets_in_debug! { CameraCreate { name }, CameraUpdate { version, name } }
