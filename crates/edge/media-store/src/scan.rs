//! Reads a recording that has no trailer: what a crash left, fragment by fragment.

use std::io;

use sha2::{Digest as _, Sha256};
use varde_footage::{
    Digest, FRAGMENT_BOX, FileIdentity, FragmentRecord, IDENTITY_BOX, LeafContext, ROWS_MAX, Row,
    configuration_digest, leaf,
};
use varde_units::Utc;

use crate::disk::{DiskFile, read_exact};

/// Longest `ftyp` and `moov` that are read.
const INIT_BYTES_MAX: u64 = 1 << 20;
/// Longest `moof` that is read.
const MOOF_BYTES_MAX: u64 = 8 << 20;
/// Bytes that hold the head of nearly every fragment.
const HEAD_BYTES_GUESS: u64 = 2048;
/// No file lasts so long at any timescale.
const TICKS_MAX: u64 = 1 << 48;
/// Longest `mdat` that is read to be hashed.
const MDAT_BYTES_MAX: u64 = 128 << 20;

/// How much of what stands there is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Boxes and leaves are looked at, media is believed.
    Nothing,
    /// Media that no later fragment calls durable is hashed: a power cut may have kept a length and lost the bytes.
    NotDurable,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) identity: FileIdentity,
    pub(crate) init: Vec<u8>,
    pub(crate) init_bytes: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) leaves: Vec<Digest>,
    pub(crate) end: Utc,
    /// Where the last sound fragment ends.
    pub(crate) bytes: u64,
    /// A fragment that was durable is damaged: nothing of the file may be cut.
    pub(crate) durable_part_damaged: bool,
}

/// One fragment as it lies in a file.
#[derive(Debug)]
pub(crate) struct FoundFragment {
    pub(crate) record: FragmentRecord,
    pub(crate) row: Row,
}

/// Reads `ftyp` and `moov`. `None` where they are not whole or not ours.
pub(crate) fn read_init(file: &dyn DiskFile) -> io::Result<Option<(FileIdentity, Vec<u8>)>> {
    let length = file.length()?.min(INIT_BYTES_MAX);
    let mut start = read_exact(file, 0, length.min(4096) as usize)?;
    let info = match varde_fmp4::read_init(&start) {
        Err(varde_fmp4::ReadError::Truncated { .. }) if length > 4096 => {
            start = read_exact(file, 0, length as usize)?;
            varde_fmp4::read_init(&start)
        }
        other => other,
    };
    let Ok(info) = info else { return Ok(None) };
    let Some(Ok(identity)) = info.user(&IDENTITY_BOX).map(|json| FileIdentity::from_json(json)) else {
        return Ok(None);
    };
    if info.timescale != identity.timescale || configuration_digest(&info.format) != identity.configuration {
        return Ok(None);
    }
    start.truncate(info.bytes as usize);
    Ok(Some((identity, start)))
}

/// The fragment at `offset`; `None` where no whole one begins there.
pub(crate) fn fragment_at(
    file: &dyn DiskFile,
    offset: u64,
    length: u64,
) -> io::Result<Option<FoundFragment>> {
    if offset.checked_add(16).is_none_or(|end| end > length) {
        return Ok(None);
    }
    // One read covers the head of nearly every fragment.
    let first = read_exact(file, offset, (length - offset).min(HEAD_BYTES_GUESS) as usize)?;
    let Ok(Some(moof)) = varde_fmp4::box_head(&first) else { return Ok(None) };
    let head_bytes = moof.bytes.unwrap_or(u64::MAX).saturating_add(8);
    if moof.kind != *b"moof" || head_bytes > MOOF_BYTES_MAX || head_bytes > length - offset {
        return Ok(None);
    }
    let head = match first.get(..head_bytes as usize) {
        Some(head) => head.to_vec(),
        None => read_exact(file, offset, head_bytes as usize)?,
    };
    Ok(read_head(&head, offset, length).map(|(record, row)| FoundFragment { record, row }))
}

/// Reads the head of a fragment. What the boxes say and what the record says must be the same.
pub(crate) fn read_head(head: &[u8], offset: u64, length: u64) -> Option<(FragmentRecord, Row)> {
    let info = varde_fmp4::read_fragment(head).ok()?;
    let record = FragmentRecord::decode(info.user(&FRAGMENT_BOX)?).ok()?;
    let same = record.samples.len() == info.samples.len()
        && record.samples.iter().zip(&info.samples).all(|(ours, boxed)| {
            (ours.size, ours.duration, ours.composition)
                == (boxed.bytes, boxed.duration, boxed.composition_offset)
                && (ours.flags & 1 != 0) == boxed.flags.sync
        });
    let whole = info.head_bytes == head.len() as u64
        && info.bytes == info.head_bytes.checked_add(record.media_bytes())?
        && offset.checked_add(info.bytes)? <= length
        && info.decode_time <= TICKS_MAX;
    if !same || !whole {
        return None;
    }
    let row = Row {
        offset,
        start_ticks: info.decode_time,
        sequence: record.sequence,
        bytes: u32::try_from(info.bytes).ok()?,
        head_bytes: u32::try_from(info.head_bytes).ok()?,
        duration_ticks: u32::try_from(info.duration).unwrap_or(u32::MAX),
        head_crc: crc32fast::hash(head),
        entry_point: record.entry_point(),
    };
    Some((record, row))
}

/// Walks a file. `None` where not even its beginning is whole.
pub(crate) fn scan(file: &dyn DiskFile, doubt: Doubt) -> io::Result<Option<Scanned>> {
    let Some((identity, init)) = read_init(file)? else { return Ok(None) };
    let length = file.length()?;
    let context = LeafContext::from(&identity);
    let init_bytes = init.len() as u64;
    let mut found: Vec<(Row, FragmentRecord)> = Vec::new();
    let mut at = init_bytes;
    let mut ticks = 0;
    while found.len() < ROWS_MAX {
        let Some(fragment) = fragment_at(file, at, length)? else { break };
        if leaf(&context, &fragment.record) != fragment.record.leaf || fragment.row.start_ticks < ticks {
            break;
        }
        at = fragment.row.end();
        ticks = fragment.row.start_ticks;
        found.push((fragment.row, fragment.record));
    }
    // Each fragment says how far the stream was durable when it was made: up to there nothing is doubted.
    let durable = found.iter().map(|(_, record)| record.durable).max().unwrap_or(0);
    let mut durable_part_damaged =
        found.last().is_some_and(|(_, last)| last.sequence.saturating_add(1) < durable);
    if doubt == Doubt::NotDurable {
        let first_doubted = found.partition_point(|(_, record)| record.sequence < durable);
        for index in first_doubted..found.len() {
            if !media_is_whole(file, &found[index].0, &found[index].1)? {
                found.truncate(index);
                break;
            }
        }
    }
    durable_part_damaged &= !found.is_empty();
    let (end_ticks, bytes) = found
        .last()
        .map_or((0, init_bytes), |(row, _)| (row.start_ticks + u64::from(row.duration_ticks), row.end()));
    Ok(Some(Scanned {
        end: identity.utc(end_ticks),
        rows: found.iter().map(|(row, _)| *row).collect(),
        leaves: found.iter().map(|(_, record)| record.leaf).collect(),
        identity,
        init,
        init_bytes,
        bytes,
        durable_part_damaged,
    }))
}

/// Whether the media hashes to what its record says. Sealed media can't be hashed here, and zeroes where a power cut
/// left a hole are told by their look.
fn media_is_whole(file: &dyn DiskFile, row: &Row, record: &FragmentRecord) -> io::Result<bool> {
    let bytes = u64::from(row.bytes - row.head_bytes);
    if bytes > MDAT_BYTES_MAX {
        return Ok(false);
    }
    let media = read_exact(file, row.offset + u64::from(row.head_bytes), bytes as usize)?;
    if record.seal.is_some() {
        // Ciphertext holds no run of zeroes.
        return Ok(!media
            .chunks(512)
            .any(|sector| sector.len() >= 16 && sector.iter().all(|byte| *byte == 0)));
    }
    Ok(Digest(Sha256::digest(&media).into()) == record.payload)
}

/// The record in a fragment's head.
pub(crate) fn record_in(head: &[u8]) -> Option<FragmentRecord> {
    let info = varde_fmp4::read_fragment(head).ok()?;
    FragmentRecord::decode(info.user(&FRAGMENT_BOX)?).ok()
}
