//! What the gateway may know of cameras.

use std::sync::Arc;

use varde_api::camera::StreamPurpose;
use varde_database::ChannelRow;
use varde_http::{CameraDirectory, CameraEntry, StreamEntry};
use varde_ids::ChannelId;

use super::camera::{microphone, purpose, video};
use crate::role::Management;

fn streams(channel: &ChannelRow) -> Vec<StreamEntry> {
    let entry = |stream: &varde_database::StreamRow| StreamEntry {
        id: stream.id,
        roles: stream.roles.iter().map(|&role| purpose(role)).collect(),
    };
    channel.streams.iter().map(entry).collect()
}

impl CameraDirectory for Management {
    fn camera(&self, id: ChannelId) -> Option<Arc<CameraEntry>> {
        if let Some(preview) = self.previews.get(id, self.now()) {
            let stream = |id| vec![StreamEntry { id, roles: vec![StreamPurpose::Live] }];
            let (microphone, sound) = preview.microphone;
            return Some(Arc::new(CameraEntry {
                id,
                name: "Preview".to_owned(),
                enabled: true,
                retired: false,
                preview: true,
                streams: stream(preview.stream),
                microphone: Some((microphone, stream(sound))),
            }));
        }
        let configuration = self.configuration();
        let rows =
            configuration.cameras.iter().find(|rows| video(rows).is_some_and(|channel| channel.id == id))?;
        let channel = video(rows)?;
        Some(Arc::new(CameraEntry {
            id,
            name: channel.name.clone(),
            enabled: rows.hardware.enabled,
            retired: rows.hardware.retired_at.is_some(),
            preview: false,
            streams: streams(channel),
            microphone: microphone(rows, id).map(|channel| (channel.id, streams(channel))),
        }))
    }
}
