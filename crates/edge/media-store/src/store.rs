//! A storage as its users see it: open, write, read, lock, close.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use varde_api::codes::{EventType, GapCause, StorageState};
use varde_api_internal::recorder::{ChannelUsage, Plan, StorageStatus, Timeline};
use varde_footage::{
    ClockWatch, DocumentError, EpochReason, FilePath, GapRecord, LedgerRecord, Lock, MEDIA_FOLDER,
    STORE_DOCUMENT, StoreDocument,
};
use varde_ids::{ChannelId, EventId, LockId, StreamId};
use varde_units::{ByteSize, Utc};

use crate::disk::{Disk, RealDisk, read_whole, write_document};
use crate::index::Index;
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::options::{Ambient, EventSink, OpenError, ReadError, StoreOptions, TrackSpec};
use crate::queue::{Job, Slot};
use crate::shared::{Parts, Shared};
use crate::track::TrackWriter;
use crate::writer::Writer;
use crate::{catalogue, flush, keeper, read, recover, retain};

/// Most events that wait to be delivered, and the longest of them.
const OUTBOX_MAX: usize = 4096;
const OUTBOX_BODY_MAX: usize = 4096;

/// An open storage. Cheap calls are safe from any thread; calls that read the disk say so.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the storage at `options.path`. Blocks: reads the ledger and looks at files that a crash left open.
    pub fn open(
        options: StoreOptions,
        ambient: Arc<dyn Ambient>,
        sink: Arc<dyn EventSink>,
    ) -> Result<Self, OpenError> {
        if options.create {
            std::fs::create_dir_all(&options.path)?;
        }
        let disk = RealDisk::open(&options.path).map_err(|error| missing(error, &options.path))?;
        Self::open_on(Arc::new(disk), options, ambient, sink)
    }

    /// Opens a storage on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        options: StoreOptions,
        ambient: Arc<dyn Ambient>,
        sink: Arc<dyn EventSink>,
    ) -> Result<Self, OpenError> {
        if options.encrypt && options.master_key.is_none() {
            return Err(OpenError::NoMasterKey);
        }
        check_identity(&*disk, &options, ambient.utc())?;
        let mut ledger = Ledger::open(Arc::clone(&disk))?;
        let not_before = options.built.max(ledger.state().newest.unwrap_or(Utc::EPOCH));
        let watch = ClockWatch::new(ambient.mono(), ambient.utc(), not_before);
        let mut newest_epoch = ledger.state().epoch;
        if ledger.may_have_lost() {
            // Files of a lost epoch must not be taken for those of this run.
            newest_epoch = newest_epoch.max(catalogue::newest_epoch(&*disk)?);
        }
        let epoch = newest_epoch.checked_add(1).ok_or_else(|| io::Error::other("epochs ran out"))?;
        begin_run(&mut ledger, &options, &watch, epoch);
        let index = Index::open(&options.index_folder, options.storage)?;
        let shared =
            Arc::new(Shared::new(Parts { options, disk, ambient, sink, ledger, watch, epoch, index }));
        if shared.watch.lock().is_unsure() {
            tracing::warn!("the clock is earlier than it can be; recording goes on and is dated anew later");
        }
        recover::recover_open_files(&shared);
        // What recovery sealed is durable and in the index before anybody asks.
        flush::flush(&shared);
        keeper::replay(&shared)?;
        let store = Self { shared, threads: Mutex::default() };
        store.start_threads()?;
        Ok(store)
    }

    fn start_threads(&self) -> io::Result<()> {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(work)
        };
        let writer = Writer::new(Arc::clone(&self.shared));
        let (flusher, keeping) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let mut threads = self.threads.lock();
        threads.push(spawn("store-writer", Box::new(move || writer.run()))?);
        threads.push(spawn("store-flush", Box::new(move || flush::run(&flusher)))?);
        threads.push(spawn("store-keeper", Box::new(move || keeper::run(&keeping, keeping.first_epoch)))?);
        Ok(())
    }

    /// Begins to record a stream. If an earlier run recorded it, what lies between is a gap, `recorder_down`.
    pub fn writer(&self, spec: TrackSpec) -> TrackWriter {
        if let Some(age) = spec.retention {
            self.shared.rules.lock().channels.insert(spec.channel, age);
        }
        self.explain_absence(&spec);
        TrackWriter::new(Arc::new(Slot::new(spec)), Arc::clone(&self.shared.queue))
    }

    fn explain_absence(&self, spec: &TrackSpec) {
        let gap = {
            let mut ledger = self.shared.ledger.lock();
            let state = ledger.state();
            let Some(tail) = state.streams.get(&spec.stream).copied() else { return };
            let explained = state.open_gaps.iter().any(|gap| gap.stream == spec.stream);
            if explained || tail.epoch >= self.shared.first_epoch {
                return;
            }
            let gap = GapRecord {
                id: state.gap + 1,
                channel: spec.channel,
                stream: spec.stream,
                start: tail.end,
                end: None,
                cause: GapCause::RecorderDown.code().into(),
                parameters: Map::new(),
            };
            let now = self.shared.now();
            if let Err(error) = ledger.append(now, LedgerRecord::GapBegin(gap.clone())) {
                tracing::error!(%error, "the ledger could not take a gap");
            }
            gap
        };
        let data = Map::from_iter([
            ("cause".to_owned(), Value::from(gap.cause)),
            ("phase".to_owned(), Value::from("begin")),
            ("start".to_owned(), Value::from(gap.start.to_string())),
            ("stream".to_owned(), Value::from(gap.stream.to_string())),
            ("gap".to_owned(), Value::from(gap.id)),
        ]);
        self.shared.event(EventType::RecordingGap, "warning", Some(gap.channel), data);
    }

    /// Recorded stretches and gaps of a channel that touch `start..end`, at most `limit` of each. Reads the index.
    pub fn timeline(
        &self,
        channel: ChannelId,
        start: Utc,
        end: Utc,
        limit: u32,
    ) -> Result<Timeline, ReadError> {
        read::timeline(&self.shared, channel, start, end, limit)
    }

    /// Where the fragments of `start..end` lie, from the entry point at or before `start`. Reads the disk.
    pub fn plan(
        &self,
        stream: StreamId,
        start: Utc,
        end: Utc,
        entry_points_only: bool,
        limit: u32,
    ) -> Result<Plan, ReadError> {
        read::plan(&self.shared, stream, start, end, entry_points_only, limit)
    }

    /// Bytes of a recording, decrypted where it is encrypted; at most [`crate::READ_BYTES_MAX`], fewer at the end.
    /// `file` is as plans name it. Reads the disk.
    pub fn read(&self, file: &str, offset: u64, length: usize) -> Result<Bytes, ReadError> {
        let path: FilePath = file.parse().map_err(|_| ReadError::NotFound)?;
        read::read(&self.shared, &path, offset, length)
    }

    /// Keeps `start..end` of a channel from retention while the lease lives.
    pub fn open_lease(&self, channel: ChannelId, start: Utc, end: Utc) -> Lease {
        self.shared.leases.open(channel, start, end)
    }

    /// Locks a stretch of channels against deletion. Returns when the lock is durable.
    pub fn lock(&self, lock: Lock) -> io::Result<()> {
        // Retention that is under way ends first, so that a lock that stands is never broken.
        let _deleting = self.shared.deleting.lock();
        let now = self.shared.now();
        self.shared.ledger.lock().append_durably(now, LedgerRecord::Locked(lock))
    }

    /// Ends a lock. Returns when that is durable.
    pub fn unlock(&self, lock: LockId) -> io::Result<()> {
        let now = self.shared.now();
        self.shared.ledger.lock().append_durably(now, LedgerRecord::Unlocked { lock })
    }

    pub fn locks(&self) -> Vec<Lock> {
        self.shared.ledger.lock().state().locks.clone()
    }

    pub fn state(&self) -> StorageState {
        self.shared.state()
    }

    /// The clock epoch in which recording goes on.
    pub fn epoch(&self) -> u32 {
        self.shared.clock.read().epoch
    }

    /// A monotonic instant in the recording's own time.
    pub fn utc(&self, at: varde_units::Mono) -> Utc {
        self.shared.clock.read().mapping.utc(at)
    }

    /// Whether the clock is earlier than it can be.
    pub fn clock_is_unsure(&self) -> bool {
        self.shared.watch.lock().is_unsure()
    }

    /// A person vouches for the clock: retention by age goes on.
    pub fn confirm_clock(&self) {
        self.shared.watch.lock().confirm();
    }

    /// Changes how long and how much is kept.
    pub fn set_retention(&self, age: Option<Duration>, size_max: Option<ByteSize>, free_min: ByteSize) {
        let mut rules = self.shared.rules.lock();
        rules.storage = age;
        rules.size_max = size_max.map(ByteSize::bytes);
        rules.free_min = free_min.bytes();
    }

    /// Changes how long one channel's recordings are kept; `None`: as the storage says.
    pub fn set_channel_retention(&self, channel: ChannelId, age: Option<Duration>) {
        let mut rules = self.shared.rules.lock();
        match age {
            Some(age) => rules.channels.insert(channel, age),
            None => rules.channels.remove(&channel),
        };
    }

    /// Runs retention now.
    pub fn retain(&self) {
        keeper::catch_up(&self.shared);
        retain::pass(&self.shared);
    }

    /// Erases a channel's closed recordings that end before an instant, unless they are locked or being read. Gives
    /// the bytes that were freed.
    pub fn erase(&self, channel: ChannelId, before: Utc) -> u64 {
        retain::erase(&self.shared, channel, before)
    }

    /// Puts an event into the ledger until it is acknowledged. An error is the disk's or a limit's; the caller
    /// keeps the event.
    pub fn outbox_push(&self, event: EventId, body: Value) -> io::Result<()> {
        let now = self.shared.now();
        let mut ledger = self.shared.ledger.lock();
        let too_long = serde_json::to_vec(&body).map_or(true, |text| text.len() > OUTBOX_BODY_MAX);
        if too_long || ledger.state().outbox.len() >= OUTBOX_MAX {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "the outbox is full or the event too long",
            ));
        }
        ledger.append(now, LedgerRecord::OutboxEvent { event, body })
    }

    pub fn outbox_acknowledge(&self, event: EventId) {
        self.shared.record(LedgerRecord::OutboxAcknowledged { event });
    }

    /// Events that were not acknowledged, oldest first.
    pub fn outbox(&self) -> Vec<(EventId, Value)> {
        self.shared.ledger.lock().state().outbox.clone()
    }

    /// Media in memory: waiting, or written and not yet durable.
    pub fn memory(&self) -> ByteSize {
        ByteSize(self.shared.queue.memory())
    }

    /// Bytes of fragments written by this run.
    pub fn bytes_written(&self) -> ByteSize {
        ByteSize(self.shared.bytes_written.load(Ordering::Relaxed))
    }

    /// State, room and use, also by channel.
    pub fn status(&self) -> StorageStatus {
        keeper::catch_up(&self.shared);
        let mut usage = self.shared.index.lock().usage().clone();
        for live in self.shared.live.all() {
            if live.table.read().summary.is_some() {
                // Closed, and in the index with the next flush.
                continue;
            }
            let Some(span) = live.span() else { continue };
            let channel = usage.entry(live.path.channel).or_default();
            channel.bytes += live.table.read().bytes;
            channel.oldest = Some(channel.oldest.map_or(span.start, |oldest| oldest.min(span.start)));
            channel.newest = Some(channel.newest.map_or(span.end, |newest| newest.max(span.end)));
        }
        let space = self.shared.disk.space().ok();
        let channels: Vec<_> = usage
            .into_iter()
            .map(|(channel, usage)| ChannelUsage {
                channel,
                used_bytes: usage.bytes,
                oldest: usage.oldest,
                newest: usage.newest,
                bytes_per_day: bytes_per_day(usage.bytes, usage.oldest, usage.newest),
            })
            .collect();
        StorageStatus {
            storage: self.shared.options.storage,
            state: self.state().code().into(),
            path: self.shared.options.path.display().to_string(),
            used_bytes: channels.iter().map(|channel| channel.used_bytes).sum(),
            free_bytes: space.map_or(0, |space| space.free_bytes),
            capacity_bytes: space.map_or(0, |space| space.capacity_bytes),
            size_max_bytes: self.shared.rules.lock().size_max,
            oldest: channels.iter().filter_map(|channel| channel.oldest).min(),
            newest: channels.iter().filter_map(|channel| channel.newest).max(),
            bytes_per_day: channels.iter().map(|channel| channel.bytes_per_day).sum(),
            channels,
        }
    }

    /// Makes everything durable that was handed over before the call and is written. For tests and for shutting down.
    pub fn flush(&self) {
        flush::flush(&self.shared);
    }

    /// Makes the index anew now. Recording goes on. Gives the number of files.
    pub fn rebuild_index(&self, mut progress: impl FnMut(u64)) -> io::Result<u64> {
        self.shared.index.lock().demand_rebuild();
        keeper::rebuild(&self.shared, &mut progress)
    }

    /// Whether the index is being made anew, so that what is found may be less than what is there.
    pub fn is_rebuilding(&self) -> bool {
        self.shared.index.lock().needs_rebuild()
    }

    /// Every row of the index as text, to compare two indexes.
    pub fn dump_index(&self) -> Result<std::collections::BTreeSet<String>, ReadError> {
        keeper::catch_up(&self.shared);
        Ok(self.shared.index.lock().dump()?)
    }

    /// Closes all files, makes everything durable and ends the threads. Writers that still live are heard no more.
    pub fn shut_down(&self) {
        let mut threads = std::mem::take(&mut *self.threads.lock()).into_iter();
        let Some(writer) = threads.next() else { return };
        self.shared.queue.push(Job::ShutDown);
        let _ = writer.join();
        {
            let _guard = self.shared.wake.0.lock();
            self.shared.stopping.store(true, Ordering::Release);
            self.shared.wake.1.notify_all();
        }
        for thread in threads {
            let _ = thread.join();
        }
        // The first flush covers the files, the second what the ledger says of them.
        flush::flush(&self.shared);
        let writer = self.shared.options.writer;
        self.shared.record(LedgerRecord::WriterEnd { writer });
        // The last word of the run: everything before it is signed.
        flush::sign_heads(&self.shared);
        flush::flush(&self.shared);
        keeper::catch_up(&self.shared);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn missing(error: io::Error, path: &Path) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotFound => OpenError::NoStorage { path: path.to_owned() },
        _ => error.into(),
    }
}

/// Refuses a folder that is not this storage, and makes one where that is asked for.
fn check_identity(disk: &dyn Disk, options: &StoreOptions, now: Utc) -> Result<(), OpenError> {
    let path = || options.path.clone();
    let text = match read_whole(disk, STORE_DOCUMENT, 1 << 20) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.create => {
            let document = StoreDocument::new(options.installation, options.storage, now);
            disk.create_folder(MEDIA_FOLDER)?;
            write_document(disk, "", STORE_DOCUMENT, &document.to_json())?;
            return Ok(());
        }
        Err(error) => return Err(missing(error, &options.path)),
    };
    let document = StoreDocument::from_json(&text).map_err(|error| match error {
        DocumentError::NotUnderstood(what) => OpenError::Newer { path: path(), what },
        DocumentError::Malformed(what) => {
            OpenError::Io(io::Error::new(io::ErrorKind::InvalidData, format!("{STORE_DOCUMENT}: {what}")))
        }
    })?;
    if document.installation != options.installation {
        return Err(OpenError::OtherInstallation { path: path(), found: document.installation });
    }
    if document.storage != options.storage {
        return Err(OpenError::OtherStorage {
            path: path(),
            expected: options.storage,
            found: document.storage,
        });
    }
    Ok(())
}

/// The records that begin a run. A disk that takes none yet gets them later.
fn begin_run(ledger: &mut Ledger, options: &StoreOptions, watch: &ClockWatch, epoch: u32) {
    let writer = options.writer;
    let mapping = watch.mapping();
    let records = [
        LedgerRecord::StorageIdentity { storage: options.storage },
        LedgerRecord::WriterStart { writer },
        LedgerRecord::EpochGranted { epoch, writer, reason: EpochReason::WriterStarted, mapping },
    ];
    for record in records {
        if let Err(error) = ledger.append(mapping.utc, record) {
            tracing::error!(%error, "the ledger could not be begun");
        }
    }
}

fn bytes_per_day(bytes: u64, oldest: Option<Utc>, newest: Option<Utc>) -> u64 {
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return 0 };
    // Less than a minute says nothing of a day.
    let seconds = newest.since(oldest).as_secs().max(60);
    u64::try_from(u128::from(bytes) * 86_400 / u128::from(seconds)).unwrap_or(u64::MAX)
}
