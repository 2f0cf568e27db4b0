//! The recording child.

use std::sync::Arc;

use varde_driver::Driver;
use varde_driver_rtsp::RtspDriver;
use varde_units::Utc;

use super::folders::Folders;
use super::{Options, told_to_stop};
use crate::cli::Failure;

pub fn run(_: &Options, folders: &Folders) -> Result<(), Failure> {
    let options = varde_recording::Options { folder: folders.recorder.clone(), built: built() };
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(RtspDriver::new())];
    varde_recording::run(options, &folders.recorder_socket, drivers, told_to_stop())
        .map_err(|error| Failure::Failed(format!("the recorder ended: {error}")))
}

/// No clock can be right that is earlier than the release: the first day of its month.
fn built() -> Utc {
    "2026-11-01T00:00:00Z".parse().expect("the date is well formed")
}
