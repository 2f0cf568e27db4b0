//! Previews: a camera that is looked at before it is added. In memory alone, never recorded, gone after two minutes.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use varde_ambient::identifier_random;
use varde_api::camera::StreamPurpose;
use varde_api::codes::ProblemCode;
use varde_api::preview::{Preview, PreviewCreate, PreviewCreated};
use varde_api_internal::config::{ChannelConfig, ChannelKind, HardwareConfig, StreamConfig, StreamRole};
use varde_http::Problem;
use varde_ids::{ChannelId, HardwareId, StorageId, StreamId};
use varde_units::Utc;

use super::address;
use super::camera::{Word, credential_check, state_of, transport_text};
use crate::role::Management;

const LIFETIME: Duration = Duration::from_secs(120);
/// Connections to cameras cost; a person looks at one.
const PREVIEWS_MAX: usize = 16;

#[derive(Clone)]
pub struct PreviewEntry {
    pub hardware: HardwareId,
    pub channel: ChannelId,
    pub stream: StreamId,
    pub microphone: (ChannelId, StreamId),
    url: String,
    transport: &'static str,
    user: Option<String>,
    password: Option<String>,
    expires_at: Utc,
}

impl std::fmt::Debug for PreviewEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviewEntry").field("channel", &self.channel).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub struct Previews(Mutex<HashMap<ChannelId, PreviewEntry>>);

impl Previews {
    pub fn get(&self, id: ChannelId, now: Utc) -> Option<PreviewEntry> {
        self.0.lock().get(&id).filter(|preview| now < preview.expires_at).cloned()
    }

    /// Forgets what has ended; true where there was something.
    pub fn forget_ended(&self, now: Utc) -> bool {
        let mut previews = self.0.lock();
        let before = previews.len();
        previews.retain(|_, preview| now < preview.expires_at);
        previews.len() != before
    }

    /// The devices of running previews, for the recorder's configuration.
    pub fn hardware(&self, now: Utc, storage: StorageId) -> Vec<HardwareConfig> {
        let previews = self.0.lock();
        let mut running: Vec<&PreviewEntry> =
            previews.values().filter(|preview| now < preview.expires_at).collect();
        running.sort_unstable_by_key(|preview| preview.channel);
        running.into_iter().map(|preview| preview.config(storage)).collect()
    }
}

impl PreviewEntry {
    fn config(&self, storage: StorageId) -> HardwareConfig {
        let channel = |id, kind, stream, related_to| ChannelConfig {
            id,
            kind,
            name: "Preview".to_owned(),
            priority: 0,
            record: false,
            retention_days: None,
            storage,
            streams: vec![StreamConfig {
                id: stream,
                url: self.url.clone(),
                transport: self.transport.to_owned(),
                roles: vec![StreamRole::Live],
                codec: None,
            }],
            related_to,
        };
        let (microphone, sound) = self.microphone;
        HardwareConfig {
            id: self.hardware,
            name: "Preview".to_owned(),
            driver: "rtsp".to_owned(),
            enabled: true,
            user: self.user.clone(),
            password: self.password.clone(),
            channels: vec![
                channel(self.channel, ChannelKind::Camera, self.stream, None),
                channel(microphone, ChannelKind::Microphone, sound, Some(self.channel)),
            ],
        }
    }
}

impl Management {
    pub async fn preview_create(&self, request: PreviewCreate) -> Result<PreviewCreated, Problem> {
        let address = address::read("url", &request.url, &self.networks)?;
        let user = request.user.or(address.user);
        let password = request.password.or(address.password);
        for (field, value) in [("user", &user), ("password", &password)] {
            value.as_deref().map(|value| credential_check(field, value)).transpose()?;
        }
        if self.recorder().is_none() {
            return Err(Problem::recorder_unavailable());
        }
        let now = self.now();
        let entry = PreviewEntry {
            hardware: HardwareId::new(now, identifier_random()),
            channel: ChannelId::new(now, identifier_random()),
            stream: StreamId::new(now, identifier_random()),
            microphone: (ChannelId::new(now, identifier_random()), StreamId::new(now, identifier_random())),
            url: address.url,
            transport: transport_text(request.transport.unwrap_or_default()),
            user,
            password,
            expires_at: now.plus(LIFETIME),
        };
        let created = PreviewCreated { id: entry.channel, expires_at: entry.expires_at };
        let _change = self.changing.lock().await;
        self.previews.forget_ended(now);
        {
            let mut previews = self.previews.0.lock();
            if previews.len() >= PREVIEWS_MAX {
                return Err(Problem::new(ProblemCode::LimitReached, "Too many previews are open.")
                    .hint("They end by themselves after two minutes.")
                    .parameter("limit", PREVIEWS_MAX));
            }
            previews.insert(entry.channel, entry);
        }
        self.revise(0).await?;
        Ok(created)
    }

    pub fn preview_get(&self, id: ChannelId) -> Result<Preview, Problem> {
        let entry = self.previews.get(id, self.now()).ok_or_else(Problem::not_found)?;
        let recorder = self.recorder();
        let word = Word::of(recorder.as_deref());
        let (state, parameters) = state_of(word.channel(id), recorder.is_some());
        let streams = vec![word.stream(entry.stream, vec![StreamPurpose::Live])];
        Ok(Preview { id, state, parameters, streams, expires_at: entry.expires_at })
    }

    pub async fn preview_delete(&self, id: ChannelId) -> Result<(), Problem> {
        let _change = self.changing.lock().await;
        self.previews.0.lock().remove(&id).ok_or_else(Problem::not_found)?;
        self.revise(0).await
    }
}
