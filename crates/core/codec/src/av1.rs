//! AV1 OBU headers and the sequence header (AV1 specification §5.3, §5.5), and `av1C` (AV1 in ISOBMFF §2.3).

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::Format;
use crate::bits::BitReader;
use crate::error::{Error, Result};
use crate::unit::UnitFlags;

/// Longest sequence header OBU that is taken; real ones have about 15 bytes.
const SEQUENCE_HEADER_BYTES_MAX: usize = 1024;

/// `obu_type`: those that anybody acts on.
pub mod obu_type {
    pub const SEQUENCE_HEADER: u8 = 1;
    pub const TEMPORAL_DELIMITER: u8 = 2;
    pub const FRAME_HEADER: u8 = 3;
    pub const TILE_GROUP: u8 = 4;
    pub const METADATA: u8 = 5;
    pub const FRAME: u8 = 6;
    pub const REDUNDANT_FRAME_HEADER: u8 = 7;
    pub const TILE_LIST: u8 = 8;
    pub const PADDING: u8 = 15;
}

/// One open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    pub kind: u8,
    /// Header, size field and payload, as they stand.
    pub whole: &'a [u8],
    pub payload: &'a [u8],
}

/// Reads the first OBU and gives what follows it. An OBU without a size field reaches to the end.
pub fn take_obu(bytes: &[u8]) -> Result<(Obu<'_>, &[u8])> {
    const WHAT: &str = "OBU";
    let head = *bytes.first().ok_or(Error::Truncated { what: WHAT })?;
    if head & 0x80 != 0 {
        return Err(Error::Malformed { what: "OBU header" });
    }
    let header_bytes = if head & 4 != 0 { 2 } else { 1 };
    let rest = bytes.get(header_bytes..).ok_or(Error::Truncated { what: WHAT })?;
    let (size, size_bytes) = if head & 2 != 0 { leb128(rest)? } else { (rest.len(), 0) };
    let end = size.checked_add(header_bytes + size_bytes).ok_or(Error::Truncated { what: WHAT })?;
    let (whole, behind) = bytes.split_at_checked(end).ok_or(Error::Truncated { what: WHAT })?;
    Ok((Obu { kind: head >> 3 & 15, whole, payload: &whole[header_bytes + size_bytes..] }, behind))
}

/// The OBUs of a unit; ends at the first that is malformed.
pub fn obus(unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let (obu, behind) = take_obu(rest).ok()?;
        rest = behind;
        Some(obu)
    })
}

fn leb128(bytes: &[u8]) -> Result<(usize, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let size = u32::try_from(value).map_err(|_| Error::OutOfRange { what: "OBU size", value })?;
            return Ok((size as usize, index + 1));
        }
    }
    Err(Error::Truncated { what: "OBU size" })
}

/// Writes `value` as leb128.
fn put_leb128(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Flags of a unit: it is an entry point if it holds a sequence header and a shown key frame.
pub fn unit_flags(data: &[u8]) -> UnitFlags {
    let mut has_sequence_header = false;
    for obu in obus(data) {
        match obu.kind {
            obu_type::SEQUENCE_HEADER => has_sequence_header = true,
            obu_type::FRAME | obu_type::FRAME_HEADER => {
                // show_existing_frame (1), frame_type (2, key is zero), show_frame (1).
                let is_key = obu.payload.first().is_some_and(|head| head & 0xf0 == 0x10);
                return UnitFlags { entry_point: has_sequence_header && is_key, ..UnitFlags::default() };
            }
            _ => {}
        }
    }
    UnitFlags::default()
}

/// What a sequence header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    pub high_tier: bool,
    pub bit_depth: u8,
    pub monochrome: bool,
    pub subsampling_x: bool,
    pub subsampling_y: bool,
    pub chroma_sample_position: u8,
    pub width: u32,
    pub height: u32,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        if payload.len() > SEQUENCE_HEADER_BYTES_MAX {
            return Err(Error::OutOfRange { what: "length of sequence header", value: payload.len() as u64 });
        }
        let mut reader = BitReader::new(payload, "AV1 sequence header");
        let profile = reader.bits(3)? as u8;
        if profile > 2 {
            return Err(Error::OutOfRange { what: "seq_profile", value: u64::from(profile) });
        }
        reader.flag()?;
        let reduced = reader.flag()?;
        let (level, high_tier) =
            if reduced { (reader.bits(5)? as u8, false) } else { read_operating_points(&mut reader)? };
        let (width_bits, height_bits) = (reader.bits(4)? + 1, reader.bits(4)? + 1);
        let (width, height) = (reader.bits(width_bits)? + 1, reader.bits(height_bits)? + 1);
        if !reduced && reader.flag()? {
            reader.skip(7)?; // Lengths of frame ids.
        }
        reader.skip(3)?; // 128×128 superblocks, filter intra, intra edge filter.
        if !reduced {
            skip_inter_tools(&mut reader)?;
        }
        reader.skip(3)?; // Super-resolution, CDEF, restoration.
        let mut header = Self {
            profile,
            level,
            high_tier,
            bit_depth: 8,
            monochrome: false,
            subsampling_x: true,
            subsampling_y: true,
            chroma_sample_position: 0,
            width,
            height,
        };
        header.read_colour(&mut reader)?;
        Ok(header)
    }

    fn read_colour(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        let high = reader.flag()?;
        self.bit_depth = match (high, self.profile) {
            (true, 2) if reader.flag()? => 12,
            (true, _) => 10,
            (false, _) => 8,
        };
        self.monochrome = self.profile != 1 && reader.flag()?;
        let description =
            if reader.flag()? { (reader.byte()?, reader.byte()?, reader.byte()?) } else { (2, 2, 2) };
        if self.monochrome {
            reader.flag()?;
            return Ok(());
        }
        const SRGB: (u8, u8, u8) = (1, 13, 0);
        if description == SRGB {
            (self.subsampling_x, self.subsampling_y) = (false, false);
            return Ok(());
        }
        reader.flag()?;
        (self.subsampling_x, self.subsampling_y) = match (self.profile, self.bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let x = reader.flag()?;
                (x, x && reader.flag()?)
            }
            _ => (true, false),
        };
        if self.subsampling_x && self.subsampling_y {
            self.chroma_sample_position = reader.bits(2)? as u8;
        }
        Ok(())
    }
}

/// Level and tier of the first operating point.
fn read_operating_points(reader: &mut BitReader<'_>) -> Result<(u8, bool)> {
    let mut delay_bits = None;
    if reader.flag()? {
        reader.skip(64)?; // Units in a tick, time scale.
        if reader.flag()? {
            // uvlc: like ue(v), but 32 leading zeros mean the largest value and end it.
            let zeros = (0..32).position(|_| reader.flag().unwrap_or(true));
            reader.skip(zeros.unwrap_or(0))?;
        }
        if reader.flag()? {
            delay_bits = Some(reader.bits(5)? as usize + 1);
            reader.skip(32 + 10)?;
        }
    }
    let has_display_delay = reader.flag()?;
    let count = reader.bits(5)? + 1;
    let mut first = (0, false);
    for index in 0..count {
        reader.skip(12)?;
        let level = reader.bits(5)? as u8;
        let high_tier = level > 7 && reader.flag()?;
        if index == 0 {
            first = (level, high_tier);
        }
        if let Some(bits) = delay_bits
            && reader.flag()?
        {
            reader.skip(2 * bits + 1)?;
        }
        if has_display_delay && reader.flag()? {
            reader.skip(4)?;
        }
    }
    Ok(first)
}

fn skip_inter_tools(reader: &mut BitReader<'_>) -> Result<()> {
    reader.skip(4)?; // Inter-intra, masked compound, warped motion, dual filter.
    let order_hint = reader.flag()?;
    if order_hint {
        reader.skip(2)?;
    }
    let screen_content = if reader.flag()? { true } else { reader.flag()? };
    if screen_content && !reader.flag()? {
        reader.flag()?;
    }
    if order_hint {
        reader.skip(3)?;
    }
    Ok(())
}

/// The format that a sequence header OBU (header included, with or without a size field) describes.
pub fn format_from_sequence_header(obu: &[u8]) -> Result<Format> {
    let (obu, _) = take_obu(obu)?;
    if obu.kind != obu_type::SEQUENCE_HEADER {
        return Err(Error::Malformed { what: "AV1 sequence header" });
    }
    let header = SequenceHeader::parse(obu.payload)?;
    let mut config = BytesMut::with_capacity(8 + obu.payload.len());
    config.put_u8(0x81);
    config.put_u8(header.profile << 5 | header.level);
    config.put_u8(
        u8::from(header.high_tier) << 7
            | u8::from(header.bit_depth > 8) << 6
            | u8::from(header.bit_depth == 12) << 5
            | u8::from(header.monochrome) << 4
            | u8::from(header.subsampling_x) << 3
            | u8::from(header.subsampling_y) << 2
            | header.chroma_sample_position,
    );
    config.put_u8(0);
    config.put_u8(obu_type::SEQUENCE_HEADER << 3 | 2);
    put_leb128(&mut config, obu.payload.len());
    config.put_slice(obu.payload);
    Ok(Format::Av1 { config: config.freeze(), width: header.width, height: header.height })
}

/// Reads the body of `av1C`, which must hold a sequence header.
pub fn av1c_parse(record: Bytes) -> Result<Format> {
    if record.len() < 4 || record[0] != 0x81 {
        return Err(Error::Malformed { what: "av1C" });
    }
    let header = obus(&record[4..])
        .find(|obu| obu.kind == obu_type::SEQUENCE_HEADER)
        .ok_or(Error::Unsupported { what: "av1C without sequence header" })?;
    let header = SequenceHeader::parse(header.payload)?;
    Ok(Format::Av1 { config: record, width: header.width, height: header.height })
}

/// `av01.0.04M.08` (AV1 in ISOBMFF §5).
pub(crate) fn codec_string(config: &[u8]) -> String {
    let [_, profile_level, flags, ..] = *config else { return "av01".to_owned() };
    let tier = if flags & 0x80 != 0 { 'H' } else { 'M' };
    let depth = match flags & 0x60 {
        0x60 => 12,
        0x40 => 10,
        _ => 8,
    };
    format!("av01.{}.{:02}{tier}.{depth:02}", profile_level >> 5, profile_level & 31)
}
