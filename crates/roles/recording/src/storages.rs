//! The recorder's storages: opened as the snapshot names them, asked as if they were one.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use parking_lot::RwLock;
use varde_api::codes::{EventType, StorageState};
use varde_api_internal::config::{ChannelConfig, HardwareConfig, RecorderConfig, StorageConfig};
use varde_api_internal::recorder::{Plan, StorageStatus, Timeline};
use varde_footage::FilePath;
use varde_ids::{ChannelId, StorageId, StreamId, WriterId};
use varde_media_store::{
    EventSink, Lease, MasterKey, ReadError, Store, StoreEvent, StoreOptions, TrackSpec, TrackWriter,
};
use varde_units::{ByteSize, Utc};

use crate::events::{EventLog, Occurrence};
use crate::recorder::Options;
use crate::surroundings::RealSurroundings;

const DAY: Duration = Duration::from_secs(86_400);
/// No media file is longer (design: 30 minutes), with room for its last fragment.
const FILE_SPAN_MAX: Duration = Duration::from_secs(31 * 60);

#[derive(Debug)]
pub struct Storages {
    folder: PathBuf,
    writer: WriterId,
    built: Utc,
    key: SigningKey,
    events: Arc<EventLog>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<StorageId, Arc<Store>>,
    folders: HashMap<StorageId, PathBuf>,
    /// Wanted, and could not be opened: why.
    missing: HashMap<StorageId, (StorageConfig, String)>,
    order: Vec<StorageId>,
}

/// Hands a storage's events on to the recorder's log.
#[derive(Debug)]
struct Sink(Arc<EventLog>);

impl EventSink for Sink {
    fn event(&self, event: StoreEvent) {
        let mut occurrence = Occurrence::pulse(event.kind, event.time, event.severity);
        occurrence.storage = Some(event.storage);
        occurrence.channel = event.channel;
        occurrence.data = event.data;
        self.0.push(occurrence);
    }
}

impl Storages {
    /// Reads or makes the recorder's own keys.
    pub fn open_folder(options: &Options, writer: WriterId, events: Arc<EventLog>) -> std::io::Result<Self> {
        let key = SigningKey::from_bytes(&key_file(&options.folder.join("signing.key"))?);
        // What a verification trusts: to be kept somewhere else as well.
        let public: String =
            key.verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(options.folder.join("signing.pub"), public + "\n")?;
        Ok(Self {
            folder: options.folder.clone(),
            writer,
            built: options.built,
            key,
            events,
            state: RwLock::default(),
        })
    }

    /// Opens what is new, and hands on what changed.
    pub async fn apply(self: &Arc<Self>, config: &Arc<RecorderConfig>) {
        let (storages, config) = (Arc::clone(self), Arc::clone(config));
        let applied = tokio::task::spawn_blocking(move || storages.apply_blocking(&config)).await;
        if let Err(error) = applied {
            tracing::error!(%error, "the storages could not be applied");
        }
    }

    /// Makes the indexes of all storages anew; gives the number of recordings. Reads the disks.
    pub fn rebuild(&self, config: &RecorderConfig, progress: &mut dyn FnMut(u64)) -> std::io::Result<u64> {
        self.apply_blocking(config);
        if let Some((storage, reason)) = self.state.read().missing.values().next() {
            return Err(std::io::Error::other(format!("{}: {reason}", storage.path)));
        }
        let mut files = 0;
        for store in self.stores() {
            files += store.rebuild_index(|done| progress(files + done))?;
            store.shut_down();
        }
        Ok(files)
    }

    fn apply_blocking(&self, config: &RecorderConfig) {
        for storage in &config.storages {
            let present = self.state.read().open.get(&storage.id).cloned();
            let store = match present {
                Some(store) => Some(store),
                None => self.open(config, storage),
            };
            if let Some(store) = store {
                let age = storage.retention_days.map(|days| DAY * days);
                let size_max = storage.size_max_bytes.map(ByteSize);
                store.set_retention(age, size_max, ByteSize(storage.free_min_bytes));
                // Also of channels that are not recorded, or that are recorded somewhere else by now: older footage
                // of theirs may lie here.
                for channel in config.hardware.iter().flat_map(|hardware| &hardware.channels) {
                    store.set_channel_retention(channel.id, channel_retention(channel));
                }
            }
        }
        let mut state = self.state.write();
        state.order = config.storages.iter().map(|storage| storage.id).collect();
        let State { missing, order, .. } = &mut *state;
        missing.retain(|id, _| order.contains(id));
    }

    /// Closes the storages that the configuration no longer names, once nothing is recorded to them any more.
    pub async fn close_gone(&self, config: &RecorderConfig) {
        let gone: Vec<Arc<Store>> = {
            let mut state = self.state.write();
            let wanted = |id: &StorageId| config.storages.iter().any(|storage| storage.id == *id);
            let ids: Vec<StorageId> = state.open.keys().filter(|id| !wanted(id)).copied().collect();
            ids.into_iter().filter_map(|id| state.open.remove(&id)).collect()
        };
        if !gone.is_empty() {
            shut_down(gone).await;
        }
    }

    fn open(&self, config: &RecorderConfig, storage: &StorageConfig) -> Option<Arc<Store>> {
        // A storage is made once. From then on a folder without it means that its disk is not there, and it is
        // never made again: that would fill the disk beneath the mount.
        let mark = self.folder.join(format!("storage-{}.known", storage.id));
        let opened = self.options(config, storage, !mark.exists()).and_then(|options| {
            let sink = Arc::new(Sink(Arc::clone(&self.events)));
            Store::open(options, Arc::new(RealSurroundings), sink).map_err(|error| error.to_string())
        });
        let mut state = self.state.write();
        match opened {
            Ok(store) => {
                if let Err(error) = fs::write(&mark, b"") {
                    tracing::warn!(%error, path = %mark.display(), "could not be written");
                }
                let store = Arc::new(store);
                state.missing.remove(&storage.id);
                state.open.insert(storage.id, Arc::clone(&store));
                state.folders.insert(storage.id, PathBuf::from(&storage.path));
                Some(store)
            }
            Err(reason) => {
                let known = state.missing.insert(storage.id, (storage.clone(), reason.clone()));
                // Tried every few seconds; said once.
                if known.is_none_or(|(_, before)| before != reason) {
                    tracing::error!(storage = %storage.id, path = %storage.path, %reason, "a storage can't be opened");
                    let mut occurrence =
                        Occurrence::pulse(EventType::StorageState, varde_ambient::utc_now(), "error")
                            .with("state", StorageState::Offline.code())
                            .with("reason", reason);
                    occurrence.storage = Some(storage.id);
                    self.events.push(occurrence);
                }
                None
            }
        }
    }

    fn options(
        &self,
        config: &RecorderConfig,
        storage: &StorageConfig,
        create: bool,
    ) -> Result<StoreOptions, String> {
        let index = self.folder.join("index");
        fs::create_dir_all(&index).map_err(|error| format!("{}: {error}", index.display()))?;
        let key = self.folder.join("storage.key");
        // Read wherever it exists: a storage that is no longer encrypted may hold older footage that is.
        let master_key = if storage.encrypted || key.exists() {
            Some(MasterKey(key_file(&key).map_err(|error| format!("{}: {error}", key.display()))?))
        } else {
            None
        };
        let mut options = StoreOptions::new(
            &storage.path,
            index,
            config.installation,
            storage.id,
            self.writer,
            self.key.clone(),
        );
        options.create = create;
        options.size_max = storage.size_max_bytes.map(ByteSize);
        options.free_min = ByteSize(storage.free_min_bytes);
        options.retention = storage.retention_days.map(|days| DAY * days);
        options.master_key = master_key;
        options.encrypt = storage.encrypted;
        options.built = self.built;
        Ok(options)
    }

    pub fn has_missing(&self) -> bool {
        !self.state.read().missing.is_empty()
    }

    /// Where a channel is recorded: in its own storage, or in the first that takes recordings. `None` when there is
    /// none.
    pub fn place(&self, channel: &ChannelConfig) -> Option<StorageId> {
        let state = self.state.read();
        let named = std::iter::once(&channel.storage).filter(|id| state.order.contains(id));
        named.chain(&state.order).find(|id| state.open.contains_key(id)).copied()
    }

    /// Whether the configuration names it.
    pub fn is_wanted(&self, storage: StorageId) -> bool {
        self.state.read().order.contains(&storage)
    }

    /// A writer for a channel's stream in an open storage.
    pub fn track(
        &self,
        storage: StorageId,
        hardware: &HardwareConfig,
        channel: &ChannelConfig,
        stream: StreamId,
    ) -> Option<TrackWriter> {
        let store = self.state.read().open.get(&storage).cloned()?;
        Some(store.writer(TrackSpec {
            channel: channel.id,
            stream,
            priority: channel.priority,
            retention: channel_retention(channel),
            channel_name: channel.name.clone(),
            device_name: hardware.name.clone(),
        }))
    }

    fn stores(&self) -> Vec<Arc<Store>> {
        let state = self.state.read();
        state.order.iter().filter_map(|id| state.open.get(id).cloned()).collect()
    }

    /// The timeline of a channel over all storages.
    pub fn timeline(
        &self,
        channel: ChannelId,
        start: Utc,
        end: Utc,
        limit: u32,
    ) -> Result<Timeline, ReadError> {
        let mut whole = Timeline::default();
        for store in self.stores() {
            let part = store.timeline(channel, start, end, limit)?;
            whole.recordings.extend(part.recordings);
            whole.gaps.extend(part.gaps);
            whole.next = earlier(whole.next, part.next);
        }
        // What one storage left out may lie before what another told: the answer ends where the first was cut.
        if let Some(next) = whole.next {
            whole.recordings.retain(|recording| recording.start < next);
            whole.gaps.retain(|gap| gap.start < next);
        }
        whole.recordings.sort_by_key(|recording| (recording.start, recording.end));
        whole.gaps.sort_by_key(|gap| gap.start);
        end_open_gaps(&mut whole);
        Ok(whole)
    }

    /// The plan of a stream over all storages.
    pub fn plan(
        &self,
        stream: StreamId,
        start: Utc,
        end: Utc,
        entry_points_only: bool,
        limit: u32,
    ) -> Result<Plan, ReadError> {
        let mut whole = Plan::default();
        for store in self.stores() {
            let part = store.plan(stream, start, end, entry_points_only, limit)?;
            whole.files.extend(part.files);
            whole.next = earlier(whole.next, part.next);
        }
        if let Some(next) = whole.next {
            whole.files.retain(|file| file.start < next);
        }
        whole.files.sort_by_key(|file| (file.epoch, file.start));
        Ok(whole)
    }

    /// A media file for reading; retention leaves it alone while it is open.
    pub fn open_file(&self, storage: StorageId, file: &str) -> Result<OpenFile, ReadError> {
        let (store, folder) = {
            let state = self.state.read();
            let store = state.open.get(&storage).cloned().ok_or(ReadError::NotFound)?;
            (store, state.folders.get(&storage).cloned().ok_or(ReadError::NotFound)?)
        };
        let path: FilePath = file.parse().map_err(|_| ReadError::NotFound)?;
        let lease = store.open_lease(path.channel, path.start(), path.start().plus(FILE_SPAN_MAX));
        // From the parsed name, which can't leave the folder.
        let place = folder.join(varde_footage::MEDIA_FOLDER).join(path.to_string());
        let bytes = match fs::metadata(place) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(ReadError::NotFound),
            Err(error) => return Err(error.into()),
        };
        Ok(OpenFile { store, file: file.to_owned(), bytes, _lease: lease })
    }

    /// Erases a channel's footage that ends before an instant, on every storage.
    pub fn erase(&self, channel: ChannelId, before: Utc) -> Result<u64, ReadError> {
        Ok(self.stores().iter().map(|store| store.erase(channel, before)).sum())
    }

    pub fn status(&self) -> Vec<StorageStatus> {
        let (open, missing) = {
            let state = self.state.read();
            let missing: Vec<StorageConfig> =
                state.missing.values().map(|(config, _)| config.clone()).collect();
            (state.order.iter().filter_map(|id| state.open.get(id).cloned()).collect::<Vec<_>>(), missing)
        };
        let mut status: Vec<StorageStatus> = open.iter().map(|store| store.status()).collect();
        status.extend(missing.into_iter().map(|config| StorageStatus {
            storage: config.id,
            state: StorageState::Offline.code().to_owned(),
            path: config.path,
            used_bytes: 0,
            free_bytes: 0,
            capacity_bytes: 0,
            size_max_bytes: config.size_max_bytes,
            oldest: None,
            newest: None,
            bytes_per_day: 0,
            channels: Vec::new(),
        }));
        status
    }

    /// Makes everything durable and ends the storages' threads.
    pub async fn close(&self) {
        let stores: Vec<Arc<Store>> = self.state.write().open.drain().map(|(_, store)| store).collect();
        shut_down(stores).await;
    }
}

async fn shut_down(stores: Vec<Arc<Store>>) {
    let closed = tokio::task::spawn_blocking(move || stores.iter().for_each(|store| store.shut_down())).await;
    if let Err(error) = closed {
        tracing::error!(%error, "the storages could not be closed in order");
    }
}

fn channel_retention(channel: &ChannelConfig) -> Option<Duration> {
    channel.retention_days.map(|days| DAY * days)
}

/// A media file that retention leaves alone while this lives.
#[derive(Debug)]
pub struct OpenFile {
    store: Arc<Store>,
    file: String,
    bytes: u64,
    _lease: Lease,
}

impl OpenFile {
    /// The file's length so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `length` bytes from `offset`, decrypted where the recording is encrypted. Reads the disk.
    pub fn read(&self, offset: u64, length: u64) -> Result<Bytes, ReadError> {
        let length = usize::try_from(length).map_err(|_| ReadError::OutOfRange)?;
        self.store.read(&self.file, offset, length)
    }
}

/// A gap that is open in one storage has no end there when the camera went on in another.
fn end_open_gaps(timeline: &mut Timeline) {
    for gap in timeline.gaps.iter_mut().filter(|gap| gap.end.is_none()) {
        gap.end =
            timeline.recordings.iter().map(|recording| recording.start).find(|start| *start >= gap.start);
    }
}

fn earlier(one: Option<Utc>, other: Option<Utc>) -> Option<Utc> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// 32 secret bytes in a file that only its owner can read; made where there is none.
fn key_file(path: &Path) -> std::io::Result<[u8; 32]> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{} is not a key", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = varde_ambient::random_bytes::<32>();
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(&key)?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
