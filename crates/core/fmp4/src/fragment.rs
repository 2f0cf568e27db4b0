//! `moof` and the head of `mdat`: what stands before the samples of a fragment.

use bytes::Bytes;

use crate::error::WriteError;
use crate::sample::{Sample, UserBox};
use crate::write::BoxWriter;

/// Most bytes of media in one fragment.
pub const FRAGMENT_BYTES_MAX: u64 = 1 << 30;
/// Most samples of one fragment.
pub const FRAGMENT_SAMPLES_MAX: usize = 1 << 16;

const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
const DEFAULT_DURATION: u32 = 0x8;
const DEFAULT_FLAGS: u32 = 0x20;
const RUN_DATA_OFFSET: u32 = 0x1;
const RUN_DURATION: u32 = 0x100;
const RUN_BYTES: u32 = 0x200;
const RUN_FLAGS: u32 = 0x400;
const RUN_COMPOSITION_OFFSET: u32 = 0x800;
const MEDIA_HEAD_BYTES: usize = 8;

/// A fragment ready to be written: `head`, then `payload` in order, with nothing between.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// `moof` and the head of `mdat`.
    pub head: Bytes,
    /// The samples' bytes, as they were handed in.
    pub payload: Vec<Bytes>,
    pub payload_bytes: u64,
    /// Decode time of the first sample.
    pub decode_time: u64,
    /// Ticks from the first sample's decode time to the end of the last.
    pub duration: u64,
}

impl Fragment {
    /// Bytes of head and payload.
    pub fn bytes(&self) -> u64 {
        self.head.len() as u64 + self.payload_bytes
    }
}

/// Collects the samples of a fragment; keeps references to their bytes and copies none.
#[derive(Debug, Default)]
pub struct FragmentBuilder {
    samples: Vec<Sample>,
    payload: Vec<Bytes>,
    payload_bytes: u64,
    decode_time: u64,
    duration: u64,
}

impl FragmentBuilder {
    /// `decode_time`: of the first sample, in ticks since the file's start.
    pub fn new(decode_time: u64) -> Self {
        Self { decode_time, ..Self::default() }
    }

    /// Adds a sample behind the last one. [`WriteError::Full`] leaves the fragment as it was.
    pub fn push(
        &mut self,
        data: Bytes,
        duration: u32,
        composition_offset: i32,
        flags: crate::SampleFlags,
    ) -> Result<(), WriteError> {
        let total = self.payload_bytes + data.len() as u64;
        if total > FRAGMENT_BYTES_MAX || self.samples.len() == FRAGMENT_SAMPLES_MAX {
            return Err(WriteError::Full { what: "the fragment" });
        }
        // Below the limit, so it fits.
        let bytes = data.len() as u32;
        self.samples.push(Sample { duration, composition_offset, bytes, flags });
        self.payload.push(data);
        self.payload_bytes = total;
        self.duration += u64::from(duration);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples' bytes.
    pub fn payload(&self) -> &[Bytes] {
        &self.payload
    }

    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    pub fn decode_time(&self) -> u64 {
        self.decode_time
    }

    /// Ticks from the first sample's decode time to the end of the last.
    pub fn duration(&self) -> u64 {
        self.duration
    }

    /// Changes the last sample's duration, once the next one's time is known.
    pub fn set_last_duration(&mut self, duration: u32) {
        if let Some(last) = self.samples.last_mut() {
            self.duration = self.duration - u64::from(last.duration) + u64::from(duration);
            last.duration = duration;
        }
    }

    /// Writes the boxes. `sequence` is the `mfhd` number; `user` becomes the last child of `moof`.
    pub fn finish(self, sequence: u32, user: Option<UserBox<'_>>) -> Result<Fragment, WriteError> {
        let capacity = 128 + self.samples.len() * 16 + user.map_or(0, |user| user.body.len() + 24);
        let mut out = BoxWriter::with_capacity(capacity);
        let same_duration = self.samples.windows(2).all(|pair| pair[0].duration == pair[1].duration);
        let same_flags = self.samples.windows(2).all(|pair| pair[0].flags == pair[1].flags);
        let in_order = self.samples.iter().all(|sample| sample.composition_offset == 0);
        let mut offset_at = 0;
        out.boxed(b"moof", |out| -> Result<(), WriteError> {
            out.full(b"mfhd", 0, 0, |out| out.u32(sequence));
            out.boxed(b"traf", |out| {
                let first = self.samples.first();
                let flags = DEFAULT_BASE_IS_MOOF
                    | if same_duration { DEFAULT_DURATION } else { 0 }
                    | if same_flags { DEFAULT_FLAGS } else { 0 };
                out.full(b"tfhd", 0, flags, |out| {
                    out.u32(1);
                    if same_duration {
                        out.u32(first.map_or(0, |sample| sample.duration));
                    }
                    if same_flags {
                        out.u32(first.map_or(0, |sample| sample.flags.to_bits()));
                    }
                });
                out.full(b"tfdt", 1, 0, |out| out.u64(self.decode_time));
                let flags = RUN_DATA_OFFSET
                    | RUN_BYTES
                    | if same_duration { 0 } else { RUN_DURATION }
                    | if same_flags { 0 } else { RUN_FLAGS }
                    | if in_order { 0 } else { RUN_COMPOSITION_OFFSET };
                out.full(b"trun", 1, flags, |out| {
                    out.u32(self.samples.len() as u32);
                    offset_at = out.out.len();
                    out.u32(0);
                    for sample in &self.samples {
                        if !same_duration {
                            out.u32(sample.duration);
                        }
                        out.u32(sample.bytes);
                        if !same_flags {
                            out.u32(sample.flags.to_bits());
                        }
                        if !in_order {
                            out.bytes(&sample.composition_offset.to_be_bytes());
                        }
                    }
                });
            });
            user.map_or(Ok(()), |user| out.user(&user))
        })?;
        let data_offset = (out.out.len() + MEDIA_HEAD_BYTES) as u32;
        out.out[offset_at..offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
        out.u32(self.payload_bytes as u32 + MEDIA_HEAD_BYTES as u32);
        out.bytes(b"mdat");
        Ok(Fragment {
            head: out.out.into(),
            payload: self.payload,
            payload_bytes: self.payload_bytes,
            decode_time: self.decode_time,
            duration: self.duration,
        })
    }
}
