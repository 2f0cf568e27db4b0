//! One device in the recorder: its driver's task, and where what the driver says goes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use varde_ambient::utc_now;
use varde_api::codes::{CameraState, EventType};
use varde_codec::{AccessUnit, Format};
use varde_driver::{Command, DeviceSpec, Outlet, SourceHealth, SourceState};
use varde_ids::StreamId;
use varde_units::Mono;

use crate::events::{EventLog, Occurrence};
use crate::stream::Stream;

/// Commands that wait for a driver at most.
pub const COMMANDS_MAX: usize = 16;

/// A driven device. Ending it stops the driver and waits for its end.
#[derive(Debug)]
pub struct Device {
    pub outlet: Arc<DeviceOutlet>,
    pub commands: mpsc::Sender<Command>,
    pub task: JoinHandle<()>,
}

impl Device {
    pub async fn update(&self, spec: DeviceSpec) {
        self.outlet.set_spec(spec.clone());
        let _ = self.commands.send(Command::Update(spec)).await;
    }

    pub async fn stop(self) {
        let _ = self.commands.send(Command::Stop).await;
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a driver ended in a panic");
        }
    }
}

/// Receives what a driver says.
#[derive(Debug)]
pub struct DeviceOutlet {
    events: Arc<EventLog>,
    routes: RwLock<Routes>,
}

#[derive(Debug)]
struct Routes {
    spec: DeviceSpec,
    streams: HashMap<StreamId, Arc<Stream>>,
}

impl DeviceOutlet {
    pub fn new(
        spec: DeviceSpec,
        streams: HashMap<StreamId, Arc<Stream>>,
        events: Arc<EventLog>,
    ) -> Arc<Self> {
        Arc::new(Self { events, routes: RwLock::new(Routes { spec, streams }) })
    }

    pub fn spec(&self) -> DeviceSpec {
        self.routes.read().spec.clone()
    }

    fn set_spec(&self, spec: DeviceSpec) {
        self.routes.write().spec = spec;
    }

    pub fn set_streams(&self, streams: HashMap<StreamId, Arc<Stream>>) {
        self.routes.write().streams = streams;
    }

    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.routes.read().streams.values().cloned().collect()
    }

    fn stream(&self, id: StreamId) -> Option<Arc<Stream>> {
        self.routes.read().streams.get(&id).cloned()
    }

    /// The streams of a source.
    fn source(&self, source: usize) -> Vec<Arc<Stream>> {
        let routes = self.routes.read();
        let Some(spec) = routes.spec.sources.get(source) else { return Vec::new() };
        [spec.video, spec.audio, spec.metadata]
            .into_iter()
            .flatten()
            .filter_map(|id| routes.streams.get(&id).cloned())
            .collect()
    }
}

impl Outlet for DeviceOutlet {
    fn format(&self, stream: StreamId, format: Arc<Format>) {
        if let Some(stream) = self.stream(stream) {
            stream.on_format(format);
        }
    }

    fn unit(&self, stream: StreamId, unit: AccessUnit) {
        if let Some(stream) = self.stream(stream) {
            stream.on_unit(unit);
        }
    }

    fn state(&self, source: usize, state: SourceState, at: Mono) {
        let now = utc_now();
        for stream in self.source(source) {
            if !stream.on_state(&state, at, now) {
                continue;
            }
            let severity = match state.state {
                CameraState::Online
                | CameraState::Connecting
                | CameraState::Disabled
                | CameraState::Retired => "info",
                _ => "warning",
            };
            let mut occurrence = Occurrence::pulse(EventType::CameraState, now, severity)
                .with("state", state.state.code())
                .with("stream", stream.id.to_string())
                .with("parameters", state.parameters.clone());
            occurrence.channel = Some(stream.channel);
            if let Some(detail) = &state.detail {
                occurrence = occurrence.with("detail", detail.as_str());
            }
            self.events.push(occurrence);
        }
    }

    fn health(&self, source: usize, health: SourceHealth) {
        for stream in self.source(source) {
            stream.on_health(health);
        }
    }
}
