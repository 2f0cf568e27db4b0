//! What the storage's threads share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use serde_json::{Map, Value};
use varde_api::codes::{EventType, StorageState};
use varde_footage::{ClockMapping, ClockWatch, FilePath, LedgerRecord};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

use crate::crypt::Vault;
use crate::disk::{Disk, DiskFile};
use crate::index::Index;
use crate::lease::Leases;
use crate::ledger::Ledger;
use crate::live::LiveFiles;
use crate::options::{Ambient, EventSink, StoreEvent, StoreOptions, state_from_number};
use crate::queue::{Queue, Slot};
use crate::tables::TableCache;

/// The epoch and the line from monotonic time to UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) epoch: u32,
    pub(crate) mapping: ClockMapping,
}

/// What the next flush must make durable.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) files: HashMap<String, Arc<dyn DiskFile>>,
    pub(crate) folders: BTreeSet<String>,
    /// What can be published when all of it is durable: the newest fragment of each stream.
    pub(crate) newest: HashMap<StreamId, (Arc<Slot>, u64, Utc)>,
    /// What the ledger says once all of it is durable: files that were closed. Until then a crash must look at them.
    pub(crate) closed: Vec<LedgerRecord>,
}

/// How long recordings of channels are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetentionRules {
    pub(crate) channels: BTreeMap<ChannelId, Duration>,
    pub(crate) storage: Option<Duration>,
    pub(crate) size_max: Option<u64>,
    pub(crate) free_min: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    /// The first epoch of this run: what is older was recorded by an earlier one.
    pub(crate) first_epoch: u32,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) live: LiveFiles,
    pub(crate) clock: RwLock<Clock>,
    pub(crate) watch: Mutex<ClockWatch>,
    pub(crate) dirty: Mutex<Dirty>,
    pub(crate) index: Index,
    pub(crate) tables: TableCache,
    pub(crate) leases: Leases,
    pub(crate) vault: Vault,
    pub(crate) rules: Mutex<RetentionRules>,
    /// Held while files are chosen and deleted, so that two do not free the same room.
    pub(crate) deleting: Mutex<()>,
    /// A flush failed and the writer has not sealed its files yet: nothing may be flushed or published.
    pub(crate) poisoned: AtomicBool,
    /// Held during a flush: what a flush took over must be durable before a later one publishes.
    pub(crate) flushing: Mutex<()>,
    pub(crate) bytes_written: AtomicU64,
    state: AtomicU8,
    pub(crate) stopping: AtomicBool,
    pub(crate) wake: (Mutex<()>, Condvar),
}

/// The parts that [`Shared`] is made of.
pub(crate) struct Parts {
    pub(crate) options: StoreOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) ledger: Ledger,
    pub(crate) watch: ClockWatch,
    pub(crate) epoch: u32,
    pub(crate) index: Index,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { options, disk, ambient, sink, ledger, watch, epoch, index } = parts;
        let rules = RetentionRules {
            channels: BTreeMap::new(),
            storage: options.retention,
            size_max: options.size_max.map(|size| size.bytes()),
            free_min: options.free_min.bytes(),
        };
        Self {
            queue: Arc::new(Queue::new(options.memory_max.bytes())),
            ledger: Mutex::new(ledger),
            live: LiveFiles::default(),
            clock: RwLock::new(Clock { epoch, mapping: watch.mapping() }),
            watch: Mutex::new(watch),
            dirty: Mutex::default(),
            index,
            tables: TableCache::default(),
            leases: Leases::default(),
            vault: Vault::new(Arc::clone(&disk), options.master_key.clone()),
            rules: Mutex::new(rules),
            deleting: Mutex::default(),
            flushing: Mutex::default(),
            poisoned: AtomicBool::new(false),
            bytes_written: AtomicU64::new(0),
            state: AtomicU8::new(0),
            stopping: AtomicBool::new(false),
            wake: Default::default(),
            options,
            first_epoch: epoch,
            disk,
            ambient,
            sink,
        }
    }

    pub(crate) fn state(&self) -> StorageState {
        state_from_number(self.state.load(Ordering::Acquire))
    }

    /// Moves to a state and says so, if it is another one.
    pub(crate) fn enter(&self, state: StorageState, why: &str) {
        let number = StorageState::ALL.iter().position(|known| *known == state).unwrap_or(0) as u8;
        if self.state.swap(number, Ordering::AcqRel) == number {
            return;
        }
        let good = state == StorageState::Online;
        if good {
            tracing::info!(storage = %self.options.storage, "the storage is online again");
        } else {
            tracing::error!(storage = %self.options.storage, state = state.code(), why, "storage");
        }
        let mut data = Map::new();
        data.insert("state".into(), Value::from(state.code()));
        data.insert("reason".into(), Value::from(why));
        let severity = if good { "info" } else { "error" };
        self.event(EventType::StorageState, severity, None, data);
    }

    pub(crate) fn event(
        &self,
        kind: EventType,
        severity: &'static str,
        channel: Option<ChannelId>,
        data: Map<String, Value>,
    ) {
        let time = self.ambient.utc();
        self.sink.event(StoreEvent { kind, time, severity, storage: self.options.storage, channel, data });
    }

    /// The state that an error of the disk means.
    pub(crate) fn enter_for(&self, error: &io::Error) {
        let state = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageState::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StorageState::ReadOnly,
            io::ErrorKind::NotFound => StorageState::Offline,
            _ => StorageState::Suspect,
        };
        self.enter(state, &error.to_string());
    }

    /// Now, in the epoch's time.
    pub(crate) fn now(&self) -> Utc {
        self.clock.read().mapping.utc(self.ambient.mono())
    }

    /// Writes a record. An error is the disk's: the record stands in memory and is written again later.
    pub(crate) fn record(&self, record: LedgerRecord) {
        let result = self.ledger.lock().append(self.now(), record);
        if let Err(error) = result {
            self.enter_for(&error);
        }
    }

    /// The file's bytes must be made durable by the next flush.
    pub(crate) fn mark_dirty(&self, path: String, file: &Arc<dyn DiskFile>) {
        self.dirty.lock().files.insert(path, Arc::clone(file));
    }

    pub(crate) fn mark_folder_dirty(&self, path: String) {
        self.dirty.lock().folders.insert(path);
    }

    pub(crate) fn is_full(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Sleeps until the span has passed or somebody wakes; true if the storage is closing.
    pub(crate) fn pause(&self, span: Duration) -> bool {
        let mut guard = self.wake.0.lock();
        if !self.stopping.load(Ordering::Acquire) {
            self.wake.1.wait_for(&mut guard, span);
        }
        self.stopping.load(Ordering::Acquire)
    }
}

/// The path of a recording below the storage's root.
pub(crate) fn media_path(path: &FilePath) -> String {
    format!("{}/{path}", varde_footage::MEDIA_FOLDER)
}

/// The path of a recording's folder below the storage's root.
pub(crate) fn media_folder(path: &FilePath) -> String {
    format!("{}/{}", varde_footage::MEDIA_FOLDER, path.folder())
}
