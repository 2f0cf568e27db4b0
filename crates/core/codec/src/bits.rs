//! Reads bits of parameter sets: fixed width and Exp-Golomb (ITU-T H.264 §9.1), most significant bit first.

use crate::error::{Error, Result};

/// Bits of a payload without emulation prevention bytes. Every read past the end is [`Error::Truncated`].
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Next bit, counted from the first byte's most significant one.
    at: usize,
    what: &'static str,
}

impl<'a> BitReader<'a> {
    /// `what` names the structure in errors.
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        let byte = *self.bytes.get(self.at / 8).ok_or(Error::Truncated { what: self.what })?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// Up to 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32> {
        debug_assert!(count <= 32, "wider fields are read in pieces");
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        Ok(self.bits(8)? as u8)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len() * 8);
        self.at = end.ok_or(Error::Truncated { what: self.what })?;
        Ok(())
    }

    /// `ue(v)`: at most 32 bits of value, so the code has at most 32 leading zeros.
    pub(crate) fn ue(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::Malformed { what: self.what });
            }
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// `ue(v)` that must not exceed `max`.
    pub(crate) fn ue_max(&mut self, max: u32, what: &'static str) -> Result<u32> {
        match self.ue()? {
            value if value <= max => Ok(value),
            value => Err(Error::OutOfRange { what, value: u64::from(value) }),
        }
    }

    /// `se(v)`.
    pub(crate) fn se(&mut self) -> Result<i64> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

/// A NAL unit's body without emulation prevention bytes, at most `bytes_max` of it.
pub(crate) fn unescape(body: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().min(bytes_max));
    let mut zeros = 0;
    for &byte in body {
        if out.len() == bytes_max {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_the_standards_table() {
        // 1 | 010 | 011 | 00100 | 00111 → 0 1 2 3 6
        let bytes = [0b1010_0110, 0b0100_0011, 0b1000_0000];
        let mut reader = BitReader::new(&bytes, "test");
        assert_eq!([(); 5].map(|()| reader.ue().unwrap()), [0, 1, 2, 3, 6]);
        let mut reader = BitReader::new(&bytes, "test");
        assert_eq!([(); 5].map(|()| reader.se().unwrap()), [0, 1, -1, 2, -3]);
    }

    #[test]
    fn codes_without_end_are_refused() {
        let mut reader = BitReader::new(&[0; 64], "test");
        assert_eq!(reader.ue(), Err(Error::Malformed { what: "test" }));
        let mut reader = BitReader::new(&[0], "test");
        assert_eq!(reader.ue(), Err(Error::Truncated { what: "test" }));
        assert_eq!(BitReader::new(&[], "test").skip(1), Err(Error::Truncated { what: "test" }));
        assert_eq!(BitReader::new(&[1], "test").skip(usize::MAX), Err(Error::Truncated { what: "test" }));
    }

    #[test]
    fn emulation_prevention_goes_away_within_the_bound() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3], 64), [0, 0, 1, 0, 0, 0, 0, 3]);
        assert_eq!(unescape(&[1, 2, 3], 2), [1, 2]);
    }
}
