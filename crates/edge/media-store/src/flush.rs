//! The storage's flush thread: once a second it makes durable what was written, and says so; it also looks at the
//! clock and signs the heads of all chains once a minute.
//!
//! A flush that fails is never tried again on the same file: the kernel may have dropped what it could not write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use varde_api::codes::{EventType, StorageState};
use varde_footage::{Checkpoint, ClockAction, ClockMapping, EpochReason, Head, LedgerRecord};
use varde_units::Utc;

use crate::disk::DiskFile;
use crate::options::FlushMode;
use crate::queue::Job;
use crate::shared::{Clock, Dirty, Shared};

const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// From so many files on, flushes run side by side.
const PARALLEL_FROM: usize = 8;
const THREADS: usize = 4;

/// Works until the storage closes; the last flush comes after the writer has ended.
pub(crate) fn run(shared: &Arc<Shared>) {
    let mut signed = shared.ambient.mono();
    while !shared.pause(shared.options.flush_interval) {
        look_at_clock(shared);
        let now = shared.ambient.mono();
        if now.since(signed) >= CHECKPOINT_EVERY {
            signed = now;
            sign_heads(shared);
        }
        flush(shared);
    }
}

/// Makes everything durable that was written before the call.
pub(crate) fn flush(shared: &Arc<Shared>) {
    let _one_at_a_time = shared.flushing.lock();
    if shared.poisoned.load(Ordering::Acquire) {
        return;
    }
    // The ledger is read first: a record that a file relies on is written before the file.
    let dirty = std::mem::take(&mut *shared.dirty.lock());
    let ledger = shared.ledger.lock().to_flush();
    if dirty.files.is_empty() && dirty.folders.is_empty() && dirty.closed.is_empty() && ledger.is_none() {
        return;
    }
    let whole = match shared.options.flush_mode {
        FlushMode::Automatic => shared.disk.own_file_system(),
        FlushMode::WholeFileSystem => true,
        FlushMode::EachFile => false,
    };
    let ledger_file = ledger.as_ref().map(|(file, _, _)| file);
    let outcome = if whole { shared.disk.sync_all() } else { sync_each(shared, &dirty, ledger_file) };
    match outcome {
        Ok(()) => {
            if let Some((_, number, records)) = ledger {
                shared.ledger.lock().flushed(number, records);
            }
            for (slot, sequence, end) in dirty.newest.into_values() {
                slot.publish(sequence, end);
            }
            dirty.closed.into_iter().for_each(|record| shared.record(record));
            shared.queue.push(Job::Flushed);
        }
        Err(error) => {
            shared.enter(StorageState::Suspect, &error.to_string());
            shared.poisoned.store(true, Ordering::Release);
            shared.ledger.lock().abandon();
            shared.queue.push(Job::FlushFailed(error));
        }
    }
}

fn sync_each(shared: &Shared, dirty: &Dirty, ledger: Option<&Arc<dyn DiskFile>>) -> io::Result<()> {
    if let Some(ledger) = ledger {
        ledger.sync()?;
    }
    for folder in &dirty.folders {
        shared.disk.sync_folder(folder)?;
    }
    let files: Vec<_> = dirty.files.values().collect();
    if files.len() < PARALLEL_FROM {
        return files.iter().try_for_each(|file| file.sync());
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(files.len().div_ceil(THREADS))
            .map(|files| scope.spawn(move || files.iter().try_for_each(|file| file.sync())))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a flush thread ended early")))
        })
    })
}

/// Signs the newest leaf of every stream that was ever written here.
pub(crate) fn sign_heads(shared: &Shared) {
    let mut heads: std::collections::BTreeMap<_, _> = {
        let ledger = shared.ledger.lock();
        let streams = ledger.state().streams.iter();
        streams.map(|(stream, tail)| (*stream, (tail.sequence, tail.leaf))).collect()
    };
    for live in shared.live.all() {
        let table = live.table.read();
        if let (Some(row), Some(leaf)) = (table.rows.last(), table.leaves.last()) {
            let head = heads.entry(live.path.stream).or_insert((row.sequence, *leaf));
            if row.sequence >= head.0 {
                *head = (row.sequence, *leaf);
            }
        }
    }
    if heads.is_empty() {
        return;
    }
    let heads = heads.into_iter().map(|(stream, (sequence, leaf))| Head { stream, sequence, leaf }).collect();
    let now = shared.now();
    let options = &shared.options;
    let mut ledger = shared.ledger.lock();
    let digest = ledger.digest();
    let checkpoint =
        Checkpoint::sign(&options.signing_key, options.storage, options.writer, now, heads, digest);
    if let Err(error) = ledger.append(now, LedgerRecord::Checkpoint(checkpoint)) {
        drop(ledger);
        shared.enter_for(&error);
    }
}

/// Compares the clock with the mapping in force, and changes the mapping or the epoch.
pub(crate) fn look_at_clock(shared: &Shared) {
    let (mono, utc) = (shared.ambient.mono(), shared.ambient.utc());
    let action = {
        let mut watch = shared.watch.lock();
        if watch.holds_retention() && !watch.is_unsure() && shared.ambient.synchronised() {
            watch.confirm();
        }
        watch.observe(mono, utc)
    };
    match action {
        ClockAction::Keep => {}
        ClockAction::Slew(mapping) => {
            let epoch = {
                let mut clock = shared.clock.write();
                clock.mapping = mapping;
                clock.epoch
            };
            shared.record(LedgerRecord::ClockMapped { epoch, mapping });
        }
        ClockAction::NewEpoch { old, new, mapping, redates } => {
            new_epoch(shared, old, new, mapping, redates);
        }
    }
}

fn new_epoch(shared: &Shared, old: Utc, new: Utc, mapping: ClockMapping, redates: bool) {
    let source = if shared.ambient.synchronised() { "synchronised" } else { "set" };
    let reason = if new > old { EpochReason::ClockSetForward } else { EpochReason::ClockSetBack };
    let writer = shared.options.writer;
    let before = shared.clock.read().epoch;
    {
        let mut ledger = shared.ledger.lock();
        let epoch = ledger.state().epoch + 1;
        let mut records = vec![
            LedgerRecord::ClockCorrected { old, new, source: source.into() },
            LedgerRecord::EpochGranted { epoch, writer, reason, mapping },
        ];
        if redates {
            records.push(LedgerRecord::EpochRedated {
                epoch: before,
                offset_micros: new.signed_micros_since(old),
            });
        }
        for record in records {
            if let Err(error) = ledger.append(new, record) {
                tracing::error!(%error, "the ledger could not take a change of the clock");
            }
        }
        *shared.clock.write() = Clock { epoch, mapping };
    }
    let data = Map::from_iter([
        ("old".to_owned(), Value::from(old.to_string())),
        ("new".to_owned(), Value::from(new.to_string())),
        ("source".to_owned(), Value::from(source)),
    ]);
    shared.event(EventType::ClockChanged, "warning", None, data);
}
