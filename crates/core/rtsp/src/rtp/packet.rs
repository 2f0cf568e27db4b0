//! The RTP header (RFC 3550 §5.1): a view over received bytes, and its writer.

/// An RTP packet; the payload is a slice of the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The header extension's profile word and body, where there is one.
    pub extension: Option<(u16, &'a [u8])>,
    /// Without padding. May be empty.
    pub payload: &'a [u8],
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("the packet ends inside its header, at byte {at}")]
    Short { at: usize },
    #[error("version {version} instead of 2")]
    Version { version: u8 },
    #[error("padding of {padding} bytes in {room} bytes of payload")]
    Padding { padding: u8, room: usize },
}

impl<'a> Packet<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let short = PacketError::Short { at: bytes.len() };
        let Some((fixed, mut rest)) = bytes.split_first_chunk::<12>() else { return Err(short) };
        let version = fixed[0] >> 6;
        if version != 2 {
            return Err(PacketError::Version { version });
        }
        let sources = usize::from(fixed[0] & 0x0f) * 4;
        rest = rest.get(sources..).ok_or(short)?;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let (head, tail) = rest.split_first_chunk::<4>().ok_or(short)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let body = tail.get(..words * 4).ok_or(short)?;
            extension = Some((u16::from_be_bytes([head[0], head[1]]), body));
            rest = &tail[words * 4..];
        }
        if fixed[0] & 0x20 != 0 {
            let padding = rest.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > rest.len() {
                return Err(PacketError::Padding { padding, room: rest.len() });
            }
            rest = &rest[..rest.len() - usize::from(padding)];
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            extension,
            payload: rest,
        })
    }
}

/// What a sender writes before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl Header {
    pub const BYTES: usize = 12;

    pub fn write(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = 0x80;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let header =
            Header { marker: true, payload_type: 96, sequence: 65_535, timestamp: 7, ssrc: 0xdead_beef };
        let mut bytes = header.write().to_vec();
        bytes.extend_from_slice(b"media");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.marker, packet.payload_type, packet.sequence), (true, 96, 65_535));
        assert_eq!((packet.timestamp, packet.ssrc, packet.payload), (7, 0xdead_beef, &b"media"[..]));
    }

    #[test]
    fn sources_extension_and_padding_are_taken_off() {
        let mut bytes = vec![0x80 | 0x20 | 0x10 | 2, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(&[9; 8]); // Two contributing sources.
        bytes.extend_from_slice(&[0xab, 0xac, 0, 1, 1, 2, 3, 4]);
        bytes.extend_from_slice(&[5, 6, 7, 0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.extension, Some((0xabac, &[1, 2, 3, 4][..])));
        assert_eq!(packet.payload, [5, 6, 7]);
        for end in 0..bytes.len() {
            let cut = Packet::parse(&bytes[..end]);
            assert!(end > 28 || cut.is_err(), "{end}: {cut:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |first: u8, last: u8, error| {
            let mut bytes = [0u8; 14];
            (bytes[0], bytes[13]) = (first, last);
            assert_eq!(Packet::parse(&bytes), Err(error));
        };
        check(0x40, 0, PacketError::Version { version: 1 });
        check(0xa0, 0, PacketError::Padding { padding: 0, room: 2 });
        check(0xa0, 3, PacketError::Padding { padding: 3, room: 2 });
        check(0x8f, 0, PacketError::Short { at: 14 });
        check(0x90, 0, PacketError::Short { at: 14 });
    }
}
