//! AV1: one OBU element a packet, fragmented where it does not fit.

use super::{PacketiseError, Sender};
use crate::rtp::depacketise::av1::read_leb128;

const TEMPORAL_DELIMITER: u8 = 2;

/// An OBU without its size field: header, extension, body.
struct Obu<'a> {
    header: u8,
    extension: Option<u8>,
    body: &'a [u8],
}

pub(super) fn packetise(
    sender: &mut Sender,
    unit: &[u8],
    entry_point: bool,
    out: &mut impl FnMut(&[u8], &[u8]),
) -> Result<(), PacketiseError> {
    let mut rest = unit;
    let mut new_sequence = entry_point;
    let mut next = next_obu(&mut rest)?;
    while let Some(obu) = next {
        next = next_obu(&mut rest)?;
        let head = [obu.header, obu.extension.unwrap_or(0)];
        let mut head = &head[..1 + usize::from(obu.extension.is_some())];
        let mut body = obu.body;
        let mut continued = false;
        loop {
            let (piece, later) = body.split_at(body.len().min(sender.room - 1 - head.len()));
            let continues = !later.is_empty();
            // Z and Y say that the element goes on, W that there is one, N that a coded video sequence begins.
            let aggregation =
                u8::from(continued) << 7 | u8::from(continues) << 6 | 1 << 4 | u8::from(new_sequence) << 3;
            let marker = next.is_none() && !continues;
            sender.send(marker, &[&[aggregation], head], piece, out);
            (body, head, continued, new_sequence) = (later, &[], true, false);
            if !continues {
                break;
            }
        }
    }
    Ok(())
}

fn next_obu<'a>(rest: &mut &'a [u8]) -> Result<Option<Obu<'a>>, PacketiseError> {
    const MALFORMED: PacketiseError = PacketiseError::Malformed { what: "an OBU's size does not fit" };
    loop {
        let Some((&header, mut tail)) = rest.split_first() else { return Ok(None) };
        let mut extension = None;
        if header & 4 != 0 {
            let (&byte, after) = tail.split_first().ok_or(MALFORMED)?;
            (extension, tail) = (Some(byte), after);
        }
        if header & 2 == 0 {
            return Err(PacketiseError::Malformed { what: "an OBU has no size" });
        }
        let (size, tail) = read_leb128(tail).ok_or(MALFORMED)?;
        let (body, after) = tail.split_at_checked(size).ok_or(MALFORMED)?;
        *rest = after;
        if header >> 3 & 0x0f != TEMPORAL_DELIMITER {
            return Ok(Some(Obu { header: header & !2, extension, body }));
        }
    }
}
