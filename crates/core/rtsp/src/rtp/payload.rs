//! What SDP says of an RTP payload: encoding, clock and format parameters, both ways.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use varde_codec::{Codec, Format};

/// The `rtpmap` and `fmtp` of one payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadParameters {
    pub payload_type: u8,
    /// Encoding name as SDP wrote it: `H264`. Compared without case.
    pub encoding: String,
    /// Ticks a second of the timestamps; never zero.
    pub clock_rate: u32,
    /// Audio channels, where `rtpmap` names them.
    pub channels: Option<u8>,
    /// The `fmtp` value behind the payload type: `packetization-mode=1;sprop-parameter-sets=…`.
    pub fmtp: String,
}

/// Why a payload can't be received. The track is left out and the camera's state says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedPayload {
    #[error("encoding {encoding:?} is not supported")]
    Encoding { encoding: String },
    #[error("{encoding}: {what}")]
    Parameters { encoding: String, what: &'static str },
}

impl PayloadParameters {
    /// From SDP: `rtpmap` is what stands behind the payload type (`H264/90000`), absent for static types.
    /// `None` where neither tells what it is.
    pub fn from_sdp(payload_type: u8, rtpmap: Option<&str>, fmtp: Option<&str>) -> Option<Self> {
        let fmtp = fmtp.unwrap_or_default().trim().to_owned();
        let Some(rtpmap) = rtpmap else { return Self::of_static(payload_type, fmtp) };
        let mut parts = rtpmap.trim().split('/').map(str::trim);
        let encoding = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let clock_rate = match parts.next() {
            Some(rate) => rate.parse().ok().filter(|rate| (1..=10_000_000).contains(rate))?,
            // Some cameras leave the rate of a static type out.
            None => Self::of_static(payload_type, String::new())?.clock_rate,
        };
        let channels =
            parts.next().and_then(|count| count.parse().ok()).filter(|count| (1..=64).contains(count));
        Some(Self { payload_type, encoding, clock_rate, channels, fmtp })
    }

    /// The static payload types of RFC 3551 §6 that are supported here.
    fn of_static(payload_type: u8, fmtp: String) -> Option<Self> {
        let (encoding, clock_rate, channels) = match payload_type {
            0 => ("PCMU", 8_000, Some(1)),
            8 => ("PCMA", 8_000, Some(1)),
            26 => ("JPEG", 90_000, None),
            _ => return None,
        };
        Some(Self { payload_type, encoding: encoding.to_owned(), clock_rate, channels, fmtp })
    }

    /// What a server's SDP says of `format`.
    pub fn for_format(format: &Format, payload_type: u8) -> Self {
        let encode = |nal: &Bytes| STANDARD.encode(nal);
        let list = |nals: &[Bytes]| nals.iter().map(encode).collect::<Vec<_>>().join(",");
        let (encoding, channels, fmtp) = match format {
            Format::H264 { sps, pps, .. } => {
                let mut fmtp = String::from("packetization-mode=1");
                if let Some([a, b, c]) = sps.get(1..4) {
                    let _ = write!(fmtp, ";profile-level-id={a:02x}{b:02x}{c:02x}");
                }
                let _ = write!(fmtp, ";sprop-parameter-sets={},{}", encode(sps), list(pps));
                ("H264", None, fmtp)
            }
            Format::H265 { vps, sps, pps, .. } => {
                let fmtp =
                    format!("sprop-vps={};sprop-sps={};sprop-pps={}", list(vps), encode(sps), list(pps));
                ("H265", None, fmtp)
            }
            Format::Av1 { .. } => ("AV1", None, String::new()),
            Format::Mjpeg { .. } => ("JPEG", None, String::new()),
            Format::Aac { config, channels, .. } => {
                let mut hex = String::new();
                for byte in config {
                    let _ = write!(hex, "{byte:02X}");
                }
                let fmtp = format!(
                    "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                     indexdeltalength=3;config={hex}"
                );
                ("mpeg4-generic", Some(*channels), fmtp)
            }
            Format::Alaw { channels, .. } => ("PCMA", Some(*channels), String::new()),
            Format::Ulaw { channels, .. } => ("PCMU", Some(*channels), String::new()),
            // RFC 7587 §7: always 48000/2; the true count is a parameter.
            Format::Opus { channels } => {
                ("opus", Some(2), if *channels > 1 { "sprop-stereo=1".into() } else { String::new() })
            }
            Format::Metadata => ("vnd.onvif.metadata", None, String::new()),
        };
        let clock_rate = format.timescale();
        Self { payload_type, encoding: encoding.to_owned(), clock_rate, channels, fmtp }
    }

    /// The value of SDP's `rtpmap` behind the payload type: `opus/48000/2`.
    pub fn rtpmap(&self) -> String {
        match self.channels {
            Some(channels) if channels > 1 => format!("{}/{}/{channels}", self.encoding, self.clock_rate),
            _ => format!("{}/{}", self.encoding, self.clock_rate),
        }
    }

    /// The codec, where it is one of the codec table.
    pub fn codec(&self) -> Option<Codec> {
        let name = self.encoding.to_ascii_lowercase();
        Some(match name.as_str() {
            "h264" => Codec::H264,
            "h265" | "hevc" => Codec::H265,
            "av1" => Codec::Av1,
            "jpeg" => Codec::Mjpeg,
            "mpeg4-generic" => Codec::Aac,
            "pcma" => Codec::Alaw,
            "pcmu" => Codec::Ulaw,
            "opus" => Codec::Opus,
            "vnd.onvif.metadata" => Codec::Metadata,
            _ => return None,
        })
    }

    /// A format parameter by its name, without regard to case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|entry| {
            let (key, value) = entry.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A numeric parameter.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.parameter(name)?.parse().ok()
    }

    /// NAL units of a parameter that lists them in base64; what can't be read is left out.
    pub(crate) fn nal_list(&self, name: &str) -> Vec<Vec<u8>> {
        const COUNT_MAX: usize = 64;
        const TEXT_BYTES_MAX: usize = 8 << 10;
        let text = self.parameter(name).unwrap_or_default();
        text.split(',')
            .take(COUNT_MAX)
            .filter(|part| !part.is_empty() && part.len() <= TEXT_BYTES_MAX)
            .filter_map(|part| {
                let part = part.trim();
                STANDARD.decode(part).or_else(|_| STANDARD_NO_PAD.decode(part.trim_end_matches('='))).ok()
            })
            .collect()
    }

    pub(crate) fn refuse(&self, what: &'static str) -> UnsupportedPayload {
        UnsupportedPayload::Parameters { encoding: self.encoding.clone(), what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdp_is_read() {
        let check = |payload_type, rtpmap, codec, clock_rate, channels| {
            let read = PayloadParameters::from_sdp(payload_type, rtpmap, None);
            let told = read.map(|read| (read.codec(), read.clock_rate, read.channels));
            assert_eq!(told, Some((codec, clock_rate, channels)), "{rtpmap:?}");
        };
        check(96, Some("H264/90000"), Some(Codec::H264), 90_000, None);
        check(96, Some("h265/90000"), Some(Codec::H265), 90_000, None);
        check(97, Some("MPEG4-GENERIC/16000/1"), Some(Codec::Aac), 16_000, Some(1));
        check(0, None, Some(Codec::Ulaw), 8_000, Some(1));
        check(26, Some("JPEG"), Some(Codec::Mjpeg), 90_000, None);
        check(107, Some("vnd.onvif.metadata/90000"), Some(Codec::Metadata), 90_000, None);
        check(98, Some("G726-32/8000"), None, 8_000, None);
        for (payload_type, rtpmap) in
            [(96, None), (96, Some("H264")), (96, Some("/90000")), (96, Some("H264/0"))]
        {
            assert_eq!(PayloadParameters::from_sdp(payload_type, rtpmap, None), None, "{rtpmap:?}");
        }
    }

    #[test]
    fn parameters_are_found_whatever_their_case_and_spaces() {
        let fmtp = "packetization-mode=1; Profile-Level-ID=420029;sprop-parameter-sets=Z0IAKQ==,aM48gA";
        let read = PayloadParameters::from_sdp(96, Some("H264/90000"), Some(fmtp)).unwrap();
        assert_eq!(read.parameter("profile-level-id"), Some("420029"));
        assert_eq!(
            read.nal_list("sprop-parameter-sets"),
            [vec![0x67, 0x42, 0, 0x29], vec![0x68, 0xce, 0x3c, 0x80]]
        );
        assert_eq!(read.number("packetization-mode"), Some(1));
    }
}
