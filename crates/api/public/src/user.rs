//! People and programs that sign in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use varde_ids::{ChannelId, UserId};

use crate::session::no_secrets_in_debug;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    Administrator,
    Operator,
    Viewer,
}

/// `"all"`, or a list of camera identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum UserCameras {
    All(AllCameras),
    #[schema(value_type = Vec<String>)]
    Set(Vec<ChannelId>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllCameras {
    All,
}

impl UserCameras {
    pub const ALL: Self = Self::All(AllCameras::All);
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct User {
    #[schema(value_type = String, format = "uuid")]
    pub id: UserId,
    pub name: String,
    pub role: UserRole,
    pub cameras: UserCameras,
    pub enabled: bool,
    pub version: u64,
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    pub name: String,
    pub password: String,
    pub role: UserRole,
    /// All where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cameras: Option<UserCameras>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

#[derive(Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserUpdate {
    /// The version that the change is based on.
    pub version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<UserRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cameras: Option<UserCameras>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

no_secrets_in_debug! { UserCreate { name, role }, UserUpdate { version, name } }
