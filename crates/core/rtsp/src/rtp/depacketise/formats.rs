//! Formats out of parameter sets and SDP, by the codec crate's reading of them.

use bytes::Bytes;
use varde_codec::aac::AudioConfig;
use varde_codec::{Format, aac, av1, h264, h265};

use super::nal::ParameterSets;
use crate::rtp::payload::{PayloadParameters, UnsupportedPayload};

pub(super) fn h264_format(sets: &ParameterSets) -> Option<Format> {
    h264::format_from_parameter_sets(sets.sps.clone()?, sets.pps.clone()).ok()
}

pub(super) fn h265_format(sets: &ParameterSets) -> Option<Format> {
    h265::format_from_parameter_sets(sets.vps.clone(), sets.sps.clone()?, sets.pps.clone()).ok()
}

/// `sequence_header` is the whole OBU.
pub(super) fn av1_format(sequence_header: &[u8]) -> Option<Format> {
    av1::format_from_sequence_header(sequence_header).ok()
}

/// The format that SDP describes, and the ticks from one frame to the next.
pub(super) fn aac_format(parameters: &PayloadParameters) -> Result<(Format, u32), UnsupportedPayload> {
    let config = match parameters.parameter("config") {
        Some(hex) => read_hex(hex).ok_or_else(|| parameters.refuse("config is not hexadecimal"))?,
        // Some cameras leave it out; nearly all send low complexity.
        None => AudioConfig::low_complexity(parameters.clock_rate, parameters.channels.unwrap_or(1))
            .ok_or_else(|| parameters.refuse("config is missing"))?,
    };
    let unknown = |_| parameters.refuse("config is of no known kind");
    let read = AudioConfig::parse(&config).map_err(unknown)?;
    let format = aac::format_from_config(config).map_err(unknown)?;
    let ticks = u64::from(read.samples_per_frame) * u64::from(parameters.clock_rate)
        / u64::from(read.sample_rate.max(1));
    let ticks = u32::try_from(ticks).map_err(|_| parameters.refuse("frames are too long"))?;
    Ok((format, ticks))
}

fn read_hex(text: &str) -> Option<Bytes> {
    const DIGITS_MAX: usize = 128;
    let digits = text.trim_matches('"').as_bytes();
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let digit = |at: usize| char::from(*digits.get(at).unwrap_or(&b'0')).to_digit(16);
    (0..digits.len())
        .step_by(2)
        .map(|at| Some((digit(at)? << 4 | digit(at + 1)?) as u8))
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

/// Pictures that may come before one that is presented earlier, where the format tells.
pub(in crate::rtp) fn reorder_depth(format: &Format) -> Option<u8> {
    let depth = match format {
        Format::H264 { sps, .. } => {
            let sps = h264::Sps::parse(sps).ok()?;
            if sps.is_in_order() { 0 } else { sps.reorder_frames_max? }
        }
        Format::H265 { sps, .. } => h265::Sps::parse(sps).ok()?.reorder_pictures_max,
        _ => 0,
    };
    u8::try_from(depth).ok()
}
