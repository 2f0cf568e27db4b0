//! H.265 headers (ITU-T H.265 clause 7) and `hvcC` (ISO/IEC 14496-15 §8.3.3).
//!
//! Reads what recording, playback and transport need to know; decodes no slice data.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::Format;
use crate::error::{Error, Result};
use crate::h264::{PARAMETER_SET_BYTES_MAX, put_set, take_set};
use crate::unit::UnitFlags;

mod sps;

pub use sps::{ProfileTierLevel, Sps};

/// Most parameter sets of one kind in a format; the standard allows 16 VPS and 64 PPS ids.
const SETS_MAX: usize = 64;

/// `nal_unit_type`, Table 7-1: those that anybody acts on.
pub mod nal_type {
    pub const RADL_N: u8 = 6;
    pub const RADL_R: u8 = 7;
    pub const RASL_N: u8 = 8;
    pub const RASL_R: u8 = 9;
    /// The last of the types of which even numbers are not referred to within their sub-layer.
    pub const RESERVED_NON_REFERENCE_LAST: u8 = 14;
    pub const BLA_W_LP: u8 = 16;
    pub const IDR_W_RADL: u8 = 19;
    pub const IDR_N_LP: u8 = 20;
    pub const CRA: u8 = 21;
    pub const SLICE_LAST: u8 = 31;
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
    pub const ACCESS_UNIT_DELIMITER: u8 = 35;
    pub const END_OF_SEQUENCE: u8 = 36;
    pub const END_OF_BITSTREAM: u8 = 37;
    pub const FILLER: u8 = 38;
    pub const SEI_PREFIX: u8 = 39;
    pub const SEI_SUFFIX: u8 = 40;
}

/// `nal_unit_type` of a NAL unit; `None` where its two header bytes are missing.
pub fn nal_unit_type(nal: &[u8]) -> Option<u8> {
    (nal.len() >= 2).then(|| nal[0] >> 1 & 0x3f)
}

/// Whether the NAL unit holds a coded slice.
pub fn is_slice(nal: &[u8]) -> bool {
    nal_unit_type(nal).is_some_and(|kind| kind <= nal_type::SLICE_LAST)
}

/// Decoding can begin at this picture: BLA, IDR or CRA.
pub const fn is_entry_point(kind: u8) -> bool {
    matches!(kind, nal_type::BLA_W_LP..=nal_type::CRA)
}

/// A leading picture that refers to pictures before the entry point that it follows.
pub const fn is_skipped_leading(kind: u8) -> bool {
    matches!(kind, nal_type::RASL_N | nal_type::RASL_R)
}

/// No picture of the same temporal sub-layer refers to it.
pub const fn is_sub_layer_non_reference(kind: u8) -> bool {
    kind <= nal_type::RESERVED_NON_REFERENCE_LAST && kind.is_multiple_of(2)
}

/// Whether a slice is the first of its picture: `first_slice_segment_in_pic_flag`. `None` for anything else.
pub fn is_first_slice(nal: &[u8]) -> Option<bool> {
    is_slice(nal).then(|| nal.get(2).is_some_and(|head| head & 0x80 != 0))
}

/// Flags of a length-prefixed access unit by its NAL unit headers. `after_loss` stays false.
pub fn unit_flags(data: &[u8]) -> UnitFlags {
    let mut flags = UnitFlags { disposable: true, ..UnitFlags::default() };
    let mut slices = 0;
    for nal in crate::nal::length_prefixed(data).filter(|nal| is_slice(nal)) {
        let Some(kind) = nal_unit_type(nal) else { continue };
        slices += 1;
        flags.entry_point |= is_entry_point(kind);
        flags.skipped_after_seek |= is_skipped_leading(kind);
        flags.disposable &= is_sub_layer_non_reference(kind);
    }
    flags.disposable &= slices > 0;
    flags
}

fn check_sets(sets: &[Bytes], kind: u8, what: &'static str) -> Result<()> {
    if sets.is_empty() || sets.len() > SETS_MAX {
        return Err(Error::OutOfRange { what: "number of H.265 parameter sets", value: sets.len() as u64 });
    }
    for set in sets {
        if nal_unit_type(set) != Some(kind) || set.len() < 3 {
            return Err(Error::Malformed { what });
        }
        if set.len() > PARAMETER_SET_BYTES_MAX {
            return Err(Error::OutOfRange { what: "length of parameter set", value: set.len() as u64 });
        }
    }
    Ok(())
}

/// The format that these parameter sets (whole NAL units) describe.
pub fn format_from_parameter_sets(vps: Vec<Bytes>, sps: Bytes, pps: Vec<Bytes>) -> Result<Format> {
    check_sets(&vps, nal_type::VPS, "H.265 VPS")?;
    check_sets(&pps, nal_type::PPS, "H.265 PPS")?;
    let parsed = Sps::parse(&sps)?;
    Ok(Format::H265 { vps, sps, pps, width: parsed.width, height: parsed.height })
}

/// `hvc1.1.6.L93.B0` (ISO/IEC 14496-15 Annex E).
pub(crate) fn codec_string(sps: &[u8]) -> String {
    use std::fmt::Write as _;
    let Ok(Sps { profile_tier_level: ptl, .. }) = Sps::parse(sps) else { return "hvc1".to_owned() };
    let space = ["", "A", "B", "C"][usize::from(ptl.profile_space & 3)];
    let tier = if ptl.high_tier { 'H' } else { 'L' };
    let compatibility = ptl.compatibility.reverse_bits();
    let mut text = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", ptl.profile, ptl.level);
    let used = ptl.constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &ptl.constraints[..used] {
        write!(text, ".{byte:X}").expect("a string takes any text");
    }
    text
}

/// Writes the body of `hvcC`, with NAL unit lengths of four bytes and all parameter sets in it.
pub fn hvcc_build(vps: &[Bytes], sps: &[u8], pps: &[Bytes]) -> Result<Bytes> {
    check_sets(vps, nal_type::VPS, "H.265 VPS")?;
    check_sets(pps, nal_type::PPS, "H.265 PPS")?;
    let parsed = Sps::parse(sps)?;
    let ptl = &parsed.profile_tier_level;
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(1);
    out.put_u8(ptl.profile_space << 6 | u8::from(ptl.high_tier) << 5 | ptl.profile);
    out.put_u32(ptl.compatibility);
    out.put_slice(&ptl.constraints);
    out.put_u8(ptl.level);
    out.put_u16(0xf000); // No statement on spatial segmentation,
    out.put_u8(0xfc); // nor on parallelism.
    out.put_u8(0xfc | parsed.chroma_format);
    out.put_u8(0xf8 | (parsed.bit_depth_luma - 8));
    out.put_u8(0xf8 | (parsed.bit_depth_chroma - 8));
    out.put_u16(0); // Average frame rate unknown.
    out.put_u8(parsed.sub_layers << 3 | u8::from(parsed.temporal_id_nested) << 2 | 3);
    out.put_u8(3);
    let sps = [Bytes::copy_from_slice(sps)];
    for (kind, sets) in [(nal_type::VPS, vps), (nal_type::SPS, &sps[..]), (nal_type::PPS, pps)] {
        out.put_u8(0x80 | kind); // Complete: none stand in the samples.
        out.put_u16(sets.len() as u16);
        for set in sets {
            put_set(&mut out, set)?;
        }
    }
    Ok(out.freeze())
}

/// Reads the body of `hvcC`. Only records with one SPS and NAL unit lengths of four bytes are taken.
pub fn hvcc_parse(record: &[u8]) -> Result<Format> {
    const WHAT: &str = "hvcC";
    if record.first() != Some(&1) {
        return Err(Error::Malformed { what: WHAT });
    }
    let (head, mut rest) = record.split_at_checked(23).ok_or(Error::Truncated { what: WHAT })?;
    if head[21] & 3 != 3 {
        return Err(Error::Unsupported { what: "NAL unit lengths of less than four bytes" });
    }
    let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..head[22] {
        let ([kind, high, low], behind) =
            rest.split_first_chunk::<3>().ok_or(Error::Truncated { what: WHAT })?;
        rest = behind;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let (set, behind) = take_set(rest, WHAT)?;
            rest = behind;
            match kind & 0x3f {
                nal_type::VPS => vps.push(set),
                nal_type::SPS => sps.push(set),
                nal_type::PPS => pps.push(set),
                _ => {}
            }
        }
    }
    match <[Bytes; 1]>::try_from(sps) {
        Ok([sps]) => format_from_parameter_sets(vps, sps, pps),
        Err(_) => Err(Error::Unsupported { what: "hvcC with other than one SPS" }),
    }
}
