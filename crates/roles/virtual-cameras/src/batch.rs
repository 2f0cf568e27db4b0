//! Packets of one picture or sound frame, laid out once for all clients, and how faults spoil them.

use std::ops::Range;

use bytes::Bytes;

use crate::fault::Effects;

/// The frame header within an RTSP connection: `$`, channel, length.
pub(crate) const FRAMING: usize = 4;

/// Packets that leave together. Over TCP `bytes` is written as it is where the client has the usual channels.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) track: usize,
    pub(crate) rtcp: bool,
    pub(crate) place: Place,
}

/// Where a batch stands for a client that has to begin at a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    KeyFrame,
    Picture,
    /// More packets of the picture before.
    Rest,
    /// Sound or a report: sent in any case.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) range: Range<usize>,
    /// Whether it begins with a frame header; garbage has none.
    pub(crate) framed: bool,
}

impl Batch {
    /// The channel that the frame headers name.
    pub(crate) fn channel(track: usize, rtcp: bool) -> u8 {
        (track * 2) as u8 + u8::from(rtcp)
    }

    /// What goes into a connection where this batch's packets have `channel`.
    pub(crate) fn interleaved(&self, channel: u8) -> Bytes {
        if channel == Self::channel(self.track, self.rtcp) {
            return self.bytes.clone();
        }
        let mut bytes = self.bytes.to_vec();
        for piece in self.pieces.iter().filter(|piece| piece.framed) {
            bytes[piece.range.start + 1] = channel;
        }
        bytes.into()
    }

    /// What goes into datagrams.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| {
            let start = piece.range.start + if piece.framed { FRAMING } else { 0 };
            &self.bytes[start..piece.range.end]
        })
    }

    /// Cuts into batches of at most `packets` packets.
    pub(crate) fn chunks(self, packets: usize) -> impl Iterator<Item = Self> {
        let Self { bytes, pieces, track, rtcp, place } = self;
        let chunks: Vec<Vec<Piece>> = pieces.chunks(packets.max(1)).map(<[Piece]>::to_vec).collect();
        chunks.into_iter().enumerate().map(move |(index, mut pieces)| {
            let start = pieces.first().map_or(0, |piece| piece.range.start);
            let end = pieces.last().map_or(0, |piece| piece.range.end);
            for piece in &mut pieces {
                piece.range = piece.range.start - start..piece.range.end - start;
            }
            let place = if index == 0 || place == Place::Other { place } else { Place::Rest };
            Self { bytes: bytes.slice(start..end), pieces, track, rtcp, place }
        })
    }
}

/// Builds a batch packet by packet.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    track: usize,
    rtcp: bool,
}

impl BatchWriter {
    pub(crate) fn new(track: usize, rtcp: bool, room: usize) -> Self {
        Self { bytes: Vec::with_capacity(room), pieces: Vec::new(), track, rtcp }
    }

    /// Adds a packet in two parts. One that does not fit a frame is left out; packetisers make none.
    pub(crate) fn packet(&mut self, head: &[u8], body: &[u8]) {
        let Ok(length) = u16::try_from(head.len() + body.len()) else { return };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[b'$', Batch::channel(self.track, self.rtcp)]);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        self.pieces.push(Piece { range: start..self.bytes.len(), framed: true });
    }

    fn raw(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.pieces.push(Piece { range: start..self.bytes.len(), framed: false });
    }

    pub(crate) fn finish(self, place: Place) -> Batch {
        Batch { bytes: self.bytes.into(), pieces: self.pieces, track: self.track, rtcp: self.rtcp, place }
    }
}

/// Reproducible chance (xorshift64*): the same seed spoils the same packets.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    fn happens(&mut self, percent: f64) -> bool {
        percent > 0.0 && (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < percent
    }
}

/// Lets the faults at the packets of a batch.
pub(crate) fn spoil(batch: &Batch, effects: &Effects, chance: &mut Chance) -> Batch {
    let mut packets: Vec<Vec<u8>> = batch.datagrams().map(<[u8]>::to_vec).collect();
    packets.retain(|_| !chance.happens(effects.loss));
    for index in 1..packets.len() {
        if chance.happens(effects.reorder) {
            packets.swap(index - 1, index);
        }
    }
    let mut writer = BatchWriter::new(batch.track, batch.rtcp, batch.bytes.len());
    for mut packet in packets {
        if chance.happens(effects.malformed_rtp) {
            break_header(&mut packet, chance);
        }
        if chance.happens(effects.malformed_payload) {
            break_payload(&mut packet, chance);
        }
        if chance.happens(effects.garbage) {
            let noise: Vec<u8> = (0..1 + chance.below(200)).map(|_| chance.next() as u8).collect();
            writer.raw(&noise);
        }
        writer.packet(&packet, &[]);
        if chance.happens(effects.duplicate) {
            writer.packet(&packet, &[]);
        }
    }
    writer.finish(batch.place)
}

fn break_header(packet: &mut Vec<u8>, chance: &mut Chance) {
    match chance.below(5) {
        // Another version.
        0 => packet[0] = 0x40,
        // Padding longer than the packet.
        1 => {
            packet[0] |= 0x20;
            *packet.last_mut().expect("an RTP packet has a header") = 255;
        }
        // An extension beyond the end.
        2 => packet[0] |= 0x10,
        // Fifteen contributing sources that are not there.
        3 => packet[0] |= 0x0f,
        _ => packet.truncate(chance.below(12)),
    }
}

fn break_payload(packet: &mut Vec<u8>, chance: &mut Chance) {
    let length = packet.len().saturating_sub(12);
    match chance.below(4) {
        // Nothing but a header.
        0 => packet.truncate(12),
        // The first bytes: type of the NAL unit, fragment bits, lengths.
        1 => {
            for byte in packet.iter_mut().skip(12).take(4) {
                *byte = chance.next() as u8;
            }
        }
        // Cut in the middle.
        2 => packet.truncate(12 + chance.below(length)),
        // Bytes anywhere.
        _ => {
            for _ in 0..1 + length / 50 {
                let at = 12 + chance.below(length);
                if let Some(byte) = packet.get_mut(at) {
                    *byte = chance.next() as u8;
                }
            }
        }
    }
}
