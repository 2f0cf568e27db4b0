//! NAL units in their two wrappings: Annex B start codes (ITU-T H.264, H.265 Annex B), and lengths as in MP4.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::error::{Error, Result};

/// The NAL units of an Annex B stream, without start codes and the zero bytes around them. What stands before the
/// first start code is skipped; empty units are left out.
pub fn annex_b(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        loop {
            let unit_and_rest = rest?;
            let end = start_code(unit_and_rest).unwrap_or(unit_and_rest.len());
            rest = after_start_code(&unit_and_rest[end..]);
            let unit = &unit_and_rest[..end];
            let unit = &unit[..unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

/// Where the next three bytes `00 00 01` begin.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // The third byte decides how far one may step: above one, no start code holds it.
    while let Some(&third) = bytes.get(at + 2) {
        match third {
            0 => at += 1,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    start_code(bytes).map(|at| &bytes[at + 3..])
}

/// The NAL units of a length-prefixed unit ([`crate::AccessUnit::data`]). Ends at the first length that doesn't fit.
pub fn length_prefixed(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (unit, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = behind;
        Some(unit)
    })
}

/// Whether lengths and units fill `data` exactly.
pub fn is_length_prefixed(data: &[u8]) -> bool {
    length_prefixed(data).map(|unit| unit.len() + 4).sum::<usize>() == data.len()
}

/// Puts each NAL unit behind its length, as [`crate::AccessUnit::data`] wants it.
///
/// A NAL unit of 4 GiB or more is [`Error::OutOfRange`].
pub fn to_length_prefixed<'a>(units: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Bytes> {
    let mut data = BytesMut::with_capacity(units.clone().map(|unit| unit.len() + 4).sum());
    for unit in units {
        let length = u32::try_from(unit.len())
            .map_err(|_| Error::OutOfRange { what: "NAL unit's length", value: unit.len() as u64 })?;
        data.put_u32(length);
        data.put_slice(unit);
    }
    Ok(data.freeze())
}

/// Puts a four-byte start code before each NAL unit.
pub fn to_annex_b<'a>(units: impl Iterator<Item = &'a [u8]> + Clone) -> Bytes {
    let mut data = BytesMut::with_capacity(units.clone().map(|unit| unit.len() + 4).sum());
    for unit in units {
        data.put_u32(1);
        data.put_slice(unit);
    }
    data.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_and_stray_zeros() {
        let check = |stream: &[u8], expected: &[&[u8]]| {
            assert_eq!(annex_b(stream).collect::<Vec<_>>(), expected, "{stream:?}");
        };
        check(&[], &[]);
        check(&[0, 0, 1], &[]);
        check(&[9, 9, 0, 0, 1, 7], &[&[7]]);
        check(&[0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9, 0, 0], &[&[7, 8], &[9]]);
        check(&[0, 0, 1, 7, 0, 0, 1, 0, 0, 1, 8], &[&[7], &[8]]);
        check(&[0, 0, 1, 7, 0, 1, 1, 0, 2, 0, 0, 3, 0, 0, 1, 5], &[&[7, 0, 1, 1, 0, 2, 0, 0, 3], &[5]]);
    }

    #[test]
    fn both_wrappings_hold_the_same_units() {
        let units: Vec<&[u8]> = vec![&[0x67, 1, 2], &[0x68], &[0x65, 0, 0, 3, 1]];
        let prefixed = to_length_prefixed(units.iter().copied()).unwrap();
        assert!(is_length_prefixed(&prefixed));
        assert_eq!(length_prefixed(&prefixed).collect::<Vec<_>>(), units);
        assert_eq!(annex_b(&to_annex_b(units.iter().copied())).collect::<Vec<_>>(), units);
        for cut in 1..prefixed.len() {
            assert!(length_prefixed(&prefixed[..cut]).count() <= units.len());
        }
        assert!(!is_length_prefixed(&prefixed[..prefixed.len() - 1]));
    }
}
