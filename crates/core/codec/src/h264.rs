//! H.264 headers (ITU-T H.264 clause 7) and `avcC` (ISO/IEC 14496-15 §5.3.3).
//!
//! Reads what recording, playback and transport need to know; decodes no slice data.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::Format;
use crate::bits::{BitReader, unescape};
use crate::error::{Error, Result};
use crate::unit::UnitFlags;

mod sps;

pub use sps::Sps;

/// Longest parameter set that is taken; real ones have under 200 bytes.
pub const PARAMETER_SET_BYTES_MAX: usize = 4096;
/// Most picture parameter sets of one format; the standard allows 256 ids.
const PPS_MAX: usize = 32;

/// `nal_unit_type`, Table 7-1: those that anybody acts on.
pub mod nal_type {
    pub const SLICE: u8 = 1;
    pub const SLICE_PARTITION_A: u8 = 2;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const ACCESS_UNIT_DELIMITER: u8 = 9;
    pub const END_OF_SEQUENCE: u8 = 10;
    pub const END_OF_STREAM: u8 = 11;
    pub const FILLER: u8 = 12;
    pub const SPS_EXTENSION: u8 = 13;
}

/// `nal_unit_type` of a NAL unit; `None` for an empty one.
pub fn nal_unit_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|head| head & 0x1f)
}

/// Whether other pictures may refer to the slice: `nal_ref_idc` is not zero.
pub fn is_reference(nal: &[u8]) -> bool {
    nal.first().is_some_and(|head| head & 0x60 != 0)
}

/// Whether the NAL unit holds (the first part of) a coded slice.
pub fn is_slice(nal: &[u8]) -> bool {
    matches!(nal_unit_type(nal), Some(nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::IDR))
}

/// What kind of prediction a slice uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceType {
    P,
    B,
    I,
    Sp,
    Si,
}

/// The first fields of a slice header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHead {
    /// `first_mb_in_slice`: zero where a picture begins.
    pub first_macroblock: u32,
    pub slice_type: SliceType,
    pub pps_id: u8,
}

/// Reads the head of a slice NAL unit.
pub fn slice_head(nal: &[u8]) -> Result<SliceHead> {
    if !is_slice(nal) {
        return Err(Error::Malformed { what: "H.264 slice" });
    }
    let head = unescape(&nal[1..nal.len().min(32)], 32);
    let mut reader = BitReader::new(&head, "H.264 slice header");
    let first_macroblock = reader.ue()?;
    let slice_type = match reader.ue_max(9, "slice_type")? % 5 {
        0 => SliceType::P,
        1 => SliceType::B,
        2 => SliceType::I,
        3 => SliceType::Sp,
        _ => SliceType::Si,
    };
    let pps_id = reader.ue_max(255, "pic_parameter_set_id")? as u8;
    Ok(SliceHead { first_macroblock, slice_type, pps_id })
}

/// Flags of a length-prefixed access unit by its NAL unit headers. `after_loss` stays false.
pub fn unit_flags(data: &[u8]) -> UnitFlags {
    let mut slices = 0;
    let mut idr = false;
    let mut reference = false;
    for nal in crate::nal::length_prefixed(data).filter(|nal| is_slice(nal)) {
        slices += 1;
        idr |= nal_unit_type(nal) == Some(nal_type::IDR);
        reference |= is_reference(nal);
    }
    UnitFlags { entry_point: idr, disposable: slices > 0 && !reference, ..UnitFlags::default() }
}

/// The ids of a picture parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pps {
    pub id: u8,
    pub sps_id: u8,
}

impl Pps {
    /// Reads a whole NAL unit.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        if nal_unit_type(nal) != Some(nal_type::PPS) {
            return Err(Error::Malformed { what: "H.264 PPS" });
        }
        let body = unescape(&nal[1..], 16);
        let mut reader = BitReader::new(&body, "H.264 PPS");
        let id = reader.ue_max(255, "pic_parameter_set_id")? as u8;
        let sps_id = reader.ue_max(31, "seq_parameter_set_id")? as u8;
        Ok(Self { id, sps_id })
    }
}

/// The format that these parameter sets (whole NAL units) describe.
pub fn format_from_parameter_sets(sps: Bytes, pps: Vec<Bytes>) -> Result<Format> {
    let parsed = Sps::parse(&sps)?;
    if pps.is_empty() || pps.len() > PPS_MAX {
        return Err(Error::OutOfRange { what: "number of H.264 PPS", value: pps.len() as u64 });
    }
    for set in &pps {
        if set.len() > PARAMETER_SET_BYTES_MAX {
            return Err(Error::OutOfRange { what: "length of H.264 PPS", value: set.len() as u64 });
        }
        Pps::parse(set)?;
    }
    Ok(Format::H264 { sps, pps, width: parsed.width, height: parsed.height })
}

/// `avc1.64001f`: profile, constraints and level as they stand in the SPS (RFC 6381 §3.3).
pub(crate) fn codec_string(sps: &[u8]) -> String {
    match sps {
        [_, profile, constraints, level, ..] => format!("avc1.{profile:02x}{constraints:02x}{level:02x}"),
        _ => "avc1".to_owned(),
    }
}

/// Writes the body of `avcC`, with NAL unit lengths of four bytes.
pub fn avcc_build(sps: &[u8], pps: &[Bytes]) -> Result<Bytes> {
    let parsed = Sps::parse(sps)?;
    if pps.len() > PPS_MAX {
        return Err(Error::OutOfRange { what: "number of H.264 PPS", value: pps.len() as u64 });
    }
    let mut out =
        BytesMut::with_capacity(16 + sps.len() + pps.iter().map(|set| set.len() + 2).sum::<usize>());
    out.put_slice(&[1, sps[1], sps[2], sps[3], 0xff, 0xe1]);
    put_set(&mut out, sps)?;
    out.put_u8(pps.len() as u8);
    for set in pps {
        put_set(&mut out, set)?;
    }
    if !matches!(parsed.profile, 66 | 77 | 88) {
        out.put_u8(0xfc | parsed.chroma_format);
        out.put_u8(0xf8 | (parsed.bit_depth_luma - 8));
        out.put_u8(0xf8 | (parsed.bit_depth_chroma - 8));
        out.put_u8(0);
    }
    Ok(out.freeze())
}

pub(crate) fn put_set(out: &mut BytesMut, set: &[u8]) -> Result<()> {
    let length = u16::try_from(set.len()).ok().filter(|_| set.len() <= PARAMETER_SET_BYTES_MAX);
    let length =
        length.ok_or(Error::OutOfRange { what: "length of parameter set", value: set.len() as u64 })?;
    out.put_u16(length);
    out.put_slice(set);
    Ok(())
}

/// Reads the body of `avcC`. Only records with one SPS and NAL unit lengths of four bytes are taken.
pub fn avcc_parse(record: &[u8]) -> Result<Format> {
    const WHAT: &str = "avcC";
    let [1, _, _, _, length_size, sets, rest @ ..] = record else {
        return Err(Error::Malformed { what: WHAT });
    };
    if length_size & 3 != 3 {
        return Err(Error::Unsupported { what: "NAL unit lengths of less than four bytes" });
    }
    if sets & 0x1f != 1 {
        return Err(Error::Unsupported { what: "avcC with other than one SPS" });
    }
    let (sps, rest) = take_set(rest, WHAT)?;
    let (&count, mut rest) = rest.split_first().ok_or(Error::Truncated { what: WHAT })?;
    let mut pps = Vec::new();
    for _ in 0..count {
        let (set, behind) = take_set(rest, WHAT)?;
        pps.push(set);
        rest = behind;
    }
    format_from_parameter_sets(sps, pps)
}

/// A parameter set behind its length of two bytes, and what follows it.
pub(crate) fn take_set<'a>(bytes: &'a [u8], what: &'static str) -> Result<(Bytes, &'a [u8])> {
    let (length, behind) = bytes.split_first_chunk::<2>().ok_or(Error::Truncated { what })?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (set, behind) = behind.split_at_checked(length).ok_or(Error::Truncated { what })?;
    Ok((Bytes::copy_from_slice(set), behind))
}
