//! Events: CloudEvents 1.0 and Varde's own attributes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use varde_ids::{ChannelId, EventId, StorageId, WriterId};
use varde_units::Utc;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: String,
    #[schema(value_type = String, format = "uuid")]
    pub id: EventId,
    /// What it is about: `/sites/{site}/cameras/{id}`, `/sites/{site}/storages/{id}` or `/sites/{site}`.
    pub source: String,
    /// A type of the registry; clients show types that they do not know by name.
    #[serde(rename = "type")]
    pub kind: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Utc,
    #[schema(value_type = String, format = DateTime)]
    pub recordedat: Utc,
    /// Who counts `originseq`.
    #[schema(value_type = String, format = "uuid")]
    pub origin: WriterId,
    pub originseq: u64,
    /// `begin`, `end` or `pulse`.
    pub phase: String,
    /// Ties an `end` to its `begin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub correlation: Option<EventId>,
    /// `info`, `warning` or `error`.
    pub severity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub camera: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub storage: Option<StorageId>,
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}
