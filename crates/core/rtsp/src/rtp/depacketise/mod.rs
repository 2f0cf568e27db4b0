//! From packets to units: one enum over the payload formats.
//!
//! Decides where units begin and end, which are whole, and what their flags are. A unit with a hole is dropped and
//! counted, never passed on as if it were whole. Refuses to know sequence numbers and clocks.

mod audio;
pub(super) mod av1;
mod formats;
mod h264;
mod h265;
mod jpeg;
mod metadata;
mod nal;

use bytes::Bytes;
use varde_codec::{Codec, Format, UnitFlags};

use self::audio::{Aac, G711, Opus};
use self::av1::Av1;
pub(super) use self::formats::reorder_depth;
use self::h264::H264;
use self::h265::H265;
use self::jpeg::Jpeg;
use self::metadata::Metadata;
use self::nal::NalDepacketiser;
use super::packet::Packet;
use super::payload::{PayloadParameters, UnsupportedPayload};
use super::unwrap::Unwrapper;

/// One unit as the payload format gives it, before the media clock has placed it in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Unwrapped RTP timestamp: presentation time in ticks of the track's clock.
    pub rtp_time: i64,
    pub flags: UnitFlags,
    /// Laid out as [`varde_codec::AccessUnit::data`] says.
    pub data: Bytes,
    /// Set on the first unit, and where the configuration changed with this unit.
    pub format: Option<Format>,
    /// Units dropped since the one before this, as far as it is known.
    pub dropped_before: u32,
}

/// Turns the packets of one track into units.
#[derive(Debug)]
pub struct Depacketiser {
    timestamps: Unwrapper,
    payload: Payload,
}

#[derive(Debug)]
enum Payload {
    H264(NalDepacketiser<H264>),
    H265(NalDepacketiser<H265>),
    Av1(Av1),
    Jpeg(Jpeg),
    Aac(Aac),
    G711(G711),
    Opus(Opus),
    Metadata(Metadata),
}

/// The same call on whichever payload it is.
macro_rules! each {
    ($payload:expr, $inner:ident => $call:expr) => {
        match $payload {
            Payload::H264($inner) => $call,
            Payload::H265($inner) => $call,
            Payload::Av1($inner) => $call,
            Payload::Jpeg($inner) => $call,
            Payload::Aac($inner) => $call,
            Payload::G711($inner) => $call,
            Payload::Opus($inner) => $call,
            Payload::Metadata($inner) => $call,
        }
    };
}

impl Depacketiser {
    pub fn new(parameters: &PayloadParameters) -> Result<Self, UnsupportedPayload> {
        let unsupported = || UnsupportedPayload::Encoding { encoding: parameters.encoding.clone() };
        let payload = match parameters.codec().ok_or_else(unsupported)? {
            Codec::H264 => {
                if parameters.number("packetization-mode").is_some_and(|mode| mode > 1) {
                    return Err(parameters.refuse("interleaved packetization is not supported"));
                }
                let sets = parameters.nal_list("sprop-parameter-sets");
                Payload::H264(NalDepacketiser::new(H264, formats::h264_format, sets))
            }
            Codec::H265 => {
                if parameters.number("sprop-max-don-diff").is_some_and(|difference| difference > 0) {
                    return Err(parameters.refuse("decoding order numbers are not supported"));
                }
                let lists = ["sprop-vps", "sprop-sps", "sprop-pps"].map(|name| parameters.nal_list(name));
                Payload::H265(NalDepacketiser::new(H265::default(), formats::h265_format, lists.concat()))
            }
            Codec::Av1 => Payload::Av1(Av1::default()),
            Codec::Mjpeg => Payload::Jpeg(Jpeg::default()),
            Codec::Aac => {
                let (format, frame_ticks) = formats::aac_format(parameters)?;
                Payload::Aac(Aac::new(parameters, format, frame_ticks)?)
            }
            codec @ (Codec::Alaw | Codec::Ulaw) => {
                let (sample_rate, channels) = (parameters.clock_rate, parameters.channels.unwrap_or(1));
                let format = match codec {
                    Codec::Alaw => Format::Alaw { sample_rate, channels },
                    _ => Format::Ulaw { sample_rate, channels },
                };
                Payload::G711(G711::new(format, sample_rate, channels))
            }
            Codec::Opus => Payload::Opus(Opus::new(parameters.number("sprop-stereo") == Some(1))),
            Codec::Metadata => {
                // EXI and gzip have names of their own and are refused with them.
                Payload::Metadata(Metadata::default())
            }
        };
        Ok(Self { timestamps: Unwrapper::default(), payload })
    }

    /// Takes the next packet in order; `lost` packets are missing before it. Call [`Self::poll`] until it is dry.
    pub fn on_packet(&mut self, packet: &Packet<'_>, lost: u32) {
        let time = self.timestamps.on_timestamp(packet.timestamp);
        let (marker, payload) = (packet.marker, packet.payload);
        match &mut self.payload {
            Payload::H264(inner) => inner.on_packet(time, marker, payload, lost),
            Payload::H265(inner) => inner.on_packet(time, marker, payload, lost),
            Payload::Av1(inner) => inner.on_packet(time, marker, payload, lost),
            Payload::Jpeg(inner) => inner.on_packet(time, marker, payload, packet.extension, lost),
            Payload::Aac(inner) => inner.on_packet(time, payload, lost),
            Payload::G711(inner) => inner.on_packet(time, payload, lost),
            Payload::Opus(inner) => inner.on_packet(time, payload, lost),
            Payload::Metadata(inner) => inner.on_packet(time, marker, payload, lost),
        }
    }

    /// Ends the open unit, if it may be whole: the stream ended or its sender fell silent.
    pub fn flush(&mut self) {
        each!(&mut self.payload, inner => inner.flush());
    }

    pub fn poll(&mut self) -> Option<Unit> {
        each!(&mut self.payload, inner => inner.poll())
    }

    /// The configuration, once it is known: from SDP, or from the stream.
    pub fn format(&self) -> Option<&Format> {
        each!(&self.payload, inner => inner.format())
    }
}
