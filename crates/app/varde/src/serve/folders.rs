//! Where things lie in the data folder, and that they are ours alone.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Options;
use crate::cli::Failure;

/// A Unix socket's path is at most 107 bytes long (`sockaddr_un`).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// ```text
/// DATA/recorder/     the recorder's snapshot, key and index
/// DATA/management/   database, keys, certificate
/// DATA/gateway/      exports
/// DATA/run/          sockets
/// DATA/storage/      the first storage, unless set otherwise
/// ```
#[derive(Clone, Debug)]
pub struct Folders {
    pub recorder: PathBuf,
    pub management: PathBuf,
    pub gateway: PathBuf,
    pub storage: PathBuf,
    pub recorder_socket: PathBuf,
}

impl Folders {
    /// Makes what is missing, readable by the owner alone.
    pub fn create(options: &Options) -> Result<Self, Failure> {
        let data = absolute(&options.data)?;
        let storage = match &options.storage {
            Some(folder) => absolute(folder)?,
            None => data.join("storage"),
        };
        let folders = Self {
            recorder: data.join("recorder"),
            management: data.join("management"),
            gateway: data.join("gateway"),
            recorder_socket: data.join("run/recorder.sock"),
            storage,
        };
        if folders.recorder_socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(Failure::Failed(format!(
                "the data folder's path is too long for the sockets in it: {}; choose a shorter one with --data",
                data.display()
            )));
        }
        for folder in [&folders.recorder, &folders.management, &folders.gateway, &data.join("run")] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
        }
        Ok(folders)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}
