//! The AudioSpecificConfig of AAC (ISO/IEC 14496-3 §1.6.2.1).

use bytes::Bytes;

use crate::Format;
use crate::bits::BitReader;
use crate::error::{Error, Result};

const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const EXPLICIT_RATE: u32 = 15;
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;
/// Longest configuration that is taken; real ones have two to five bytes.
const CONFIG_BYTES_MAX: usize = 64;

/// What an AudioSpecificConfig says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// 2 is AAC-LC, 5 is HE-AAC.
    pub object_type: u8,
    /// Of the core coder: the clock of the frames.
    pub sample_rate: u32,
    pub channels: u8,
    /// Ticks of `sample_rate` in one frame.
    pub samples_per_frame: u32,
}

impl AudioConfig {
    pub fn parse(config: &[u8]) -> Result<Self> {
        if config.len() > CONFIG_BYTES_MAX {
            return Err(Error::OutOfRange {
                what: "length of AudioSpecificConfig",
                value: config.len() as u64,
            });
        }
        let mut reader = BitReader::new(config, "AudioSpecificConfig");
        let object_type = read_object_type(&mut reader)?;
        let sample_rate = read_sample_rate(&mut reader)?;
        let channels = match reader.bits(4)? as u8 {
            count @ 1..=6 => count,
            7 => 8,
            other => return Err(Error::OutOfRange { what: "channelConfiguration", value: u64::from(other) }),
        };
        let mut core_type = object_type;
        if matches!(object_type, SBR | PARAMETRIC_STEREO) {
            read_sample_rate(&mut reader)?;
            core_type = read_object_type(&mut reader)?;
        }
        // The general audio types: main, LC, SSR, LTP.
        if !matches!(core_type, 1..=4) {
            return Err(Error::Unsupported { what: "AAC object type" });
        }
        let samples_per_frame = if reader.flag()? { 960 } else { 1024 };
        Ok(Self { object_type, sample_rate, channels, samples_per_frame })
    }

    /// The configuration of AAC-LC; `None` for what it can't express.
    pub fn low_complexity(sample_rate: u32, channels: u8) -> Option<Bytes> {
        let index = SAMPLE_RATES.iter().position(|&rate| rate == sample_rate)? as u16;
        let channels = match channels {
            1..=6 => u16::from(channels),
            8 => 7,
            _ => return None,
        };
        Some(Bytes::copy_from_slice(&(2 << 11 | index << 7 | channels << 3).to_be_bytes()))
    }
}

/// The format that an AudioSpecificConfig describes.
pub fn format_from_config(config: Bytes) -> Result<Format> {
    let AudioConfig { sample_rate, channels, .. } = AudioConfig::parse(&config)?;
    Ok(Format::Aac { config, sample_rate, channels })
}

/// `mp4a.40.2`.
pub(crate) fn codec_string(config: &[u8]) -> String {
    let object_type = AudioConfig::parse(config).map_or(2, |config| config.object_type);
    format!("mp4a.40.{object_type}")
}

fn read_object_type(reader: &mut BitReader<'_>) -> Result<u8> {
    Ok(match reader.bits(5)? {
        31 => 32 + reader.bits(6)? as u8,
        short => short as u8,
    })
}

fn read_sample_rate(reader: &mut BitReader<'_>) -> Result<u32> {
    let rate = match reader.bits(4)? {
        EXPLICIT_RATE => reader.bits(24)?,
        index => *SAMPLE_RATES
            .get(index as usize)
            .ok_or(Error::OutOfRange { what: "samplingFrequencyIndex", value: u64::from(index) })?,
    };
    if !(1_000..=192_000).contains(&rate) {
        return Err(Error::OutOfRange { what: "samplingFrequency", value: u64::from(rate) });
    }
    Ok(rate)
}
