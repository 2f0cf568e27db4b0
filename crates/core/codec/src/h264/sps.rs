//! The sequence parameter set (ITU-T H.264 §7.3.2.1, Annex E).

use crate::bits::{BitReader, unescape};
use crate::error::{Error, Result};
use crate::h264::{PARAMETER_SET_BYTES_MAX, nal_type, nal_unit_type};

/// What an SPS says of its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 baseline, 77 main, 100 high.
    pub profile: u8,
    /// The byte of `constraint_set` flags.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    pub id: u8,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    pub pic_order_cnt_type: u8,
    pub ref_frames_max: u32,
    /// Pictures are frames, never fields.
    pub frames_only: bool,
    /// In pixels, after cropping.
    pub width: u32,
    pub height: u32,
    /// `num_units_in_tick` and `time_scale`: a frame lasts two ticks.
    pub timing: Option<(u32, u32)>,
    /// `max_num_reorder_frames`, where the stream says it.
    pub reorder_frames_max: Option<u32>,
}

impl Sps {
    /// Reads a whole NAL unit. What the VUI says is advice: a broken one counts as absent.
    pub fn parse(nal: &[u8]) -> Result<Self> {
        const WHAT: &str = "H.264 SPS";
        if nal_unit_type(nal) != Some(nal_type::SPS) {
            return Err(Error::Malformed { what: WHAT });
        }
        if nal.len() > PARAMETER_SET_BYTES_MAX {
            return Err(Error::OutOfRange { what: "length of H.264 SPS", value: nal.len() as u64 });
        }
        let body = unescape(&nal[1..], PARAMETER_SET_BYTES_MAX);
        let mut reader = BitReader::new(&body, WHAT);
        let (profile, constraints, level) = (reader.byte()?, reader.byte()?, reader.byte()?);
        let id = reader.ue_max(31, "seq_parameter_set_id")? as u8;
        let (mut chroma_format, mut bit_depth_luma, mut bit_depth_chroma) = (1, 8, 8);
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma_format = reader.ue_max(3, "chroma_format_idc")? as u8;
            if chroma_format == 3 {
                reader.flag()?;
            }
            bit_depth_luma = 8 + reader.ue_max(6, "bit_depth_luma_minus8")? as u8;
            bit_depth_chroma = 8 + reader.ue_max(6, "bit_depth_chroma_minus8")? as u8;
            reader.flag()?;
            if reader.flag()? {
                skip_scaling_lists(&mut reader, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        reader.ue_max(12, "log2_max_frame_num_minus4")?;
        let pic_order_cnt_type = reader.ue_max(2, "pic_order_cnt_type")? as u8;
        match pic_order_cnt_type {
            0 => {
                reader.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
            }
            1 => {
                reader.flag()?;
                reader.se()?;
                reader.se()?;
                for _ in 0..reader.ue_max(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                    reader.se()?;
                }
            }
            _ => {}
        }
        let ref_frames_max = reader.ue_max(16, "max_num_ref_frames")?;
        reader.flag()?;
        // 1024 macroblocks are 16,384 pixels, twice what level 6.2 allows.
        let columns = reader.ue_max(1023, "pic_width_in_mbs_minus1")? + 1;
        let rows = reader.ue_max(1023, "pic_height_in_map_units_minus1")? + 1;
        let frames_only = reader.flag()?;
        if !frames_only {
            reader.flag()?;
        }
        reader.flag()?;
        let field_factor = if frames_only { 1 } else { 2 };
        let (full_width, full_height) = (columns * 16, rows * 16 * field_factor);
        let (mut width, mut height) = (full_width, full_height);
        if reader.flag()? {
            let [left, right, top, bottom] = [reader.ue()?, reader.ue()?, reader.ue()?, reader.ue()?];
            let (unit_x, unit_y) = match chroma_format {
                1 => (2, 2 * field_factor),
                2 => (2, field_factor),
                _ => (1, field_factor),
            };
            let cropped = |full: u32, before: u32, after: u32, unit: u32| {
                let cut = before.checked_add(after)?.checked_mul(unit)?;
                full.checked_sub(cut).filter(|&left| left > 0)
            };
            let refused = Error::Malformed { what: "cropping of H.264 SPS" };
            width = cropped(full_width, left, right, unit_x).ok_or(refused)?;
            height = cropped(full_height, top, bottom, unit_y).ok_or(refused)?;
        }
        let vui = match reader.flag() {
            Ok(true) => Vui::parse(&mut reader),
            _ => Vui::default(),
        };
        Ok(Self {
            profile,
            constraints,
            level,
            id,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            pic_order_cnt_type,
            ref_frames_max,
            frames_only,
            width,
            height,
            timing: vui.timing,
            reorder_frames_max: vui.reorder_frames_max,
        })
    }

    /// Pictures certainly come in the order in which they are shown.
    pub fn is_in_order(&self) -> bool {
        // Baseline and constrained baseline have no B slices; order count type 2 allows no reordering (§8.2.1.3).
        self.profile == 66 || self.pic_order_cnt_type == 2 || self.reorder_frames_max == Some(0)
    }

    /// Thousandths of a frame a second by the VUI, where it says something believable.
    pub fn frame_rate_milli(&self) -> Option<u32> {
        let (units, scale) = self.timing?;
        let rate = u64::from(scale) * 1000 / (2 * u64::from(units));
        u32::try_from(rate).ok().filter(|rate| (100..=1_000_000).contains(rate))
    }
}

#[derive(Default)]
struct Vui {
    timing: Option<(u32, u32)>,
    reorder_frames_max: Option<u32>,
}

impl Vui {
    fn parse(reader: &mut BitReader<'_>) -> Self {
        let mut vui = Self::default();
        // What was read before the bytes became nonsense is kept.
        let _ = vui.read(reader);
        vui
    }

    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        const EXTENDED_ASPECT_RATIO: u8 = 255;
        if reader.flag()? && reader.byte()? == EXTENDED_ASPECT_RATIO {
            reader.skip(32)?;
        }
        if reader.flag()? {
            reader.flag()?; // overscan_appropriate_flag
        }
        if reader.flag()? {
            reader.skip(4)?; // video_format, video_full_range_flag
            if reader.flag()? {
                reader.skip(24)?; // colour description
            }
        }
        if reader.flag()? {
            reader.ue()?; // chroma sample location, top and bottom field
            reader.ue()?;
        }
        if reader.flag()? {
            let (units, scale) = (reader.bits(32)?, reader.bits(32)?);
            reader.flag()?;
            self.timing = (units > 0 && scale > 0).then_some((units, scale));
        }
        let nal_hrd = reader.flag()?;
        if nal_hrd {
            skip_hrd(reader)?;
        }
        let vcl_hrd = reader.flag()?;
        if vcl_hrd {
            skip_hrd(reader)?;
        }
        if nal_hrd || vcl_hrd {
            reader.flag()?;
        }
        reader.flag()?; // pic_struct_present_flag
        if reader.flag()? {
            reader.flag()?;
            for _ in 0..4 {
                reader.ue()?;
            }
            self.reorder_frames_max = Some(reader.ue_max(16, "max_num_reorder_frames")?);
        }
        Ok(())
    }
}

fn skip_hrd(reader: &mut BitReader<'_>) -> Result<()> {
    let count = reader.ue_max(31, "cpb_cnt_minus1")? + 1;
    reader.skip(8)?;
    for _ in 0..count {
        reader.ue()?;
        reader.ue()?;
        reader.flag()?;
    }
    reader.skip(20)
}

fn skip_scaling_lists(reader: &mut BitReader<'_>, lists: usize) -> Result<()> {
    for list in 0..lists {
        if !reader.flag()? {
            continue;
        }
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + reader.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}
