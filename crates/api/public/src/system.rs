//! The server itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use varde_units::Utc;

/// Says little on purpose: anybody may ask.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SystemRecorder {
    pub connected: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct SystemLimits {
    /// Streams that may be transcoded at once.
    pub transcode_streams_max: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct System {
    pub version: String,
    pub server_name: String,
    pub uptime_seconds: u64,
    #[schema(value_type = String, format = DateTime)]
    pub started: Utc,
    pub recorder: SystemRecorder,
    pub limits: SystemLimits,
}
