//! JPEG (RFC 2435): the scan in fragments, the tables in the first packet. Baseline, three components, standard
//! Huffman tables: the payload format can say nothing else.

use super::{PacketiseError, Sender};
use crate::rtp::jpeg_tables::HUFFMAN_SEGMENTS;

const MALFORMED: PacketiseError = PacketiseError::Malformed { what: "a JPEG segment is cut" };

fn unsupported(what: &'static str) -> PacketiseError {
    PacketiseError::Unsupported { what }
}

/// What the packets tell of an image.
#[derive(Default)]
struct Image<'a> {
    /// 0 for 4:2:2, 1 for 4:2:0.
    kind: u8,
    width: usize,
    height: usize,
    restart_interval: u16,
    /// Quantisation tables by their identifiers: precision and values.
    tables: [Option<(u8, &'a [u8])>; 4],
    /// Identifiers of the tables for luminance and chrominance.
    selected: [usize; 2],
    scan: &'a [u8],
}

pub(super) fn packetise(
    sender: &mut Sender,
    unit: &[u8],
    out: &mut impl FnMut(&[u8], &[u8]),
) -> Result<(), PacketiseError> {
    let image = parse(unit)?;
    if image.width > 2040 || image.height > 2040 {
        return Err(unsupported("RFC 2435 ends at 2040 pixels"));
    }
    let mut tables = Vec::with_capacity(4 + 256);
    let mut precision = 0;
    for (index, id) in image.selected.into_iter().enumerate() {
        let (wide, values) = image.tables[id].ok_or(MALFORMED)?;
        precision |= wide << index;
        tables.extend_from_slice(values);
    }
    let length = (tables.len() as u16).to_be_bytes();
    tables.splice(..0, [0, precision, length[0], length[1]]);
    let interval = image.restart_interval.to_be_bytes();
    // Whole frames only: F, L and a count of all ones (§3.1.7).
    let restart = [interval[0], interval[1], 0xff, 0xff];
    let restart: &[u8] = if image.restart_interval > 0 { &restart } else { &[] };
    let kind = image.kind | if restart.is_empty() { 0 } else { 64 };
    let mut offset = 0;
    while offset < image.scan.len() {
        let tables: &[u8] = if offset == 0 { &tables } else { &[] };
        let [_, high, mid, low] = (offset as u32).to_be_bytes();
        let head =
            [0, high, mid, low, kind, 255, image.width.div_ceil(8) as u8, image.height.div_ceil(8) as u8];
        // A table that fills a small packet still takes some media with it.
        let room = sender.room.saturating_sub(head.len() + restart.len() + tables.len()).max(16);
        let end = (offset + room).min(image.scan.len());
        let last = end == image.scan.len();
        sender.send(last, &[&head, restart, tables], &image.scan[offset..end], out);
        offset = end;
    }
    Ok(())
}

fn parse(unit: &[u8]) -> Result<Image<'_>, PacketiseError> {
    let mut image = Image::default();
    let mut rest = unit.strip_prefix(&[0xff, 0xd8]).ok_or(MALFORMED)?;
    loop {
        let (&[prefix, marker], tail) = rest.split_first_chunk::<2>().ok_or(MALFORMED)?;
        if prefix != 0xff {
            return Err(MALFORMED);
        }
        if marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let length = tail.first_chunk::<2>().map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
        let segment = tail.get(2..length).ok_or(MALFORMED)?;
        rest = &tail[length..];
        match marker {
            0xc0 => read_frame(&mut image, segment)?,
            0xc1..=0xc3 | 0xc5..=0xcf => return Err(unsupported("only baseline JPEG can be sent")),
            0xc4 => check_huffman(segment)?,
            0xdb => read_tables(&mut image, segment)?,
            0xdd => {
                let interval = segment.first_chunk::<2>().ok_or(MALFORMED)?;
                image.restart_interval = u16::from_be_bytes(*interval);
            }
            0xda => break,
            _ => {}
        }
    }
    if image.width == 0 || image.height == 0 {
        return Err(MALFORMED);
    }
    image.scan = rest.strip_suffix(&[0xff, 0xd9]).unwrap_or(rest);
    if image.scan.len() >= 1 << 24 {
        return Err(unsupported("a scan ends at 16 MiB"));
    }
    Ok(image)
}

fn read_frame(image: &mut Image<'_>, segment: &[u8]) -> Result<(), PacketiseError> {
    let &[bits, high, low, wide, narrow, count, ref components @ ..] = segment else { return Err(MALFORMED) };
    image.height = usize::from(u16::from_be_bytes([high, low]));
    image.width = usize::from(u16::from_be_bytes([wide, narrow]));
    let &[_, luminance, first, _, blue, second, _, red, third] = components else {
        return Err(unsupported("only pictures of three components can be sent"));
    };
    image.kind = match (bits, count, luminance, blue, red) {
        (8, 3, 0x21, 0x11, 0x11) => 0,
        (8, 3, 0x22, 0x11, 0x11) => 1,
        _ => return Err(unsupported("only 8 bits in 4:2:0 or 4:2:2 can be sent")),
    };
    if first > 3 || second > 3 || second != third {
        return Err(unsupported("chrominance with two quantisation tables can't be sent"));
    }
    image.selected = [usize::from(first), usize::from(second)];
    Ok(())
}

fn read_tables<'a>(image: &mut Image<'a>, mut segment: &'a [u8]) -> Result<(), PacketiseError> {
    while let Some((&head, tail)) = segment.split_first() {
        let (wide, id) = (head >> 4, usize::from(head & 0x0f));
        if wide > 1 || id > 3 {
            return Err(MALFORMED);
        }
        let (values, tail) = tail.split_at_checked(64 << wide).ok_or(MALFORMED)?;
        image.tables[id] = Some((wide, values));
        segment = tail;
    }
    Ok(())
}

/// Refuses tables other than those that every receiver puts in.
fn check_huffman(mut segment: &[u8]) -> Result<(), PacketiseError> {
    while !segment.is_empty() {
        let counts = segment.get(1..17).ok_or(MALFORMED)?;
        let length = 17 + counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        let (table, tail) = segment.split_at_checked(length).ok_or(MALFORMED)?;
        if !HUFFMAN_SEGMENTS.windows(length).any(|standard| standard == table) {
            return Err(unsupported("only the standard Huffman tables can be sent"));
        }
        segment = tail;
    }
    Ok(())
}
