//! The folder of exports: `<id>.json` says what it is, `<id>.mp4` is the file, `<id>.part` one that is being made.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use varde_api::codes::ProblemCode;
use varde_api::media::{Export, ExportState};
use varde_ids::{ExportId, UserId};

use crate::gateway::Limits;

/// A description's length at most; a longer file is none of ours.
const DOCUMENT_BYTES_MAX: u64 = 64 << 10;

/// An export and whose it is, as it lies on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) owner: UserId,
    pub(super) export: Export,
}

#[derive(Debug)]
struct Job {
    record: Record,
    making: Option<AbortHandle>,
}

#[derive(Debug)]
pub(crate) struct Exports {
    folder: PathBuf,
    jobs: Mutex<HashMap<ExportId, Job>>,
    pub(super) places: Arc<Semaphore>,
    per_user_max: usize,
    bytes_max: u64,
}

impl Exports {
    /// Reads the folder. What was being made when the server went down has failed.
    pub(crate) async fn open(folder: PathBuf, limits: &Limits) -> io::Result<Self> {
        tokio::fs::create_dir_all(&folder).await?;
        let mut jobs = HashMap::new();
        let mut entries = tokio::fs::read_dir(&folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("part") => tokio::fs::remove_file(&path).await?,
                Some("json") => match read(&path).await {
                    Ok(mut record) => {
                        if record.export.state == ExportState::Running {
                            record.export.state = ExportState::Failed;
                            record.export.error = Some(ProblemCode::Interrupted.code().to_owned());
                        }
                        jobs.insert(record.export.id, Job { record, making: None });
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "not an export's description")
                    }
                },
                _ => {}
            }
        }
        Ok(Self {
            folder,
            jobs: Mutex::new(jobs),
            places: Arc::new(Semaphore::new(limits.exports_running_max)),
            per_user_max: limits.exports_per_user_max,
            bytes_max: limits.exports_bytes_max,
        })
    }

    pub(super) fn path(&self, id: ExportId, extension: &str) -> PathBuf {
        self.folder.join(format!("{id}.{extension}"))
    }

    /// Whether so many bytes more may be written, all exports together.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let used: u64 = self.jobs.lock().values().map(|job| job.record.export.bytes).sum();
        used.saturating_add(bytes) <= self.bytes_max
    }

    /// Newest first.
    pub(super) fn of(&self, owner: UserId) -> Vec<Export> {
        let jobs = self.jobs.lock();
        let own = jobs.values().filter(|job| job.record.owner == owner);
        let mut list: Vec<Export> = own.map(|job| job.record.export.clone()).collect();
        list.sort_by_key(|export| std::cmp::Reverse(export.id));
        list
    }

    /// Another's export is as unknown as none.
    pub(super) fn find(&self, id: ExportId, owner: UserId) -> Option<Export> {
        let jobs = self.jobs.lock();
        jobs.get(&id).filter(|job| job.record.owner == owner).map(|job| job.record.export.clone())
    }

    /// Takes a new one in, unless its owner has as many as there may be: then that number is the error.
    pub(super) async fn insert(&self, record: Record) -> io::Result<Result<(), usize>> {
        {
            let mut jobs = self.jobs.lock();
            if jobs.values().filter(|job| job.record.owner == record.owner).count() >= self.per_user_max {
                return Ok(Err(self.per_user_max));
            }
            jobs.insert(record.export.id, Job { record: record.clone(), making: None });
        }
        self.write(&record).await?;
        Ok(Ok(()))
    }

    pub(super) fn set_making(&self, id: ExportId, making: AbortHandle) {
        match self.jobs.lock().get_mut(&id) {
            Some(job) => job.making = Some(making),
            None => making.abort(),
        }
    }

    pub(super) fn set_progress(&self, id: ExportId, progress: f64, bytes: u64) {
        if let Some(job) = self.jobs.lock().get_mut(&id) {
            job.record.export.progress = progress.clamp(0.0, 1.0);
            job.record.export.bytes = bytes;
        }
    }

    /// Writes down how it ended.
    pub(super) async fn finish(&self, id: ExportId, result: Result<u64, ProblemCode>) -> io::Result<()> {
        let record = {
            let mut jobs = self.jobs.lock();
            let Some(job) = jobs.get_mut(&id) else { return Ok(()) };
            let export = &mut job.record.export;
            match result {
                Ok(bytes) => {
                    (export.state, export.progress, export.bytes) = (ExportState::Done, 1.0, bytes);
                }
                Err(code) => {
                    (export.state, export.bytes) = (ExportState::Failed, 0);
                    export.error = Some(code.code().to_owned());
                }
            }
            job.making = None;
            job.record.clone()
        };
        self.write(&record).await
    }

    /// Stops and forgets an export. `false`: its owner has no such export.
    pub(super) async fn remove(&self, id: ExportId, owner: UserId) -> bool {
        let job = {
            let mut jobs = self.jobs.lock();
            match jobs.get(&id) {
                Some(job) if job.record.owner == owner => jobs.remove(&id),
                _ => None,
            }
        };
        let Some(job) = job else { return false };
        if let Some(making) = job.making {
            making.abort();
        }
        for extension in ["mp4", "part", "json"] {
            match tokio::fs::remove_file(self.path(id, extension)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%id, extension, %error, "an export's file stays behind");
                }
                _ => {}
            }
        }
        true
    }

    /// Replaces the description in one step, so that a crash leaves the old or the new.
    async fn write(&self, record: &Record) -> io::Result<()> {
        let new = self.path(record.export.id, "new");
        tokio::fs::write(&new, serde_json::to_vec(record)?).await?;
        tokio::fs::rename(&new, self.path(record.export.id, "json")).await
    }
}

async fn read(path: &Path) -> io::Result<Record> {
    if tokio::fs::metadata(path).await?.len() > DOCUMENT_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    Ok(serde_json::from_slice(&tokio::fs::read(path).await?)?)
}
