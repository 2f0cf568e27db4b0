//! Session descriptions (RFC 4566) as RTSP uses them (RFC 2326 appendix C): read, judged, written.
//!
//! A section that can't be used is kept with its names, so that a message can say what the camera offered. Lenient in
//! everything that no player depends on. What the parameters of a codec mean, [`crate::rtp::PayloadParameters`] decides.

mod write;

pub use write::DescriptionWriter;

use varde_codec::Medium;

use crate::rtp::PayloadParameters;

/// Largest description that is looked at.
pub const BYTES_MAX: usize = 64 << 10;
const MEDIA_MAX: usize = 32;
const LINE_BYTES_MAX: usize = 16 << 10;
const FORMATS_MAX: usize = 16;

/// A presentation: its attributes and its media sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `s=`, often the camera's own name for the stream.
    pub name: String,
    /// The aggregate control URL, as written: `*`, relative or absolute.
    pub control: Option<String>,
    /// `a=range`, as written: `npt=0-`, `clock=…`.
    pub range: Option<String>,
    pub media: Vec<Media>,
}

/// One `m=` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `video`, `audio`, `application`, … as written, in lower case.
    pub kind: String,
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, …
    pub protocol: String,
    /// The first payload type of the section.
    pub payload_type: u8,
    /// What stands behind the payload type in `a=rtpmap`: `H264/90000`.
    pub rtpmap: Option<String>,
    /// What stands behind the payload type in `a=fmtp`.
    pub fmtp: Option<String>,
    pub control: Option<String>,
    /// `a=sendonly` and its like; a back channel is `sendonly` in ONVIF's descriptions.
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Unstated,
    ReceiveOnly,
    SendOnly,
    SendReceive,
    Inactive,
}

/// Bytes that are no description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at byte {offset} of the session description)")]
pub struct SdpError {
    pub offset: usize,
    pub problem: SdpProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpProblem {
    #[error("the description is too long")]
    TooLong,
    #[error("a line is too long")]
    LineTooLong,
    #[error("a line does not have the form x=value")]
    Line,
    #[error("a media line is malformed")]
    Media,
    #[error("there are too many media sections")]
    TooManyMedia,
}

impl Description {
    /// # Errors
    /// The description can't be used at all. Attributes that make no sense are passed over.
    pub fn parse(text: &[u8]) -> Result<Self, SdpError> {
        if text.len() > BYTES_MAX {
            return Err(SdpError { offset: BYTES_MAX, problem: SdpProblem::TooLong });
        }
        let mut description = Self::default();
        let mut offset = 0;
        for raw in text.split_inclusive(|&byte| byte == b'\n') {
            let at = offset;
            offset += raw.len();
            let fail = |problem| SdpError { offset: at, problem };
            // Hikvision and others close with NUL bytes or blanks.
            let line = raw.trim_ascii();
            let line = line.strip_suffix(b"\0").unwrap_or(line);
            if line.is_empty() || line.iter().all(|&byte| byte == 0) {
                continue;
            }
            if line.len() > LINE_BYTES_MAX {
                return Err(fail(SdpProblem::LineTooLong));
            }
            let [kind, b'=', value @ ..] = line else {
                return Err(fail(SdpProblem::Line));
            };
            let value = String::from_utf8_lossy(value);
            description.take(*kind, value.trim()).map_err(fail)?;
        }
        Ok(description)
    }

    fn take(&mut self, kind: u8, value: &str) -> Result<(), SdpProblem> {
        match kind {
            b's' => self.name = value.to_owned(),
            b'm' => {
                if self.media.len() >= MEDIA_MAX {
                    return Err(SdpProblem::TooManyMedia);
                }
                self.media.push(Media::parse(value)?);
            }
            b'a' => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                match self.media.last_mut() {
                    Some(media) => media.attribute(name.trim(), value.trim()),
                    None => self.attribute(name.trim(), value.trim()),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) {
        match name {
            "control" => self.control = Some(value.to_owned()),
            "range" => self.range = Some(value.to_owned()),
            _ => {}
        }
    }
}

impl Media {
    fn parse(value: &str) -> Result<Self, SdpProblem> {
        let mut parts = value.split_ascii_whitespace();
        let kind = parts.next().ok_or(SdpProblem::Media)?.to_ascii_lowercase();
        // `49170/2` names a count of ports.
        let port = parts.next().ok_or(SdpProblem::Media)?;
        let port = port.split('/').next().unwrap_or(port).parse().map_err(|_| SdpProblem::Media)?;
        let protocol = parts.next().ok_or(SdpProblem::Media)?.to_owned();
        let payload_type = match parts.clone().take(FORMATS_MAX).find_map(|text| text.parse::<u8>().ok()) {
            Some(number) if number < 128 => number,
            // A section that isn't RTP (`m=application 0 udp wb`) is kept so that the others can be used.
            _ if !protocol.to_ascii_uppercase().starts_with("RTP/") => 0,
            _ => return Err(SdpProblem::Media),
        };
        Ok(Self {
            kind,
            port,
            protocol,
            payload_type,
            rtpmap: None,
            fmtp: None,
            control: None,
            direction: Direction::default(),
        })
    }

    fn attribute(&mut self, name: &str, value: &str) {
        match name {
            "control" => self.control = Some(value.to_owned()),
            "recvonly" => self.direction = Direction::ReceiveOnly,
            "sendonly" => self.direction = Direction::SendOnly,
            "sendrecv" => self.direction = Direction::SendReceive,
            "inactive" => self.direction = Direction::Inactive,
            "rtpmap" => self.rtpmap = self.of_payload(value).map(str::to_owned).or(self.rtpmap.take()),
            "fmtp" => self.fmtp = self.of_payload(value).map(str::to_owned).or(self.fmtp.take()),
            _ => {}
        }
    }

    /// What follows the payload type, where it is this section's.
    fn of_payload<'v>(&self, value: &'v str) -> Option<&'v str> {
        let (number, rest) = value.split_once(|each: char| each.is_ascii_whitespace())?;
        (number.parse::<u8>().ok()? == self.payload_type).then_some(rest.trim())
    }

    /// Whether the camera would send this section rather than receive it.
    pub fn flows_to_client(&self) -> bool {
        // ONVIF marks a back channel `sendonly` from the client's side; cameras without back channels write
        // `sendonly` from their own side, for pictures as well, so only sound can be meant.
        !(self.direction == Direction::SendOnly && self.kind == "audio")
            && self.direction != Direction::Inactive
    }

    /// Picture, sound or metadata by what the section says it is, whether or not its codec can be used.
    pub fn medium(&self) -> Option<Medium> {
        match self.kind.as_str() {
            "video" => Some(Medium::Video),
            "audio" => Some(Medium::Audio),
            "application" => Some(Medium::Metadata),
            _ => None,
        }
    }

    /// Encoding, clock and parameters of the payload; `None` where the section does not tell.
    pub fn payload(&self) -> Option<PayloadParameters> {
        PayloadParameters::from_sdp(self.payload_type, self.rtpmap.as_deref(), self.fmtp.as_deref())
    }

    /// What the camera calls the encoding, for messages: `H264`, or the number of a static payload type.
    pub fn encoding(&self) -> String {
        match &self.rtpmap {
            Some(rtpmap) => rtpmap.split('/').next().unwrap_or_default().trim().to_owned(),
            None => format!("payload type {}", self.payload_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use varde_codec::Codec;

    use super::*;

    #[test]
    fn sections_say_what_they_carry() {
        let check = |section: &str, codec: Option<Codec>, medium, flows| {
            let description = Description::parse(section.as_bytes()).unwrap();
            let media = &description.media[0];
            let found = media.payload().and_then(|payload| payload.codec());
            assert_eq!((found, media.medium(), media.flows_to_client()), (codec, medium, flows), "{section}");
        };
        check("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000", Some(Codec::H264), Some(Medium::Video), true);
        check("m=video 0 RTP/AVP 26", Some(Codec::Mjpeg), Some(Medium::Video), true);
        check(
            "m=VIDEO 49170/2 RTP/AVP 96 97\na=rtpmap:97 x/1\na=rtpmap:96 H265/90000\na=sendonly",
            Some(Codec::H265),
            Some(Medium::Video),
            true,
        );
        check("m=audio 0 RTP/AVP 0\na=sendonly", Some(Codec::Ulaw), Some(Medium::Audio), false);
        check("m=audio 0 RTP/AVP 98\na=rtpmap:98 G726-32/8000", None, Some(Medium::Audio), true);
        check("m=video 0 RTP/AVP 96", None, Some(Medium::Video), true);
        check(
            "m=video 0 RTP/AVP 96\na=inactive\na=rtpmap:96 H264/90000",
            Some(Codec::H264),
            Some(Medium::Video),
            false,
        );
        check("m=application 0 udp wb", Some(Codec::Ulaw), Some(Medium::Metadata), true);
    }

    #[test]
    fn odd_ends_do_no_harm_and_nonsense_is_refused_where_it_stands() {
        let text =
            b"v=0\r\ns=\xffcam \r\n\r\na=control:*\r\na=range:npt=0-\r\nm=audio 0 RTP/AVP 8 \r\n\0\r\n  ";
        let description = Description::parse(text).unwrap();
        assert_eq!((description.name.as_str(), description.control.as_deref()), ("\u{fffd}cam", Some("*")));
        assert_eq!((description.range.as_deref(), description.media.len()), (Some("npt=0-"), 1));
        let check = |text: &[u8], offset, problem| {
            assert_eq!(Description::parse(text), Err(SdpError { offset, problem }));
        };
        check(b"v=0\nhello", 4, SdpProblem::Line);
        check(b"v=0\nm=video", 4, SdpProblem::Media);
        check(b"m=video 0 RTP/AVP 200", 0, SdpProblem::Media);
        check(b"m=video x RTP/AVP 96", 0, SdpProblem::Media);
        check(&vec![b'a'; BYTES_MAX + 1], BYTES_MAX, SdpProblem::TooLong);
        check(format!("a={}", "b".repeat(LINE_BYTES_MAX)).as_bytes(), 0, SdpProblem::LineTooLong);
        check("m=audio 0 RTP/AVP 8\n".repeat(33).as_bytes(), 32 * 20, SdpProblem::TooManyMedia);
    }

    #[test]
    fn a_written_description_reads_as_it_was() {
        let payload =
            |number, rtpmap, fmtp| PayloadParameters::from_sdp(number, Some(rtpmap), Some(fmtp)).unwrap();
        let video =
            payload(96, "H264/90000", "packetization-mode=1;sprop-parameter-sets=Z0LAH9oBQBbs,aM48gA==");
        let audio = payload(97, "opus/48000/2", "sprop-stereo=1");
        let mut writer = DescriptionWriter::new(7, "Gate\r\na=control:evil");
        writer.media(&video, Some(25.0)).media(&audio, None);
        let description = Description::parse(&writer.finish()).unwrap();
        assert_eq!(description.control.as_deref(), Some("*"));
        assert_eq!(description.name, "Gatea=control:evil");
        let payloads: Vec<_> = description.media.iter().map(|media| media.payload().unwrap()).collect();
        assert_eq!(payloads, [video, audio]);
        let controls: Vec<_> = description.media.iter().map(|media| media.control.as_deref()).collect();
        assert_eq!(controls, [Some("trackID=0"), Some("trackID=1")]);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(text in "([vsamc]=[ -~]{0,30}(\r\n|\n)|m=video 0 RTP/AVP 9[0-9]\n|a=(rtpmap|fmtp):9[0-9] [ -~]{0,20}\n){0,12}[\\x00-\\xff]{0,20}") {
            if let Ok(description) = Description::parse(text.as_bytes()) {
                for media in &description.media {
                    let _ = (media.payload(), media.medium(), media.encoding(), media.flows_to_client());
                }
            }
        }
    }
}
