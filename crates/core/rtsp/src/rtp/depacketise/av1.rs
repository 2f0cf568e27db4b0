//! AV1 over RTP (AOMedia, RTP Payload Format For AV1 1.0): OBU elements back to low-overhead OBUs with sizes.

use std::collections::VecDeque;

use varde_codec::{Format, UnitFlags};

use super::Unit;
use super::formats::av1_format;
use crate::rtp::UNIT_BYTES_MAX;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// Bytes kept free for the size of a fragmented OBU; closed up once it is known.
const SIZE_BYTES: usize = 4;

/// An OBU whose end has not come.
#[derive(Clone, Copy, Debug)]
enum Fragment {
    /// Its header begins at `start`, its size field at `size`.
    Kept {
        start: usize,
        size: usize,
    },
    Skipped,
}

#[derive(Debug, Default)]
struct Open {
    data: Vec<u8>,
    time: Option<i64>,
    fragment: Option<Fragment>,
    frames: u32,
    sequence_header: bool,
    key: bool,
    broken: bool,
    /// Packets were lost just before the first packet.
    suspect: bool,
}

#[derive(Debug)]
pub(super) struct Av1 {
    open: Open,
    format: Option<Format>,
    format_told: bool,
    /// The last unit ended without a marker.
    unmarked: bool,
    after_loss: bool,
    dropped: u32,
    /// Recent sizes of key frames and others.
    sizes: [usize; 2],
    ready: VecDeque<Unit>,
}

impl Default for Av1 {
    fn default() -> Self {
        Self {
            // A stream may be joined in the middle of a unit.
            open: Open { suspect: true, ..Open::default() },
            format: None,
            format_told: false,
            unmarked: false,
            after_loss: false,
            dropped: 0,
            sizes: [0; 2],
            ready: VecDeque::new(),
        }
    }
}

impl Av1 {
    pub(super) fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.pop_front()
    }

    pub(super) fn on_packet(&mut self, time: i64, marker: bool, payload: &[u8], lost: u32) {
        if lost > 0 {
            self.after_loss = true;
            if self.open.time.is_some() {
                let same = self.open.time == Some(time);
                self.break_open();
                if !same {
                    self.end_unit();
                }
            }
            self.open.suspect = !self.open.broken;
        }
        if self.open.time.is_some_and(|open| open != time) {
            self.unmarked = true;
            self.end_whole();
        }
        self.open.time = Some(time);
        if self.on_payload(payload).is_none() {
            self.break_open();
        }
        if marker {
            self.unmarked = false;
            self.end_whole();
        }
    }

    /// The stream ends: what is open is whole only if this sender sets no markers.
    pub(super) fn flush(&mut self) {
        if !self.unmarked && self.open.time.is_some() {
            self.break_open();
        }
        self.end_whole();
    }

    fn end_whole(&mut self) {
        if self.open.fragment.is_some() {
            self.break_open();
        }
        if self.open.time.is_some() {
            self.end_unit();
        }
    }

    /// `None` when the payload is malformed.
    fn on_payload(&mut self, payload: &[u8]) -> Option<()> {
        let (&aggregation, mut rest) = payload.split_first()?;
        let (continued, continues) = (aggregation & 0x80 != 0, aggregation & 0x40 != 0);
        let count = usize::from(aggregation >> 4 & 3);
        // What was lost may be the begin of this unit; only a new coded video sequence shows that it is not.
        if std::mem::take(&mut self.open.suspect) && aggregation & 8 == 0 {
            return None;
        }
        if continued != self.open.fragment.is_some() {
            return None;
        }
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let element;
            if count != 0 && index == count {
                (element, rest) = (rest, &rest[rest.len()..]);
            } else {
                let (length, tail) = read_leb128(rest)?;
                element = tail.get(..length)?;
                rest = &tail[length..];
            }
            let unfinished = rest.is_empty() && continues;
            if index == 1 && continued {
                self.on_rest(element, unfinished)?;
            } else {
                self.on_obu(element, unfinished)?;
            }
        }
        (index > 0 && (count == 0 || count == index)).then_some(())
    }

    fn on_obu(&mut self, element: &[u8], unfinished: bool) -> Option<()> {
        if element.is_empty() && !unfinished {
            return Some(());
        }
        let (&header, mut body) = element.split_first()?;
        if header & 0x80 != 0 {
            return None;
        }
        let kind = header >> 3 & 0x0f;
        if matches!(kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            self.open.fragment = unfinished.then_some(Fragment::Skipped);
            return Some(());
        }
        let mut extension = None;
        if header & 4 != 0 {
            let (&byte, rest) = body.split_first()?;
            (extension, body) = (Some(byte), rest);
        }
        if header & 2 != 0 {
            // The size is redundant here; payloads should not have it, some do.
            let (size, rest) = read_leb128(body)?;
            body = if unfinished { rest } else { rest.get(..size)? };
        }
        self.note(kind, body);
        if self.open.broken {
            self.open.fragment = unfinished.then_some(Fragment::Skipped);
            return Some(());
        }
        if kind == SEQUENCE_HEADER && !unfinished {
            self.on_sequence_header(header, extension, body);
        }
        self.reserve(body.len());
        let start = self.open.data.len();
        self.open.data.push(header | 2);
        self.open.data.extend(extension);
        if unfinished {
            let size = self.open.data.len();
            self.open.fragment = Some(Fragment::Kept { start, size });
            self.open.data.extend_from_slice(&[0; SIZE_BYTES]);
        } else {
            let (bytes, count) = leb128(body.len());
            self.open.data.extend_from_slice(&bytes[..count]);
        }
        self.append(body)
    }

    fn on_rest(&mut self, element: &[u8], unfinished: bool) -> Option<()> {
        let fragment = self.open.fragment?;
        if !unfinished {
            self.open.fragment = None;
        }
        let Fragment::Kept { start, size } = fragment else { return Some(()) };
        self.append(element)?;
        if unfinished || self.open.broken {
            return Some(());
        }
        let body = size + SIZE_BYTES;
        let (bytes, count) = leb128(self.open.data.len().checked_sub(body)?);
        self.open.data[size..size + count].copy_from_slice(&bytes[..count]);
        self.open.data.copy_within(body.., size + count);
        self.open.data.truncate(self.open.data.len() - (SIZE_BYTES - count));
        if self.open.data[start] >> 3 & 0x0f == SEQUENCE_HEADER {
            // Never so in practice; a copy keeps the borrow simple.
            let obu = self.open.data[start..].to_vec();
            self.set_format(&obu);
        }
        Some(())
    }

    /// Keeps what the flags need. A frame's first bits: show_existing_frame, frame_type (2), show_frame.
    fn note(&mut self, kind: u8, body: &[u8]) {
        match kind {
            SEQUENCE_HEADER => self.open.sequence_header = true,
            FRAME_HEADER | FRAME => {
                if self.open.frames == 0 {
                    self.open.key = body.first().is_some_and(|byte| byte & 0xf0 == 0x10);
                }
                self.open.frames = self.open.frames.saturating_add(1);
            }
            _ => {}
        }
    }

    fn on_sequence_header(&mut self, header: u8, extension: Option<u8>, body: &[u8]) {
        let (bytes, count) = leb128(body.len());
        let mut obu = Vec::with_capacity(body.len() + 8);
        obu.push(header | 2);
        obu.extend(extension);
        obu.extend_from_slice(&bytes[..count]);
        obu.extend_from_slice(body);
        self.set_format(&obu);
    }

    fn set_format(&mut self, sequence_header: &[u8]) {
        let format = av1_format(sequence_header);
        if format.is_some() && format != self.format {
            self.format = format;
            self.format_told = false;
        }
    }

    fn reserve(&mut self, bytes: usize) {
        if self.open.data.capacity() == 0 {
            let likely = self.sizes[usize::from(self.open.sequence_header)];
            self.open.data.reserve_exact((likely + likely / 8).max(bytes + 16).min(UNIT_BYTES_MAX));
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        if self.open.data.len() + bytes.len() > UNIT_BYTES_MAX {
            return None;
        }
        if !self.open.broken {
            self.open.data.extend_from_slice(bytes);
        }
        Some(())
    }

    fn break_open(&mut self) {
        self.open.broken = true;
        self.open.fragment = None;
        self.open.data = Vec::new();
    }

    fn end_unit(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        let Some(rtp_time) = open.time else { return };
        if open.broken || open.frames == 0 || self.format.is_none() {
            if open.broken || open.frames > 0 {
                self.after_loss |= open.broken;
                self.dropped = self.dropped.saturating_add(1);
            }
            return;
        }
        let entry_point = open.sequence_header && open.key;
        let size = &mut self.sizes[usize::from(open.sequence_header)];
        *size = open.data.len().max(*size - *size / 8);
        open.data.shrink_to_fit();
        let flags = UnitFlags {
            entry_point,
            after_loss: std::mem::take(&mut self.after_loss),
            ..UnitFlags::default()
        };
        let format = if std::mem::replace(&mut self.format_told, true) { None } else { self.format.clone() };
        let dropped_before = std::mem::take(&mut self.dropped);
        self.ready.push_back(Unit { rtp_time, flags, data: open.data.into(), format, dropped_before });
    }
}

/// An unsigned LEB128 number that fits a unit, and what follows it.
pub(in crate::rtp) fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = usize::try_from(value).ok().filter(|&value| value <= UNIT_BYTES_MAX)?;
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// The shortest LEB128 form of a size below 2²⁸, and its length.
pub(in crate::rtp) fn leb128(mut value: usize) -> ([u8; SIZE_BYTES], usize) {
    let mut bytes = [0; SIZE_BYTES];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return (bytes, index + 1);
        }
        *byte |= 0x80;
    }
    (bytes, SIZE_BYTES)
}
