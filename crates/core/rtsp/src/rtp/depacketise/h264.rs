//! H.264 over RTP (RFC 6184): single NAL units, STAP-A and FU-A. Interleaved modes are refused.

use super::nal::{Nal, Piece, SetKind, Syntax};

/// What H.264 adds to the common assembly of NAL units.
#[derive(Debug)]
pub(super) struct H264;

impl Syntax for H264 {
    const HEADER_BYTES: usize = 1;

    fn classify(&self, nal: &[u8]) -> Nal {
        let Some(&header) = nal.first() else { return Nal::Skip };
        // `first_mb_in_slice` is ue(v): zero is a single 1 bit.
        let first = nal.get(1).is_some_and(|byte| byte & 0x80 != 0);
        match header & 0x1f {
            1 | 2 => Nal::Slice { entry: false, leading: false, disposable: header & 0x60 == 0, first },
            // Partitions B and C repeat no picture's begin.
            3 | 4 => {
                Nal::Slice { entry: false, leading: false, disposable: header & 0x60 == 0, first: false }
            }
            5 => Nal::Slice { entry: true, leading: false, disposable: false, first },
            7 => Nal::Set(SetKind::Sps),
            8 => Nal::Set(SetKind::Pps),
            // Delimiter, end of sequence and stream, filler; the rest is reserved or belongs to extensions.
            9..=12 | 0 | 13.. => Nal::Skip,
            6 => Nal::Prefix,
        }
    }

    fn split<'a>(payload: &'a [u8], mut on_piece: impl FnMut(Piece<'a>)) -> Option<()> {
        let (&indicator, rest) = payload.split_first()?;
        match indicator & 0x1f {
            1..=23 => on_piece(Piece::Whole(payload)),
            24 => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let (length, tail) = rest.split_first_chunk::<2>()?;
                    let length = usize::from(u16::from_be_bytes(*length));
                    on_piece(Piece::Whole(tail.get(..length)?));
                    rest = &tail[length..];
                }
            }
            28 => {
                let (&fragment, body) = rest.split_first()?;
                let header = [indicator & 0xe0 | fragment & 0x1f, 0];
                on_piece(Piece::fragment(header, fragment, body));
            }
            _ => return None,
        }
        Some(())
    }

    fn set_id(&self, set: &[u8]) -> u32 {
        leading_ue(set.get(1..).unwrap_or_default())
    }
}

/// The ue(v) code that `bits` begin with, as far as two bytes hold it: identifiers of parameter sets do.
pub(super) fn leading_ue(bits: &[u8]) -> u32 {
    let word = bits
        .iter()
        .take(4)
        .fold((0u32, 24i32), |(word, shift), byte| (word | u32::from(*byte) << shift.max(0), shift - 8));
    let word = word.0;
    let zeros = word.leading_zeros();
    if zeros > 15 {
        return u32::MAX;
    }
    (word >> (31 - 2 * zeros)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes() {
        let check = |bits: &[u8], value| assert_eq!(leading_ue(bits), value, "{bits:02x?}");
        check(&[0x80], 0);
        check(&[0b0100_0000], 1);
        check(&[0b0110_0000], 2);
        check(&[0b0010_0000], 3);
        check(&[0b0000_0000, 0b1000_0000, 0b0000_0000], 255);
        check(&[], u32::MAX);
        check(&[0, 0, 0, 0], u32::MAX);
    }
}
