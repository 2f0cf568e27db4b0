//! Cameras: the short form, in which one URL makes a device with a camera, its microphone and their streams.

use std::collections::HashMap;

use serde_json::Map;
use varde_access::Action;
use varde_ambient::identifier_random;
use varde_api::camera::{Camera, CameraCreate, CameraUpdate, Stream, StreamPurpose, Transport};
use varde_api::codes::{CameraState, EventType, ProblemCode};
use varde_api_internal::config::{ChannelKind, StreamRole};
use varde_api_internal::recorder::{ChannelStatus, RecorderStatus, StreamStatus};
use varde_bus::Draft;
use varde_database::{CameraRows, ChannelRow, HardwareRow, StreamRow};
use varde_http::{Principal, Problem};
use varde_ids::{ChannelId, HardwareId, StorageId, StreamId};

use super::address::{self, Address};
use crate::problem;
use crate::role::Management;

const CAMERAS_MAX: usize = 4096;
const RETENTION_DAYS_MAX: u32 = 36_500;
const CREDENTIAL_BYTES_MAX: usize = 256;
const PRIORITY_DEFAULT: u8 = 100;
const MAIN: u32 = 0;
const SUB: u32 = 1;

pub const fn purpose(role: StreamRole) -> StreamPurpose {
    match role {
        StreamRole::Live => StreamPurpose::Live,
        StreamRole::Sub => StreamPurpose::Sub,
        StreamRole::Record => StreamPurpose::Record,
        StreamRole::Analytics => StreamPurpose::Analytics,
    }
}

pub const fn transport_text(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

/// What the recorder last said of each channel and stream.
pub struct Word<'a> {
    channels: HashMap<ChannelId, &'a ChannelStatus>,
    streams: HashMap<StreamId, &'a StreamStatus>,
}

impl<'a> Word<'a> {
    pub fn of(status: Option<&'a RecorderStatus>) -> Self {
        let channels = status.map_or(&[][..], |status| &status.channels);
        Self {
            channels: channels.iter().map(|channel| (channel.channel, channel)).collect(),
            streams: channels
                .iter()
                .flat_map(|channel| &channel.streams)
                .map(|stream| (stream.stream, stream))
                .collect(),
        }
    }

    pub fn channel(&self, id: ChannelId) -> Option<&'a ChannelStatus> {
        self.channels.get(&id).copied()
    }

    pub fn stream(&self, id: StreamId, roles: Vec<StreamPurpose>) -> Stream {
        let said = self.streams.get(&id);
        Stream {
            id,
            roles,
            codec: said.and_then(|said| said.codec).and_then(|codec| {
                serde_json::to_value(codec).ok().and_then(|value| value.as_str().map(str::to_owned))
            }),
            codec_string: said.and_then(|said| said.codec_string.clone()),
            width: said.and_then(|said| said.width),
            height: said.and_then(|said| said.height),
            frames_per_second: said.map_or(0.0, |said| said.frames_per_second),
            bitrate_bps: said.map_or(0, |said| said.bitrate_bps),
            durable_until: said.and_then(|said| said.durable_until),
            packets_lost: said.map_or(0, |said| said.packets_lost),
            clock_drift_ppm: said.map_or(0.0, |said| said.clock_drift_ppm),
            clock_offset_ms: said.and_then(|said| said.clock_offset_ms),
            viewers: said.map_or(0, |said| said.viewers),
        }
    }
}

/// State and parameters of a channel. While the recorder is away, nobody knows more than that a connection is sought.
pub fn state_of(
    said: Option<&ChannelStatus>,
    recorder_is_there: bool,
) -> (CameraState, Map<String, serde_json::Value>) {
    match said {
        Some(said) => {
            let state = CameraState::from_code(&said.state).unwrap_or(CameraState::Connecting);
            (state, said.parameters.clone())
        }
        None => {
            let mut parameters = Map::new();
            if !recorder_is_there {
                parameters.insert("reason".into(), ProblemCode::RecorderUnavailable.code().into());
            }
            (CameraState::Connecting, parameters)
        }
    }
}

/// The video channel of a device.
pub fn video(rows: &CameraRows) -> Option<&ChannelRow> {
    rows.channels.iter().find(|channel| channel.kind == ChannelKind::Camera)
}

fn camera_public(
    rows: &CameraRows,
    word: &Word<'_>,
    recorder_is_there: bool,
    with_settings: bool,
) -> Option<Camera> {
    let channel = video(rows)?;
    let said = word.channel(channel.id);
    let (mut state, mut parameters) = state_of(said, recorder_is_there);
    if !rows.hardware.enabled {
        (state, parameters) = (CameraState::Disabled, Map::new());
    }
    let stream = |position| channel.streams.iter().find(|stream| stream.position == position);
    let url = |position| stream(position).map(|stream| stream.url.clone()).filter(|_| with_settings);
    let is_udp = stream(MAIN).is_some_and(|stream| stream.transport == "udp");
    Some(Camera {
        id: channel.id,
        name: channel.name.clone(),
        state,
        state_since: said.map(|said| said.state_since),
        parameters,
        enabled: rows.hardware.enabled,
        record: channel.record,
        recording: said.is_some_and(|said| said.recording),
        url: url(MAIN),
        sub_url: url(SUB),
        user: rows.hardware.login.clone().filter(|_| with_settings),
        has_password: rows.hardware.password_sealed.is_some(),
        transport: if is_udp { Transport::Udp } else { Transport::Tcp },
        retention_days: channel.retention_days,
        storage: channel.storage,
        hardware: rows.hardware.id,
        microphone: microphone(rows, channel.id).map(|microphone| microphone.id),
        streams: channel
            .streams
            .iter()
            .map(|stream| word.stream(stream.id, stream.roles.iter().map(|&role| purpose(role)).collect()))
            .collect(),
        version: channel.version,
    })
}

pub fn microphone(rows: &CameraRows, camera: ChannelId) -> Option<&ChannelRow> {
    rows.channels
        .iter()
        .find(|channel| channel.kind == ChannelKind::Microphone && channel.related_to == Some(camera))
}

fn retention_check(days: Option<u32>) -> Result<Option<u32>, Problem> {
    match days {
        Some(days) if !(1..=RETENTION_DAYS_MAX).contains(&days) => {
            Err(Problem::invalid("retention_days", "`retention_days` must lie between 1 and 36,500."))
        }
        other => Ok(other),
    }
}

pub fn credential_check(field: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.len() > CREDENTIAL_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Problem::invalid(
            field,
            format!("`{field}` must have 1 to 256 bytes and no control characters."),
        ));
    }
    Ok(())
}

fn streams_of(channel: ChannelId, main: StreamRow, sub: Option<StreamRow>) -> Vec<StreamRow> {
    let main =
        StreamRow { channel, position: MAIN, roles: vec![StreamRole::Live, StreamRole::Record], ..main };
    let sub = sub.map(|sub| StreamRow { channel, position: SUB, roles: vec![StreamRole::Sub], ..sub });
    [main].into_iter().chain(sub).collect()
}

impl Management {
    /// Cameras that the caller may know of, in the order in which they were added, behind `after`.
    pub fn camera_list(
        &self,
        principal: &Principal,
        after: Option<ChannelId>,
        limit: usize,
    ) -> (Vec<Camera>, bool) {
        let configuration = self.configuration();
        let recorder = self.recorder();
        let word = Word::of(recorder.as_deref());
        let mut rows: Vec<(ChannelId, &CameraRows)> = configuration
            .cameras
            .iter()
            .filter(|rows| rows.hardware.retired_at.is_none())
            .filter_map(|rows| video(rows).map(|channel| (channel.id, rows)))
            .filter(|(id, _)| after.is_none_or(|after| *id > after) && principal.sees(*id))
            .collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        let more = rows.len() > limit;
        let public = |(id, rows): (ChannelId, &CameraRows)| {
            let with_settings = principal.allow(Action::CameraChange, id, None).is_ok();
            camera_public(rows, &word, recorder.is_some(), with_settings)
        };
        (rows.into_iter().take(limit).filter_map(public).collect(), more)
    }

    pub fn camera_get(&self, principal: &Principal, id: ChannelId) -> Result<Camera, Problem> {
        let rows = self.camera_rows(id)?;
        let recorder = self.recorder();
        let with_settings = principal.allow(Action::CameraChange, id, None).is_ok();
        camera_public(&rows, &Word::of(recorder.as_deref()), recorder.is_some(), with_settings)
            .ok_or_else(Problem::not_found)
    }

    /// The device of a camera that is not retired.
    fn camera_rows(&self, id: ChannelId) -> Result<CameraRows, Problem> {
        let configuration = self.configuration();
        let found = configuration.cameras.iter().find(|rows| {
            rows.hardware.retired_at.is_none() && video(rows).is_some_and(|channel| channel.id == id)
        });
        found.cloned().ok_or_else(Problem::not_found)
    }

    /// Whether the camera is there: configured, retired with footage left, or a preview.
    pub fn camera_exists(&self, id: ChannelId) -> Result<(), Problem> {
        let configuration = self.configuration();
        let configured =
            configuration.cameras.iter().any(|rows| video(rows).is_some_and(|channel| channel.id == id));
        if configured || self.previews.get(id, self.now()).is_some() {
            Ok(())
        } else {
            Err(Problem::not_found())
        }
    }

    fn storage_or_default(&self, storage: Option<StorageId>) -> Result<StorageId, Problem> {
        let configuration = self.configuration();
        match storage {
            None => configuration
                .storages
                .first()
                .map(|storage| storage.id)
                .ok_or_else(|| Problem::internal(&"an installation without a storage")),
            Some(id) if configuration.storages.iter().any(|storage| storage.id == id) => Ok(id),
            Some(_) => Err(Problem::invalid("storage", "There is no such storage.")),
        }
    }

    /// A sub stream's address; a login in it must be the device's own.
    fn sub_address(&self, text: &str) -> Result<Address, Problem> {
        let address = address::read("sub_url", text, &self.networks)?;
        if address.user.is_some() || address.password.is_some() {
            return Err(Problem::invalid(
                "sub_url",
                "User and password belong to the device; leave them out here.",
            ));
        }
        Ok(address)
    }

    pub async fn camera_create(
        &self,
        request: CameraCreate,
        principal: &Principal,
    ) -> Result<Camera, Problem> {
        let main = address::read("url", &request.url, &self.networks)?;
        let sub = request.sub_url.as_deref().map(|text| self.sub_address(text)).transpose()?;
        let login = request.user.or(main.user);
        let password = request.password.or(main.password);
        for (field, value) in [("user", &login), ("password", &password)] {
            value.as_deref().map(|value| credential_check(field, value)).transpose()?;
        }
        let name = problem::name("name", request.name.as_deref().unwrap_or(&main.host))?;
        let now = self.now();
        let hardware = HardwareId::new(now, identifier_random());
        let channel = ChannelId::new(now, identifier_random());
        let microphone = ChannelId::new(now, identifier_random());
        let transport = transport_text(request.transport.unwrap_or_default());
        let stream = |url: String| StreamRow {
            id: StreamId::new(now, identifier_random()),
            channel,
            position: MAIN,
            url,
            transport: transport.to_owned(),
            roles: vec![],
        };
        let sound = StreamRow {
            channel: microphone,
            roles: vec![StreamRole::Live, StreamRole::Record],
            ..stream(main.url.clone())
        };
        let channel_row = ChannelRow {
            id: channel,
            hardware,
            kind: ChannelKind::Camera,
            name: name.clone(),
            priority: PRIORITY_DEFAULT,
            record: request.record.unwrap_or(true),
            retention_days: retention_check(request.retention_days)?,
            storage: self.storage_or_default(request.storage)?,
            related_to: None,
            version: 1,
            retired_at: None,
            streams: streams_of(channel, stream(main.url.clone()), sub.map(|sub| stream(sub.url))),
        };
        let sound_row = ChannelRow {
            id: microphone,
            kind: ChannelKind::Microphone,
            related_to: Some(channel),
            streams: vec![sound],
            ..channel_row.clone()
        };
        let sealed = password.map(|password| self.keys.seal(hardware, &password)).transpose();
        let rows = CameraRows {
            hardware: HardwareRow {
                id: hardware,
                name: name.clone(),
                driver: "rtsp".to_owned(),
                enabled: true,
                login,
                password_sealed: sealed.map_err(|error| Problem::internal(&error))?,
                created_at: now,
                retired_at: None,
            },
            channels: vec![channel_row, sound_row],
        };
        {
            let _change = self.changing.lock().await;
            let configuration = self.configuration();
            if configuration.cameras.iter().filter(|rows| rows.hardware.retired_at.is_none()).count()
                >= CAMERAS_MAX
            {
                return Err(Problem::new(
                    ProblemCode::LimitReached,
                    "There are as many cameras as one server holds.",
                )
                .parameter("limit", CAMERAS_MAX));
            }
            self.database
                .camera_create(configuration.server.server, &rows)
                .await
                .map_err(problem::database)?;
            self.reload().await?;
            self.revise(0).await?;
        }
        self.camera_event(EventType::CameraAdded, channel, &name, principal);
        self.camera_get(principal, channel)
    }

    fn camera_event(&self, kind: EventType, camera: ChannelId, name: &str, principal: &Principal) {
        self.publish(
            Draft::new(kind).channel(camera).data("name", name).data("user", principal.identity.name.clone()),
        );
    }

    pub async fn camera_update(
        &self,
        id: ChannelId,
        request: CameraUpdate,
        principal: &Principal,
    ) -> Result<Camera, Problem> {
        let version = request.version;
        {
            let _change = self.changing.lock().await;
            let mut rows = self.camera_rows(id)?;
            self.camera_apply(&mut rows, id, request)?;
            self.database
                .camera_update(&rows, id, version)
                .await
                .map_err(|error| problem::change(error, version))?;
            self.reload().await?;
            self.revise(0).await?;
        }
        let camera = self.camera_get(principal, id)?;
        self.camera_event(EventType::CameraChanged, id, &camera.name, principal);
        Ok(camera)
    }

    /// Carries a change into the rows of a device. A stream keeps its identity when its address changes.
    fn camera_apply(
        &self,
        rows: &mut CameraRows,
        id: ChannelId,
        request: CameraUpdate,
    ) -> Result<(), Problem> {
        let retention = request.retention_days.map(retention_check).transpose()?;
        let storage = request.storage.map(|storage| self.storage_or_default(Some(storage))).transpose()?;
        let name = request.name.as_deref().map(|name| problem::name("name", name)).transpose()?;
        let main = request.url.as_deref().map(|url| address::read("url", url, &self.networks)).transpose()?;
        let sub = request.sub_url.map(|sub| sub.map(|url| self.sub_address(&url)).transpose()).transpose()?;
        let from_url =
            main.as_ref().map(|main| (main.user.clone(), main.password.clone())).unwrap_or_default();
        if let Some(login) = request.user.or(from_url.0.map(Some)) {
            login.as_deref().map(|login| credential_check("user", login)).transpose()?;
            rows.hardware.login = login;
        }
        if let Some(password) = request.password.or(from_url.1.map(Some)) {
            rows.hardware.password_sealed = match password {
                None => None,
                Some(password) => {
                    credential_check("password", &password)?;
                    let sealed = self.keys.seal(rows.hardware.id, &password);
                    Some(sealed.map_err(|error| Problem::internal(&error))?)
                }
            };
        }
        if let Some(enabled) = request.enabled {
            rows.hardware.enabled = enabled;
        }
        if let Some(name) = &name {
            rows.hardware.name.clone_from(name);
        }
        let now = self.now();
        for channel in &mut rows.channels {
            if let Some(name) = &name {
                channel.name.clone_from(name);
            }
            channel.record = request.record.unwrap_or(channel.record);
            channel.retention_days = retention.unwrap_or(channel.retention_days);
            channel.storage = storage.unwrap_or(channel.storage);
            for stream in &mut channel.streams {
                if let Some(main) = main.as_ref().filter(|_| stream.position == MAIN) {
                    stream.url.clone_from(&main.url);
                }
                if let Some(transport) = request.transport {
                    stream.transport = transport_text(transport).to_owned();
                }
            }
            if let Some(sub) = sub.as_ref().filter(|_| channel.id == id) {
                let old = channel.streams.iter().find(|stream| stream.position == SUB).cloned();
                let Some(first) = channel.streams.iter().find(|stream| stream.position == MAIN).cloned()
                else {
                    return Err(Problem::internal(&"a camera without a main stream"));
                };
                let new = sub.as_ref().map(|sub| StreamRow {
                    id: old.map_or_else(|| StreamId::new(now, identifier_random()), |old| old.id),
                    url: sub.url.clone(),
                    ..first.clone()
                });
                channel.streams = streams_of(id, first, new);
            }
        }
        Ok(())
    }

    /// Retires the camera: its footage stays until retention.
    pub async fn camera_retire(&self, id: ChannelId, principal: &Principal) -> Result<(), Problem> {
        let name = {
            let _change = self.changing.lock().await;
            let rows = self.camera_rows(id)?;
            self.database.camera_retire(rows.hardware.id, self.now()).await.map_err(problem::database)?;
            self.reload().await?;
            self.revise(0).await?;
            rows.hardware.name
        };
        self.camera_event(EventType::CameraRetired, id, &name, principal);
        Ok(())
    }
}
