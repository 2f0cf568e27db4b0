//! JPEG over RTP (RFC 2435): fragments of a scan, from which a whole JFIF image is rebuilt.

use std::collections::VecDeque;

use varde_codec::{Format, UnitFlags};

use super::Unit;
use crate::rtp::UNIT_BYTES_MAX;
use crate::rtp::jpeg_tables::{HUFFMAN_SEGMENTS, quantisation_tables};

/// Quantisation tables of one image: luminance, then chrominance, each as a `DQT` entry.
type Tables = Vec<u8>;

#[derive(Debug, Default)]
struct Open {
    data: Vec<u8>,
    time: Option<i64>,
    /// Bytes of `data` before the scan.
    header_bytes: usize,
    width: u32,
    height: u32,
    broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Jpeg {
    open: Open,
    /// Tables that were sent once for a `Q` of 128 to 254 and hold on (§4.2).
    kept_tables: Option<(u8, Tables)>,
    format: Option<Format>,
    format_told: bool,
    /// The last image ended without a marker.
    unmarked: bool,
    after_loss: bool,
    dropped: u32,
    size: usize,
    ready: VecDeque<Unit>,
}

/// The fields of the main and the restart header.
#[derive(Clone, Copy, Debug)]
struct Fields {
    offset: usize,
    kind: u8,
    quality: u8,
    width: u32,
    height: u32,
    restart_interval: u16,
}

impl Jpeg {
    pub(super) fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub(super) fn poll(&mut self) -> Option<Unit> {
        self.ready.pop_front()
    }

    pub(super) fn on_packet(
        &mut self,
        time: i64,
        marker: bool,
        payload: &[u8],
        extension: Option<(u16, &[u8])>,
        lost: u32,
    ) {
        if lost > 0 {
            self.after_loss = true;
            if self.open.time.is_some() {
                self.open.broken = true;
            }
        }
        if self.open.time.is_some_and(|open| open != time) {
            self.unmarked = true;
            self.end_image();
        }
        if self.on_payload(time, payload, extension).is_none() {
            self.open.time = Some(time);
            self.open.broken = true;
        }
        if marker {
            self.unmarked = false;
            self.end_image();
        }
    }

    /// The stream ends: what is open is whole only if this sender sets no markers.
    pub(super) fn flush(&mut self) {
        self.open.broken |= !self.unmarked;
        self.end_image();
    }

    fn end_image(&mut self) {
        let mut open = std::mem::take(&mut self.open);
        let Some(rtp_time) = open.time else { return };
        if open.broken || open.data.len() <= open.header_bytes {
            self.after_loss = true;
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        if !open.data.ends_with(&[0xff, 0xd9]) {
            open.data.extend_from_slice(&[0xff, 0xd9]);
        }
        self.size = open.data.len().max(self.size - self.size / 8);
        open.data.shrink_to_fit();
        let format = Format::Mjpeg { width: open.width, height: open.height };
        if self.format.as_ref() != Some(&format) {
            self.format = Some(format);
            self.format_told = false;
        }
        let flags = UnitFlags {
            entry_point: true,
            disposable: true,
            after_loss: std::mem::take(&mut self.after_loss),
            ..UnitFlags::default()
        };
        let format = if std::mem::replace(&mut self.format_told, true) { None } else { self.format.clone() };
        let dropped_before = std::mem::take(&mut self.dropped);
        self.ready.push_back(Unit { rtp_time, flags, data: open.data.into(), format, dropped_before });
    }

    /// `None` when the payload is malformed or does not continue what is open.
    fn on_payload(&mut self, time: i64, payload: &[u8], extension: Option<(u16, &[u8])>) -> Option<()> {
        let (fields, mut rest) = read_fields(payload)?;
        if fields.offset == 0 {
            if self.open.time.is_some() {
                // A new image with the same timestamp.
                self.end_image();
            }
            let tables;
            (tables, rest) = self.tables(fields.quality, rest)?;
            let (width, height) = match (fields.width, fields.height) {
                (0, _) | (_, 0) => dimensions_of_extension(extension)?,
                known => known,
            };
            let likely = (self.size + self.size / 8).max(rest.len() + 1024).min(UNIT_BYTES_MAX);
            let mut data = Vec::with_capacity(likely);
            write_header(&mut data, &fields, width, height, &tables)?;
            let header_bytes = data.len();
            self.open = Open { data, time: Some(time), header_bytes, width, height, broken: false };
        }
        if self.open.time.is_none() || self.open.broken {
            return None;
        }
        let scanned = self.open.data.len() - self.open.header_bytes;
        if fields.offset != scanned || self.open.data.len() + rest.len() > UNIT_BYTES_MAX - 2 {
            return None;
        }
        self.open.data.extend_from_slice(rest);
        Some(())
    }

    /// The quantisation tables of an image, and the payload behind them.
    fn tables<'a>(&mut self, quality: u8, payload: &'a [u8]) -> Option<(Tables, &'a [u8])> {
        if quality < 128 {
            let (luminance, chrominance) = quantisation_tables(quality)?;
            let mut tables = vec![0];
            tables.extend_from_slice(&luminance);
            tables.push(1);
            tables.extend_from_slice(&chrominance);
            return Some((tables, payload));
        }
        let (&[_, precision, high, low], rest) = payload.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            let (kept, tables) = self.kept_tables.as_ref()?;
            return (*kept == quality && quality != 255).then(|| (tables.clone(), rest));
        }
        let (mut values, rest) = (rest.get(..length)?, &rest[length..]);
        let mut tables = Vec::with_capacity(2 + 256);
        for index in 0..2u8 {
            let wide = precision >> index & 1;
            let bytes = 64 << wide;
            tables.push(wide << 4 | index);
            match values.get(..bytes) {
                Some(table) => {
                    tables.extend_from_slice(table);
                    values = &values[bytes..];
                }
                // One table for all components.
                None if index == 1 && values.is_empty() => {
                    let first = tables[1..tables.len() - 1].to_vec();
                    let last = tables.len() - 1;
                    tables[last] = tables[0] & 0xf0 | 1;
                    tables.extend_from_slice(&first);
                }
                None => return None,
            }
        }
        if quality != 255 {
            self.kept_tables = Some((quality, tables.clone()));
        }
        Some((tables, rest))
    }
}

fn read_fields(payload: &[u8]) -> Option<(Fields, &[u8])> {
    let (&[_, offset_high, offset_mid, offset_low, kind, quality, width, height], mut rest) =
        payload.split_first_chunk::<8>()?;
    let mut restart_interval = 0;
    if (64..128).contains(&kind) {
        let (&[high, low, _, _], tail) = rest.split_first_chunk::<4>()?;
        (restart_interval, rest) = (u16::from_be_bytes([high, low]), tail);
    }
    let fields = Fields {
        offset: u32::from_be_bytes([0, offset_high, offset_mid, offset_low]) as usize,
        kind,
        quality,
        width: u32::from(width) * 8,
        height: u32::from(height) * 8,
        restart_interval,
    };
    Some((fields, rest))
}

/// Images beyond 2040 pixels: ONVIF (Streaming Specification §5.1.3) puts the frame header into the RTP extension.
fn dimensions_of_extension(extension: Option<(u16, &[u8])>) -> Option<(u32, u32)> {
    let (0xffd8, body) = extension? else { return None };
    let start = body.windows(2).position(|pair| pair == [0xff, 0xc0])?;
    let &[high, low, wide, narrow] = body.get(start + 5..)?.first_chunk::<4>()?;
    let height = u32::from(u16::from_be_bytes([high, low]));
    let width = u32::from(u16::from_be_bytes([wide, narrow]));
    (width > 0 && height > 0).then_some((width, height))
}

/// Everything before the scan. `None` for types that RFC 2435 leaves open.
fn write_header(data: &mut Vec<u8>, fields: &Fields, width: u32, height: u32, tables: &[u8]) -> Option<()> {
    let luminance_sampling = match fields.kind & 0x3f {
        _ if fields.kind >= 128 => return None,
        0 => 0x21,
        1 => 0x22,
        _ => return None,
    };
    data.extend_from_slice(&[0xff, 0xd8]);
    data.extend_from_slice(&[0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
    data.extend_from_slice(&[0xff, 0xdb]);
    data.extend_from_slice(&(tables.len() as u16 + 2).to_be_bytes());
    data.extend_from_slice(tables);
    if fields.restart_interval != 0 {
        data.extend_from_slice(&[0xff, 0xdd, 0, 4]);
        data.extend_from_slice(&fields.restart_interval.to_be_bytes());
    }
    data.extend_from_slice(&[0xff, 0xc0, 0, 17, 8]);
    data.extend_from_slice(&(height as u16).to_be_bytes());
    data.extend_from_slice(&(width as u16).to_be_bytes());
    data.extend_from_slice(&[3, 1, luminance_sampling, 0, 2, 0x11, 1, 3, 0x11, 1]);
    data.extend_from_slice(&HUFFMAN_SEGMENTS);
    data.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    Some(())
}
