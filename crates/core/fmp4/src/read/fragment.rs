//! Reads what [`crate::FragmentBuilder`] writes.

use crate::error::ReadError;
use crate::fragment::FRAGMENT_SAMPLES_MAX;
use crate::read::{Children, Fields, box_head, scan, user_boxes};
use crate::sample::{SampleFlags, UserData};

/// A fragment of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    /// The number in `mfhd`.
    pub sequence: u32,
    /// Decode time of the first sample, in ticks since the file's start.
    pub decode_time: u64,
    /// `moof` and the head of `mdat`.
    pub head_bytes: u64,
    /// The whole fragment.
    pub bytes: u64,
    /// Ticks from the first sample's decode time to the end of the last.
    pub duration: u64,
    pub samples: Vec<FragmentSample>,
    /// The `uuid` boxes of `moof`.
    pub user: Vec<UserData>,
}

impl FragmentInfo {
    /// The body of the first `uuid` box of this kind.
    pub fn user(&self, kind: &[u8; 16]) -> Option<&bytes::Bytes> {
        self.user.iter().find(|user| user.kind == *kind).map(|user| &user.body)
    }
}

/// A sample of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentSample {
    /// From the first byte of `moof`.
    pub offset: u64,
    pub bytes: u32,
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition_offset: i32,
    pub flags: SampleFlags,
}

/// Reads a fragment out of its `moof` and the head of its `mdat`; the media need not be there.
///
/// Every sample lies inside `mdat`. Only fragments of one track are taken.
pub fn read_fragment(bytes: &[u8]) -> Result<FragmentInfo, ReadError> {
    let moof = scan(bytes, 0).next().ok_or(ReadError::Truncated { what: "moof" })??;
    if moof.kind != *b"moof" {
        return Err(ReadError::Missing { what: "moof" });
    }
    let body = moof.body.ok_or(ReadError::Truncated { what: "moof" })?;
    let moof_bytes = moof.header_bytes + body.len() as u64;
    let media = box_head(&bytes[moof_bytes as usize..])?.ok_or(ReadError::Truncated { what: "mdat" })?;
    if media.kind != *b"mdat" {
        return Err(ReadError::Missing { what: "mdat" });
    }
    let media_bytes = media.bytes.ok_or(ReadError::Unsupported { what: "an mdat without end" })?;
    let head_bytes = moof_bytes + media.header_bytes;
    let end = moof_bytes.checked_add(media_bytes).ok_or(ReadError::Malformed { what: "size of a box" })?;

    let mut header = Fields::new(Children::new(body).expect(b"mfhd", "mfhd")?, "mfhd");
    header.skip(4)?;
    let sequence = header.u32()?;
    let mut tracks = Children::new(body).filter(|child| !matches!(child, Ok((kind, _)) if kind != b"traf"));
    let (_, track) = tracks.next().ok_or(ReadError::Missing { what: "traf" })??;
    if tracks.next().is_some() {
        return Err(ReadError::Unsupported { what: "a fragment of several tracks" });
    }
    let defaults = Defaults::read(track)?;
    let mut time = Fields::new(Children::new(track).expect(b"tfdt", "tfdt")?, "tfdt");
    let (version, _) = time.version()?;
    let decode_time = time.long(version)?;
    let mut samples = Vec::new();
    let mut next_offset = head_bytes;
    for child in Children::new(track) {
        if let (kind, run) = child?
            && kind == *b"trun"
        {
            read_run(run, &defaults, &mut next_offset, &mut samples)?;
        }
    }
    if samples.iter().any(|sample| {
        sample.offset < head_bytes
            || sample.offset.checked_add(u64::from(sample.bytes)).is_none_or(|to| to > end)
    }) {
        return Err(ReadError::Malformed { what: "place of a sample" });
    }
    let duration = samples.iter().map(|sample| u64::from(sample.duration)).sum();
    Ok(FragmentInfo {
        sequence,
        decode_time,
        head_bytes,
        bytes: end,
        duration,
        samples,
        user: user_boxes(body)?,
    })
}

#[derive(Default)]
struct Defaults {
    duration: u32,
    bytes: u32,
    flags: u32,
}

impl Defaults {
    fn read(track: &[u8]) -> Result<Self, ReadError> {
        let mut header = Fields::new(Children::new(track).expect(b"tfhd", "tfhd")?, "tfhd");
        let (_, flags) = header.version()?;
        header.skip(4)?;
        if flags & 1 != 0 {
            return Err(ReadError::Unsupported { what: "base_data_offset" });
        }
        let mut optional = |bit| if flags & bit != 0 { header.u32() } else { Ok(0) };
        optional(0x2)?;
        Ok(Self { duration: optional(0x8)?, bytes: optional(0x10)?, flags: optional(0x20)? })
    }
}

fn read_run(
    run: &[u8],
    defaults: &Defaults,
    next_offset: &mut u64,
    samples: &mut Vec<FragmentSample>,
) -> Result<(), ReadError> {
    let mut fields = Fields::new(run, "trun");
    let (_, flags) = fields.version()?;
    let count = fields.u32()? as usize;
    if count > FRAGMENT_SAMPLES_MAX - samples.len() {
        return Err(ReadError::TooMany { what: "samples in a fragment" });
    }
    if flags & 1 != 0 {
        *next_offset = u64::from(fields.u32()?);
    }
    let mut first_flags = if flags & 4 != 0 { Some(fields.u32()?) } else { None };
    let entry_bytes = 4 * (flags >> 8 & 15).count_ones() as usize;
    if fields.remaining() < count * entry_bytes {
        return Err(ReadError::Truncated { what: "trun" });
    }
    samples.reserve(count);
    for _ in 0..count {
        let mut field = |bit, default| if flags & bit != 0 { fields.u32() } else { Ok(default) };
        let duration = field(0x100, defaults.duration)?;
        let bytes = field(0x200, defaults.bytes)?;
        let bits = field(0x400, defaults.flags)?;
        // Version 0 has unsigned offsets; those that fit into 31 bits read the same.
        let composition_offset = field(0x800, 0)?.cast_signed();
        let flags = SampleFlags::from_bits(first_flags.take().unwrap_or(bits));
        samples.push(FragmentSample { offset: *next_offset, bytes, duration, composition_offset, flags });
        *next_offset += u64::from(bytes);
    }
    Ok(())
}
