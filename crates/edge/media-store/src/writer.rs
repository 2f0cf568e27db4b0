//! The storage's writer thread: owns every file that is being written, and decides what a file is.
//!
//! One vectored write a fragment; no flush here. Files roll at 30 minutes, 1 GiB, a gap, a format or a clock epoch.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::aead::LessSafeKey;
use serde_json::{Map, Value};
use varde_api::codes::{EventType, GapCause, StorageState};
use varde_codec::{Format, Medium};
use varde_footage::{
    ENCRYPTION, FORMAT_VERSION, FileIdentity, FilePath, FragmentRecord, GapRecord, LeafContext, LedgerRecord,
    Row, SampleEntry, StreamTail, configuration_digest, leaf,
};
use varde_ids::StreamId;
use varde_units::{Mono, Utc};

use crate::live::{LiveFile, Table};
use crate::options::GapNotice;
use crate::queue::{Fragment, Job, Slot};
use crate::shared::{Clock, Shared, media_folder, media_path};
use crate::{close, crypt, mux};

const FILE_DURATION_MAX: Duration = Duration::from_secs(30 * 60);
const FILE_BYTES_MAX: u64 = 1 << 30;
/// A file without an entry point to end at ends here anyhow.
const FILE_DURATION_HARD: Duration = Duration::from_secs(32 * 60);
const FILE_BYTES_HARD: u64 = FILE_BYTES_MAX + (256 << 20);
/// Units further apart than this left a gap, though nobody announced one.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often room is made for one fragment before it is given up.
const ROOM_TRIES: u32 = 3;
/// A group of pictures that is longer is cut by a change of the clock.
const GROUP_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) live: Arc<LiveFile>,
    pub(crate) context: LeafContext,
    format: Arc<Format>,
    key: Option<Arc<LessSafeKey>>,
    opened: Mono,
    clock: Clock,
}

/// One stream, as the writer sees it.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) slot: Arc<Slot>,
    pub(crate) open: Option<OpenFile>,
    /// Where the stream's recordings end.
    pub(crate) tail: Option<StreamTail>,
    gap: Option<GapRecord>,
    /// The epoch that files are counted in, and the next file's number.
    next_file: (u32, u32),
    /// What was written and is not durable yet, by sequence.
    undurable: VecDeque<(u64, Fragment)>,
    described: bool,
}

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    tracks: HashMap<StreamId, Track>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tracks: HashMap::new() }
    }

    /// Works until it is told to shut down.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.queue.pop() {
                Job::Fragment(slot, fragment) => self.with_track(&slot, |writer, track| {
                    writer.fragment(track, fragment);
                }),
                Job::Dropped(slot, at) => self.with_track(&slot, |writer, track| {
                    writer.gap(track, GapNotice { cause: GapCause::DiskSlow, parameters: Map::new(), at });
                }),
                Job::Gap(slot, notice) => self.with_track(&slot, |writer, track| writer.gap(track, notice)),
                Job::Close(slot) => {
                    self.with_track(&slot, |writer, track| close::close(&writer.shared, track, "closed"));
                }
                Job::Flushed => self.tracks.values_mut().for_each(|track| trim(&self.shared, track)),
                Job::FlushFailed(error) => self.flush_failed(&error),
                Job::ShutDown => break,
            }
        }
        for track in self.tracks.values_mut() {
            close::close(&self.shared, track, "closed");
        }
    }

    fn with_track(&mut self, slot: &Arc<Slot>, act: impl FnOnce(&mut Self, &mut Track)) {
        let stream = slot.spec.stream;
        let mut track = self.tracks.remove(&stream).unwrap_or_else(|| self.begin_track(slot));
        if !Arc::ptr_eq(&track.slot, slot) {
            slot.forget_durable_sequence(track.slot.durable_sequence());
            track.slot = Arc::clone(slot);
        }
        act(self, &mut track);
        self.tracks.insert(stream, track);
    }

    fn begin_track(&self, slot: &Arc<Slot>) -> Track {
        let ledger = self.shared.ledger.lock();
        let stream = slot.spec.stream;
        let tail = ledger.state().streams.get(&stream).copied();
        slot.forget_durable_sequence(tail.map_or(0, |tail| tail.sequence + 1));
        Track {
            slot: Arc::clone(slot),
            open: None,
            tail,
            gap: ledger.state().open_gaps.iter().find(|gap| gap.stream == stream).cloned(),
            next_file: (0, 0),
            undurable: VecDeque::new(),
            described: false,
        }
    }

    fn fragment(&mut self, track: &mut Track, fragment: Fragment) {
        trim(&self.shared, track);
        for _ in 0..ROOM_TRIES {
            let error = match self.write(track, &fragment) {
                Ok(sequence) => {
                    self.shared.enter(StorageState::Online, "");
                    track.undurable.push_back((sequence, fragment));
                    return;
                }
                Err(error) => error,
            };
            if Shared::is_full(&error) {
                if crate::retain::make_room(&self.shared, fragment.bytes) {
                    continue;
                }
                self.give_up(track, &fragment, GapCause::DiskFull, &error);
                return;
            }
            // The file is not to be trusted any more. What is not durable is written anew, once.
            self.shared.enter_for(&error);
            if let Err(error) = self.rewrite(track) {
                self.give_up(track, &fragment, GapCause::DiskError, &error);
                return;
            }
        }
        let error = io::Error::other("the disk refused a fragment again and again");
        self.give_up(track, &fragment, GapCause::DiskError, &error);
    }

    /// The fragment can't be kept: says why, and waits for the next group of pictures.
    fn give_up(&mut self, track: &mut Track, fragment: &Fragment, cause: GapCause, error: &io::Error) {
        tracing::warn!(stream = %track.slot.spec.stream, %error, "footage could not be written");
        self.shared.enter_for(error);
        self.shared.queue.release(fragment.bytes);
        track.slot.units_dropped.fetch_add(fragment.units.len() as u64, Ordering::Relaxed);
        track.slot.dropping.store(true, Ordering::Release);
        self.gap(track, GapNotice { cause, parameters: Map::new(), at: fragment.start() });
    }

    fn flush_failed(&mut self, error: &io::Error) {
        self.shared.enter(StorageState::Suspect, &error.to_string());
        {
            // Everything in here was written before the failure was known. Names can be flushed again: a folder's
            // flush covers whatever is in it.
            let mut dirty = self.shared.dirty.lock();
            dirty.files.clear();
            dirty.newest.clear();
            dirty.closed.clear();
        }
        let streams: Vec<_> = self.tracks.keys().copied().collect();
        for stream in streams {
            let Some(mut track) = self.tracks.remove(&stream) else { continue };
            if let Err(error) = self.rewrite(&mut track) {
                let at = self.shared.ambient.mono();
                track.slot.dropping.store(true, Ordering::Release);
                self.shared.enter_for(&error);
                self.gap(&mut track, GapNotice { cause: GapCause::DiskError, parameters: Map::new(), at });
            }
            self.tracks.insert(stream, track);
        }
        self.shared.poisoned.store(false, Ordering::Release);
    }

    /// Seals the open file at what is durable, and writes everything behind that into a new one.
    fn rewrite(&mut self, track: &mut Track) -> io::Result<()> {
        trim(&self.shared, track);
        close::seal_suspect(&self.shared, track);
        let mut again = std::mem::take(&mut track.undurable);
        while let Some((_, fragment)) = again.pop_front() {
            match self.write(track, &fragment) {
                Ok(sequence) => track.undurable.push_back((sequence, fragment)),
                Err(error) => {
                    let lost: u64 = again.iter().map(|(_, fragment)| fragment.bytes).sum();
                    self.shared.queue.release(lost + fragment.bytes);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes one fragment, into a new file if need be, and gives its sequence.
    fn write(&mut self, track: &mut Track, fragment: &Fragment) -> io::Result<u64> {
        let clock = self.clock_for(track, fragment);
        let start = clock.mapping.utc(fragment.start());
        if let Some(reason) = roll_reason(track, fragment, clock, start) {
            close::close(&self.shared, track, reason);
        }
        if track.open.is_none() {
            self.explain_silence(track, fragment, clock, start);
            self.open_file(track, fragment, clock, start)?;
        }
        self.end_gap(track, start);
        self.append(track, fragment, clock)
    }

    /// The clock that dates a fragment. A group of pictures that began before the clock was changed ends in its own
    /// epoch, so that every file begins with an entry point.
    fn clock_for(&self, track: &mut Track, fragment: &Fragment) -> Clock {
        let now = *self.shared.clock.read();
        let Some(open) = &mut track.open else { return now };
        if open.clock.epoch == now.epoch {
            open.clock = now;
        }
        let mid_group = fragment.key_frame.is_none();
        if mid_group && fragment.start().since(now.mapping.mono) < GROUP_MAX { open.clock } else { now }
    }

    /// Records why nothing stands between the stream's last file and the one that begins now.
    fn explain_silence(&mut self, track: &mut Track, fragment: &Fragment, clock: Clock, start: Utc) {
        let Some(tail) = track.tail else { return };
        if track.gap.is_some() || start <= tail.end {
            return;
        }
        let silence = start.since(tail.end);
        let cause = if tail.epoch != clock.epoch && silence > Duration::from_secs(1) {
            GapCause::ClockSetForward
        } else if silence > SILENCE_MAX && fragment.format.medium() != Medium::Metadata {
            GapCause::Unknown
        } else {
            return;
        };
        self.begin_gap(track, cause, Map::new(), tail.end);
    }

    fn open_file(
        &mut self,
        track: &mut Track,
        fragment: &Fragment,
        clock: Clock,
        start: Utc,
    ) -> io::Result<()> {
        let shared = &self.shared;
        let spec = &track.slot.spec;
        // Estimates of a last unit's duration may reach into the present: files of one epoch do not overlap.
        let start = match track.tail {
            Some(tail) if tail.epoch == clock.epoch => start.max(tail.end),
            _ => start,
        };
        if track.next_file.0 != clock.epoch {
            track.next_file = (clock.epoch, 0);
        }
        let seq = track.next_file.1;
        track.next_file.1 += 1;
        let path = FilePath::new(spec.channel, spec.stream, clock.epoch, seq, start);
        if !track.described {
            close::describe_channel(shared, spec)?;
            track.described = true;
        }
        let folder = media_folder(&path);
        if shared.disk.create_folder(&folder)? {
            shared.mark_folder_dirty(format!("{}/{}", varde_footage::MEDIA_FOLDER, spec.channel));
        }
        let key = match shared.options.encrypt {
            true => Some(shared.vault.writing_key(spec.channel, path.day(), &*shared.ambient)?),
            false => None,
        };
        let identity = FileIdentity {
            format: FORMAT_VERSION,
            must_understand: if key.is_some() { vec![ENCRYPTION.into()] } else { Vec::new() },
            installation: shared.options.installation,
            storage: shared.options.storage,
            channel: spec.channel,
            stream: spec.stream,
            writer: shared.options.writer,
            epoch: clock.epoch,
            seq,
            start,
            mono: fragment.start(),
            codec: fragment.format.codec(),
            codec_string: fragment.format.codec_string(),
            width: fragment.format.dimensions().map(|(width, _)| width),
            height: fragment.format.dimensions().map(|(_, height)| height),
            timescale: fragment.format.timescale(),
            configuration: configuration_digest(&fragment.format),
            previous: track.tail.map_or(varde_footage::Digest::ZERO, |tail| tail.leaf),
            other: Map::new(),
        };
        let init = mux::init_segment(&fragment.format, &identity)?;
        // Before the file, so that a crash leaves no file that nobody looks for.
        shared.record(LedgerRecord::FileOpened { file: path });
        let created = shared.disk.create(&media_path(&path)).and_then(|file| {
            file.write_at(&mut [IoSlice::new(&init)], 0)?;
            Ok(file)
        });
        let file = match created {
            Ok(file) => file,
            Err(error) => {
                close::discard(shared, &path);
                return Err(error);
            }
        };
        shared.mark_folder_dirty(folder);
        let live = Arc::new(LiveFile {
            path,
            init_bytes: init.len() as u64,
            init: varde_footage::Digest::of(&init),
            file,
            table: parking_lot::RwLock::new(Table {
                rows: Vec::new(),
                leaves: Vec::new(),
                bytes: init.len() as u64,
                end: start,
                summary: None,
            }),
            identity,
        });
        shared.live.insert(Arc::clone(&live));
        track.open = Some(OpenFile {
            context: LeafContext::from(&live.identity),
            live,
            format: Arc::clone(&fragment.format),
            key,
            opened: fragment.start(),
            clock,
        });
        Ok(())
    }

    fn append(&mut self, track: &mut Track, fragment: &Fragment, clock: Clock) -> io::Result<u64> {
        let shared = &self.shared;
        let open = track.open.as_ref().ok_or_else(|| io::Error::other("no file is open"))?;
        let live = &open.live;
        let (offset, earliest, previous) = {
            let table = live.table.read();
            let earliest = table.rows.last().map_or(0, |row| row.start_ticks + u64::from(row.duration_ticks));
            (table.bytes, earliest, table.leaves.last().copied().unwrap_or(live.identity.previous))
        };
        let sequence = track.tail.map_or(0, |tail| tail.sequence + 1);
        let ticks = Ticks { start: live.identity.start, timescale: live.identity.timescale, clock };
        let (start_ticks, samples) = ticks.samples(fragment, earliest);
        let mut record = FragmentRecord {
            sequence,
            durable: track.slot.durable_sequence(),
            start: live.identity.utc(start_ticks),
            camera_time: fragment.camera_time,
            payload: fragment.payload,
            previous,
            leaf: varde_footage::Digest::ZERO,
            key_frame: fragment.key_frame,
            seal: None,
            samples,
        };
        record.leaf = leaf(&open.context, &record);
        let sealed = match &open.key {
            None => None,
            Some(key) => {
                let mut media = Vec::with_capacity(fragment.bytes as usize);
                fragment.units.iter().for_each(|unit| media.extend_from_slice(&unit.data));
                let mut nonce = [0; 12];
                shared.ambient.fill_random(&mut nonce);
                record.seal = Some(crypt::seal(key, &open.context, sequence, nonce, &mut media)?);
                Some(media)
            }
        };
        let head = mux::fragment_head(&record, fragment, start_ticks)?;
        let mut parts = Vec::with_capacity(1 + fragment.units.len());
        parts.push(IoSlice::new(&head));
        match &sealed {
            Some(media) => parts.push(IoSlice::new(media)),
            None => parts.extend(fragment.units.iter().map(|unit| IoSlice::new(&unit.data))),
        }
        live.file.write_at(&mut parts, offset)?;

        let bytes = head.len() as u64 + fragment.bytes;
        let duration_ticks = u32::try_from(record.duration()).unwrap_or(u32::MAX);
        let end = live.identity.utc(start_ticks + u64::from(duration_ticks));
        {
            let mut table = live.table.write();
            table.rows.push(Row {
                offset,
                start_ticks,
                sequence,
                bytes: bytes as u32,
                head_bytes: head.len() as u32,
                duration_ticks,
                head_crc: crc32fast::hash(&head),
                entry_point: fragment.key_frame.is_some(),
            });
            table.leaves.push(record.leaf);
            table.bytes = offset + bytes;
            table.end = end;
        }
        shared.bytes_written.fetch_add(bytes, Ordering::Relaxed);
        track.tail = Some(StreamTail { epoch: clock.epoch, end, sequence, leaf: record.leaf });
        let mut dirty = shared.dirty.lock();
        dirty.files.entry(media_path(&live.path)).or_insert_with(|| Arc::clone(&live.file));
        dirty.newest.insert(live.path.stream, (Arc::clone(&track.slot), sequence, end));
        Ok(sequence)
    }

    /// The stream stops here for a cause.
    fn gap(&mut self, track: &mut Track, notice: GapNotice) {
        close::close(&self.shared, track, "gap");
        let at = self.shared.clock.read().mapping.utc(notice.at);
        let start = match track.tail {
            Some(tail) if tail.epoch == self.shared.clock.read().epoch => at.max(tail.end),
            _ => at,
        };
        if let Some(open) = &track.gap {
            if open.cause == notice.cause.code() {
                return;
            }
            self.end_gap(track, start);
        }
        self.begin_gap(track, notice.cause, notice.parameters, start);
    }

    fn begin_gap(&mut self, track: &mut Track, cause: GapCause, parameters: Map<String, Value>, start: Utc) {
        let spec = &track.slot.spec;
        let mut data = parameters.clone();
        let gap = {
            let mut ledger = self.shared.ledger.lock();
            let gap = GapRecord {
                id: ledger.state().gap + 1,
                channel: spec.channel,
                stream: spec.stream,
                start,
                end: None,
                cause: cause.code().into(),
                parameters,
            };
            let now = self.shared.now();
            if let Err(error) = ledger.append(now, LedgerRecord::GapBegin(gap.clone())) {
                drop(ledger);
                self.shared.enter_for(&error);
            }
            gap
        };
        data.insert("cause".into(), Value::from(cause.code()));
        data.insert("phase".into(), Value::from("begin"));
        data.insert("start".into(), Value::from(start.to_string()));
        data.insert("stream".into(), Value::from(spec.stream.to_string()));
        data.insert("gap".into(), Value::from(gap.id));
        self.shared.event(EventType::RecordingGap, "warning", Some(spec.channel), data);
        track.gap = Some(gap);
    }

    fn end_gap(&mut self, track: &mut Track, at: Utc) {
        let Some(gap) = track.gap.take() else { return };
        // After a clock was set back, the gap has no end in its own time.
        let end = at.max(gap.start);
        self.shared.record(LedgerRecord::GapEnd { gap: gap.id, end });
        let data = Map::from_iter([
            ("cause".to_owned(), Value::from(gap.cause)),
            ("phase".to_owned(), Value::from("end")),
            ("end".to_owned(), Value::from(end.to_string())),
            ("stream".to_owned(), Value::from(gap.stream.to_string())),
            ("gap".to_owned(), Value::from(gap.id)),
        ]);
        self.shared.event(EventType::RecordingGap, "info", Some(gap.channel), data);
    }
}

/// Why the open file ends before this fragment; `None` where it goes on.
fn roll_reason(track: &Track, fragment: &Fragment, clock: Clock, start: Utc) -> Option<&'static str> {
    let open = track.open.as_ref()?;
    if open.live.identity.epoch != clock.epoch {
        return Some("clock");
    }
    if !Arc::ptr_eq(&open.format, &fragment.format) && *open.format != *fragment.format {
        return Some("format");
    }
    let table = open.live.table.read();
    if start.since(table.end) > SILENCE_MAX && fragment.format.medium() != Medium::Metadata {
        return Some("gap");
    }
    let age = fragment.start().since(open.opened);
    let at_entry_point = fragment.key_frame.is_some();
    let bytes = table.bytes.saturating_add(fragment.bytes);
    if (at_entry_point && age >= FILE_DURATION_MAX) || age >= FILE_DURATION_HARD {
        return Some("duration");
    }
    ((at_entry_point && bytes >= FILE_BYTES_MAX) || bytes >= FILE_BYTES_HARD).then_some("size")
}

/// Lets go of what became durable.
fn trim(shared: &Shared, track: &mut Track) {
    let durable = track.slot.durable_sequence();
    while let Some((sequence, fragment)) = track.undurable.front() {
        if *sequence >= durable {
            break;
        }
        shared.queue.release(fragment.bytes);
        track.undurable.pop_front();
    }
}

/// Counts in a file's timescale.
struct Ticks {
    start: Utc,
    timescale: u32,
    clock: Clock,
}

impl Ticks {
    fn of(&self, at: Mono) -> i64 {
        let micros = i128::from(self.clock.mapping.utc(at).signed_micros_since(self.start));
        let ticks = (micros * i128::from(self.timescale) + 500_000).div_euclid(1_000_000);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// The fragment's first decode time, not before `earliest`, and its samples.
    fn samples(&self, fragment: &Fragment, earliest: u64) -> (u64, Vec<SampleEntry>) {
        let first = u64::try_from(self.of(fragment.start())).unwrap_or(0).max(earliest);
        let mut at = first;
        let units = &fragment.units;
        let samples = units.iter().enumerate().map(|(index, unit)| {
            let next = units.get(index + 1).map_or(fragment.end, |next| next.decode_time);
            // A sample lasts one tick at the least, so that decode times rise whatever a camera says.
            let until = u64::try_from(self.of(next)).unwrap_or(0).max(at + 1);
            let duration = u32::try_from(until - at).unwrap_or(u32::MAX);
            let composition = self.of(unit.time) - self.of(unit.decode_time);
            at += u64::from(duration);
            SampleEntry {
                duration,
                size: unit.data.len() as u32,
                composition: i32::try_from(composition).unwrap_or(0),
                flags: u8::from(unit.flags.entry_point)
                    | u8::from(unit.flags.skipped_after_seek) << 1
                    | u8::from(unit.flags.disposable) << 2
                    | u8::from(unit.flags.after_loss) << 3,
            }
        });
        let samples = samples.collect();
        (first, samples)
    }
}
