//! Previews: a look at a camera before it is added.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use varde_ids::ChannelId;
use varde_units::Utc;

use crate::camera::{Stream, Transport};
use crate::codes::CameraState;
use crate::session::no_secrets_in_debug;

#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewCreate {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct PreviewCreated {
    /// Works in `/cameras/{id}/live/…`.
    #[schema(value_type = String, format = "uuid")]
    pub id: ChannelId,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct Preview {
    #[schema(value_type = String, format = "uuid")]
    pub id: ChannelId,
    pub state: CameraState,
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    pub streams: Vec<Stream>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
}

no_secrets_in_debug! { PreviewCreate { transport } }
