//! Places that hold recordings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use varde_ids::{ChannelId, StorageId};
use varde_units::Utc;

use crate::codes::StorageState;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct StorageCamera {
    #[schema(value_type = String, format = "uuid")]
    pub camera: ChannelId,
    pub name: String,
    pub used_bytes: u64,
    pub bytes_per_day: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Utc>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub newest: Option<Utc>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Storage {
    #[schema(value_type = String, format = "uuid")]
    pub id: StorageId,
    pub name: String,
    pub path: String,
    pub state: StorageState,
    pub used_bytes: u64,
    pub free_bytes: u64,
    pub capacity_bytes: u64,
    pub size_max_bytes: Option<u64>,
    pub free_min_bytes: u64,
    pub retention_days: Option<u32>,
    pub encrypted: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest: Option<Utc>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub newest: Option<Utc>,
    /// Bytes written a day at the present rate.
    pub bytes_per_day: u64,
    /// Days between the oldest and the newest recording.
    pub days_kept: f64,
    /// Days until the storage is full at the present rate; absent where nothing is written or it is full.
    pub days_left: Option<f64>,
    pub cameras: Vec<StorageCamera>,
    pub version: u64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageCreate {
    pub name: String,
    /// An absolute path on the recording server.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_max_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_min_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// Path and encryption stay as they were made.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageUpdate {
    /// The version that the change is based on.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub size_max_bytes: Option<Option<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_min_bytes: Option<u64>,
    #[serde(default, deserialize_with = "crate::patch::nullable", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub retention_days: Option<Option<u32>>,
}
