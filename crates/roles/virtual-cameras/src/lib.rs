//! Virtual cameras: an RTSP server that plays real footage for ever, and can be told to misbehave.
//!
//! It is the product's own test driver and the demo's cameras. Each camera has `/camera/{n}/main` and
//! `/camera/{n}/sub`; every pair of codecs is at `/codec/{video}[-{audio}]` with video `h264`, `h264-b-frames`,
//! `h264-long-gop`, `h264-1080`, `h265`, `mjpeg` and audio `aac`, `opus`, `alaw`, `ulaw`. [`control`] says what can be
//! made to go wrong, [`counter`] how a picture tells its number. Knows nothing of the server that it is used to test.

mod audio;
mod batch;
mod bits;
mod clip;
mod connection;
pub mod control;
pub mod counter;
mod fault;
mod footage;
mod h264;
mod h265;
mod jpeg;
mod options;
mod schedule;
mod server;
mod source;
mod stream;
mod viewer;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use varde_units::Mono;

pub use fault::{ActiveFault, Fault};
pub use options::{Audio, CAMERAS_MAX, Delivery, Options, Video};

/// Connections at a time; more are closed as they come.
const CONNECTIONS_MAX: usize = 2048;

/// Why virtual cameras can't run, or do not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}")]
    Options { what: String },
    #[error("{path}: {what}")]
    Source { path: PathBuf, what: String },
    #[error("port {port} can't be opened")]
    Port { port: u16, source: std::io::Error },
    #[error("the schedule's thread can't be started")]
    Thread(#[source] std::io::Error),
}

/// Virtual cameras that run; they stop when this is dropped.
#[derive(Debug)]
pub struct VirtualCameras {
    server: Arc<server::Server>,
    rtsp: SocketAddr,
    control: SocketAddr,
    tasks: JoinSet<()>,
}

impl VirtualCameras {
    /// Starts within the current tokio runtime.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (listen, rtsp_port, control_port) = (options.listen, options.rtsp_port, options.control_port);
        // Reading and cutting footage takes a moment.
        let server = tokio::task::spawn_blocking(|| server::Server::new(options))
            .await
            .expect("making cameras does not panic")?;
        let server = Arc::new(server);
        let (rtsp_listener, rtsp) = bind(SocketAddr::new(listen, rtsp_port)).await?;
        let (control_listener, control) = bind((Ipv4Addr::LOCALHOST, control_port).into()).await?;
        server.schedule.run().map_err(Error::Thread)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(server.clone(), rtsp_listener));
        let router = control::router(server.clone());
        tasks.spawn(async move {
            if let Err(error) = axum::serve(control_listener, router).await {
                tracing::error!(%error, "the control endpoint ended");
            }
        });
        Ok(Self { server, rtsp, control, tasks })
    }

    pub fn rtsp_address(&self) -> SocketAddr {
        self.rtsp
    }

    pub fn control_address(&self) -> SocketAddr {
        self.control
    }

    /// `rtsp://127.0.0.1:8554/camera/1/main` for `/camera/1/main`; without user and password.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{}{path}", self.rtsp)
    }

    /// The same with user and password, as players take it.
    pub fn url_with_password(&self, path: &str) -> String {
        let Options { user, password, .. } = &self.server.options;
        format!("rtsp://{user}:{password}@{}{path}", self.rtsp)
    }

    /// Makes a camera misbehave, until `duration` is over or the fault is ended.
    pub fn start_fault(&self, camera: &str, fault: Fault, duration: Option<Duration>) -> Result<u64, Error> {
        let camera = self.server.camera(camera).ok_or_else(|| no_camera(camera))?;
        Ok(camera.start_fault(fault, duration)?.id)
    }

    /// Ends all misbehaviour of a camera.
    pub fn end_faults(&self, camera: &str) -> Result<(), Error> {
        self.server.camera(camera).ok_or_else(|| no_camera(camera))?.faults.lock().end_all();
        Ok(())
    }

    /// When the picture that shows `number` began to leave, of the last few thousand; faults that keep packets back do
    /// not count.
    pub fn sent_at(&self, camera: &str, role: &str, number: u32) -> Option<Mono> {
        control::sent_at(&self.server, camera, role, number)
    }

    /// Stops and waits until all ports are free.
    pub async fn stop(mut self) {
        self.server.schedule.stop();
        self.tasks.shutdown().await;
    }
}

impl Drop for VirtualCameras {
    fn drop(&mut self) {
        self.server.schedule.stop();
    }
}

fn no_camera(id: &str) -> Error {
    Error::Options { what: format!("there is no camera {id}") }
}

/// Runs until `shutdown` completes.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let cameras = VirtualCameras::start(options).await?;
    tracing::info!(rtsp = %cameras.rtsp, control = %cameras.control, "virtual cameras run");
    shutdown.await;
    cameras.stop().await;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Port { port: address.port(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Takes connections; they end with this task.
async fn accept(server: Arc<server::Server>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                tracing::warn!(%error, "a connection can't be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < CONNECTIONS_MAX && !server.refuses() {
            connections.spawn(connection::serve(server.clone(), socket, peer));
        }
    }
}
