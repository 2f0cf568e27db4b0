//! The storage's housekeeping thread: feeds the index, makes it anew when it must, and runs retention.
//!
//! Recording never waits for it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use varde_footage::{FilePath, Frames, LedgerEntry, LedgerRecord, Summary, ledger_path};

use crate::catalogue;
use crate::disk::read_whole;
use crate::index::Inner;
use crate::ledger::{LOG_BYTES_READ_MAX, Position, entries_from, log_numbers};
use crate::recover;
use crate::shared::{Shared, media_folder, media_path};
use crate::tables::read_trailer;

const BEAT: Duration = Duration::from_secs(1);
const RETENTION_EVERY: u32 = 10;
/// A rebuild that fails is begun again after so many beats.
const REBUILD_AGAIN: u32 = 30;

/// Works until the storage closes.
pub(crate) fn run(shared: &Arc<Shared>, first_epoch: u32) {
    if let Err(error) = recover::recover_strays(shared, first_epoch) {
        tracing::warn!(%error, "the newest folders could not be looked through");
    }
    let mut beat = 0u32;
    let mut rebuild_at = 0;
    loop {
        let wanted = shared.index.lock().needs_rebuild();
        if wanted && beat >= rebuild_at {
            match rebuild(shared, &mut |_| {}) {
                Ok(files) => tracing::info!(files, "the index was made anew"),
                Err(error) => {
                    tracing::error!(%error, "the index could not be made anew");
                    rebuild_at = beat.saturating_add(REBUILD_AGAIN);
                }
            }
        }
        catch_up(shared);
        if beat.is_multiple_of(RETENTION_EVERY) {
            crate::retain::pass(shared);
        }
        beat = beat.wrapping_add(1);
        if shared.pause(BEAT) {
            return;
        }
    }
}

/// Brings the index up to the ledger's newest record.
pub(crate) fn catch_up(shared: &Shared) {
    let mut index = shared.index.lock();
    if index.needs_rebuild() {
        return;
    }
    let Some(feed) = shared.ledger.lock().take_feed() else {
        index.demand_rebuild();
        return;
    };
    if feed.is_empty() {
        return;
    }
    take_over(shared, index, &feed);
}

/// Applies records in one change. What can't be applied leads to a rebuild, never to a hole.
fn take_over(shared: &Shared, mut index: MutexGuard<'_, Inner>, entries: &[(Position, LedgerEntry)]) {
    let outcome = summaries_for(shared, entries).and_then(|summaries| {
        index
            .change(|index| {
                for ((position, entry), summary) in entries.iter().zip(&summaries) {
                    index.apply(*position, entry, summary.as_ref())?;
                }
                Ok(())
            })
            .map_err(io::Error::other)
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "the index could not take a change and is made anew");
        index.demand_rebuild();
        return;
    }
    drop(index);
    forget_live(shared, entries);
}

/// Files that the index holds are not read from memory any more.
fn forget_live(shared: &Shared, entries: &[(Position, LedgerEntry)]) {
    for (_, entry) in entries {
        if let LedgerRecord::FileClosed { file, .. } = &entry.record {
            shared.live.remove(file);
        }
    }
}

/// The summary that each record needs.
fn summaries_for(shared: &Shared, entries: &[(Position, LedgerEntry)]) -> io::Result<Vec<Option<Summary>>> {
    let summary = |(_, entry): &(Position, LedgerEntry)| match &entry.record {
        LedgerRecord::FileClosed { file, .. } => summary_of(shared, file),
        _ => Ok(None),
    };
    entries.iter().map(summary).collect()
}

/// The summary of a closed file; `None` where the file is gone, an error where it is there and says nothing.
fn summary_of(shared: &Shared, path: &FilePath) -> io::Result<Option<Summary>> {
    if let Some(live) = shared.live.get(path)
        && let Some(summary) = live.table.read().summary.as_deref()
    {
        return Ok(Some(summary.clone()));
    }
    let file = match shared.disk.open(&media_path(path), false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if let Some(trailer) = read_trailer(&*file)? {
        return Ok(Some(trailer.summary));
    }
    let known = catalogue::summaries(&*shared.disk, &media_folder(path))?;
    let known = known.into_iter().rev().find(|summary| summary.identity.path() == *path);
    known.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a closed file has no summary"))
}

/// At start: whatever the ledger says beyond the index's position. Ends deletions that a crash interrupted.
pub(crate) fn replay(shared: &Shared) -> io::Result<()> {
    let mut index = shared.index.lock();
    let redated = shared.ledger.lock().state().redated.clone();
    index.set_redated(redated);
    let position = index.position();
    if index.needs_rebuild() {
        return Ok(());
    }
    if !holds(shared, position)? {
        // The ledger is older than the index: a power cut took records that the index had seen, or one of them was
        // exchanged.
        index.demand_rebuild();
        return Ok(());
    }
    let entries = entries_from(&*shared.disk, position)?;
    finish_deletions(shared, &entries);
    take_over(shared, index, &entries);
    Ok(())
}

/// Whether the ledger still has everything up to a position.
fn holds(shared: &Shared, position: Position) -> io::Result<bool> {
    if !log_numbers(&*shared.disk)?.contains(&position.log) {
        return Ok(position == Position::default());
    }
    let log = read_whole(&*shared.disk, &ledger_path(position.log), LOG_BYTES_READ_MAX)?;
    let mut frames = Frames::new(&log);
    frames.by_ref().for_each(drop);
    Ok(frames.whole_bytes() as u64 >= position.byte)
}

fn finish_deletions(shared: &Shared, entries: &[(Position, LedgerEntry)]) {
    for (_, entry) in entries {
        if let LedgerRecord::Deleted { file, .. } = &entry.record {
            // It is gone already, but after a crash between record and unlink.
            let _ = shared.disk.remove(&media_path(file));
        }
    }
}

/// Makes the index anew from files and ledger. Recording and reading go on; what is not in yet is not found yet.
/// `progress` hears the number of files so far. Gives the number of files.
pub(crate) fn rebuild(shared: &Shared, progress: &mut dyn FnMut(u64)) -> io::Result<u64> {
    let failed = |error: rusqlite::Error| io::Error::other(error);
    let redated = shared.ledger.lock().state().redated.clone();
    shared.index.clear().map_err(failed)?;
    shared.index.lock().set_redated(redated);
    let mut files = 0;
    for channel in catalogue::channels(&*shared.disk)? {
        for folder in catalogue::days(&*shared.disk, channel)? {
            let summaries = summaries_of_day(shared, channel, &folder)?;
            files += summaries.len() as u64;
            shared.index.lock().change(|index| index.insert_files(&summaries)).map_err(failed)?;
            progress(files);
        }
    }
    // The ledger's part comes in one piece, and with it the index is whole.
    let mut index = shared.index.lock();
    let entries = entries_from(&*shared.disk, Position::default())?;
    finish_deletions(shared, &entries);
    // The feed holds nothing that was not written before it was read, but what came since.
    let feed = shared.ledger.lock().take_feed().unwrap_or_default();
    let newest = entries.last().map_or(Position::default(), |(position, _)| *position);
    let since = feed.into_iter().filter(|(position, _)| *position > newest);
    let entries: Vec<_> = entries.into_iter().chain(since).collect();
    let mut unmet = Vec::with_capacity(entries.len());
    for (_, entry) in &entries {
        unmet.push(match &entry.record {
            LedgerRecord::FileClosed { file, .. } if index.file(file).map_err(failed)?.is_none() => {
                summary_of(shared, file)?
            }
            _ => None,
        });
    }
    index
        .change(|index| {
            for ((position, entry), summary) in entries.iter().zip(&unmet) {
                index.apply(*position, entry, summary.as_ref())?;
            }
            index.rebuilt()
        })
        .map_err(failed)?;
    drop(index);
    forget_live(shared, &entries);
    Ok(files)
}

/// The summaries of a day's recordings: the catalogue's word, else the trailer's, else the file's own.
fn summaries_of_day(
    shared: &Shared,
    channel: varde_ids::ChannelId,
    folder: &str,
) -> io::Result<Vec<Summary>> {
    let known: HashMap<_, _> = catalogue::summaries(&*shared.disk, folder)?
        .into_iter()
        .map(|summary| (summary.identity.path(), summary))
        .collect();
    let mut found = BTreeMap::new();
    for path in catalogue::recordings(&*shared.disk, channel, folder)? {
        let opening = path.epoch >= shared.first_epoch;
        if opening || shared.live.get(&path).is_some() {
            // It comes with its record.
            continue;
        }
        let summary = match known.get(&path) {
            Some(summary) => Some(summary.clone()),
            None => match summary_of(shared, &path) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    recover::recover(shared, &path)?;
                    // It comes with its record too.
                    None
                }
                other => other?,
            },
        };
        if let Some(summary) = summary {
            found.insert(path, summary);
        }
    }
    Ok(found.into_values().collect())
}
