//! Who asks: a user with grants, narrowed where the credential is narrower than the user.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use varde_ids::{ChannelId, UserId};

use crate::{Action, Footage, Role};

/// Whoever wants something. The user is the one who began the request, however many servers it passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub user: UserId,
    /// Without a grant, nothing is allowed.
    pub grants: Vec<Grant>,
    /// Set for a ticket, which is narrower than its user.
    pub bounds: Option<Bounds>,
}

/// A role on some cameras.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub role: Role,
    pub cameras: CameraScope,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraScope {
    /// Every camera, also those added later.
    All,
    Set(BTreeSet<ChannelId>),
}

impl CameraScope {
    pub fn contains(&self, camera: ChannelId) -> bool {
        match self {
            Self::All => true,
            Self::Set(cameras) => cameras.contains(&camera),
        }
    }
}

/// What a ticket is narrowed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub cameras: BTreeSet<ChannelId>,
    pub purpose: Purpose,
    /// The only footage that it opens; `None`: any.
    pub footage: Option<Footage>,
}

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Live,
    Playback,
    Export,
}

impl Purpose {
    pub const fn covers(self, action: Action) -> bool {
        match self {
            Self::Live => matches!(action, Action::LiveView | Action::AudioListen),
            Self::Playback => matches!(action, Action::PlaybackView | Action::AudioListen),
            Self::Export => matches!(action, Action::Export | Action::AudioListen),
        }
    }
}

impl Subject {
    /// The subject of a signed-in user with one role.
    pub fn new(user: UserId, role: Role, cameras: CameraScope) -> Self {
        Self { user, grants: vec![Grant { role, cameras }], bounds: None }
    }

    /// Whether some object exists for which `action` could be allowed: the first, coarse check of a list.
    pub fn may_somewhere(&self, action: Action) -> bool {
        self.bounds.as_ref().is_none_or(|bounds| bounds.purpose.covers(action))
            && self.grants.iter().any(|grant| grant.role.holds(action))
    }
}
