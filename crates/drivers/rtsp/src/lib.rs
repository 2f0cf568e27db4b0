//! Cameras by RTSP: connects, keeps connected, and hands on what comes.
//!
//! Each source of a device has a session and a task of its own; a panic in one is kept to it. What the protocol means,
//! `varde-rtsp` decides; when to try again and what to call a failure, this crate does. Everything runs on the runtime of the
//! caller, and all connections are read at common ticks (see [`varde_net::ReadTicker`]).

mod back_off;
mod datagrams;
mod failure;
mod media;
mod session;
mod source;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use varde_driver::{Command, Credentials, DeviceSpec, Driver, Network, Outlet, SourceSpec, Surroundings};
use varde_net::{CameraTrust, ReadTicker, TlsClient};

use crate::source::{Source, World, printable};

/// Sources of one device; more are left out.
const SOURCES_MAX: usize = 16;
/// How long sessions get to say goodbye.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause after a panic of our own.
const PANIC_PAUSE: Duration = Duration::from_secs(5);

/// The driver named `rtsp`.
#[derive(Debug)]
pub struct RtspDriver {
    ticker: ReadTicker,
    tls: TlsClient,
    user_agent: String,
}

impl RtspDriver {
    /// `user_agent` is what cameras see in their logs: `Varde/0.1.0`.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new(user_agent: &str) -> io::Result<Self> {
        let ticker = ReadTicker::new()?;
        let tls = TlsClient::new(CameraTrust::TrustOnFirstUse);
        Ok(Self { ticker, tls, user_agent: user_agent.to_owned() })
    }
}

#[async_trait]
impl Driver for RtspDriver {
    fn name(&self) -> &'static str {
        "rtsp"
    }

    async fn run(
        &self,
        device: DeviceSpec,
        mut commands: mpsc::Receiver<Command>,
        outlet: Arc<dyn Outlet>,
        surroundings: Arc<dyn Surroundings>,
    ) {
        let world = World {
            ticker: self.ticker.clone(),
            tls: self.tls.clone(),
            user_agent: self.user_agent.clone(),
            outlet,
            surroundings,
        };
        let mut sources = Sources { world, running: Vec::new(), tasks: JoinSet::new() };
        sources.update(device);
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                // Tasks that were told to stop; their results say nothing.
                Some(_) = sources.tasks.join_next() => continue,
            };
            match command {
                Some(Command::Update(device)) => sources.update(device),
                Some(Command::Retry) => sources.retry(),
                Some(Command::Stop) | None => break,
            }
        }
        sources.stop().await;
    }
}

/// What a running source is told: the latest value counts.
#[derive(Clone, Debug)]
struct Control {
    /// In [`DeviceSpec::sources`].
    index: usize,
    networks: Arc<[Network]>,
    /// Counts the wishes to try again at once.
    retries: u64,
    stop: bool,
}

/// What makes a session the same session.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    spec: SourceSpec,
    credentials: Option<Credentials>,
}

struct Running {
    key: Key,
    control: watch::Sender<Control>,
}

struct Sources {
    world: World,
    running: Vec<Running>,
    tasks: JoinSet<()>,
}

impl Sources {
    fn update(&mut self, device: DeviceSpec) {
        let networks: Arc<[Network]> = device.allowed_networks.into();
        let mut before = std::mem::take(&mut self.running);
        for (index, spec) in device.sources.into_iter().take(SOURCES_MAX).enumerate() {
            let key = Key { spec, credentials: device.credentials.clone() };
            let kept = before.iter().position(|each| each.key == key).map(|at| before.swap_remove(at));
            let running = match kept {
                Some(running) => {
                    running.control.send_if_modified(|control| {
                        let changed = control.index != index || control.networks != networks;
                        (control.index, control.networks) = (index, Arc::clone(&networks));
                        changed
                    });
                    running
                }
                None => self.start(key, index, Arc::clone(&networks)),
            };
            self.running.push(running);
        }
        for gone in before {
            gone.control.send_modify(|control| control.stop = true);
        }
    }

    fn start(&mut self, key: Key, index: usize, networks: Arc<[Network]>) -> Running {
        let (control, listen) = watch::channel(Control { index, networks, retries: 0, stop: false });
        self.tasks.spawn(supervise(self.world.clone(), key.clone(), listen));
        Running { key, control }
    }

    fn retry(&mut self) {
        for running in &self.running {
            running.control.send_modify(|control| control.retries += 1);
        }
    }

    async fn stop(mut self) {
        for running in &self.running {
            running.control.send_modify(|control| control.stop = true);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::warn!("an RTSP session did not end in time and is dropped");
        }
    }
}

/// Runs a source until it is told to stop, whatever happens inside.
async fn supervise(world: World, key: Key, control: watch::Receiver<Control>) {
    loop {
        let source = Source::new(world.clone(), key.spec.clone(), key.credentials.clone(), control.clone());
        // A set of its own, so that the inner task ends with this one.
        let mut task = JoinSet::new();
        task.spawn(source.run());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(
                    url = printable(&key.spec.url),
                    "bug: the session of a camera panicked; it begins anew"
                );
            }
            _ => return,
        }
        tokio::time::sleep(PANIC_PAUSE).await;
    }
}
