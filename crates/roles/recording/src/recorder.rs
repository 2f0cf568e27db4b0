//! The recorder: applies snapshots as differences, and answers what the internal API asks.
//!
//! A device that did not change keeps its session, its rings and its files.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::Map;
use tokio::sync::{Mutex, mpsc};
use varde_ambient::{identifier_random, mono_now, utc_now};
use varde_api::codes::{CameraState, EventType, GapCause};
use varde_api_internal::config::{ChannelConfig, HardwareConfig, RecorderConfig, SignedConfig, StreamRole};
use varde_api_internal::recorder::{ChannelStatus, RecorderStatus};
use varde_driver::{Driver, Network, SourceState};
use varde_ids::{ChannelId, HardwareId, StreamId, WriterId};
use varde_units::Utc;

use crate::device::{COMMANDS_MAX, Device, DeviceOutlet};
use crate::devices;
use crate::events::{EventLog, Occurrence};
use crate::ring::RingLimits;
use crate::snapshot::{SnapshotError, SnapshotFile};
use crate::storages::Storages;
use crate::stream::Stream;
use crate::surroundings::RealSurroundings;

/// What a recorder is started with; all else stands in its snapshot.
#[derive(Clone, Debug)]
pub struct Options {
    /// The recorder's own folder: snapshot, key, index.
    pub folder: PathBuf,
    /// When this program was built: no clock can be right that is earlier.
    pub built: Utc,
}

pub struct Recorder {
    writer: WriterId,
    started: Utc,
    /// Held while a snapshot is taken and applied, and while all is stopped: one at a time.
    snapshot: Mutex<SnapshotFile>,
    state: RwLock<State>,
    events: Arc<EventLog>,
    storages: Arc<Storages>,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
    surroundings: Arc<RealSurroundings>,
    /// Where drivers run: one thread, so that a unit meets no lock that another thread holds.
    io: tokio::runtime::Handle,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("writer", &self.writer).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    config: Option<Arc<RecorderConfig>>,
    devices: HashMap<HardwareId, Device>,
    streams: HashMap<StreamId, Arc<Stream>>,
    /// From then on nothing is applied any more.
    stopped: bool,
}

impl Recorder {
    /// Opens what the kept snapshot names and begins to record. `io` is the runtime of the I/O thread.
    pub async fn start(
        options: Options,
        drivers: Vec<Arc<dyn Driver>>,
        io: tokio::runtime::Handle,
    ) -> std::io::Result<Arc<Self>> {
        let writer = WriterId::new(utc_now(), identifier_random());
        let events = Arc::new(EventLog::new(writer));
        events.push(Occurrence::pulse(EventType::RecorderStarted, utc_now(), "info"));
        let storages = Arc::new(Storages::open_folder(&options, writer, Arc::clone(&events))?);
        let recorder = Arc::new(Self {
            writer,
            started: utc_now(),
            snapshot: Mutex::new(SnapshotFile::open(&options.folder)),
            state: RwLock::default(),
            events,
            storages,
            drivers: drivers.into_iter().map(|driver| (driver.name(), driver)).collect(),
            surroundings: Arc::new(RealSurroundings),
            io,
        });
        {
            let snapshot = recorder.snapshot.lock().await;
            if let Some(config) = snapshot.config().cloned() {
                recorder.apply(config).await;
            }
        }
        Ok(recorder)
    }

    /// Verifies, keeps and applies a snapshot.
    pub async fn configure(&self, signed: SignedConfig) -> Result<(), SnapshotError> {
        let mut snapshot = self.snapshot.lock().await;
        let config = snapshot.take(signed)?.clone();
        self.apply(config).await;
        Ok(())
    }

    /// Lets time pass for the streams, on the cameras' thread. Called every half second.
    pub fn on_tick(&self) {
        let now = mono_now();
        let streams: Vec<Arc<Stream>> = self.state.read().streams.values().cloned().collect();
        for stream in streams {
            stream.on_tick(now);
        }
    }

    /// Opens storages that could not be opened before, and records to them. Called every few seconds.
    pub async fn retry_storages(&self) {
        if !self.storages.has_missing() {
            return;
        }
        let snapshot = self.snapshot.lock().await;
        if let Some(config) = snapshot.config().cloned() {
            self.apply(config).await;
        }
    }

    async fn apply(&self, config: RecorderConfig) {
        if self.state.read().stopped {
            return;
        }
        let config = Arc::new(config);
        self.storages.apply(&config).await;
        let networks = devices::networks(&config.allowed_networks);
        let wanted: HashSet<HardwareId> = config.hardware.iter().map(|hardware| hardware.id).collect();
        let gone: Vec<Device> = {
            let mut state = self.state.write();
            let ids: Vec<HardwareId> =
                state.devices.keys().filter(|id| !wanted.contains(id)).copied().collect();
            ids.into_iter().filter_map(|id| state.devices.remove(&id)).collect()
        };
        for device in gone {
            self.end(device, GapCause::Retired).await;
        }
        for hardware in &config.hardware {
            self.apply_hardware(&config, hardware, &networks).await;
        }
        self.storages.close_gone(&config).await;
        self.state.write().config = Some(config);
    }

    async fn end(&self, device: Device, cause: GapCause) {
        let outlet = Arc::clone(&device.outlet);
        device.stop().await;
        for stream in outlet.streams() {
            stream.stop_recording(Some(cause));
            stream.ring.close();
            self.state.write().streams.remove(&stream.id);
        }
    }

    async fn apply_hardware(&self, config: &RecorderConfig, hardware: &HardwareConfig, networks: &[Network]) {
        let spec = devices::device_spec(hardware, networks);
        let streams = self.streams_of(config, hardware);
        let present = self.state.write().devices.remove(&hardware.id);
        let before = present.as_ref().map(|device| device.outlet.streams()).unwrap_or_default();
        let device = match (present, self.drivers.get(hardware.driver.as_str())) {
            (Some(device), _) if !hardware.enabled => {
                for stream in device.outlet.streams() {
                    stream.stop_recording(Some(GapCause::Disabled));
                }
                device.outlet.set_streams(HashMap::new());
                device.stop().await;
                None
            }
            (Some(device), _) => {
                device.outlet.set_streams(streams.clone());
                if device.outlet.spec() != spec {
                    device.update(spec.clone()).await;
                }
                Some(device)
            }
            (None, Some(driver)) if hardware.enabled => Some(self.start_device(driver, &spec, &streams)),
            (None, Some(_)) => None,
            (None, None) => {
                tracing::error!(driver = %hardware.driver, hardware = %hardware.id, "there is no such driver");
                None
            }
        };
        for (channel, stream) in devices::streams(hardware) {
            if let Some(stream) = streams.get(&stream.id) {
                self.apply_recording(hardware, channel, stream);
                if !hardware.enabled {
                    let disabled =
                        SourceState { state: CameraState::Disabled, parameters: Map::new(), detail: None };
                    stream.on_state(&disabled, mono_now(), utc_now());
                }
            }
        }
        for old in before.iter().filter(|old| !streams.contains_key(&old.id)) {
            old.stop_recording(Some(GapCause::Retired));
            old.ring.close();
        }
        let mut state = self.state.write();
        before.iter().filter(|old| !streams.contains_key(&old.id)).for_each(|old| {
            state.streams.remove(&old.id);
        });
        state.streams.extend(streams);
        state.devices.extend(device.map(|device| (hardware.id, device)));
    }

    /// The device's streams: those that exist already, and new ones.
    fn streams_of(
        &self,
        config: &RecorderConfig,
        hardware: &HardwareConfig,
    ) -> HashMap<StreamId, Arc<Stream>> {
        let limits = RingLimits {
            pre_buffer: Duration::from_secs(u64::from(config.pre_buffer_seconds)),
            ..RingLimits::default()
        };
        let state = self.state.read();
        devices::streams(hardware)
            .map(|(channel, stream)| {
                let present = state.streams.get(&stream.id).cloned();
                let stream = present.unwrap_or_else(|| Stream::new(stream.id, channel.id, limits, utc_now()));
                (stream.id, stream)
            })
            .collect()
    }

    fn start_device(
        &self,
        driver: &Arc<dyn Driver>,
        spec: &varde_driver::DeviceSpec,
        streams: &HashMap<StreamId, Arc<Stream>>,
    ) -> Device {
        let outlet = DeviceOutlet::new(spec.clone(), streams.clone(), Arc::clone(&self.events));
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (driver, spec) = (Arc::clone(driver), spec.clone());
        let (told, surroundings) = (Arc::clone(&outlet), Arc::clone(&self.surroundings));
        let task = self.io.spawn(async move { driver.run(spec, receiver, told, surroundings).await });
        Device { outlet, commands, task }
    }

    /// Makes the stream's recording as the channel wants it.
    fn apply_recording(&self, hardware: &HardwareConfig, channel: &ChannelConfig, stream: &Stream) {
        let has_role = channel
            .streams
            .iter()
            .any(|config| config.id == stream.id && config.roles.contains(&StreamRole::Record));
        let wanted = hardware.enabled && channel.record && has_role;
        if !wanted {
            stream.stop_recording(Some(GapCause::Disabled));
            return;
        }
        let Some(storage) = self.storages.place(channel) else { return };
        let (present, next) = stream.recorded_to();
        if present == Some(storage) {
            stream.stay();
        } else if next != Some(storage)
            && let Some(track) = self.storages.track(storage, hardware, channel, stream.id)
        {
            let at_once = present.is_some_and(|present| !self.storages.is_wanted(present));
            stream.record(storage, track, at_once);
        }
    }

    pub fn ring(&self, stream: StreamId) -> Option<Arc<crate::ring::Ring>> {
        self.state.read().streams.get(&stream).map(|stream| Arc::clone(&stream.ring))
    }

    pub fn storages(&self) -> &Storages {
        &self.storages
    }

    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// The configured channel, while it is in use.
    pub fn channel_of(&self, stream: StreamId) -> Option<ChannelId> {
        self.state.read().streams.get(&stream).map(|stream| stream.channel)
    }

    pub fn status(&self) -> RecorderStatus {
        let state = self.state.read();
        let mut channels = Vec::new();
        for hardware in state.config.iter().flat_map(|config| &config.hardware) {
            for channel in &hardware.channels {
                channels.extend(channel_status(&state, hardware, channel));
            }
        }
        RecorderStatus {
            writer: self.writer,
            started: self.started,
            revision: state.config.as_ref().map_or(0, |config| config.revision),
            channels,
            storages: self.storages.status(),
        }
    }

    /// Stops the drivers, closes the files and makes everything durable.
    pub async fn stop(&self) {
        let _one_at_a_time = self.snapshot.lock().await;
        let devices: Vec<Device> = {
            let mut state = self.state.write();
            state.stopped = true;
            state.devices.drain().map(|(_, device)| device).collect()
        };
        // All at once: each may take its time to say goodbye.
        let ended = devices.into_iter().map(|device| async move {
            let outlet = Arc::clone(&device.outlet);
            device.stop().await;
            for stream in outlet.streams() {
                stream.stop_recording(None);
                stream.ring.close();
            }
        });
        futures::future::join_all(ended).await;
        self.storages.close().await;
    }
}

/// The state of the channel's recorded stream, else of its first.
fn channel_status(
    state: &State,
    hardware: &HardwareConfig,
    channel: &ChannelConfig,
) -> Option<ChannelStatus> {
    let streams: Vec<&Arc<Stream>> =
        channel.streams.iter().filter_map(|stream| state.streams.get(&stream.id)).collect();
    let leading = streams.iter().find(|stream| stream.is_recorded()).or(streams.first())?;
    let view = leading.view();
    Some(ChannelStatus {
        channel: channel.id,
        hardware: hardware.id,
        state: view.state.code().to_owned(),
        parameters: view.parameters,
        state_since: view.since,
        recording: streams.iter().any(|stream| stream.is_recording()),
        streams: streams.iter().map(|stream| stream.status()).collect(),
    })
}
