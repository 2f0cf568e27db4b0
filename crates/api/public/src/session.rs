//! Sign-in of browsers, and the first set-up.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use varde_ids::UserId;
use varde_units::Utc;

use crate::user::UserRole;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupState {
    /// Whether the first administrator is still to be made.
    pub needed: bool,
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// The one-time code that the server printed when it started.
    pub code: String,
    pub user: String,
    pub password: String,
}

#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub user: String,
    pub password: String,
    /// One-time password, for accounts with a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionUser {
    #[schema(value_type = String, format = "uuid")]
    pub id: UserId,
    pub name: String,
    pub role: UserRole,
}

/// The present session. The session's secret itself travels in a cookie alone.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    pub user: SessionUser,
    /// To be sent as `X-Varde-CSRF` with every request that is not GET or HEAD.
    pub csrf: String,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Utc,
}

macro_rules! no_secrets_in_debug {
    ($($name:ident { $($shown:ident),* }),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($shown), &self.$shown))*.finish_non_exhaustive()
            }
        }
    )*};
}
pub(crate) use no_secrets_in_debug;

no_secrets_in_debug! { SetupRequest { user }, SignIn { user }, Session { user, expires_at } }
