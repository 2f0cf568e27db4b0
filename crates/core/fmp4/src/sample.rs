//! Samples and opaque boxes, as writer and reader both name them.

use bytes::Bytes;
use varde_codec::UnitFlags;

/// What a player must know of a sample without looking into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SampleFlags {
    /// Decoding can begin here.
    pub sync: bool,
    /// Can't be decoded when playback began at the sync sample before it.
    pub leading: bool,
    /// No other sample refers to it.
    pub disposable: bool,
}

impl SampleFlags {
    /// A sample that stands alone: any audio frame, JPEG image or document.
    pub const SYNC: Self = Self { sync: true, leading: false, disposable: false };

    /// The 32 bits of ISO/IEC 14496-12 §8.8.3.1.
    pub(crate) const fn to_bits(self) -> u32 {
        let depends = if self.sync { 2 << 24 } else { 1 << 24 | 1 << 16 };
        let leading = if self.leading { 1 << 26 } else { 0 };
        let disposable = if self.disposable { 2 << 22 } else { 0 };
        depends | leading | disposable
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self { sync: bits & 1 << 16 == 0, leading: bits >> 26 & 3 == 1, disposable: bits >> 22 & 3 == 2 }
    }
}

impl From<UnitFlags> for SampleFlags {
    fn from(flags: UnitFlags) -> Self {
        Self { sync: flags.entry_point, leading: flags.skipped_after_seek, disposable: flags.disposable }
    }
}

/// One sample, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks until the next sample's decode time.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition_offset: i32,
    pub bytes: u32,
    pub flags: SampleFlags,
}

/// An opaque `uuid` box to write.
#[derive(Clone, Copy, Debug)]
pub struct UserBox<'a> {
    /// The extended type.
    pub kind: &'a [u8; 16],
    pub body: &'a [u8],
}

/// An opaque `uuid` box that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData {
    pub kind: [u8; 16],
    pub body: Bytes,
}
