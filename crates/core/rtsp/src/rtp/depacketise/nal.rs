//! Access units out of NAL units: what H.264 and H.265 have in common.
//!
//! Decides where a unit ends and whether it is whole. A marker is believed once two units have shown that it stands
//! where the timestamp changes; until then, and for cameras that set it in the middle or never, the next timestamp
//! ends the unit. A unit that may have lost a packet is never given.

use std::collections::VecDeque;

use bytes::Bytes;
use varde_codec::h264::PARAMETER_SET_BYTES_MAX;
use varde_codec::{Format, UnitFlags};

use super::Unit;
use crate::rtp::UNIT_BYTES_MAX;

/// Parameter sets of one kind that are kept.
const SETS_MAX: usize = 32;
/// SEI that waits for its picture.
const PREFIX_BYTES_MAX: usize = 64 << 10;
/// Units that must agree before a marker ends a unit at once.
const AGREEING_UNITS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetKind {
    Vps,
    Sps,
    Pps,
}

/// What a NAL unit means to the assembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nal {
    Slice {
        entry: bool,
        leading: bool,
        disposable: bool,
        first: bool,
    },
    Set(SetKind),
    /// Belongs to the picture that follows.
    Prefix,
    /// Belongs to the picture before.
    Suffix,
    Skip,
}

/// A piece of a payload: a NAL unit or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    Whole(&'a [u8]),
    Fragment { header: [u8; 2], start: bool, end: bool, body: &'a [u8] },
}

impl<'a> Piece<'a> {
    /// Both payload formats place start and end in the two high bits.
    pub(super) fn fragment(header: [u8; 2], bits: u8, body: &'a [u8]) -> Self {
        Self::Fragment { header, start: bits & 0x80 != 0, end: bits & 0x40 != 0, body }
    }
}

/// What differs between the two codecs.
pub(super) trait Syntax {
    const HEADER_BYTES: usize;

    /// Looks at the header and the first byte behind it.
    fn classify(&self, nal: &[u8]) -> Nal;

    /// Takes a payload apart. `None` when it is malformed or of a kind that is not supported.
    fn split<'a>(payload: &'a [u8], on_piece: impl FnMut(Piece<'a>)) -> Option<()>;

    /// The identifier of a VPS or PPS among its kind.
    fn set_id(&self, set: &[u8]) -> u32;

    fn on_sps(&mut self, _sps: &[u8]) {}
}

/// Parameter sets as they stand.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    pub(super) vps: Vec<Bytes>,
    pub(super) sps: Option<Bytes>,
    pub(super) pps: Vec<Bytes>,
    changed: bool,
    /// The SPS is new: the sets that follow it replace the old ones.
    replace: bool,
    /// Only the first SPS of a unit counts; others are for layers that nothing here decodes.
    sps_in_unit: bool,
}

impl ParameterSets {
    fn on_set<S: Syntax>(&mut self, syntax: &mut S, kind: SetKind, set: &[u8]) {
        if set.len() > PARAMETER_SET_BYTES_MAX || set.len() <= S::HEADER_BYTES {
            return;
        }
        let list = match kind {
            SetKind::Sps => {
                if std::mem::replace(&mut self.sps_in_unit, true) || self.sps.as_deref() == Some(set) {
                    return;
                }
                syntax.on_sps(set);
                self.sps = Some(Bytes::copy_from_slice(set));
                (self.changed, self.replace) = (true, true);
                return;
            }
            SetKind::Vps => &mut self.vps,
            SetKind::Pps => &mut self.pps,
        };
        if kind == SetKind::Pps && std::mem::take(&mut self.replace) {
            list.retain(|old| old == set);
        }
        let id = syntax.set_id(set);
        match list.iter().position(|old| syntax.set_id(old) == id) {
            Some(at) if list[at] == set => return,
            Some(at) => list[at] = Bytes::copy_from_slice(set),
            None if list.len() < SETS_MAX => list.push(Bytes::copy_from_slice(set)),
            None => return,
        }
        self.changed = true;
    }
}

/// Whether a marker ends a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Watched { agreed: u8 },
    Believed,
    Wrong,
}

/// The unit under assembly.
#[derive(Debug, Default)]
struct Open {
    data: Vec<u8>,
    /// Where the length of the fragmented NAL unit stands.
    fragment: Option<usize>,
    time: Option<i64>,
    slices: u32,
    entry: bool,
    leading: bool,
    not_disposable: bool,
    /// A marker was seen behind the last slice.
    marked: bool,
    /// Something is missing or malformed: it will not be given.
    broken: bool,
    /// Packets were lost just before: the first slice must be the picture's first.
    suspect: bool,
    has_sets: bool,
}

/// Assembles the access units of one stream.
#[derive(Debug)]
pub(super) struct NalDepacketiser<S> {
    syntax: S,
    make_format: fn(&ParameterSets) -> Option<Format>,
    sets: ParameterSets,
    format: Option<Format>,
    format_told: bool,
    open: Open,
    marker: Marker,
    /// The last unit ended without a marker.
    unmarked: bool,
    /// The timestamp of the unit that a marker ended last.
    ended: Option<i64>,
    after_loss: bool,
    dropped: u32,
    /// Recent sizes of entry points and of others: what the next one's allocation begins with.
    sizes: [usize; 2],
    ready: VecDeque<Unit>,
}

impl<S: Syntax> NalDepacketiser<S> {
    pub(super) fn new(
        mut syntax: S,
        make_format: fn(&ParameterSets) -> Option<Format>,
        known_sets: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let mut sets = ParameterSets::default();
        for set in known_sets {
            if let Nal::Set(kind) = syntax.classify(&set) {
                sets.on_set(&mut syntax, kind, &set);
            }
        }
        sets.sps_in_unit = false;
        let mut depacketiser = Self {
            syntax,
            make_format,
            sets,
            format: None,
            format_told: false,
            // A stream may be joined in the middle of a unit.
            open: Open { suspect: true, ..Open::default() },
            marker: Marker::Watched { agreed: 0 },
            unmarked: false,
            ended: None,
            after_loss: false,
            dropped: 0,
            sizes: [0; 2],
            ready: VecDeque::new(),
        };
        depacketiser.refresh_format();
        depacketiser
    }

    pub(super) fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.pop_front()
    }

    pub(super) fn on_packet(&mut self, time: i64, marker: bool, payload: &[u8], lost: u32) {
        if lost > 0 {
            self.on_loss(time);
        }
        if self.open.time.is_some_and(|open| open != time) {
            self.on_timestamp_change();
        }
        self.open.time = Some(time);
        if S::split(payload, |piece| self.on_piece(piece)).is_none() {
            self.break_open();
        }
        if marker {
            self.on_marker();
        }
    }

    /// The stream ends: what is open is whole if its marker came, or if this sender sets none.
    pub(super) fn flush(&mut self) {
        let ended = self.open.marked || self.unmarked || self.marker == Marker::Wrong;
        if self.open.fragment.is_some() || (self.open.slices > 0 && !ended) {
            self.break_open();
        }
        self.end_unit();
    }

    fn on_loss(&mut self, time: i64) {
        self.after_loss = true;
        let same = self.open.time == Some(time);
        if self.open.slices > 0 || self.open.fragment.is_some() {
            self.break_open();
            if !same {
                self.end_unit();
            }
        }
        if !self.open.broken {
            self.open.suspect = true;
        }
    }

    fn on_timestamp_change(&mut self) {
        if self.open.fragment.is_some() {
            self.break_open();
        }
        if self.open.slices > 0 {
            self.unmarked = !self.open.marked;
            self.marker = match self.marker {
                Marker::Watched { agreed } if self.open.marked && agreed + 1 >= AGREEING_UNITS => {
                    Marker::Believed
                }
                Marker::Watched { agreed } if self.open.marked => Marker::Watched { agreed: agreed + 1 },
                Marker::Watched { .. } => Marker::Watched { agreed: 0 },
                marker => marker,
            };
        }
        self.end_unit();
    }

    fn on_marker(&mut self) {
        if self.open.slices == 0 && !self.open.broken {
            return; // Some cameras mark parameter sets too.
        }
        self.open.marked = true;
        if self.marker == Marker::Believed && self.open.fragment.is_none() {
            self.ended = self.open.time;
            self.end_unit();
        }
    }

    fn on_piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Whole(nal) => {
                if self.open.fragment.is_some() {
                    self.break_open();
                }
                self.on_nal(nal);
            }
            Piece::Fragment { header, start, end, body } => self.on_fragment(header, start, end, body),
        }
    }

    fn on_nal(&mut self, nal: &[u8]) {
        if nal.len() <= S::HEADER_BYTES {
            return;
        }
        let class = self.syntax.classify(nal);
        match class {
            Nal::Set(kind) => {
                self.before_picture_part();
                self.open.has_sets = true;
                self.sets.on_set(&mut self.syntax, kind, nal);
            }
            Nal::Skip => {}
            Nal::Prefix | Nal::Suffix | Nal::Slice { .. } => {
                self.on_class(class);
                self.append_nal(&[], nal);
            }
        }
    }

    fn on_fragment(&mut self, header: [u8; 2], start: bool, end: bool, body: &[u8]) {
        let header = &header[..S::HEADER_BYTES];
        if start {
            if self.open.fragment.is_some() {
                self.break_open();
            }
            let Some(&first) = body.first() else { return self.break_open() };
            let mut head = [first; 3];
            head[..S::HEADER_BYTES].copy_from_slice(header);
            self.on_class(self.syntax.classify(&head[..=S::HEADER_BYTES]));
            if self.open.broken {
                return;
            }
            self.open.fragment = Some(self.open.data.len());
            self.append_nal(header, body);
        } else if self.open.fragment.is_some() {
            self.append(body);
        } else {
            return self.break_open();
        }
        if end && let Some(at) = self.open.fragment.take() {
            self.on_fragment_end(at);
        }
    }

    /// Writes the length in; takes out what does not belong into a unit.
    fn on_fragment_end(&mut self, at: usize) {
        let Some(nal) = self.open.data.get(at + 4..) else { return };
        let length = nal.len() as u32;
        match self.syntax.classify(nal) {
            Nal::Set(kind) => {
                self.open.has_sets = true;
                self.sets.on_set(&mut self.syntax, kind, nal);
                self.open.data.truncate(at);
            }
            Nal::Skip => self.open.data.truncate(at),
            _ => self.open.data[at..at + 4].copy_from_slice(&length.to_be_bytes()),
        }
    }

    /// A parameter set or prefix behind slices with a marker between: the next picture begins, though its
    /// timestamp is the same.
    fn before_picture_part(&mut self) {
        if self.open.slices > 0 && self.open.marked {
            let time = self.open.time;
            self.end_unit();
            self.open.time = time;
        }
    }

    fn on_class(&mut self, class: Nal) {
        match class {
            Nal::Prefix | Nal::Set(_) => self.before_picture_part(),
            Nal::Slice { entry, leading, disposable, first } => {
                if first {
                    self.before_picture_part();
                } else if self.open.marked || (self.open.slices == 0 && self.ended == self.open.time) {
                    // The picture goes on behind its marker.
                    if !self.open.marked {
                        self.after_loss = true;
                        self.break_open();
                    }
                    self.marker = Marker::Wrong;
                } else if self.open.slices == 0 && self.open.suspect {
                    self.break_open();
                }
                self.open.marked = false;
                self.open.slices = self.open.slices.saturating_add(1);
                self.open.entry |= entry;
                self.open.leading |= leading;
                self.open.not_disposable |= !disposable;
            }
            Nal::Suffix | Nal::Skip => {}
        }
    }

    fn append_nal(&mut self, header: &[u8], body: &[u8]) {
        if self.open.data.capacity() == 0 && !self.open.broken {
            let likely = self.sizes[usize::from(self.open.entry || self.open.has_sets)];
            self.open.data.reserve_exact((likely + likely / 8).max(body.len() + 16).min(UNIT_BYTES_MAX));
        }
        let length = (header.len() + body.len()) as u32;
        self.append(&length.to_be_bytes());
        self.append(header);
        self.append(body);
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.open.broken {
            return;
        }
        if self.open.data.len() + bytes.len() > UNIT_BYTES_MAX {
            return self.break_open();
        }
        self.open.data.extend_from_slice(bytes);
    }

    fn break_open(&mut self) {
        self.open.broken = true;
        self.open.fragment = None;
        self.open.data = Vec::new();
    }

    fn end_unit(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        self.sets.sps_in_unit = false;
        if open.broken {
            self.after_loss = true;
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        if open.slices == 0 {
            // Parameter sets or SEI with a timestamp of their own: they belong to the next picture.
            if open.data.len() <= PREFIX_BYTES_MAX {
                self.open = Open {
                    data: open.data,
                    suspect: open.suspect,
                    has_sets: open.has_sets,
                    ..Open::default()
                };
            }
            return;
        }
        self.refresh_format();
        let Some(time) = open.time else { return };
        if self.format.is_none() {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let size = &mut self.sizes[usize::from(open.entry)];
        *size = open.data.len().max(*size - *size / 8);
        open.data.shrink_to_fit();
        self.ready.push_back(Unit {
            rtp_time: time,
            flags: UnitFlags {
                entry_point: open.entry,
                skipped_after_seek: open.leading,
                disposable: !open.not_disposable,
                after_loss: std::mem::take(&mut self.after_loss),
            },
            data: open.data.into(),
            format: if std::mem::replace(&mut self.format_told, true) { None } else { self.format.clone() },
            dropped_before: std::mem::take(&mut self.dropped),
        });
    }

    fn refresh_format(&mut self) {
        if !std::mem::take(&mut self.sets.changed) {
            return;
        }
        let format = (self.make_format)(&self.sets);
        if format.is_some() && format != self.format {
            self.format = format;
            self.format_told = false;
        }
    }
}
