//! Just enough JPEG (ITU-T T.81) to split a motion JPEG stream and to write the counter's strip over its first row.
//!
//! The footage has a restart marker after each row of MCUs, 4:2:0 and the standard Huffman tables, as RFC 2435 wants.

use bytes::Bytes;

use crate::bits::BitWriter;
use crate::counter::{CELLS, LUMA, cells};

/// One image, cut where the strip goes.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) whole: Bytes,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Where the first row's coded data begins and ends.
    row: (usize, usize),
    quantiser: i32,
}

/// The images of a stream; ends at the first byte that is not one.
pub(crate) fn split(stream: &Bytes) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let mut at = 0;
    while let Some((picture, end)) = parse(stream, at) {
        pictures.push(picture);
        at = end;
    }
    pictures
}

fn parse(stream: &Bytes, start: usize) -> Option<(Picture, usize)> {
    let word = |at: usize| Some(u16::from_be_bytes([*stream.get(at)?, *stream.get(at + 1)?]));
    if word(start)? != 0xffd8 {
        return None;
    }
    let (mut width, mut height, mut quantiser) = (0, 0, 0);
    let mut at = start + 2;
    let data = loop {
        let (marker, length) = (word(at)?, usize::from(word(at + 2)?));
        match marker {
            // The first table is the luma's; its first entry is the DC coefficient's.
            0xffdb if quantiser == 0 => quantiser = i32::from(*stream.get(at + 5)?),
            0xffc0 => (height, width) = (u32::from(word(at + 5)?), u32::from(word(at + 7)?)),
            0xffda => break at + 2 + length,
            _ => {}
        }
        at += 2 + length;
    };
    let mut row_end = None;
    let mut at = data;
    loop {
        match (*stream.get(at)?, *stream.get(at + 1)?) {
            (0xff, 0xd0..=0xd7) => _ = row_end.get_or_insert(at),
            (0xff, 0xd9) => break,
            _ => {}
        }
        at += 1;
    }
    let end = at + 2;
    let row = (data - start, row_end? - start);
    let picture =
        Picture { whole: stream.slice(start..end), width, height, row, quantiser: quantiser.max(1) };
    Some((picture, end))
}

impl Picture {
    /// The image with `number` in its first row of MCUs.
    pub(crate) fn with_counter(&self, number: u32) -> Bytes {
        let strip = self.strip(number);
        let mut out = Vec::with_capacity(self.whole.len() + strip.len());
        out.extend_from_slice(&self.whole[..self.row.0]);
        out.extend_from_slice(&strip);
        out.extend_from_slice(&self.whole[self.row.1..]);
        out.into()
    }

    fn strip(&self, number: u32) -> Vec<u8> {
        let cells = cells(number);
        let mcus = self.width.div_ceil(16) as usize;
        let mut writer = BitWriter::default();
        let mut left = 0;
        for mcu in 0..mcus {
            let white = cells[(mcu * CELLS / mcus).min(CELLS - 1)];
            let level = (i32::from(LUMA[usize::from(white)]) - 128) * 8 / self.quantiser;
            write_luma(&mut writer, level - left);
            left = level;
            (0..3).for_each(|_| write_luma(&mut writer, 0));
            // Two colour blocks: no change of DC, end of block.
            (0..2).for_each(|_| writer.bits(0b0000, 4));
        }
        let mut out = Vec::new();
        for byte in writer.aligned(true) {
            out.push(byte);
            if byte == 0xff {
                out.push(0);
            }
        }
        out
    }
}

/// A block with nothing but a change of DC, by the standard luma tables (T.81 tables K.3 and K.5).
fn write_luma(writer: &mut BitWriter, difference: i32) {
    const DC_CODES: [(u32, u32); 12] = [
        (0b00, 2),
        (0b010, 3),
        (0b011, 3),
        (0b100, 3),
        (0b101, 3),
        (0b110, 3),
        (0b1110, 4),
        (0b1_1110, 5),
        (0b11_1110, 6),
        (0b111_1110, 7),
        (0b1111_1110, 8),
        (0b1_1111_1110, 9),
    ];
    let category = 32 - difference.unsigned_abs().leading_zeros();
    let (code, length) = DC_CODES[category.min(11) as usize];
    writer.bits(code, length);
    if category > 0 {
        let value = if difference > 0 { difference } else { difference - 1 };
        writer.bits(value as u32, category);
    }
    writer.bits(0b1010, 4);
}
