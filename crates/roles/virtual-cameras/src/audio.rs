//! Sound loops: cutting bundled ADTS, Ogg and G.711 into frames.

use bytes::Bytes;
use varde_codec::Format;

/// A loop of sound, frame by frame.
#[derive(Clone, Debug)]
pub(crate) struct AudioClip {
    pub(crate) format: Format,
    pub(crate) frames: Vec<Bytes>,
    /// Ticks of the format's clock.
    pub(crate) frame_ticks: u32,
}

/// AAC in ADTS frames (ISO/IEC 14496-3 §1.A.2.2), one raw block each.
pub(crate) fn from_adts(stream: &Bytes) -> Option<AudioClip> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let head = stream.first_chunk::<7>()?;
    let (object, rate_index) = (u16::from(head[2] >> 6) + 1, u16::from(head[2] >> 2 & 15));
    let channels = (head[2] & 1) << 2 | head[3] >> 6;
    let config = object << 11 | rate_index << 7 | u16::from(channels) << 3;
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = stream.get(at..at + 7) {
        let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
        let header = if head[1] & 1 == 1 { 7 } else { 9 };
        if head[0] != 0xff || length <= header || at + length > stream.len() {
            return None;
        }
        frames.push(stream.slice(at + header..at + length));
        at += length;
    }
    let format = Format::Aac {
        config: Bytes::copy_from_slice(&config.to_be_bytes()),
        sample_rate: *RATES.get(usize::from(rate_index))?,
        channels,
    };
    Some(AudioClip { format, frames, frame_ticks: 1024 })
}

/// Opus in Ogg pages (RFC 3533, RFC 7845), packets of 20 ms.
pub(crate) fn from_ogg(stream: &Bytes) -> Option<AudioClip> {
    let mut packets: Vec<Bytes> = Vec::new();
    let mut packet = Vec::new();
    let mut at = 0;
    while let Some(page) = stream.get(at..).filter(|page| page.starts_with(b"OggS")) {
        let segments = usize::from(*page.get(26)?);
        let lacing = page.get(27..27 + segments)?;
        let mut body = 27 + segments;
        for &length in lacing {
            packet.extend_from_slice(page.get(body..body + usize::from(length))?);
            body += usize::from(length);
            if length < 255 {
                packets.push(std::mem::take(&mut packet).into());
            }
        }
        at += body;
    }
    let head = packets.first().filter(|head| head.starts_with(b"OpusHead"))?;
    let channels = *head.get(9)?;
    // Head and tags.
    packets.drain(..packets.len().min(2));
    Some(AudioClip { format: Format::Opus { channels }, frames: packets, frame_ticks: 960 })
}

/// G.711 samples in frames of 20 ms.
pub(crate) fn from_samples(stream: &Bytes, format: Format) -> AudioClip {
    const FRAME: usize = 160;
    let frames =
        (0..stream.len() / FRAME).map(|index| stream.slice(index * FRAME..(index + 1) * FRAME)).collect();
    AudioClip { format, frames, frame_ticks: FRAME as u32 }
}
