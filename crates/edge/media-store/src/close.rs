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
    finish(shared, &open.live, ended, false);
}

/// Ends the track's files at what is durable: nothing behind that is to be trusted after a failed flush or write. A
/// file that was closed and not flushed yet is cut and sealed again.
pub(crate) fn seal_suspect(shared: &Shared, track: &mut Track) {
    let durable = track.slot.durable_sequence();
    let open = track.open.take().map(|open| open.live);
    let stream = track.slot.spec.stream;
    let reaches_behind = |live: &Arc<LiveFile>| {
        let table = live.table.read();
        table.rows.last().is_none_or(|row| row.sequence >= durable)
    };
    let mut files: Vec<_> = shared.live.of_stream(stream).into_iter().filter(reaches_behind).collect();
    files.extend(open.filter(|open| files.iter().all(|file| !Arc::ptr_eq(file, open))));
    files.sort_by_key(|live| (live.path.epoch, live.path.seq));
    // Where the ledger or an earlier file of this run says that the stream ended, unless a file below says better.
    track.tail = shared.ledger.lock().state().streams.get(&stream).copied();
    for live in shared.live.of_stream(stream) {
        let kept = cut(shared, &live, durable);
        if kept.is_some_and(|kept| track.tail.is_none_or(|tail| tail.sequence <= kept.sequence)) {
            track.tail = kept;
        }
    }
    for live in files {
        finish(shared, &live, "suspect", true);
    }
}

/// Cuts a file's table and bytes at what is durable, and gives where the stream ends then.
fn cut(shared: &Shared, live: &Arc<LiveFile>, durable: u64) -> Option<StreamTail> {
    let mut table = live.table.write();
    let kept = table.rows.partition_point(|row| row.sequence < durable);
    if kept < table.rows.len() || table.rows.is_empty() {
        let mut dirty = shared.dirty.lock();
        // No flush of this file is tried again, and nothing is said of it.
        dirty.files.remove(&media_path(&live.path));
        dirty.newest.remove(&live.path.stream);
        dirty
            .closed
            .retain(|record| !matches!(record, LedgerRecord::FileClosed { file, .. } if *file == live.path));
        drop(dirty);
        table.rows.truncate(kept);
        table.leaves.truncate(kept);
        table.bytes = table.rows.last().map_or(live.init_bytes, |row| row.end());
        let ticks = table.rows.last().map_or(0, |row| row.start_ticks + u64::from(row.duration_ticks));
        table.end = live.identity.utc(ticks);
        // Behind the durable end lies what no flush covered; a trailer takes its place.
        let _ = live.file.truncate(table.bytes);
    }
    let (row, leaf) = (table.rows.last()?, table.leaves.last()?);
    Some(StreamTail { epoch: live.identity.epoch, end: table.end, sequence: row.sequence, leaf: *leaf })
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
        let Some(summary) =
            summarise(live, &table.rows, &table.leaves, table.bytes, table.end, ended, suspect)
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
    if written.as_ref().is_err_and(Shared::is_full) && crate::retain::make_room(shared, trailer.len() as u64)
    {
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
    let summary = Arc::new(summary);
    // First for readers, then for the ledger: the index asks for it as soon as the ledger says closed.
    live.table.write().summary = Some(Arc::clone(&summary));
    announce(shared, &summary);
}

/// The ledger calls the file closed with the next flush, when its media and trailer are durable: a trailer that a
/// power cut kept says nothing of the media before it.
pub(crate) fn announce(shared: &Shared, summary: &Summary) {
    shared.dirty.lock().closed.push(LedgerRecord::FileClosed {
        file: summary.identity.path(),
        end: summary.end,
        last_sequence: summary.last_sequence,
        last_leaf: summary.last_leaf,
    });
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
pub(crate) fn append_to_catalogue(
    shared: &Shared,
    path: &FilePath,
    signed: &SignedSummary,
) -> io::Result<()> {
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
