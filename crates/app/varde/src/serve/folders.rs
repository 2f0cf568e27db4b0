//! Where things lie in the data folder, and that they are ours alone.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::Options;
use crate::cli::Failure;

/// A Unix socket's path is at most 107 bytes long (`sockaddr_un`).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Within the data folder.
pub const RECORDER_FOLDER: &str = "recorder";

/// How long the roles of a server that was killed may take to end.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// The same for the supervisor, which ends at once.
const TAKE_OVER_SERVER: Duration = Duration::from_secs(1);
const TAKE_OVER_LOOK: Duration = Duration::from_millis(20);

/// ```text
/// DATA/recorder/     the recorder's snapshot, key and index
/// DATA/management/   database, keys, certificates (ca.pem is for clients)
/// DATA/gateway/      exports
/// DATA/run/          sockets and locks
/// DATA/storage/      the first storage, unless set otherwise
/// ```
#[derive(Clone, Debug)]
pub struct Folders {
    pub recorder: PathBuf,
    pub management: PathBuf,
    pub gateway: PathBuf,
    pub storage: PathBuf,
    pub recorder_socket: PathBuf,
    run: PathBuf,
}

/// That nobody else works in the folder. It ends with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
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
            recorder: data.join(RECORDER_FOLDER),
            management: data.join("management"),
            gateway: data.join("gateway"),
            recorder_socket: data.join("run/recorder.sock"),
            run: data.join("run"),
            storage,
        };
        if folders.recorder_socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(Failure::Failed(format!(
                "the data folder's path is too long for the sockets in it: {}; choose a shorter one with --data",
                data.display()
            )));
        }
        for folder in [&folders.recorder, &folders.management, &folders.gateway, &folders.run] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
        }
        Ok(folders)
    }

    /// The right of one server to this data folder.
    pub fn lock_server(&self) -> Result<FolderLock, Failure> {
        self.lock("server", TAKE_OVER_SERVER)
    }

    /// The right of one process to a role. Waits for the one of a server that was killed.
    pub fn lock_role(&self, name: &str) -> Result<FolderLock, Failure> {
        self.lock(name, TAKE_OVER)
    }

    fn lock(&self, name: &str, patience: Duration) -> Result<FolderLock, Failure> {
        let path = self.run.join(name).with_extension("lock");
        let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(FolderLock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(TAKE_OVER_LOOK);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(Failure::Failed(format!(
                        "another server runs with this data folder ({} is locked); stop it first, or choose another folder with --data",
                        path.display()
                    )));
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_server_and_its_next_may_follow_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let folders = Folders {
            recorder: path("recorder"),
            management: path("management"),
            gateway: path("gateway"),
            storage: path("storage"),
            recorder_socket: path("recorder.sock"),
            run: folder.path().to_path_buf(),
        };
        let first = folders.lock_server().unwrap();
        assert!(folders.lock_server().unwrap_err().to_string().contains("another server"));
        let role = folders.lock_role("recording").unwrap();
        let waiting = {
            let folders = folders.clone();
            std::thread::spawn(move || folders.lock_role("recording").map(drop))
        };
        drop((first, role));
        waiting.join().unwrap().unwrap();
        folders.lock_server().unwrap();
    }
}
