//! The counter's slice: one row of flat Intra16x16 macroblocks with a single DC level each (ITU-T H.264 §7.3.5, §9.2).

use crate::bits::{BitWriter, escape};
use crate::counter::{CELLS, cells};
use crate::h264::{Pps, SliceHeader};

/// At this quantiser one DC level moves a whole macroblock by exactly ten.
const QP: i32 = 48;
const TENTHS_FIRST: i32 = 10;
const TENTHS_CHANGE: i32 = 20;

/// Writes the strip of one picture for any number.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    nal_header: u8,
    /// Everything before the macroblocks.
    header: BitWriter,
    macroblocks: u32,
}

impl Strip {
    /// `picture` is the header of the picture's own slice.
    pub(crate) fn new(picture: &SliceHeader, pps: &Pps, width_macroblocks: u32) -> Self {
        let mut header = BitWriter::default();
        header.unsigned(0);
        header.unsigned(2); // An I slice; the others may be P or B.
        header.copy(&picture.payload, picture.picture.0, picture.picture.1);
        header.copy(&picture.payload, picture.marking.0, picture.marking.1);
        header.signed(QP - pps.initial_qp);
        header.unsigned(1); // No deblocking.
        Self { nal_header: picture.nal_header, header, macroblocks: width_macroblocks }
    }

    /// The NAL unit that shows `number`.
    pub(crate) fn write(&self, number: u32) -> Vec<u8> {
        let cells = cells(number);
        let mut writer = self.header.clone();
        // Each macroblock is predicted from its left neighbour, the first from 128.
        let mut left = None;
        for macroblock in 0..self.macroblocks {
            let cell = macroblock as usize * CELLS / self.macroblocks as usize;
            let white = cells[cell.min(CELLS - 1)];
            let sign = if white { 1 } else { -1 };
            let level = match left {
                None => sign * TENTHS_FIRST,
                Some(same) if same == white => 0,
                Some(_) => sign * TENTHS_CHANGE,
            };
            write_macroblock(&mut writer, level);
            left = Some(white);
        }
        let mut nal = vec![self.nal_header];
        escape(&writer.finish(), &mut nal);
        nal
    }
}

fn write_macroblock(writer: &mut BitWriter, level: i32) {
    writer.unsigned(3); // I_16x16, DC prediction, no AC coefficients, no chroma.
    writer.unsigned(0); // Chroma by DC prediction: grey.
    writer.signed(0); // The slice's quantiser.
    if level == 0 {
        writer.bits(1, 1); // coeff_token: none.
        return;
    }
    writer.bits(0b000101, 6); // coeff_token: one coefficient, not a trailing one.
    // §9.2.2.1: the first level is above one, so the code counts from there.
    let code = if level > 0 { 2 * level - 2 } else { -2 * level - 1 } as u32 - 2;
    match code {
        0..14 => writer.bits(1, code + 1),
        14..30 => {
            writer.bits(1, 15);
            writer.bits(code - 14, 4);
        }
        _ => {
            writer.bits(1, 16);
            writer.bits(code - 30, 12);
        }
    }
    writer.bits(1, 1); // total_zeros: the coefficient is the first.
}
