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
