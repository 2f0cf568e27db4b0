//! Reading: the timeline, where the bytes of a range lie, and the bytes. Files that are still written are read as
//! far as they are.

use std::sync::Arc;

use bytes::Bytes;
use varde_api_internal::recorder::{Gap, Plan, PlanFile, PlanFragment, Recording, Timeline};
use varde_footage::{
    FileIdentity, FilePath, FragmentRecord, LeafContext, Row, Span, fragments_for, merge_spans,
};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

use crate::crypt::{self, Vault};
use crate::disk::{DiskFile, read_exact};
use crate::index::{FILE_REACH, FileRow};
use crate::keeper::catch_up;
use crate::live::LiveFile;
use crate::options::ReadError;
use crate::scan;
use crate::shared::Shared;

/// Most bytes of one read.
pub const READ_BYTES_MAX: usize = 64 << 20;
/// Most files that one plan looks into.
const PLAN_FILES_MAX: u32 = 512;

/// Recorded stretches and gaps of a channel that touch `start..end`; at most `limit` of each.
pub(crate) fn timeline(
    shared: &Shared,
    channel: ChannelId,
    start: Utc,
    end: Utc,
    limit: u32,
) -> Result<Timeline, ReadError> {
    catch_up(shared);
    let limit = limit.max(1);
    // Before the index is read: a file that is closed meanwhile is met twice rather than never.
    let live: Vec<Span> = shared.live.of_channel(channel).iter().filter_map(|file| file.span()).collect();
    let (mut spans, mut gaps) = {
        let index = shared.index.lock();
        // One more than asked for tells whether there is more. Spans end at midnight and are merged below.
        let spans = index.spans(channel, start, end, limit.saturating_add(1))?;
        let gaps = index.gaps(channel, start, end, limit.saturating_add(1))?;
        (spans, gaps)
    };
    let mut cut: Option<Utc> = None;
    if spans.len() > limit as usize {
        cut = spans.pop().map(|span| span.start);
    }
    if gaps.len() > limit as usize {
        let at = gaps.pop().map(|gap| gap.start);
        cut = cut.into_iter().chain(at).min();
    }
    spans.extend(live.into_iter().filter(|span| span.start < end && span.end > start));
    let before_cut = |at: Utc| cut.is_none_or(|cut| at < cut);
    spans.retain(|span| before_cut(span.start));
    gaps.retain(|gap| before_cut(gap.start) && gap.end != Some(gap.start));
    Ok(Timeline {
        recordings: merge_spans(spans)
            .into_iter()
            .map(|span| Recording {
                start: span.start,
                end: span.end,
                stream: span.stream,
                codec: span.codec,
                epoch: span.epoch,
            })
            .collect(),
        gaps: gaps
            .into_iter()
            .map(|gap| Gap { start: gap.start, end: gap.end, cause: gap.cause, parameters: gap.parameters })
            .collect(),
        // A page that moves nowhere would be asked for for ever.
        next: cut.filter(|cut| *cut > start),
    })
}

/// A closed file of the index, or one of this run.
enum Source {
    Closed(FileRow),
    Live(Arc<LiveFile>),
}

impl Source {
    fn start(&self) -> Utc {
        match self {
            Self::Closed(file) => file.start,
            Self::Live(file) => file.identity.start,
        }
    }

    fn order(&self) -> (Utc, u32, u32) {
        match self {
            Self::Closed(file) => (file.start, file.epoch, file.seq),
            Self::Live(file) => (file.identity.start, file.path.epoch, file.path.seq),
        }
    }
}

/// Where the fragments of `start..end` lie: from the entry point at or before `start`; at most `limit` of them.
pub(crate) fn plan(
    shared: &Shared,
    stream: StreamId,
    start: Utc,
    end: Utc,
    entry_points_only: bool,
    limit: u32,
) -> Result<Plan, ReadError> {
    catch_up(shared);
    // Before the index is read: a file that is closed meanwhile is met twice rather than never.
    let live_files = shared.live.of_stream(stream);
    let rows = shared.index.lock().files_of_stream(stream, start.minus(FILE_REACH), end, PLAN_FILES_MAX)?;
    let more_files = rows.len() >= PLAN_FILES_MAX as usize;
    let mut sources: Vec<_> = rows.into_iter().filter(|file| file.end > start).map(Source::Closed).collect();
    for live in live_files {
        let indexed =
            sources.iter().any(|source| matches!(source, Source::Closed(file) if file.path() == live.path));
        let touches = live.identity.start < end && live.table.read().end > start;
        if touches && !indexed {
            sources.push(Source::Live(live));
        }
    }
    sources.sort_by_key(Source::order);

    let mut plan = Plan::default();
    let mut left = limit.max(1) as usize;
    for source in sources {
        let file_start = source.start();
        if left == 0 {
            plan.next = plan.next.or(Some(file_start));
            break;
        }
        let (mut file, rows) = match describe(shared, &source) {
            Ok(described) => described,
            // Retention was faster.
            Err(ReadError::NotFound) => continue,
            Err(error) => return Err(error),
        };
        let ticks = |at: Utc| {
            let micros = u128::from(u64::try_from(at.signed_micros_since(file_start)).unwrap_or(0));
            u64::try_from(micros * u128::from(file.timescale) / 1_000_000).unwrap_or(u64::MAX)
        };
        let wanted = fragments_for(&rows, ticks(start), ticks(end));
        let mut fragments = wanted.iter().filter(|row| row.entry_point || !entry_points_only);
        file.fragments = fragments
            .by_ref()
            .take(left)
            .map(|row| PlanFragment {
                offset: row.offset,
                bytes: u64::from(row.bytes),
                start_ticks: row.start_ticks,
                duration_ticks: u64::from(row.duration_ticks),
                entry_point: row.entry_point,
            })
            .collect();
        left -= file.fragments.len();
        if let Some(row) = fragments.next() {
            let micros = u128::from(row.start_ticks) * 1_000_000 / u128::from(file.timescale.max(1));
            plan.next = Some(file_start.offset_micros(i64::try_from(micros).unwrap_or(i64::MAX)));
        }
        if !file.fragments.is_empty() {
            plan.files.push(file);
        }
        if plan.next.is_some() {
            break;
        }
    }
    if plan.next.is_none() && more_files {
        plan.next = plan.files.last().map(|file| {
            let ticks = file.fragments.last().map_or(0, |last| last.start_ticks + last.duration_ticks);
            let micros = u128::from(ticks) * 1_000_000 / u128::from(file.timescale.max(1));
            file.start.offset_micros(i64::try_from(micros).unwrap_or(i64::MAX))
        });
    }
    Ok(plan)
}

fn describe(shared: &Shared, source: &Source) -> Result<(PlanFile, Vec<Row>), ReadError> {
    let of = |identity: &FileIdentity, start: Utc, init_bytes: u64| PlanFile {
        storage: shared.options.storage,
        file: identity.path().to_string(),
        codec: identity.codec,
        codec_string: identity.codec_string.clone(),
        width: identity.width,
        height: identity.height,
        timescale: identity.timescale,
        start,
        epoch: identity.epoch,
        init_bytes,
        fragments: Vec::new(),
    };
    match source {
        Source::Closed(file) => {
            let table = shared.tables.get(&*shared.disk, &file.path())?;
            Ok((of(&table.identity, file.start, table.init_bytes), table.rows.clone()))
        }
        Source::Live(live) => {
            let rows = live.table.read().rows.clone();
            Ok((of(&live.identity, live.identity.start, live.init_bytes), rows))
        }
    }
}

/// What a file is read through.
struct Opened {
    file: Arc<dyn DiskFile>,
    rows: Vec<Row>,
    init_bytes: u64,
    identity: FileIdentity,
    /// Nothing behind this is served.
    end: u64,
}

/// Bytes of a file, `mdat`s in the clear. Fewer than asked for only at the end of what is written.
pub(crate) fn read(shared: &Shared, path: &FilePath, offset: u64, length: usize) -> Result<Bytes, ReadError> {
    let length = length.min(READ_BYTES_MAX);
    if let Some(live) = shared.live.get(path) {
        let end = live.table.read().bytes;
        if !live.identity.encrypted() {
            return read_clear(&*live.file, offset, length, end);
        }
        let rows = live.table.read().rows.clone();
        let (file, identity) = (Arc::clone(&live.file), live.identity.clone());
        let opened = Opened { file, rows, init_bytes: live.init_bytes, identity, end };
        return read_sealed(shared, path, &opened, offset, length);
    }
    let table = shared.tables.get(&*shared.disk, path)?;
    let end = table.rows.last().map_or(table.init_bytes, |row| row.end());
    if !table.encrypted {
        return read_clear(&*table.file, offset, length, end);
    }
    let opened = Opened {
        file: Arc::clone(&table.file),
        rows: table.rows.clone(),
        init_bytes: table.init_bytes,
        identity: table.identity.clone(),
        end,
    };
    read_sealed(shared, path, &opened, offset, length)
}

fn read_clear(file: &dyn DiskFile, offset: u64, length: usize, end: u64) -> Result<Bytes, ReadError> {
    let left = end.checked_sub(offset).ok_or(ReadError::OutOfRange)?;
    let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
    Ok(read_exact(file, offset, length)?.into())
}

fn read_sealed(
    shared: &Shared,
    path: &FilePath,
    opened: &Opened,
    offset: u64,
    length: usize,
) -> Result<Bytes, ReadError> {
    let left = opened.end.checked_sub(offset).ok_or(ReadError::OutOfRange)?;
    let until = offset + (length as u64).min(left);
    let mut out = Vec::with_capacity((until - offset) as usize);
    if offset < opened.init_bytes {
        let take = until.min(opened.init_bytes) - offset;
        out.extend_from_slice(&read_exact(&*opened.file, offset, take as usize)?);
    }
    let first = opened.rows.partition_point(|row| row.end() <= offset);
    for row in opened.rows[first..].iter().take_while(|row| row.offset < until) {
        let clear = open_fragment(&shared.vault, path, &opened.identity, &*opened.file, row)?;
        let from = offset.saturating_sub(row.offset) as usize;
        let to = (until - row.offset).min(clear.len() as u64) as usize;
        out.extend_from_slice(clear.get(from..to).unwrap_or_default());
    }
    Ok(out.into())
}

/// A whole fragment with its media in the clear.
pub(crate) fn open_fragment(
    vault: &Vault,
    path: &FilePath,
    identity: &FileIdentity,
    file: &dyn DiskFile,
    row: &Row,
) -> Result<Vec<u8>, ReadError> {
    let mut whole = read_exact(file, row.offset, row.bytes as usize)?;
    let damaged = || ReadError::Damaged("a fragment has no readable head".into());
    let head = whole.get(..row.head_bytes as usize).ok_or_else(damaged)?;
    let record: FragmentRecord = scan::record_in(head).ok_or_else(damaged)?;
    if let Some(seal) = &record.seal {
        let key = match vault.reading_key(path.channel, path.day()) {
            Err(ReadError::NotFound) => return Err(ReadError::NoKey),
            other => other?,
        };
        let media = whole.split_off(row.head_bytes as usize);
        let context = LeafContext::from(identity);
        whole.extend(crypt::open(&key, &context, record.sequence, seal, media)?);
    }
    Ok(whole)
}
