//! What the driver's tests share: a recorder that writes down what it is told, and the world around the driver.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod camera;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use varde_api::codes::CameraState;
use varde_codec::{AccessUnit, Format};
use varde_driver::{
    Command, Credentials, DeviceSpec, Driver as _, Network, Outlet, SourceHealth, SourceSpec, SourceState,
    Surroundings, Transport,
};
use varde_driver_rtsp::RtspDriver;
use varde_ids::{HardwareId, StreamId};
use varde_units::{Mono, Utc};

/// Far beyond what any step takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub enum Told {
    Format(StreamId, Arc<Format>),
    Unit(StreamId, AccessUnit),
    State(usize, SourceState),
    Health(usize, SourceHealth),
}

/// Writes down everything.
#[derive(Debug, Default)]
pub struct Notebook {
    told: Mutex<Vec<Told>>,
    news: Notify,
}

impl Notebook {
    fn write(&self, told: Told) {
        self.told.lock().unwrap().push(told);
        self.news.notify_one();
    }

    pub fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until `find` finds something in what was told so far.
    pub async fn wait<T>(&self, what: &str, find: impl Fn(&[Told]) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = find(&self.told.lock().unwrap()) {
                    return found;
                }
                self.news.notified().await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => {
                let told = self.all();
                let states: Vec<_> = told.iter().filter(|each| matches!(each, Told::State(..))).collect();
                panic!("never came: {what}; states: {states:?}");
            }
        }
    }

    pub async fn wait_state(&self, source: usize, wanted: CameraState) -> SourceState {
        self.wait(wanted.code(), |told| {
            told.iter().rev().find_map(|each| match each {
                Told::State(index, state) if *index == source && state.state == wanted => Some(state.clone()),
                _ => None,
            })
        })
        .await
    }

    pub async fn wait_units(&self, stream: StreamId, count: usize) -> Vec<AccessUnit> {
        self.wait("units", |told| {
            let units: Vec<_> = units(told, stream).cloned().collect();
            (units.len() >= count).then_some(units)
        })
        .await
    }

    pub fn states(&self, source: usize) -> Vec<CameraState> {
        let told = self.told.lock().unwrap();
        told.iter()
            .filter_map(|each| match each {
                Told::State(index, state) if *index == source => Some(state.state),
                _ => None,
            })
            .collect()
    }
}

pub fn units(told: &[Told], stream: StreamId) -> impl Iterator<Item = &AccessUnit> {
    told.iter().filter_map(move |each| match each {
        Told::Unit(of, unit) if *of == stream => Some(unit),
        _ => None,
    })
}

pub fn formats(told: &[Told], stream: StreamId) -> Vec<Arc<Format>> {
    let of = |each: &Told| match each {
        Told::Format(of, format) if *of == stream => Some(Arc::clone(format)),
        _ => None,
    };
    told.iter().filter_map(of).collect()
}

impl Outlet for Notebook {
    fn format(&self, stream: StreamId, format: Arc<Format>) {
        self.write(Told::Format(stream, format));
    }
    fn unit(&self, stream: StreamId, unit: AccessUnit) {
        self.write(Told::Unit(stream, unit));
    }
    fn state(&self, source: usize, state: SourceState, _at: Mono) {
        self.write(Told::State(source, state));
    }
    fn health(&self, source: usize, health: SourceHealth) {
        self.write(Told::Health(source, health));
    }
}

/// The real clocks, the monotonic one running `speed` times as fast, so that long silences pass in a moment.
#[derive(Debug)]
pub struct World {
    pub speed: u64,
    start: Mono,
}

impl World {
    pub fn new(speed: u64) -> Self {
        Self { speed, start: varde_ambient::mono_now() }
    }
}

impl Surroundings for World {
    fn mono(&self) -> Mono {
        let passed = varde_ambient::mono_now().since(self.start).as_nanos() as u64;
        self.start + Duration::from_nanos(passed * self.speed)
    }
    fn utc(&self) -> Utc {
        varde_ambient::utc_now()
    }
    fn random(&self, limit: u64) -> u64 {
        varde_ambient::random_below_or_equal(limit)
    }
}

pub fn stream(number: u8) -> StreamId {
    StreamId::from_bytes([number; 16])
}

pub fn source(url: &str, transport: Transport, video: u8) -> SourceSpec {
    SourceSpec { url: url.to_owned(), transport, video: Some(stream(video)), audio: None, metadata: None }
}

pub fn device(credentials: Option<(&str, &str)>, sources: Vec<SourceSpec>) -> DeviceSpec {
    DeviceSpec {
        hardware: HardwareId::from_bytes([1; 16]),
        credentials: credentials
            .map(|(user, password)| Credentials { user: user.to_owned(), password: password.to_owned() }),
        allowed_networks: vec![Network::try_from("127.0.0.0/8".to_owned()).unwrap()],
        sources,
    }
}

/// A driver at work on one device.
pub struct Driving {
    pub notebook: Arc<Notebook>,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Driving {
    pub fn start(device: DeviceSpec) -> Self {
        Self::start_at(device, 1)
    }

    pub fn start_at(device: DeviceSpec, speed: u64) -> Self {
        let notebook = Arc::new(Notebook::default());
        let (commands, receiver) = mpsc::channel(8);
        let outlet = Arc::clone(&notebook) as Arc<dyn Outlet>;
        let task = tokio::spawn(async move {
            let driver = RtspDriver::new("Varde/test").unwrap();
            driver.run(device, receiver, outlet, Arc::new(World::new(speed))).await;
        });
        Self { notebook, commands, task }
    }

    pub async fn tell(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    pub async fn stop(self) {
        self.tell(Command::Stop).await;
        tokio::time::timeout(PATIENCE, self.task).await.expect("the driver ends when it is told").unwrap();
    }
}
