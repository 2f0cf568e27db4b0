//! Session descriptions of our own: what a server answers to DESCRIBE.

use std::fmt::Write as _;

use varde_codec::Medium;

use crate::rtp::PayloadParameters;

/// Builds a description section by section. Control URLs are `trackID=0`, `trackID=1`, … in the order added, which is
/// what [`crate::server::ServerSession`] expects.
#[derive(Clone, Debug)]
pub struct DescriptionWriter {
    text: String,
    tracks: usize,
}

impl DescriptionWriter {
    /// `session` makes the origin line unique; `name` is shown by players.
    pub fn new(session: u64, name: &str) -> Self {
        let name: String = name.chars().filter(|each| !each.is_control()).take(200).collect();
        let name = if name.is_empty() { "-" } else { &name };
        let text = format!(
            "v=0\r\no=- {session} 1 IN IP4 0.0.0.0\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
             a=control:*\r\na=range:npt=0-\r\n"
        );
        Self { text, tracks: 0 }
    }

    /// Adds a section; a payload whose codec has no name here is offered as `application`.
    pub fn media(&mut self, payload: &PayloadParameters, frame_rate: Option<f64>) -> &mut Self {
        let kind = match payload.codec().map(varde_codec::Codec::medium) {
            Some(Medium::Video) => "video",
            Some(Medium::Audio) => "audio",
            Some(Medium::Metadata) | None => "application",
        };
        let (number, rtpmap) = (payload.payload_type, payload.rtpmap());
        let _ = write!(self.text, "m={kind} 0 RTP/AVP {number}\r\na=rtpmap:{number} {rtpmap}\r\n");
        if !payload.fmtp.is_empty() {
            let _ = write!(self.text, "a=fmtp:{number} {}\r\n", payload.fmtp);
        }
        if let Some(rate) = frame_rate {
            let _ = write!(self.text, "a=framerate:{rate}\r\n");
        }
        let _ = write!(self.text, "a=control:trackID={}\r\n", self.tracks);
        self.tracks += 1;
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}
