//! The recording child.

use std::path::Path;
use std::sync::Arc;

use varde_driver::Driver;
use varde_driver_rtsp::RtspDriver;
use varde_units::Utc;

use super::folders::Folders;
use super::told_to_stop;
use crate::cli::Failure;

pub fn run(folders: &Folders) -> Result<(), Failure> {
    let options = recorder_options(&folders.recorder);
    let driver = RtspDriver::new(concat!("Varde/", env!("CARGO_PKG_VERSION")))?;
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(driver)];
    varde_recording::run(options, &folders.recorder_socket, drivers, told_to_stop())
        .map_err(|error| Failure::Failed(format!("the recorder ended: {error}")))
}

/// How the recorder in this folder is started.
pub fn recorder_options(folder: &Path) -> varde_recording::Options {
    varde_recording::Options { folder: folder.to_path_buf(), built: built() }
}

/// No clock can be right that is earlier than the release: the first day of its month.
fn built() -> Utc {
    "2026-11-01T00:00:00Z".parse().expect("the date is well formed")
}
