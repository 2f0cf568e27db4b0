//! Bits in and out, as H.264 writes them: Exp-Golomb codes and emulation prevention (ITU-T H.264 §7.3.1, §9.1).

/// Reads bits, most significant first, out of a payload without emulation prevention. `None` at its end.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Up to 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32);
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.bits(zeros)?;
        Some((1u32 << zeros) - 1 + rest)
    }

    pub(crate) fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        let value = if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) };
        i32::try_from(value).ok()
    }
}

/// Writes bits, most significant first.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// Up to 32 bits of `value`.
    pub(crate) fn bits(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32);
        let mask = (1u64 << count) - 1;
        self.pending = self.pending << count | u64::from(value) & mask;
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.bytes.push((self.pending >> self.pending_bits) as u8);
        }
    }

    pub(crate) fn bit(&mut self, value: bool) {
        self.bits(u32::from(value), 1);
    }

    pub(crate) fn unsigned(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        self.bits(0, length - 1);
        // 33 bits only for the largest value, which no field here reaches.
        self.bits(code as u32, length.min(32));
    }

    pub(crate) fn signed(&mut self, value: i32) {
        let code = if value > 0 { value.unsigned_abs() * 2 - 1 } else { value.unsigned_abs() * 2 };
        self.unsigned(code);
    }

    /// Copies the bits `from..to` of `source`; what lies past its end is left out.
    pub(crate) fn copy(&mut self, source: &[u8], from: usize, to: usize) {
        let to = to.min(source.len() * 8);
        let mut at = from;
        while at + 8 <= to {
            let (byte, shift) = (at / 8, at % 8);
            let pair = u32::from(source[byte]) << 8 | source.get(byte + 1).map_or(0, |&next| u32::from(next));
            self.bits(pair >> (8 - shift) & 0xff, 8);
            at += 8;
        }
        while at < to {
            self.bit(source[at / 8] >> (7 - at % 8) & 1 == 1);
            at += 1;
        }
    }

    /// Ends a payload: a one, then zeros to the end of the byte.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bit(true);
        self.aligned(false)
    }

    /// Fills the last byte with `fill`.
    pub(crate) fn aligned(mut self, fill: bool) -> Vec<u8> {
        while self.pending_bits != 0 {
            self.bit(fill);
        }
        self.bytes
    }
}

/// A NAL unit's body without emulation prevention bytes.
pub(crate) fn unescape(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut zeros = 0;
    for &byte in body {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Appends `body` to `out` with emulation prevention bytes.
pub(crate) fn escape(body: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in body {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_they_were_written() {
        let values = [0u32, 1, 2, 7, 8, 255, 65_534, 1 << 30];
        let mut writer = BitWriter::default();
        for value in values {
            writer.unsigned(value);
            writer.signed(value as i32);
            writer.signed(-(value as i32));
        }
        let bytes = writer.finish();
        let mut reader = BitReader::new(&bytes);
        for value in values {
            assert_eq!(reader.unsigned(), Some(value));
            assert_eq!(reader.signed(), Some(value as i32));
            assert_eq!(reader.signed(), Some(-(value as i32)));
        }
    }

    #[test]
    fn copies_at_any_shift_are_exact() {
        let source: Vec<u8> = (0..40u8).map(|i| i.wrapping_mul(37)).collect();
        for from in 0..17 {
            let mut writer = BitWriter::default();
            writer.bits(0b101, 3);
            writer.copy(&source, from, source.len() * 8);
            let bytes = writer.finish();
            let mut copied = BitReader::new(&bytes);
            copied.bits(3);
            let mut original = BitReader::new(&source);
            (0..from).for_each(|_| assert!(original.bit().is_some()));
            while let Some(bit) = original.bit() {
                assert_eq!(copied.bit(), Some(bit));
            }
        }
    }

    #[test]
    fn escaping_hides_start_codes_and_comes_back() {
        let body = [0, 0, 1, 0, 0, 0, 0, 3, 5, 0, 0, 2];
        let mut escaped = Vec::new();
        escape(&body, &mut escaped);
        assert!(!escaped.windows(3).any(|three| three[..2] == [0, 0] && three[2] < 3));
        assert_eq!(unescape(&escaped), body);
    }
}
