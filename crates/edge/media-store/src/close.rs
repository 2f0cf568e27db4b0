//! How a file ends: with a trailer, a line in its day's catalogue, and a record in the ledger.

use std::io::{self, IoSlice};
use std::sync::Arc;

use serde_json::{Map, json};
use varde_footage::{
    CATALOGUE, CHANNEL_DOCUMENT, FilePath, Frames, LedgerRecord, MEDIA_FOLDER, SignedSummary, StreamTail,
    Summary, Trailer, push_frame, table_digest,
};

use crate::disk::{Disk, DiskFile, read_exact, write_document};
use crate::live::LiveFile;
use crate::mux;
use crate::options::TrackSpec;
use crate::shared::{Shared, media_folder, media_path};
use crate::writer::Track;

/// Longest catalogue of a day that is read.
pub(crate) const CATALOGUE_BYTES_MAX: u64 = 64 << 20;

/// Ends the track's open file, if there is one.
pub(crate) fn close(shared: &Shared, track: &mut Track, ended: &str) {
    let Some(open) = track.open.take() else { return };
    finish(shared, &open.live, ended, open.suspect);
}

/// Ends the open file at what is durable: nothing behind that is to be trusted after a failed flush or write.
pub(crate) fn seal_suspect(shared: &Shared, track: &mut Track) {
    let Some(open) = track.open.take() else { return };
    let durable = track.slot.durable_sequence();
    // No flush of this file is tried again.
    shared.dirty.lock().files.remove(&media_path(&open.live.path));
    {
        let mut table = open.live.table.write();
        let kept = table.rows.partition_point(|row| row.sequence < durable);
        table.rows.truncate(kept);
        table.leaves.truncate(kept);
        table.bytes = table.rows.last().map_or(open.live.init_bytes, |row| row.end());
        let ticks = table.rows.last().map_or(0, |row| row.start_ticks + u64::from(row.duration_ticks));
        table.end = open.live.identity.utc(ticks);
        track.tail = match (table.rows.last(), table.leaves.last()) {
            (Some(row), Some(leaf)) => Some(StreamTail {
                epoch: open.live.identity.epoch,
                end: table.end,
                sequence: row.sequence,
                leaf: *leaf,
            }),
            // Nothing of this file is durable: the stream ends where it ended before.
            _ => shared.ledger.lock().state().streams.get(&open.live.path.stream).copied(),
        };
        // Behind the durable end lies what no flush covered; a trailer takes its place.
        let _ = open.live.file.truncate(table.bytes);
    }
    finish(shared, &open.live, "suspect", true);
}

/// A file that was announced and holds nothing.
pub(crate) fn discard(shared: &Shared, path: &FilePath) {
    shared.live.remove(path);
    let _ = shared.disk.remove(&media_path(path));
    shared.record(LedgerRecord::FileDiscarded { file: *path });
}

/// Writes trailer, catalogue and ledger record of a file whose table is complete.
pub(crate) fn finish(shared: &Shared, live: &Arc<LiveFile>, ended: &str, suspect: bool) {
    let (summary, rows, leaves, bytes) = {
        let table = live.table.read();
        let Some(summary) = summarise(live, &table.rows, &table.leaves, table.bytes, table.end, ended, suspect)
        else {
            drop(table);
            discard(shared, &live.path);
            return;
        };
        (summary, table.rows.clone(), table.leaves.clone(), table.bytes)
    };
    let signed = SignedSummary::sign(&shared.options.signing_key, &summary);
    let trailer = mux::trailer_box(&Trailer::encode(&signed, &rows, &leaves));
    let mut written = live.file.write_at(&mut [IoSlice::new(&trailer)], bytes);
    if written.as_ref().is_err_and(Shared::is_full) && crate::retain::make_room(shared, trailer.len() as u64) {
        written = live.file.write_at(&mut [IoSlice::new(&trailer)], bytes);
    }
    let written = written.and_then(|()| {
        shared.mark_dirty(media_path(&live.path), &live.file);
        append_to_catalogue(shared, &live.path, &signed)
    });
    if let Err(error) = written {
        // The media is whole; a rebuild reads the file instead of its trailer.
        shared.enter_for(&error);
    }
    shared.record(LedgerRecord::FileClosed {
        file: live.path,
        end: summary.end,
        last_sequence: summary.last_sequence,
        last_leaf: summary.last_leaf,
    });
    live.table.write().summary = Some(Arc::new(summary));
}

/// The summary of a file; `None` where it holds no fragment.
pub(crate) fn summarise(
    live: &LiveFile,
    rows: &[varde_footage::Row],
    leaves: &[varde_footage::Digest],
    bytes: u64,
    end: varde_units::Utc,
    ended: &str,
    suspect: bool,
) -> Option<Summary> {
    let (first, last) = (rows.first()?, rows.last()?);
    Some(Summary {
        identity: live.identity.clone(),
        init_bytes: live.init_bytes,
        init: live.init,
        end,
        bytes,
        fragments: rows.len() as u32,
        first_sequence: first.sequence,
        last_sequence: last.sequence,
        first_leaf: *leaves.first()?,
        last_leaf: *leaves.last()?,
        table: table_digest(rows, leaves),
        ended: ended.to_owned(),
        suspect,
        other: Map::new(),
    })
}

fn open_or_create(disk: &dyn Disk, path: &str) -> io::Result<(Arc<dyn DiskFile>, bool)> {
    match disk.open(path, true) {
        Ok(file) => Ok((file, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((disk.create(path)?, true)),
        Err(error) => Err(error),
    }
}

/// Appends a summary behind the last whole frame of the day's catalogue.
pub(crate) fn append_to_catalogue(shared: &Shared, path: &FilePath, signed: &SignedSummary) -> io::Result<()> {
    let folder = media_folder(path);
    let name = format!("{folder}/{CATALOGUE}");
    let (file, created) = open_or_create(&*shared.disk, &name)?;
    let length = file.length()?.min(CATALOGUE_BYTES_MAX);
    let whole = if length == 0 {
        0
    } else {
        let bytes = read_exact(&*file, 0, length as usize)?;
        let mut frames = Frames::new(&bytes);
        frames.by_ref().for_each(drop);
        frames.whole_bytes() as u64
    };
    if whole < length {
        // A torn tail: nothing durable is cut, for a frame is written before its flush is asked for.
        file.truncate(whole)?;
    }
    let (mut body, mut frame) = (Vec::new(), Vec::new());
    signed.encode(&mut body);
    push_frame(&mut frame, &body);
    file.write_at(&mut [IoSlice::new(&frame)], whole)?;
    shared.mark_dirty(name, &file);
    if created {
        shared.mark_folder_dirty(folder);
    }
    Ok(())
}

/// Writes `channel.json`, so that a person who finds the folder knows what it is.
pub(crate) fn describe_channel(shared: &Shared, spec: &TrackSpec) -> io::Result<()> {
    shared.disk.create_folder(MEDIA_FOLDER)?;
    let folder = format!("{MEDIA_FOLDER}/{}", spec.channel);
    if shared.disk.create_folder(&folder)? {
        shared.mark_folder_dirty(MEDIA_FOLDER.into());
    }
    let document = json!({
        "format": 1,
        "channel": spec.channel,
        "name": spec.channel_name,
        "device": spec.device_name,
        "written": shared.now(),
    });
    let json = serde_json::to_vec_pretty(&document).expect("the document is plain data");
    write_document(&*shared.disk, &folder, CHANNEL_DOCUMENT, &json)
}
