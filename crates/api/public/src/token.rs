//! API tokens for programs, and tickets for media URLs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use varde_ids::{ChannelId, TokenId};
use varde_units::Utc;

use crate::session::no_secrets_in_debug;

/// Either `user` and `password` (a program without a session), or `name` with a session.
#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp: Option<String>,
    /// What the token is for, as its list shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 1 to 365; 30 where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u32>,
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct TokenCreated {
    #[schema(value_type = String, format = "uuid")]
    pub id: TokenId,
    /// Shown this once; sent as `Authorization: Bearer`.
    pub token: String,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Token {
    #[schema(value_type = String, format = "uuid")]
    pub id: TokenId,
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Utc,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
    /// To the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Utc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TicketPurpose {
    Live,
    Playback,
    Export,
}

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketCreate {
    /// At least one, at most 64.
    #[schema(value_type = Vec<String>)]
    pub cameras: Vec<ChannelId>,
    pub purpose: TicketPurpose,
    /// With `end`: the only footage that the ticket opens. Such a ticket does not open raw files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub start: Option<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Utc>,
}

/// Opens media URLs as `?ticket=`.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct Ticket {
    pub ticket: String,
    /// Unless it is used before; each use moves it on, up to 12 hours.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
}

no_secrets_in_debug! { TokenCreate { user, name }, TokenCreated { id, expires_at }, Ticket { expires_at } }
