//! Retention: deletes what is too old or what others need the room of, and says so in the ledger first.

use std::collections::BTreeMap;

use varde_api::codes::{GapCause, StorageState};
use varde_footage::{Candidate, FilePath, LedgerRecord, Reason, expired};
use varde_ids::ChannelId;
use varde_units::{ByteSize, Utc};

use crate::index::FileRow;
use crate::shared::{Shared, media_folder, media_path};

/// Room is made in steps of at least this, so that a full disk is not met again at the next fragment.
const ROOM_MIN: u64 = 64 << 20;
/// Most files that one pass deletes while the writer waits.
const URGENT_FILES_MAX: usize = 64;

/// One pass: by age, by the storage's size, and by what must stay free.
pub(crate) fn pass(shared: &Shared) {
    let rules = shared.rules.lock().clone();
    let used = shared.index.lock().used_bytes() + live_bytes(shared);
    let over_size = rules.size_max.map_or(0, |most| used.saturating_sub(most));
    let over_free = match shared.disk.space() {
        Ok(space) => rules.free_min.saturating_sub(space.free_bytes),
        Err(_) => 0,
    };
    let wanted = over_size.max(over_free);
    let freed = delete(shared, wanted, usize::MAX);
    if wanted > 0 && freed == 0 {
        shared.enter(StorageState::Full, "everything that is left is locked or being read");
    }
}

/// Makes room for `bytes` at once, by size alone; false where nothing may go.
pub(crate) fn make_room(shared: &Shared, bytes: u64) -> bool {
    crate::keeper::catch_up(shared);
    delete(shared, bytes.max(ROOM_MIN), URGENT_FILES_MAX) > 0
}

pub(crate) fn live_bytes(shared: &Shared) -> u64 {
    shared.live.all().iter().map(|file| file.table.read().bytes).sum()
}

/// Deletes by age and until `wanted` bytes are free; gives how many were freed.
fn delete(shared: &Shared, wanted: u64, files_max: usize) -> u64 {
    let _one_at_a_time = shared.deleting.lock();
    let rules = shared.rules.lock().clone();
    let stands_still = shared.watch.lock().holds_retention();
    if wanted == 0 && (stands_still || (rules.storage.is_none() && rules.channels.is_empty())) {
        return 0;
    }
    let Ok(files) = shared.index.lock().oldest_files() else { return 0 };
    let by_path: BTreeMap<FilePath, &FileRow> = files.iter().map(|file| (file.path(), file)).collect();
    let candidates = files.iter().map(|file| Candidate {
        id: file.path(),
        channel: file.channel,
        start: file.start,
        end: file.end,
        bytes: ByteSize(file.bytes),
    });
    let age = |channel: ChannelId| rules.channels.get(&channel).copied().or(rules.storage);
    let locks = shared.ledger.lock().state().locks.clone();
    let held = |file: &Candidate<FilePath>| {
        locks.iter().any(|lock| lock.covers(file.channel, file.start, file.end))
            || shared.leases.covers(file.channel, file.start, file.end)
    };
    let going = expired(candidates, shared.now(), stands_still, age, ByteSize(wanted), held);
    let mut freed = 0;
    for (path, reason) in going.into_iter().take(files_max) {
        let Some(file) = by_path.get(&path) else { continue };
        // A lock or lease may have come since.
        let still_free = {
            let ledger = shared.ledger.lock();
            !ledger.state().locks.iter().any(|lock| lock.covers(file.channel, file.start, file.end))
                && !shared.leases.covers(file.channel, file.start, file.end)
        };
        if !still_free {
            continue;
        }
        tracing::info!(file = %path, ?reason, "retention deletes a file");
        if delete_file(shared, file, GapCause::Expired) {
            freed += file.bytes;
        } else if reason == Reason::Size {
            break;
        }
    }
    freed
}

/// Deletes one file: the ledger says so durably before the file goes.
pub(crate) fn delete_file(shared: &Shared, file: &FileRow, cause: GapCause) -> bool {
    let path = file.path();
    let record = LedgerRecord::Deleted {
        file: path,
        cause: cause.code().into(),
        start: file.start,
        end: file.end,
        bytes: file.bytes,
        first_sequence: file.first_sequence,
        first_leaf: file.first_leaf,
        last_sequence: file.last_sequence,
        last_leaf: file.last_leaf,
    };
    let recorded = shared.ledger.lock().append_durably(shared.now(), record);
    if let Err(error) = recorded {
        // A full disk has no room for the record either. It waits in memory; the room comes first, or nothing
        // would ever be recorded again.
        if !Shared::is_full(&error) {
            shared.enter_for(&error);
            return false;
        }
    }
    shared.tables.forget(&path);
    let gone = match shared.disk.remove(&media_path(&path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            shared.enter_for(&error);
            false
        }
        _ => true,
    };
    crate::keeper::catch_up(shared);
    remove_empty_day(shared, &path);
    gone
}

/// A past day without recordings leaves no folder. Its catalogue goes with it: all that it names is deleted.
fn remove_empty_day(shared: &Shared, path: &FilePath) {
    if path.day() >= shared.now().minus(std::time::Duration::from_secs(86_400)).day() {
        return;
    }
    let folder = media_folder(path);
    let Ok(entries) = shared.disk.list(&folder) else { return };
    if entries.iter().all(|entry| entry.name == varde_footage::CATALOGUE) {
        let _ = shared.disk.remove(&format!("{folder}/{}", varde_footage::CATALOGUE));
        let _ = shared.disk.remove_folder(&folder);
    }
}

/// Deletes all of a channel's closed recordings that end before an instant, whatever their age; locks and leases
/// hold. Gives the bytes that were freed.
pub(crate) fn erase(shared: &Shared, channel: ChannelId, before: Utc) -> u64 {
    crate::keeper::catch_up(shared);
    let _one_at_a_time = shared.deleting.lock();
    let Ok(files) = shared.index.lock().oldest_files() else { return 0 };
    let mut freed = 0;
    for file in files.iter().filter(|file| file.channel == channel && file.end <= before) {
        let locked = {
            let ledger = shared.ledger.lock();
            ledger.state().locks.iter().any(|lock| lock.covers(channel, file.start, file.end))
        };
        let held = locked || shared.leases.covers(channel, file.start, file.end);
        if !held && delete_file(shared, file, GapCause::Erased) {
            freed += file.bytes;
        }
    }
    freed
}
