//! Parameter sets and slice headers (ITU-T H.264 §7.3.2.1, §7.3.2.2, §7.3.3), read and written anew with changes.

use crate::bits::{BitReader, BitWriter, escape, unescape};

/// Flat rows on top of the footage. Motion vectors reach 32 rows up at most (footage/README.md), so that
/// nothing below ever refers to what lies above them.
pub(crate) const GUARD_HEIGHT: u32 = 32;

/// What the bundled footage's sequence parameter set says. Others (interlaced, scaling lists) are not read.
#[derive(Clone, Debug)]
pub(crate) struct Sps {
    profile: [u8; 3],
    frame_num_bits: u32,
    /// `None` for order type 2: display order is decode order.
    order_bits: Option<u32>,
    reference_frames: u32,
    direct_inference: bool,
    pub(crate) width_macroblocks: u32,
    height_macroblocks: u32,
}

impl Sps {
    pub(crate) fn parse(nal: &[u8]) -> Option<Self> {
        let body = unescape(nal.get(1..)?);
        let mut reader = BitReader::new(&body);
        let profile = [reader.bits(8)? as u8, reader.bits(8)? as u8, reader.bits(8)? as u8];
        if !matches!(profile[0], 66 | 77) || reader.unsigned()? != 0 {
            return None;
        }
        let frame_num_bits = reader.unsigned()?.checked_add(4).filter(|&bits| bits <= 16)?;
        let order_bits = match reader.unsigned()? {
            0 => Some(reader.unsigned()?.checked_add(4).filter(|&bits| bits <= 16)?),
            2 => None,
            _ => return None,
        };
        let reference_frames = reader.unsigned()?;
        reader.bit()?;
        let width_macroblocks = reader.unsigned()?.checked_add(1).filter(|&width| width <= 512)?;
        let height_macroblocks = reader.unsigned()?.checked_add(1).filter(|&height| height <= 512)?;
        let frames_only = reader.bit()?;
        let direct_inference = reader.bit()?;
        frames_only.then_some(Self {
            profile,
            frame_num_bits,
            order_bits,
            reference_frames,
            direct_inference,
            width_macroblocks,
            height_macroblocks,
        })
    }

    pub(crate) fn width(&self) -> u32 {
        self.width_macroblocks * 16
    }

    /// The parameter set for showing `height` rows: below the guard, or, with a counter, from one row of
    /// macroblocks more on top.
    pub(crate) fn write(&self, height: u32, counter: bool, reordered: u32) -> Vec<u8> {
        let rows = self.height_macroblocks + u32::from(counter);
        let top = if counter { 0 } else { GUARD_HEIGHT };
        let bottom = (rows * 16).saturating_sub(top + height);
        let mut writer = BitWriter::default();
        self.profile.iter().for_each(|&byte| writer.bits(u32::from(byte), 8));
        writer.unsigned(0);
        writer.unsigned(self.frame_num_bits - 4);
        match self.order_bits {
            Some(bits) => {
                writer.unsigned(0);
                writer.unsigned(bits - 4);
            }
            None => writer.unsigned(2),
        }
        writer.unsigned(self.reference_frames);
        writer.bit(false); // No gaps in frame_num.
        writer.unsigned(self.width_macroblocks - 1);
        writer.unsigned(rows - 1);
        writer.bit(true); // Frames only.
        writer.bit(self.direct_inference);
        writer.bit(top + bottom > 0);
        if top + bottom > 0 {
            // In units of two rows.
            [0, 0, top / 2, bottom / 2].into_iter().for_each(|crop| writer.unsigned(crop));
        }
        writer.bit(true);
        self.write_usability(&mut writer, reordered);
        let mut nal = vec![0x67];
        escape(&writer.finish(), &mut nal);
        nal
    }

    /// Usability information that says only how far pictures are reordered, so that a decoder need not wait.
    fn write_usability(&self, writer: &mut BitWriter, reordered: u32) {
        // Aspect, overscan, signal, chroma place, timing, two HRDs, picture structure: absent.
        writer.bits(0, 8);
        writer.bit(true);
        writer.bit(true);
        for value in [0, 0, 15, 15, reordered, self.reference_frames.max(reordered)] {
            writer.unsigned(value);
        }
    }
}

/// What a slice header needs of its picture parameter set.
#[derive(Clone, Debug)]
pub(crate) struct Pps {
    order_present: bool,
    pub(crate) initial_qp: i32,
}

impl Pps {
    /// `None` also for what the counter can't be put into: CABAC, weighted prediction, slice groups.
    pub(crate) fn parse(nal: &[u8]) -> Option<Self> {
        let body = unescape(nal.get(1..)?);
        let mut reader = BitReader::new(&body);
        let identifiers = (reader.unsigned()?, reader.unsigned()?);
        let cabac = reader.bit()?;
        let order_present = reader.bit()?;
        let slice_groups = reader.unsigned()?;
        reader.unsigned()?;
        reader.unsigned()?;
        let weighted = reader.bits(3)?;
        let initial_qp = reader.signed()?.checked_add(26)?;
        reader.signed()?;
        reader.signed()?;
        let deblocking_control = reader.bit()?;
        reader.bit()?;
        let redundant = reader.bit()?;
        let fits = identifiers == (0, 0)
            && !cabac
            && slice_groups == 0
            && weighted == 0
            && deblocking_control
            && !redundant;
        fits.then_some(Self { order_present, initial_qp })
    }
}

/// A slice header, as places in the payload without emulation prevention.
#[derive(Clone, Debug)]
pub(crate) struct SliceHeader {
    pub(crate) nal_header: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) display_order: Option<u32>,
    slice_type: u32,
    /// Parameter set, frame number, IDR identifier and order count: the same in all slices of a picture.
    pub(crate) picture: (usize, usize),
    /// How the picture is kept as a reference: the same in all slices too.
    pub(crate) marking: (usize, usize),
    qp_at: usize,
    deblocking_at: usize,
    deblocking: u32,
    rest_at: usize,
}

impl SliceHeader {
    pub(crate) fn parse(nal: &[u8], sps: &Sps, pps: &Pps) -> Option<Self> {
        let nal_header = *nal.first()?;
        let (reference, is_idr) = (nal_header & 0x60 != 0, nal_header & 0x1f == 5);
        let payload = unescape(&nal[1..]);
        let mut reader = BitReader::new(&payload);
        let first_macroblock = reader.unsigned()?;
        let slice_type = reader.unsigned()? % 5;
        if first_macroblock != 0 || slice_type > 2 {
            return None;
        }
        let picture_at = reader.position();
        reader.unsigned()?;
        reader.bits(sps.frame_num_bits)?;
        if is_idr {
            reader.unsigned()?;
        }
        let mut display_order = None;
        if let Some(bits) = sps.order_bits {
            display_order = Some(reader.bits(bits)?);
            if pps.order_present {
                reader.signed()?;
            }
        }
        let picture_end = reader.position();
        let bidirectional = slice_type == 1;
        if bidirectional {
            reader.bit()?;
        }
        if slice_type != 2 {
            skip_references(&mut reader, bidirectional)?;
        }
        let marking_at = reader.position();
        if reference {
            skip_marking(&mut reader, is_idr)?;
        }
        let qp_at = reader.position();
        reader.signed()?;
        let deblocking_at = reader.position();
        let deblocking = reader.unsigned()?;
        Some(Self {
            nal_header,
            display_order,
            slice_type,
            picture: (picture_at, picture_end),
            marking: (marking_at, qp_at),
            qp_at,
            deblocking_at,
            deblocking,
            rest_at: reader.position(),
            payload,
        })
    }

    /// The same slice, beginning at macroblock `first`, and not filtered against the slice above.
    pub(crate) fn moved_to(&self, first: u32) -> Vec<u8> {
        let mut writer = BitWriter::default();
        writer.unsigned(first);
        // Types 0 to 4 do not promise that all slices of the picture are of one type.
        writer.unsigned(self.slice_type);
        writer.copy(&self.payload, self.picture.0, self.qp_at);
        writer.copy(&self.payload, self.qp_at, self.deblocking_at);
        writer.unsigned(if self.deblocking == 0 { 2 } else { self.deblocking });
        writer.copy(&self.payload, self.rest_at, self.payload_end());
        let mut nal = Vec::with_capacity(self.payload.len() + 16);
        nal.push(self.nal_header);
        escape(&writer.finish(), &mut nal);
        nal
    }

    /// Bits before the stop bit.
    fn payload_end(&self) -> usize {
        let last = self.payload.iter().rposition(|&byte| byte != 0).unwrap_or(0);
        let byte = self.payload.get(last).copied().unwrap_or(0x80);
        last * 8 + 7 - byte.trailing_zeros().min(7) as usize
    }
}

fn skip_references(reader: &mut BitReader<'_>, bidirectional: bool) -> Option<()> {
    if reader.bit()? {
        reader.unsigned()?;
        if bidirectional {
            reader.unsigned()?;
        }
    }
    for _ in 0..1 + u32::from(bidirectional) {
        if reader.bit()? {
            // An operation and its operand, until operation 3.
            while reader.unsigned()? != 3 {
                reader.unsigned()?;
            }
        }
    }
    Some(())
}

fn skip_marking(reader: &mut BitReader<'_>, is_idr: bool) -> Option<()> {
    if is_idr {
        reader.bits(2)?;
        return Some(());
    }
    if reader.bit()? {
        loop {
            match reader.unsigned()? {
                0 => break,
                3 => drop((reader.unsigned()?, reader.unsigned()?)),
                5 => {}
                _ => drop(reader.unsigned()?),
            }
        }
    }
    Some(())
}
