//! From units to packets: the sending side of the payload formats.
//!
//! A payload is a slice of the unit; only headers are written. Packets go out through a callback, so nothing is queued.

mod av1;
mod jpeg;
mod nal;

use varde_codec::Format;

use super::packet::Header;
use super::payload::PayloadParameters;

/// The smallest packet that has room for every header and some media.
const PACKET_BYTES_MIN: usize = 64;

/// Why a unit could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketiseError {
    /// The payload format has no way to say this.
    #[error("{what}")]
    Unsupported { what: &'static str },
    #[error("the unit is malformed: {what}")]
    Malformed { what: &'static str },
}

/// Turns the units of one track into RTP packets. Counts sequence numbers, packets and octets.
#[derive(Debug)]
pub struct Packetiser {
    format: Format,
    sender: Sender,
}

/// What every packet of a track has in common.
#[derive(Debug)]
struct Sender {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Bytes behind the RTP header.
    room: usize,
    packets: u32,
    octets: u32,
    head: Vec<u8>,
}

impl Sender {
    /// Sends one packet: `head` is the payload header.
    fn send(&mut self, marker: bool, head: &[&[u8]], body: &[u8], out: &mut impl FnMut(&[u8], &[u8])) {
        let header = Header {
            marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.head.clear();
        self.head.extend_from_slice(&header.write());
        for part in head {
            self.head.extend_from_slice(part);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let octets = self.head.len() - Header::BYTES + body.len();
        self.octets = self.octets.wrapping_add(octets as u32);
        out(&self.head, body);
    }
}

impl Packetiser {
    /// `packet_bytes_max` bounds a whole RTP packet, header included: 1,400 for UDP, up to 65,535 for TCP. Less than
    /// 64 counts as 64. JPEG needs some 300 more in the first packet of an image.
    pub fn new(format: &Format, payload_type: u8, ssrc: u32, sequence: u16, packet_bytes_max: usize) -> Self {
        Self {
            format: format.clone(),
            sender: Sender {
                payload_type,
                ssrc,
                sequence,
                timestamp: 0,
                room: packet_bytes_max.clamp(PACKET_BYTES_MIN, 65_535) - Header::BYTES,
                packets: 0,
                octets: 0,
                head: Vec::with_capacity(64),
            },
        }
    }

    /// What SDP says of this track.
    pub fn parameters(&self) -> PayloadParameters {
        PayloadParameters::for_format(&self.format, self.sender.payload_type)
    }

    /// Parameter sets that later units are sent with.
    pub fn set_format(&mut self, format: &Format) {
        self.format = format.clone();
    }

    /// Sends one unit, laid out as [`varde_codec::AccessUnit::data`] says. `out` gets each packet in two pieces:
    /// headers (RTP and payload header) and a slice of the unit. Parameter sets go before a unit that is an entry
    /// point. After an error, packets may have gone out and the unit is not whole.
    pub fn packetise(
        &mut self,
        data: &[u8],
        timestamp: u32,
        entry_point: bool,
        mut out: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), PacketiseError> {
        let out = &mut out;
        let sender = &mut self.sender;
        sender.timestamp = timestamp;
        match &self.format {
            Format::H264 { sps, pps, .. } => {
                let sets = std::iter::once(sps).chain(pps).filter(|_| entry_point);
                nal::packetise_h264(sender, sets.map(|set| &set[..]), data, out)
            }
            Format::H265 { vps, sps, pps, .. } => {
                let sets = vps.iter().chain(std::iter::once(sps)).chain(pps).filter(|_| entry_point);
                nal::packetise_h265(sender, sets.map(|set| &set[..]), data, out)
            }
            Format::Av1 { .. } => av1::packetise(sender, data, entry_point, out),
            Format::Mjpeg { .. } => jpeg::packetise(sender, data, out),
            Format::Aac { .. } => packetise_aac(sender, data, out),
            Format::Alaw { channels, .. } | Format::Ulaw { channels, .. } => {
                let frame = usize::from((*channels).max(1));
                let chunk = sender.room / frame * frame;
                for piece in data.chunks(chunk.max(1)) {
                    sender.send(false, &[], piece, out);
                    let ticks = (piece.len() / frame) as u32;
                    sender.timestamp = sender.timestamp.wrapping_add(ticks);
                }
                Ok(())
            }
            Format::Opus { .. } => {
                if data.len() > sender.room {
                    return Err(PacketiseError::Unsupported {
                        what: "an Opus packet is longer than a datagram",
                    });
                }
                sender.send(false, &[], data, out);
                Ok(())
            }
            Format::Metadata => {
                let mut pieces = data.chunks(sender.room).peekable();
                while let Some(piece) = pieces.next() {
                    sender.send(pieces.peek().is_none(), &[], piece, out);
                }
                Ok(())
            }
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.sender.ssrc
    }

    /// The sequence number of the next packet, for `RTP-Info`.
    pub fn next_sequence(&self) -> u16 {
        self.sender.sequence
    }

    /// Packets sent, for sender reports; wraps.
    pub fn packets_sent(&self) -> u32 {
        self.sender.packets
    }

    /// Payload octets sent, for sender reports; wraps.
    pub fn octets_sent(&self) -> u32 {
        self.sender.octets
    }
}

/// One frame in one packet, or fragments that each tell the whole size (RFC 3640 §3.2.3).
fn packetise_aac(
    sender: &mut Sender,
    data: &[u8],
    out: &mut impl FnMut(&[u8], &[u8]),
) -> Result<(), PacketiseError> {
    if data.is_empty() || data.len() >= 1 << 13 {
        return Err(PacketiseError::Malformed { what: "an AAC frame has 1 to 8191 bytes" });
    }
    let [high, low] = ((data.len() as u16) << 3).to_be_bytes();
    let mut pieces = data.chunks(sender.room - 4).peekable();
    while let Some(piece) = pieces.next() {
        sender.send(pieces.peek().is_none(), &[&[0, 16, high, low]], piece, out);
    }
    Ok(())
}
