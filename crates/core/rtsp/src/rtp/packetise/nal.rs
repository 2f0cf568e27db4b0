//! H.264 and H.265: single NAL units where they fit, fragments where they do not.

use super::{PacketiseError, Sender};

const MALFORMED: PacketiseError = PacketiseError::Malformed { what: "a NAL unit's length does not fit" };

pub(super) fn packetise_h264<'a>(
    sender: &mut Sender,
    sets: impl Iterator<Item = &'a [u8]>,
    unit: &'a [u8],
    out: &mut impl FnMut(&[u8], &[u8]),
) -> Result<(), PacketiseError> {
    packetise(sets, unit, |nal, last| {
        let &[header, ref body @ ..] = nal else { return };
        if nal.len() <= sender.room {
            return sender.send(last, &[], nal, out);
        }
        let pieces = body.len().div_ceil(sender.room - 2);
        for (index, piece) in body.chunks(sender.room - 2).enumerate() {
            let bits = fragment_bits(index, pieces);
            let head = [header & 0xe0 | 28, bits | header & 0x1f];
            sender.send(last && index + 1 == pieces, &[&head], piece, out);
        }
    })
}

pub(super) fn packetise_h265<'a>(
    sender: &mut Sender,
    sets: impl Iterator<Item = &'a [u8]>,
    unit: &'a [u8],
    out: &mut impl FnMut(&[u8], &[u8]),
) -> Result<(), PacketiseError> {
    packetise(sets, unit, |nal, last| {
        let &[high, low, ref body @ ..] = nal else { return };
        if nal.len() <= sender.room {
            return sender.send(last, &[], nal, out);
        }
        let pieces = body.len().div_ceil(sender.room - 3);
        for (index, piece) in body.chunks(sender.room - 3).enumerate() {
            let bits = fragment_bits(index, pieces);
            let head = [high & 0x81 | 49 << 1, low, bits | high >> 1 & 0x3f];
            sender.send(last && index + 1 == pieces, &[&head], piece, out);
        }
    })
}

/// The start bit on the first fragment, the end bit on the last.
fn fragment_bits(index: usize, pieces: usize) -> u8 {
    u8::from(index == 0) << 7 | u8::from(index + 1 == pieces) << 6
}

/// Gives each NAL unit in turn; the last one of the unit is told so.
fn packetise<'a>(
    sets: impl Iterator<Item = &'a [u8]>,
    unit: &'a [u8],
    mut on_nal: impl FnMut(&'a [u8], bool),
) -> Result<(), PacketiseError> {
    // The lengths are checked first, so that a malformed unit sends nothing.
    let mut rest = unit;
    while !rest.is_empty() {
        (_, rest) = split_nal(rest)?;
    }
    sets.for_each(|set| on_nal(set, false));
    let mut rest = unit;
    while !rest.is_empty() {
        let (nal, tail) = split_nal(rest)?;
        on_nal(nal, tail.is_empty());
        rest = tail;
    }
    Ok(())
}

fn split_nal(unit: &[u8]) -> Result<(&[u8], &[u8]), PacketiseError> {
    let (length, rest) = unit.split_first_chunk::<4>().ok_or(MALFORMED)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| MALFORMED)?;
    if length < 2 || length > rest.len() {
        return Err(MALFORMED);
    }
    Ok(rest.split_at(length))
}
