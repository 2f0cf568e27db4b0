//! RTCP (RFC 3550 §6): sender and receiver reports, source descriptions, goodbyes. Read in place, written to a buffer.

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// How one receiver hears one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Of 256, since the report before.
    pub fraction_lost: u8,
    /// 24 bits with sign.
    pub lost: i32,
    pub highest_sequence: u32,
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report; zero when there was none.
    pub last_report: u32,
    /// Since the last sender report, in 1/65536 s.
    pub delay: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    pub ssrc: u32,
    /// NTP time: seconds since 1900 in the upper half. Zero where the sender knows no wall time.
    pub ntp: u64,
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    SenderReport {
        report: SenderReport,
        blocks: Vec<ReportBlock>,
    },
    ReceiverReport {
        ssrc: u32,
        blocks: Vec<ReportBlock>,
    },
    /// The first chunk's canonical name.
    SourceDescription {
        ssrc: u32,
        name: &'a [u8],
    },
    Bye {
        ssrc: u32,
    },
    /// A kind that is not used here, such as feedback.
    Other {
        packet_type: u8,
    },
}

/// Why bytes are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    #[error("the packet is cut at byte {at}")]
    Short { at: usize },
    #[error("version {version} instead of 2 at byte {at}")]
    Version { version: u8, at: usize },
}

/// Reads a compound packet, one after the other. Ends after the first error.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Result<RtcpPacket<'_>, RtcpError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        match parse_one(rest, at) {
            Ok((packet, length)) => {
                at += length;
                Some(Ok(packet))
            }
            Err(error) => {
                at = bytes.len();
                Some(Err(error))
            }
        }
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn parse_one(bytes: &[u8], at: usize) -> Result<(RtcpPacket<'_>, usize), RtcpError> {
    let short = RtcpError::Short { at };
    let head = bytes.first_chunk::<4>().ok_or(short)?;
    let version = head[0] >> 6;
    if version != 2 {
        return Err(RtcpError::Version { version, at });
    }
    let length = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
    let mut body = bytes.get(4..length).ok_or(short)?;
    if head[0] & 0x20 != 0 {
        let padding = usize::from(body.last().copied().unwrap_or(0));
        body = body.get(..body.len().saturating_sub(padding)).ok_or(short)?;
    }
    let count = usize::from(head[0] & 0x1f);
    let packet = match head[1] {
        SENDER_REPORT => {
            let field = |index: usize| word(body, index * 4).ok_or(short);
            let report = SenderReport {
                ssrc: field(0)?,
                ntp: u64::from(field(1)?) << 32 | u64::from(field(2)?),
                rtp_timestamp: field(3)?,
                packets: field(4)?,
                octets: field(5)?,
            };
            RtcpPacket::SenderReport { report, blocks: parse_blocks(&body[24..], count) }
        }
        RECEIVER_REPORT => {
            let ssrc = word(body, 0).ok_or(short)?;
            RtcpPacket::ReceiverReport { ssrc, blocks: parse_blocks(&body[4..], count) }
        }
        SOURCE_DESCRIPTION if count > 0 => {
            let ssrc = word(body, 0).ok_or(short)?;
            RtcpPacket::SourceDescription { ssrc, name: canonical_name(&body[4..]) }
        }
        BYE if count > 0 => RtcpPacket::Bye { ssrc: word(body, 0).ok_or(short)? },
        packet_type => RtcpPacket::Other { packet_type },
    };
    Ok((packet, length))
}

/// Cameras announce more blocks than they send; those that are there count.
fn parse_blocks(bytes: &[u8], count: usize) -> Vec<ReportBlock> {
    bytes
        .as_chunks::<24>()
        .0
        .iter()
        .take(count)
        .map(|block| {
            let field = |index: usize| word(block, index * 4).expect("24 bytes hold six words");
            let losses = field(1);
            ReportBlock {
                ssrc: field(0),
                fraction_lost: (losses >> 24) as u8,
                lost: ((losses << 8) as i32) >> 8,
                highest_sequence: field(2),
                jitter: field(3),
                last_report: field(4),
                delay: field(5),
            }
        })
        .collect()
}

/// The CNAME item of the first chunk; empty where there is none.
fn canonical_name(mut items: &[u8]) -> &[u8] {
    while let [kind, length, rest @ ..] = items {
        let Some(text) = rest.get(..usize::from(*length)) else { break };
        match kind {
            0 => break,
            1 => return text,
            _ => items = &rest[text.len()..],
        }
    }
    &[]
}

fn write_head(out: &mut Vec<u8>, count: usize, packet_type: u8, words: usize) {
    out.extend_from_slice(&[0x80 | count as u8, packet_type]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
}

fn write_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks {
        out.extend_from_slice(&block.ssrc.to_be_bytes());
        let losses = u32::from(block.fraction_lost) << 24 | block.lost as u32 & 0x00ff_ffff;
        for field in [losses, block.highest_sequence, block.jitter, block.last_report, block.delay] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// At most 31 blocks; what is over is left out.
pub fn write_sender_report(out: &mut Vec<u8>, report: &SenderReport, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(31)];
    write_head(out, blocks.len(), SENDER_REPORT, 6 + blocks.len() * 6);
    out.extend_from_slice(&report.ssrc.to_be_bytes());
    out.extend_from_slice(&report.ntp.to_be_bytes());
    for field in [report.rtp_timestamp, report.packets, report.octets] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    write_blocks(out, blocks);
}

/// At most 31 blocks; what is over is left out.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(31)];
    write_head(out, blocks.len(), RECEIVER_REPORT, 1 + blocks.len() * 6);
    out.extend_from_slice(&ssrc.to_be_bytes());
    write_blocks(out, blocks);
}

/// A source description with the canonical name, cut to 255 bytes.
pub fn write_source_description(out: &mut Vec<u8>, ssrc: u32, name: &str) {
    let name = &name.as_bytes()[..name.len().min(255)];
    // The item list ends with at least one zero and fills its word.
    let words = (2 + name.len()) / 4 + 1;
    write_head(out, 1, SOURCE_DESCRIPTION, 1 + words);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(out.len() + words * 4 - 2 - name.len(), 0);
}

pub fn write_bye(out: &mut Vec<u8>, ssrc: u32) {
    write_head(out, 1, BYE, 1);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 12,
        lost: -3,
        highest_sequence: 70_000,
        jitter: 90,
        last_report: 0x1234_5678,
        delay: 65_536,
    };

    #[test]
    fn a_compound_reads_as_it_was_written() {
        let report =
            SenderReport { ssrc: 1, ntp: 0xe000_0000_8000_0000, rtp_timestamp: 5, packets: 6, octets: 7 };
        for name in ["", "a", "ab", "abc", "camera@example"] {
            let mut bytes = Vec::new();
            write_sender_report(&mut bytes, &report, &[BLOCK]);
            write_receiver_report(&mut bytes, 2, &[BLOCK, BLOCK]);
            write_source_description(&mut bytes, 3, name);
            write_bye(&mut bytes, 4);
            assert_eq!(bytes.len() % 4, 0);
            let packets: Vec<_> = parse(&bytes).map(Result::unwrap).collect();
            let expected = [
                RtcpPacket::SenderReport { report, blocks: vec![BLOCK] },
                RtcpPacket::ReceiverReport { ssrc: 2, blocks: vec![BLOCK, BLOCK] },
                RtcpPacket::SourceDescription { ssrc: 3, name: name.as_bytes() },
                RtcpPacket::Bye { ssrc: 4 },
            ];
            assert_eq!(packets, expected);
            for end in 0..bytes.len() {
                let _ = parse(&bytes[..end]).count();
            }
        }
    }

    #[test]
    fn what_is_cut_or_of_another_version_ends_the_reading() {
        let check = |bytes: &[u8], error| assert_eq!(parse(bytes).last(), Some(Err(error)));
        check(&[0x80, 200, 0], RtcpError::Short { at: 0 });
        check(&[0x80, 200, 0, 6, 1], RtcpError::Short { at: 0 });
        check(&[0x80, 200, 0, 1, 0, 0, 0, 1], RtcpError::Short { at: 0 });
        check(&[0x80, 77, 0, 0, 0x40, 0, 0, 0], RtcpError::Version { version: 1, at: 4 });
        check(&[0xa0, 200, 0, 1, 0, 0, 0, 200], RtcpError::Short { at: 0 });
        assert_eq!(parse(&[]).next(), None);
    }
}
