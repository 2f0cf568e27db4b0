//! Sound over RTP: AAC (RFC 3640, mode AAC-hbr), G.711 (RFC 3551) and Opus (RFC 7587).

use std::collections::VecDeque;

use bytes::Bytes;
use varde_codec::{Format, UnitFlags};

use super::Unit;
use crate::rtp::payload::{PayloadParameters, UnsupportedPayload};

/// Access units in one packet; more is nonsense.
const UNITS_MAX: usize = 64;
/// The longest AAC frame: 6144 bits for each of up to 48 channels.
const AAC_BYTES_MAX: usize = 48 * 768;
/// The longest Opus packet: 120 ms as three frames of 1275 bytes twice over, and headers.
const OPUS_BYTES_MAX: usize = 6 * 1275 + 64;
/// Milliseconds of G.711 in one unit.
const G711_UNIT_MILLIS: usize = 40;
const G711_BYTES_MAX: usize = 64 << 10;

/// Units on their way out, with the marks of what was lost before them.
#[derive(Debug)]
struct Ready {
    units: VecDeque<Unit>,
    format: Option<Format>,
    format_told: bool,
    after_loss: bool,
    dropped: u32,
}

impl Ready {
    fn new(format: Option<Format>) -> Self {
        Self { units: VecDeque::new(), format, format_told: false, after_loss: false, dropped: 0 }
    }

    fn drop_unit(&mut self) {
        self.after_loss = true;
        self.dropped = self.dropped.saturating_add(1);
    }

    fn push(&mut self, rtp_time: i64, data: Bytes) {
        let flags = UnitFlags {
            entry_point: true,
            after_loss: std::mem::take(&mut self.after_loss),
            ..UnitFlags::default()
        };
        let told = std::mem::replace(&mut self.format_told, true);
        let format = if told { None } else { self.format.clone() };
        let dropped_before = std::mem::take(&mut self.dropped);
        self.units.push_back(Unit { rtp_time, flags, data, format, dropped_before });
    }
}

/// AAC in mode AAC-hbr: frames behind a list of their sizes.
#[derive(Debug)]
pub(super) struct Aac {
    ready: Ready,
    size_bits: u32,
    index_bits: u32,
    index_delta_bits: u32,
    /// Ticks from one frame to the next.
    frame_ticks: i64,
    /// A frame that spans packets: its time, size and what arrived.
    partial: Option<(i64, usize, Vec<u8>)>,
}

impl Aac {
    pub(super) fn new(
        parameters: &PayloadParameters,
        format: Format,
        frame_ticks: u32,
    ) -> Result<Self, UnsupportedPayload> {
        if parameters.parameter("mode").is_some_and(|mode| !mode.eq_ignore_ascii_case("AAC-hbr")) {
            return Err(parameters.refuse("only mode AAC-hbr is supported"));
        }
        let bits = |name, default| match parameters.number(name).unwrap_or(default) {
            bits @ 0..=32 => Ok(bits),
            _ => Err(parameters.refuse("a field is longer than 32 bits")),
        };
        let (size_bits, index_bits) = (bits("sizelength", 13)?, bits("indexlength", 3)?);
        let index_delta_bits = bits("indexdeltalength", 3)?;
        if size_bits == 0 {
            return Err(parameters.refuse("frames of constant size are not supported"));
        }
        Ok(Self {
            ready: Ready::new(Some(format)),
            size_bits,
            index_bits,
            index_delta_bits,
            frame_ticks: i64::from(frame_ticks),
            partial: None,
        })
    }

    pub(super) fn format(&self) -> Option<&Format> {
        self.ready.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.units.pop_front()
    }

    pub(super) fn flush(&mut self) {
        if self.partial.take().is_some() {
            self.ready.drop_unit();
        }
    }

    pub(super) fn on_packet(&mut self, time: i64, payload: &[u8], lost: u32) {
        if lost > 0 {
            self.flush();
            self.ready.after_loss = true;
        }
        if self.on_payload(time, payload).is_none() {
            self.partial = None;
            self.ready.drop_unit();
        }
    }

    /// `None` when the payload is malformed.
    fn on_payload(&mut self, time: i64, payload: &[u8]) -> Option<()> {
        let (bits, rest) = payload.split_first_chunk::<2>()?;
        let bits = u32::from(u16::from_be_bytes(*bits));
        let header_bytes = bits.div_ceil(8) as usize;
        let (headers, mut data) = (rest.get(..header_bytes)?, rest.get(header_bytes..)?);
        let mut at = 0;
        let mut count = 0;
        while at < bits {
            let index_bits = if count == 0 { self.index_bits } else { self.index_delta_bits };
            if at + self.size_bits + index_bits > bits || count == UNITS_MAX {
                return None;
            }
            let size = read_bits(headers, at, self.size_bits)? as usize;
            at += self.size_bits + index_bits;
            let unit_time = time.saturating_add(self.frame_ticks * count as i64);
            count += 1;
            if size == 0 || size > AAC_BYTES_MAX {
                return None;
            }
            if self.partial.is_some() || size > data.len() {
                // A fragment stands alone in its packet.
                return if count == 1 && at >= bits { self.on_fragment(unit_time, size, data) } else { None };
            }
            self.ready.push(unit_time, Bytes::copy_from_slice(&data[..size]));
            data = &data[size..];
        }
        (count > 0).then_some(())
    }

    fn on_fragment(&mut self, time: i64, size: usize, data: &[u8]) -> Option<()> {
        let (begun, whole, mut bytes) = match self.partial.take() {
            Some(partial) if partial.0 == time && partial.1 == size => partial,
            Some(_) => {
                // The rest of the frame before never came.
                self.ready.drop_unit();
                if size <= data.len() {
                    self.ready.push(time, Bytes::copy_from_slice(&data[..size]));
                    return Some(());
                }
                (time, size, Vec::with_capacity(size))
            }
            None => (time, size, Vec::with_capacity(size)),
        };
        if bytes.len() + data.len() > whole {
            return None;
        }
        bytes.extend_from_slice(data);
        if bytes.len() == whole {
            self.ready.push(begun, bytes.into());
        } else {
            self.partial = Some((begun, whole, bytes));
        }
        Some(())
    }
}

/// Up to 32 bits from bit `at`.
fn read_bits(bytes: &[u8], at: u32, count: u32) -> Option<u32> {
    (at..at.checked_add(count)?).try_fold(0u32, |value, bit| {
        let byte = bytes.get((bit / 8) as usize)?;
        Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
    })
}

/// G.711: small packets are grouped and large ones split, so that a unit holds at most 40 ms.
#[derive(Debug)]
pub(super) struct G711 {
    ready: Ready,
    /// Bytes a tick: one for each channel.
    channels: usize,
    unit_bytes_max: usize,
    open: Vec<u8>,
    open_time: i64,
}

impl G711 {
    pub(super) fn new(format: Format, sample_rate: u32, channels: u8) -> Self {
        let channels = usize::from(channels.max(1));
        let unit_ticks = (sample_rate as usize * G711_UNIT_MILLIS / 1000).max(1);
        Self {
            ready: Ready::new(Some(format)),
            channels,
            unit_bytes_max: unit_ticks * channels,
            open: Vec::new(),
            open_time: 0,
        }
    }

    pub(super) fn format(&self) -> Option<&Format> {
        self.ready.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.units.pop_front()
    }

    pub(super) fn flush(&mut self) {
        if !self.open.is_empty() {
            let mut data = std::mem::take(&mut self.open);
            data.shrink_to_fit();
            self.ready.push(self.open_time, data.into());
        }
    }

    pub(super) fn on_packet(&mut self, time: i64, payload: &[u8], lost: u32) {
        let open_ticks = (self.open.len() / self.channels) as i64;
        let fits = self.open.len() + payload.len() <= self.unit_bytes_max;
        if lost > 0 || !fits || self.open_time.saturating_add(open_ticks) != time {
            self.flush();
        }
        self.ready.after_loss |= lost > 0;
        if payload.len() > G711_BYTES_MAX || !payload.len().is_multiple_of(self.channels) {
            self.ready.drop_unit();
            return;
        }
        let mut time = time;
        for piece in payload.chunks(self.unit_bytes_max) {
            if self.open.is_empty() {
                self.open_time = time;
                self.open.reserve_exact(self.unit_bytes_max);
            }
            self.open.extend_from_slice(piece);
            time = time.saturating_add((piece.len() / self.channels) as i64);
            // The next packet is likely as long as this one; a unit that can't take it is complete.
            if self.open.len() + piece.len() > self.unit_bytes_max {
                self.flush();
            }
        }
    }
}

/// Opus: one packet is one unit.
#[derive(Debug)]
pub(super) struct Opus {
    ready: Ready,
    stereo: bool,
}

impl Opus {
    pub(super) fn new(stereo: bool) -> Self {
        // A mono stream may still turn out to be stereo: only the first packet tells.
        Self { ready: Ready::new(stereo.then_some(Format::Opus { channels: 2 })), stereo }
    }

    pub(super) fn format(&self) -> Option<&Format> {
        self.ready.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.units.pop_front()
    }

    /// No unit is ever open.
    pub(super) fn flush(&mut self) {}

    pub(super) fn on_packet(&mut self, time: i64, payload: &[u8], lost: u32) {
        self.ready.after_loss |= lost > 0;
        let Some(&configuration) = payload.first() else { return };
        if payload.len() > OPUS_BYTES_MAX {
            self.ready.drop_unit();
            return;
        }
        // RFC 6716 §3.1: bit `s` of the first byte. Once stereo, the stream stays so: mono packets fit in.
        let stereo = self.stereo || configuration & 4 != 0;
        if self.ready.format.is_none() || stereo != self.stereo {
            self.stereo = stereo;
            self.ready.format = Some(Format::Opus { channels: if stereo { 2 } else { 1 } });
            self.ready.format_told = false;
        }
        self.ready.push(time, Bytes::copy_from_slice(payload));
    }
}
