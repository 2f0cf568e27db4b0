//! The sequence parameter set up to its ordering information (ITU-T H.265 §7.3.2.2, §7.3.3).

use crate::bits::{BitReader, unescape};
use crate::error::{Error, Result};
use crate::h264::PARAMETER_SET_BYTES_MAX;
use crate::h265::{nal_type, nal_unit_type};

/// The general part of `profile_tier_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTierLevel {
    pub profile_space: u8,
    pub high_tier: bool,
    /// 1 main, 2 main 10.
    pub profile: u8,
    /// The 32 compatibility flags, the first in the most significant bit.
    pub compatibility: u32,
    /// The 48 bits of constraint flags.
    pub constraints: [u8; 6],
    /// Thirty times the level.
    pub level: u8,
}

/// What an SPS says of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    pub id: u8,
    pub sub_layers: u8,
    pub temporal_id_nested: bool,
    pub profile_tier_level: ProfileTierLevel,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    /// In pixels, within the conformance window.
    pub width: u32,
    pub height: u32,
    /// Pictures that may precede one in decoding order and follow it in output, with all sub-layers.
    pub reorder_pictures_max: u32,
}

impl Sps {
    /// Reads a whole NAL unit.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        const WHAT: &str = "H.265 SPS";
        if nal_unit_type(nal) != Some(nal_type::SPS) {
            return Err(Error::Malformed { what: WHAT });
        }
        if nal.len() > PARAMETER_SET_BYTES_MAX {
            return Err(Error::OutOfRange { what: "length of H.265 SPS", value: nal.len() as u64 });
        }
        let body = unescape(&nal[2..], PARAMETER_SET_BYTES_MAX);
        let mut reader = BitReader::new(&body, WHAT);
        reader.skip(4)?;
        let sub_layers_less_one = reader.bits(3)? as u8;
        if sub_layers_less_one > 6 {
            return Err(Error::OutOfRange { what: "sps_max_sub_layers_minus1", value: 7 });
        }
        let temporal_id_nested = reader.flag()?;
        let profile_tier_level = ProfileTierLevel::read(&mut reader, sub_layers_less_one)?;
        let id = reader.ue_max(15, "sps_seq_parameter_set_id")? as u8;
        let chroma_format = reader.ue_max(3, "chroma_format_idc")? as u8;
        if chroma_format == 3 {
            reader.flag()?;
        }
        let coded_width = reader.ue_max(16_384, "pic_width_in_luma_samples")?;
        let coded_height = reader.ue_max(16_384, "pic_height_in_luma_samples")?;
        let [mut left, mut right, mut top, mut bottom] = [0; 4];
        if reader.flag()? {
            [left, right, top, bottom] = [reader.ue()?, reader.ue()?, reader.ue()?, reader.ue()?];
        }
        let (unit_x, unit_y) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let inside = |coded: u32, before: u32, after: u32, unit: u32| {
            let cut = before.checked_add(after)?.checked_mul(unit)?;
            coded.checked_sub(cut).filter(|&left| left > 0)
        };
        let refused = Error::Malformed { what: "size of H.265 pictures" };
        let width = inside(coded_width, left, right, unit_x).ok_or(refused)?;
        let height = inside(coded_height, top, bottom, unit_y).ok_or(refused)?;
        // hvcC has three bits for each depth.
        let bit_depth_luma = 8 + reader.ue_max(7, "bit_depth_luma_minus8")? as u8;
        let bit_depth_chroma = 8 + reader.ue_max(7, "bit_depth_chroma_minus8")? as u8;
        reader.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        let first = if reader.flag()? { 0 } else { sub_layers_less_one };
        let mut reorder_pictures_max = 0;
        for _ in first..=sub_layers_less_one {
            reader.ue_max(15, "sps_max_dec_pic_buffering_minus1")?;
            reorder_pictures_max = reader.ue_max(15, "sps_max_num_reorder_pics")?;
            reader.ue()?;
        }
        Ok(Self {
            id,
            sub_layers: sub_layers_less_one + 1,
            temporal_id_nested,
            profile_tier_level,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            width,
            height,
            reorder_pictures_max,
        })
    }

    /// Pictures certainly come in the order in which they are shown.
    pub const fn is_in_order(&self) -> bool {
        self.reorder_pictures_max == 0
    }
}

impl ProfileTierLevel {
    fn read(reader: &mut BitReader<'_>, sub_layers_less_one: u8) -> Result<Self> {
        let profile_space = reader.bits(2)? as u8;
        let high_tier = reader.flag()?;
        let profile = reader.bits(5)? as u8;
        let compatibility = reader.bits(32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = reader.byte()?;
        }
        let level = reader.byte()?;
        let mut present = [(false, false); 7];
        for slot in &mut present[..usize::from(sub_layers_less_one)] {
            *slot = (reader.flag()?, reader.flag()?);
        }
        if sub_layers_less_one > 0 {
            reader.skip(2 * (8 - usize::from(sub_layers_less_one)))?;
        }
        for (has_profile, has_level) in present {
            reader.skip(if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 })?;
        }
        Ok(Self { profile_space, high_tier, profile, compatibility, constraints, level })
    }
}
