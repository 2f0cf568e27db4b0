//! Virtual cameras over loopback, watched by FFmpeg and by a plain client that sees every packet.

mod client;
mod control;
mod faults;
mod players;

use tokio::runtime::Runtime;
use varde_virtual_cameras::{Options, VirtualCameras};

/// Cameras on free ports, and the runtime that they live in.
struct Running {
    cameras: VirtualCameras,
    // Dropped last.
    runtime: Runtime,
}

fn running(options: Options) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = Options { rtsp_port: 0, control_port: 0, ..options };
    let cameras = runtime.block_on(VirtualCameras::start(options)).unwrap();
    Running { cameras, runtime }
}

/// One camera for anybody, at 200 pictures a second, so that tests are quick.
fn open() -> Options {
    Options { count: 1, fps: Some(200.0), password: String::new(), ..Options::default() }
}
