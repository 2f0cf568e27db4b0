//! The fragment's own document: what the evidence chain says of it, and enough to check it when its media is gone.
//!
//! Compact binary, versioned, big-endian as MP4 is. Lives in the fragment's `uuid` box of type
//! [`crate::FRAGMENT_BOX`].

use varde_units::Utc;

use crate::Digest;

/// Most samples of one fragment.
pub const SAMPLES_MAX: usize = 65_536;
const VERSION: u8 = 1;
const FLAG_ENTRY: u8 = 1;
const FLAG_CAMERA_TIME: u8 = 2;
const FLAG_ENCRYPTED: u8 = 4;
const FLAG_AFTER_LOSS: u8 = 8;

/// One sample of a fragment: times in ticks of the file's timescale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleEntry {
    pub duration: u32,
    pub size: u32,
    /// Presentation minus decode time.
    pub composition: i32,
    /// Bit 0 entry point, bit 1 skipped after seek, bit 2 disposable, bit 3 after loss.
    pub flags: u8,
}

/// How a fragment's `mdat` was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    pub nonce: [u8; 12],
    pub tag: [u8; 16],
}

/// The document of one fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentRecord {
    /// Counts the fragments of the stream across files.
    pub sequence: u64,
    /// The first sequence of the stream that was not known to be durable when this fragment was made; a reader
    /// after a crash need not doubt anything before it.
    pub durable: u64,
    /// Absolute decode time of the first sample.
    pub start: Utc,
    /// The camera's own time of the first sample.
    pub camera_time: Option<Utc>,
    /// SHA-256 over the samples' bytes.
    pub payload: Digest,
    pub previous: Digest,
    pub leaf: Digest,
    /// SHA-256 of the first sample, where the fragment is an entry point.
    pub key_frame: Option<Digest>,
    pub seal: Option<Seal>,
    pub samples: Vec<SampleEntry>,
}

/// The bytes are not a fragment's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    #[error("the fragment's document is cut or malformed")]
    Malformed,
    #[error("the fragment's document has version {0}, which this release does not know")]
    Version(u8),
}

impl FragmentRecord {
    /// Whether decoding can begin at the first sample.
    pub fn entry_point(&self) -> bool {
        self.key_frame.is_some()
    }

    /// Duration of all samples, in ticks.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Bytes of all samples.
    pub fn media_bytes(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let after_loss = self.samples.first().is_some_and(|sample| sample.flags & 8 != 0);
        out.push(VERSION);
        out.push(
            if self.key_frame.is_some() { FLAG_ENTRY } else { 0 }
                | if self.camera_time.is_some() { FLAG_CAMERA_TIME } else { 0 }
                | if self.seal.is_some() { FLAG_ENCRYPTED } else { 0 }
                | if after_loss { FLAG_AFTER_LOSS } else { 0 },
        );
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.durable.to_be_bytes());
        out.extend_from_slice(&self.start.as_micros().to_be_bytes());
        if let Some(time) = self.camera_time {
            out.extend_from_slice(&time.as_micros().to_be_bytes());
        }
        for digest in [self.payload, self.previous, self.leaf] {
            out.extend_from_slice(&digest.0);
        }
        if let Some(digest) = self.key_frame {
            out.extend_from_slice(&digest.0);
        }
        if let Some(seal) = &self.seal {
            out.extend_from_slice(&seal.nonce);
            out.extend_from_slice(&seal.tag);
        }
        encode_samples(&self.samples, out);
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FragmentError> {
        let mut reader = Reader(bytes);
        match reader.byte() {
            Some(VERSION) => {}
            Some(version) => return Err(FragmentError::Version(version)),
            None => return Err(FragmentError::Malformed),
        }
        reader.record().ok_or(FragmentError::Malformed)
    }
}

/// The canonical bytes of a sample table, as the leaf covers them.
pub(crate) fn encode_samples(samples: &[SampleEntry], out: &mut Vec<u8>) {
    push_varint(out, samples.len() as u64);
    for sample in samples {
        push_varint(out, u64::from(sample.duration));
        push_varint(out, u64::from(sample.size));
        // Zigzag: small magnitudes of either sign are short.
        let composition = i64::from(sample.composition);
        push_varint(out, ((composition << 1) ^ (composition >> 63)) as u64);
        out.push(sample.flags);
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // One value has one spelling: no padding.
                return (shift == 0 || byte != 0).then_some(value);
            }
        }
        None
    }

    fn time(&mut self) -> Option<Utc> {
        let micros = i64::from_be_bytes(self.array()?);
        let time = Utc::from_micros(micros);
        (time.as_micros() == micros).then_some(time)
    }

    fn samples(&mut self) -> Option<Vec<SampleEntry>> {
        let count = usize::try_from(self.varint()?).ok()?;
        // A sample takes four bytes at the least, so a lying count allocates nothing.
        if count > SAMPLES_MAX || count > self.0.len() / 4 {
            return None;
        }
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            let duration = u32::try_from(self.varint()?).ok()?;
            let size = u32::try_from(self.varint()?).ok()?;
            let zigzag = self.varint()?;
            let composition = i32::try_from((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).ok()?;
            samples.push(SampleEntry { duration, size, composition, flags: self.byte()? });
        }
        Some(samples)
    }

    fn record(&mut self) -> Option<FragmentRecord> {
        let flags = self.byte()?;
        let sequence = u64::from_be_bytes(self.array()?);
        let durable = u64::from_be_bytes(self.array()?);
        let start = self.time()?;
        let camera_time = if flags & FLAG_CAMERA_TIME != 0 { Some(self.time()?) } else { None };
        let payload = Digest(self.array()?);
        let previous = Digest(self.array()?);
        let leaf = Digest(self.array()?);
        let key_frame = if flags & FLAG_ENTRY != 0 { Some(Digest(self.array()?)) } else { None };
        let seal = if flags & FLAG_ENCRYPTED != 0 {
            Some(Seal { nonce: self.array()?, tag: self.array()? })
        } else {
            None
        };
        let samples = self.samples()?;
        Some(FragmentRecord {
            sequence,
            durable,
            start,
            camera_time,
            payload,
            previous,
            leaf,
            key_frame,
            seal,
            samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(full: bool) -> FragmentRecord {
        FragmentRecord {
            sequence: 77,
            durable: 75,
            start: Utc::from_micros(1_795_462_800_123_456),
            camera_time: full.then(|| Utc::from_micros(-5)),
            payload: Digest([1; 32]),
            previous: Digest([2; 32]),
            leaf: Digest([3; 32]),
            key_frame: full.then_some(Digest([4; 32])),
            seal: full.then_some(Seal { nonce: [5; 12], tag: [6; 16] }),
            samples: vec![
                SampleEntry { duration: 3600, size: 70_000, composition: 0, flags: 1 },
                SampleEntry { duration: u32::MAX, size: u32::MAX, composition: i32::MIN, flags: 255 },
                SampleEntry { duration: 0, size: 0, composition: i32::MAX, flags: 0 },
            ],
        }
    }

    #[test]
    fn a_record_comes_back_and_every_cut_is_refused() {
        for full in [false, true] {
            let record = record(full);
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(FragmentRecord::decode(&bytes), Ok(record));
            for cut in 0..bytes.len() {
                assert!(FragmentRecord::decode(&bytes[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn a_lying_count_allocates_nothing() {
        let mut bytes = Vec::new();
        FragmentRecord { samples: Vec::new(), ..record(false) }.encode(&mut bytes);
        bytes.pop();
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(FragmentRecord::decode(&bytes), Err(FragmentError::Malformed));
        assert_eq!(FragmentRecord::decode(&[9]), Err(FragmentError::Version(9)));
    }
}
