//! What a stream carries: codec and decoder configuration. Two formats that differ can't share one file.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A codec of the codec table (`docs/codecs.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    H264,
    H265,
    Av1,
    Mjpeg,
    Aac,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
    Opus,
    /// ONVIF metadata: XML documents.
    Metadata,
}

/// The kind of channel that a stream belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    Video,
    Audio,
    Metadata,
}

/// Codec and decoder configuration of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Parameter sets as whole NAL units without start codes or lengths.
    H264 {
        sps: Bytes,
        pps: Vec<Bytes>,
        width: u32,
        height: u32,
    },
    H265 {
        vps: Vec<Bytes>,
        sps: Bytes,
        pps: Vec<Bytes>,
        width: u32,
        height: u32,
    },
    /// `config` is the body of the `av1C` box.
    Av1 {
        config: Bytes,
        width: u32,
        height: u32,
    },
    Mjpeg {
        width: u32,
        height: u32,
    },
    /// `config` is the AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    Aac {
        config: Bytes,
        sample_rate: u32,
        channels: u8,
    },
    Alaw {
        sample_rate: u32,
        channels: u8,
    },
    Ulaw {
        sample_rate: u32,
        channels: u8,
    },
    /// Always 48 kHz by clock.
    Opus {
        channels: u8,
    },
    Metadata,
}

impl Format {
    pub const fn codec(&self) -> Codec {
        match self {
            Self::H264 { .. } => Codec::H264,
            Self::H265 { .. } => Codec::H265,
            Self::Av1 { .. } => Codec::Av1,
            Self::Mjpeg { .. } => Codec::Mjpeg,
            Self::Aac { .. } => Codec::Aac,
            Self::Alaw { .. } => Codec::Alaw,
            Self::Ulaw { .. } => Codec::Ulaw,
            Self::Opus { .. } => Codec::Opus,
            Self::Metadata => Codec::Metadata,
        }
    }

    pub const fn medium(&self) -> Medium {
        self.codec().medium()
    }

    /// Width and height in pixels of a video format.
    pub const fn dimensions(&self) -> Option<(u32, u32)> {
        match *self {
            Self::H264 { width, height, .. }
            | Self::H265 { width, height, .. }
            | Self::Av1 { width, height, .. }
            | Self::Mjpeg { width, height } => Some((width, height)),
            _ => None,
        }
    }

    /// Ticks a second of the sample times in files: the codec's RTP clock.
    pub const fn timescale(&self) -> u32 {
        match *self {
            Self::Aac { sample_rate, .. }
            | Self::Alaw { sample_rate, .. }
            | Self::Ulaw { sample_rate, .. } => sample_rate,
            Self::Opus { .. } => 48_000,
            _ => 90_000,
        }
    }

    /// The `codecs` parameter of media types (RFC 6381): `avc1.64001f`, `hvc1.1.6.L93.B0`, `mp4a.40.2`, `opus`.
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264 { sps, .. } => crate::h264::codec_string(sps),
            Self::H265 { sps, .. } => crate::h265::codec_string(sps),
            Self::Av1 { config, .. } => crate::av1::codec_string(config),
            Self::Mjpeg { .. } => "mp4v.6C".to_owned(),
            Self::Aac { config, .. } => crate::aac::codec_string(config),
            Self::Alaw { .. } => "alaw".to_owned(),
            Self::Ulaw { .. } => "ulaw".to_owned(),
            Self::Opus { .. } => "opus".to_owned(),
            Self::Metadata => "metx".to_owned(),
        }
    }

    /// Whether units certainly come in the order in which they are shown, by what the parameter sets say.
    ///
    /// `false` means "may reorder": an H.264 encoder that says nothing may still never do it.
    pub fn is_in_order(&self) -> bool {
        match self {
            Self::H264 { sps, .. } => crate::h264::Sps::parse(sps).is_ok_and(|sps| sps.is_in_order()),
            Self::H265 { sps, .. } => crate::h265::Sps::parse(sps).is_ok_and(|sps| sps.is_in_order()),
            _ => true,
        }
    }

    /// Flags of a unit of this format by its own headers; `after_loss` stays false.
    pub fn unit_flags(&self, data: &[u8]) -> crate::UnitFlags {
        match self {
            Self::H264 { .. } => crate::h264::unit_flags(data),
            Self::H265 { .. } => crate::h265::unit_flags(data),
            Self::Av1 { .. } => crate::av1::unit_flags(data),
            _ => crate::UnitFlags { entry_point: true, ..crate::UnitFlags::default() },
        }
    }
}

impl Codec {
    pub const fn medium(self) -> Medium {
        match self {
            Self::H264 | Self::H265 | Self::Av1 | Self::Mjpeg => Medium::Video,
            Self::Aac | Self::Alaw | Self::Ulaw | Self::Opus => Medium::Audio,
            Self::Metadata => Medium::Metadata,
        }
    }

    /// The name in the API: `h264`, `h265`, `av1`, `mjpeg`, `aac`, `alaw`, `ulaw`, `opus`, `metadata`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
            Self::Mjpeg => "mjpeg",
            Self::Aac => "aac",
            Self::Alaw => "alaw",
            Self::Ulaw => "ulaw",
            Self::Opus => "opus",
            Self::Metadata => "metadata",
        }
    }
}
