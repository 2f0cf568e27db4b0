//! Frames of the ledger and of catalogues: length, CRC-32, body. A reader ends at the first frame that is not whole.

/// Longest body; a longer length is damage.
pub const FRAME_BYTES_MAX: usize = 32 << 20;
const HEAD_BYTES: usize = 8;

/// Appends one frame: `u32` length, `u32` CRC-32 over length and body (both little-endian), body.
///
/// Panics if the body is longer than [`FRAME_BYTES_MAX`]; writers bound what they write.
pub fn push_frame(out: &mut Vec<u8>, body: &[u8]) {
    assert!(body.len() <= FRAME_BYTES_MAX, "a frame's body is bounded by its writer");
    let length = (body.len() as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, body).to_le_bytes());
    out.extend_from_slice(body);
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

/// The whole frames of a log, in order.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    log: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    pub fn new(log: &'a [u8]) -> Self {
        Self { log, at: 0 }
    }

    /// Begins at `at`, which must be the end of a frame.
    pub fn starting_at(log: &'a [u8], at: usize) -> Self {
        Self { log, at: at.min(log.len()) }
    }

    /// The end of the last frame that was given: behind it lies damage, or nothing.
    pub fn whole_bytes(&self) -> usize {
        self.at
    }

    /// Whether bytes follow that make no whole frame.
    pub fn is_torn(&self) -> bool {
        self.at < self.log.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let head = self.log.get(self.at..self.at.checked_add(HEAD_BYTES)?)?;
        let length: [u8; 4] = head[..4].try_into().expect("four bytes");
        let expected = u32::from_le_bytes(head[4..].try_into().expect("four bytes"));
        let bytes = u32::from_le_bytes(length) as usize;
        // An empty frame would make a run of zeroes look whole: its checksum is not zero, so it never does.
        if bytes > FRAME_BYTES_MAX {
            return None;
        }
        let start = self.at + HEAD_BYTES;
        let body = self.log.get(start..start.checked_add(bytes)?)?;
        if checksum(length, body) != expected {
            return None;
        }
        self.at = start + bytes;
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<u8> {
        let mut log = Vec::new();
        for body in [&b"first"[..], b"", b"third, and longer"] {
            push_frame(&mut log, body);
        }
        log
    }

    #[test]
    fn every_cut_gives_the_frames_before_it() {
        let log = log();
        let whole: Vec<_> = Frames::new(&log).collect();
        assert_eq!(whole, [&b"first"[..], b"", b"third, and longer"]);
        for cut in 0..log.len() {
            let read: Vec<_> = Frames::new(&log[..cut]).collect();
            assert!(read.len() < 3 && whole.starts_with(&read), "{cut}");
        }
    }

    #[test]
    fn every_flipped_bit_ends_the_log() {
        let whole = log();
        for bit in 0..whole.len() * 8 {
            let mut log = whole.clone();
            log[bit / 8] ^= 1 << (bit % 8);
            let mut frames = Frames::new(&log);
            assert!(frames.by_ref().count() < 3, "{bit}");
            assert!(frames.is_torn(), "{bit}");
        }
    }

    #[test]
    fn zeroes_are_no_frames() {
        assert_eq!(Frames::new(&[0; 64]).count(), 0);
        assert_eq!(Frames::new(&[0xff; 64]).count(), 0);
    }
}
