//! The closed list of actions, and which role carries which.

use serde::{Deserialize, Serialize};

/// Something that a person or program wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Know that a camera exists, with name and state.
    CameraView,
    /// See a camera's address and settings; add, change, retire and preview cameras.
    CameraChange,
    /// See the present picture.
    LiveView,
    /// See recorded pictures and the timeline.
    PlaybackView,
    /// Hear live or recorded sound.
    AudioListen,
    /// Take footage away as a file.
    Export,
    /// Read events of a camera, or of the system.
    EventView,
    StorageView,
    StorageChange,
    UserView,
    UserChange,
    /// Make, list and end one's own tokens, tickets and sessions.
    TokenOwn,
    /// Version and name of the server, limits.
    SystemView,
    MetricsView,
}

impl Action {
    pub const ALL: &'static [Self] = &[
        Self::CameraView,
        Self::CameraChange,
        Self::LiveView,
        Self::PlaybackView,
        Self::AudioListen,
        Self::Export,
        Self::EventView,
        Self::StorageView,
        Self::StorageChange,
        Self::UserView,
        Self::UserChange,
        Self::TokenOwn,
        Self::SystemView,
        Self::MetricsView,
    ];

    /// Whether the action shows pictures that carry sound with them, so that a missing right to listen takes it out.
    pub(crate) const fn carries_sound(self) -> bool {
        matches!(self, Self::LiveView | Self::PlaybackView | Self::Export)
    }

    /// Whether the action may be granted for some cameras and not for others.
    pub const fn is_per_camera(self) -> bool {
        matches!(
            self,
            Self::CameraView
                | Self::CameraChange
                | Self::LiveView
                | Self::PlaybackView
                | Self::AudioListen
                | Self::Export
                | Self::EventView
        )
    }
}

/// A named set of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Administrator,
    Operator,
    Viewer,
}

impl Role {
    pub const ALL: &'static [Self] = &[Self::Administrator, Self::Operator, Self::Viewer];

    /// Whether the role holds `action`, cameras aside.
    pub const fn holds(self, action: Action) -> bool {
        match self {
            Self::Administrator => true,
            Self::Operator => matches!(
                action,
                Action::CameraView
                    | Action::LiveView
                    | Action::PlaybackView
                    | Action::AudioListen
                    | Action::Export
                    | Action::EventView
                    | Action::TokenOwn
                    | Action::SystemView
            ),
            Self::Viewer => matches!(
                action,
                Action::CameraView
                    | Action::LiveView
                    | Action::PlaybackView
                    | Action::EventView
                    | Action::TokenOwn
                    | Action::SystemView
            ),
        }
    }
}
