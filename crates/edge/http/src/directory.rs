//! Which cameras there are and which streams they have: asked by the gateway, answered by the management role.

use std::fmt;
use std::sync::Arc;

use varde_api::camera::StreamPurpose;
use varde_ids::{ChannelId, StreamId};

/// A camera as the gateway needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraEntry {
    pub id: ChannelId,
    pub name: String,
    pub enabled: bool,
    /// A retired camera has no live picture; its footage stays.
    pub retired: bool,
    /// A preview is live only.
    pub preview: bool,
    pub streams: Vec<StreamEntry>,
    /// The related microphone and its streams.
    pub microphone: Option<(ChannelId, Vec<StreamEntry>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    pub id: StreamId,
    pub roles: Vec<StreamPurpose>,
}

impl CameraEntry {
    /// The first stream with the role.
    pub fn stream(&self, role: StreamPurpose) -> Option<StreamId> {
        self.streams.iter().find(|stream| stream.roles.contains(&role)).map(|stream| stream.id)
    }
}

/// Answers from memory; a camera of another site or no camera at all is `None`.
pub trait CameraDirectory: fmt::Debug + Send + Sync + 'static {
    fn camera(&self, id: ChannelId) -> Option<Arc<CameraEntry>>;
}
