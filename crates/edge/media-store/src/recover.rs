//! After a crash: files without a trailer are read fragment by fragment and sealed. Nothing durable is ever cut.

use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use varde_footage::{Digest, FilePath};

use crate::live::{LiveFile, Table};
use crate::scan::{Doubt, scan};
use crate::shared::{Shared, media_path};
use crate::tables::read_trailer;
use crate::{close, disk::Disk};

/// Looks at every file that the ledger left open.
pub(crate) fn recover_open_files(shared: &Shared) {
    let open: Vec<_> = shared.ledger.lock().state().open_files.iter().copied().collect();
    for path in open {
        if let Err(error) = recover(shared, &path) {
            // It stays on the list and is looked at again at the next start.
            tracing::error!(file = %path, %error, "a recording that was open could not be looked at");
        }
    }
}

/// Seals one file. One that holds nothing goes.
pub(crate) fn recover(shared: &Shared, path: &FilePath) -> io::Result<()> {
    let file = match shared.disk.open(&media_path(path), true) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            close::discard(shared, path);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let Some(scanned) = scan(&*file, Doubt::NotDurable)? else {
        // Not even `moov` is whole: no fragment was ever durable, for the first flush covers both.
        close::discard(shared, path);
        return Ok(());
    };
    if scanned.identity.path() != *path {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not what its name says"));
    }
    if let Some(trailer) = read_trailer(&*file)?
        && trailer.summary.identity.path() == *path
        && trailer.rows == scanned.rows
    {
        // It was closed; only the ledger does not know yet.
        shared.mark_dirty(media_path(path), &file);
        ensure_catalogued(shared, path, &trailer.signed)?;
        close::announce(shared, &trailer.summary);
        return Ok(());
    }
    let keeps_tail = scanned.durable_part_damaged;
    if !keeps_tail {
        // What is behind the last whole fragment was never acknowledged.
        file.truncate(scanned.bytes)?;
    }
    tracing::warn!(file = %path, fragments = scanned.rows.len(), damaged = keeps_tail, "sealed after a crash");
    let live = Arc::new(LiveFile {
        path: *path,
        init_bytes: scanned.init_bytes,
        init: Digest::of(&scanned.init),
        identity: scanned.identity,
        file,
        table: RwLock::new(Table {
            rows: scanned.rows,
            leaves: scanned.leaves,
            bytes: scanned.bytes,
            end: scanned.end,
            summary: None,
        }),
    });
    shared.live.insert(Arc::clone(&live));
    close::finish(shared, &live, if keeps_tail { "damaged" } else { "crash" }, keeps_tail);
    Ok(())
}

fn ensure_catalogued(
    shared: &Shared,
    path: &FilePath,
    signed: &varde_footage::SignedSummary,
) -> io::Result<()> {
    let known = crate::catalogue::summaries(&*shared.disk, &crate::shared::media_folder(path))?;
    if known.iter().any(|summary| summary.identity.path() == *path) {
        return Ok(());
    }
    close::append_to_catalogue(shared, path, signed)
}

/// Files in the newest folders of each channel that no record speaks of: a power cut may have lost the record of a
/// file that was just created.
/// `first_epoch` is the first of this run: its own files are no strays.
pub(crate) fn recover_strays(shared: &Shared, first_epoch: u32) -> io::Result<()> {
    let disk: &dyn Disk = &*shared.disk;
    for channel in crate::catalogue::channels(disk)? {
        let mut days = crate::catalogue::days(disk, channel)?;
        days.sort_unstable();
        for folder in days.iter().rev().take(2) {
            let known = crate::catalogue::summaries(disk, folder)?;
            for path in crate::catalogue::recordings(disk, channel, folder)? {
                let catalogued = known.iter().any(|summary| summary.identity.path() == path);
                if path.epoch < first_epoch && !catalogued && shared.live.get(&path).is_none() {
                    recover(shared, &path)?;
                }
            }
        }
    }
    Ok(())
}
