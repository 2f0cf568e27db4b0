//! The storage's housekeeping thread: feeds the index, makes it anew when it must, and runs retention.
//!
//! Recording never waits for it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use varde_footage::{FilePath, Frames, LedgerEntry, LedgerRecord, Summary, ledger_path};

use crate::catalogue;
use crate::disk::read_whole;
use crate::ledger::{LOG_BYTES_READ_MAX, Position, entries_from, log_numbers};
use crate::recover;
use crate::shared::{Shared, media_folder, media_path};
use crate::tables::read_trailer;

const BEAT: Duration = Duration::from_secs(1);
const RETENTION_EVERY: u32 = 10;
/// A rebuild that fails is begun again after so many beats.
const REBUILD_AGAIN: u32 = 30;

/// Works until the storage closes.
pub(crate) fn run(shared: &Arc<Shared>) {
    if let Err(error) = recover::recover_strays(shared) {
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
    let outcome = index.change(|index| {
        for (position, entry) in &feed {
            index.apply(*position, entry, &mut |path| summary_of(shared, path))?;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "the index could not take a change and is made anew");
        index.demand_rebuild();
        return;
    }
    drop(index);
    for (_, entry) in feed {
        if let LedgerRecord::FileClosed { file, .. } = entry.record {
            shared.live.remove(&file);
        }
    }
}

/// The summary of a closed file that is still there.
fn summary_of(shared: &Shared, path: &FilePath) -> Option<Summary> {
    if let Some(live) = shared.live.get(path) {
        return live.table.read().summary.as_deref().cloned();
    }
    let file = shared.disk.open(&media_path(path), false).ok()?;
    if let Ok(Some(trailer)) = read_trailer(&*file) {
        return Some(trailer.summary);
    }
    let known = catalogue::summaries(&*shared.disk, &media_folder(path)).ok()?;
    known.into_iter().rev().find(|summary| summary.identity.path() == *path)
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
    let outcome = index.change(|index| {
        for (position, entry) in &entries {
            index.apply(*position, entry, &mut |path| summary_of(shared, path))?;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        tracing::warn!(%error, "the index could not take the ledger's tail and is made anew");
        index.demand_rebuild();
    }
    drop(index);
    for (_, entry) in entries {
        if let LedgerRecord::FileClosed { file, .. } = entry.record {
            shared.live.remove(&file);
        }
    }
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
    let begun_at = {
        let ledger = shared.ledger.lock();
        let redated = ledger.state().redated.clone();
        let position = ledger.position();
        drop(ledger);
        shared.index.clear().map_err(failed)?;
        shared.index.lock().set_redated(redated);
        position
    };
    let mut files = 0;
    for channel in catalogue::channels(&*shared.disk)? {
        for folder in catalogue::days(&*shared.disk, channel)? {
            let summaries = summaries_of_day(shared, channel, &folder)?;
            files += summaries.len() as u64;
            shared
                .index
                .lock()
                .change(|index| index.insert_files(&summaries))
                .map_err(failed)?;
            progress(files);
        }
    }
    // The ledger's part comes in one piece, and with it the index is whole.
    let mut index = shared.index.lock();
    let entries = entries_from(&*shared.disk, Position::default())?;
    finish_deletions(shared, &entries);
    let end = entries.last().map_or(begun_at, |(position, _)| *position);
    index
        .change(|index| {
            for (position, entry) in &entries {
                // Files that were closed before the walk began were met by it.
                let met = matches!(entry.record, LedgerRecord::FileClosed { .. }) && *position <= begun_at;
                if !met {
                    index.apply(*position, entry, &mut |path| summary_of(shared, path))?;
                }
            }
            Ok(())
        })
        .map_err(failed)?;
    let feed = shared.ledger.lock().take_feed().unwrap_or_default();
    index
        .change(|index| {
            for (position, entry) in feed.iter().filter(|(position, _)| *position > end) {
                index.apply(*position, entry, &mut |path| summary_of(shared, path))?;
            }
            Ok(())
        })
        .map_err(failed)?;
    index.rebuilt();
    drop(index);
    for live in shared.live.all() {
        if live.table.read().summary.is_some() {
            shared.live.remove(&live.path);
        }
    }
    Ok(files)
}

/// The summaries of a day's recordings: the catalogue's word, else the trailer's, else the file's own.
fn summaries_of_day(shared: &Shared, channel: varde_ids::ChannelId, folder: &str) -> io::Result<Vec<Summary>> {
    let known: HashMap<_, _> = catalogue::summaries(&*shared.disk, folder)?
        .into_iter()
        .map(|summary| (summary.identity.path(), summary))
        .collect();
    let mut found = BTreeMap::new();
    for path in catalogue::recordings(&*shared.disk, channel, folder)? {
        if let Some(live) = shared.live.get(&path) {
            if let Some(summary) = live.table.read().summary.as_deref() {
                found.insert(path, summary.clone());
            }
            continue;
        }
        let summary = match known.get(&path) {
            Some(summary) => Some(summary.clone()),
            None => match summary_of(shared, &path) {
                Some(summary) => Some(summary),
                None => {
                    recover::recover(shared, &path)?;
                    summary_of(shared, &path)
                }
            },
        };
        if let Some(summary) = summary {
            found.insert(path, summary);
        }
    }
    Ok(found.into_values().collect())
}
