//! Reads the sample tables of whole (not fragmented) MP4 files, for virtual cameras that play a given file.

use varde_codec::Format;

use crate::error::ReadError;
use crate::read::init::{read_formats, read_track};
use crate::read::{Children, Fields};
use crate::sample::SampleFlags;

/// Most tracks that are looked at.
const TRACKS_MAX: usize = 32;
/// Most samples of one track: a day at 60 pictures a second.
const SAMPLES_MAX: usize = 6 << 20;

/// A track and all of its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub timescale: u32,
    pub format: Format,
    /// In decode order.
    pub samples: Vec<TrackSample>,
}

/// Where a sample stands and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackSample {
    /// From the start of the file. Nothing says that the file is so long.
    pub offset: u64,
    pub bytes: u32,
    /// Decode time in ticks since the track's start.
    pub decode_time: u64,
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition_offset: i32,
    pub flags: SampleFlags,
}

/// Reads the body of `moov`. Tracks of codecs outside the table, and such with several sample descriptions, are
/// left out.
pub fn read(moov: &[u8]) -> Result<Vec<Track>, ReadError> {
    let mut tracks = Vec::new();
    for child in Children::new(moov) {
        let (kind, body) = child?;
        if kind != *b"trak" {
            continue;
        }
        if tracks.len() == TRACKS_MAX {
            return Err(ReadError::TooMany { what: "tracks" });
        }
        let (timescale, table) = read_track(body)?;
        let mut formats = read_formats(table, timescale)?;
        if formats.len() == 1
            && let Ok(format) = formats.remove(0)
        {
            tracks.push(Track { timescale, format, samples: read_samples(table)? });
        }
    }
    Ok(tracks)
}

fn read_samples(table: &[u8]) -> Result<Vec<TrackSample>, ReadError> {
    let mut samples = read_sizes(table)?;
    place(table, &mut samples)?;
    read_times(table, &mut samples)?;
    read_composition(table, &mut samples)?;
    read_sync(table, &mut samples)?;
    Ok(samples)
}

fn read_sizes(table: &[u8]) -> Result<Vec<TrackSample>, ReadError> {
    let mut fields = Fields::new(Children::new(table).expect(b"stsz", "stsz")?, "stsz");
    fields.version()?;
    let same = fields.u32()?;
    let count = fields.u32()? as usize;
    if count > SAMPLES_MAX {
        return Err(ReadError::TooMany { what: "samples in a track" });
    }
    if same != 0 {
        // The count stands for no bytes here; `place` refuses it unless chunks hold as many.
        return Ok(vec![TrackSample { bytes: same, ..TrackSample::default() }; count]);
    }
    if fields.remaining() < count * 4 {
        return Err(ReadError::Truncated { what: "stsz" });
    }
    (0..count).map(|_| Ok(TrackSample { bytes: fields.u32()?, ..TrackSample::default() })).collect()
}

/// Gives each sample its place by `stsc` and `stco` or `co64`.
fn place(table: &[u8], samples: &mut [TrackSample]) -> Result<(), ReadError> {
    let (mut chunks, wide) = match Children::new(table).find(b"stco")? {
        Some(body) => (Fields::new(body, "stco"), 0),
        None => (Fields::new(Children::new(table).expect(b"co64", "stco")?, "co64"), 1),
    };
    chunks.version()?;
    let chunk_count = chunks.u32()?;
    let mut runs = Fields::new(Children::new(table).expect(b"stsc", "stsc")?, "stsc");
    runs.version()?;
    let mut runs_left = runs.u32()?;
    let mut next_run = |runs: &mut Fields<'_>| -> Result<Option<(u32, u32)>, ReadError> {
        if runs_left == 0 {
            return Ok(None);
        }
        runs_left -= 1;
        let run = (runs.u32()?, runs.u32()?);
        runs.skip(4)?;
        Ok(Some(run))
    };
    let mut run = next_run(&mut runs)?;
    let mut per_chunk = 0;
    let mut rest = samples.iter_mut();
    let mut left = rest.len();
    for chunk in 1..=chunk_count {
        if left == 0 {
            break;
        }
        let mut offset = chunks.long(wide)?;
        if let Some((first, count)) = run
            && first <= chunk
        {
            if first < chunk {
                return Err(ReadError::Malformed { what: "stsc" });
            }
            per_chunk = count as usize;
            run = next_run(&mut runs)?;
        }
        for sample in rest.by_ref().take(per_chunk) {
            sample.offset = offset;
            let behind = offset.checked_add(u64::from(sample.bytes));
            offset = behind.ok_or(ReadError::Malformed { what: "place of a sample" })?;
            left -= 1;
        }
    }
    if left > 0 { Err(ReadError::Malformed { what: "stsc" }) } else { Ok(()) }
}

fn read_times(table: &[u8], samples: &mut [TrackSample]) -> Result<(), ReadError> {
    let mut fields = Fields::new(Children::new(table).expect(b"stts", "stts")?, "stts");
    fields.version()?;
    let mut runs = fields.u32()?;
    let mut time = 0u64;
    let mut run = (0u32, 0u32);
    for sample in samples {
        while run.0 == 0 {
            if runs == 0 {
                return Err(ReadError::Malformed { what: "stts" });
            }
            runs -= 1;
            run = (fields.u32()?, fields.u32()?);
        }
        run.0 -= 1;
        (sample.decode_time, sample.duration) = (time, run.1);
        time += u64::from(run.1);
    }
    Ok(())
}

fn read_composition(table: &[u8], samples: &mut [TrackSample]) -> Result<(), ReadError> {
    let Some(body) = Children::new(table).find(b"ctts")? else { return Ok(()) };
    let mut fields = Fields::new(body, "ctts");
    fields.version()?;
    let runs = fields.u32()?;
    let mut rest = samples.iter_mut();
    for _ in 0..runs {
        let (count, offset) = (fields.u32()? as usize, fields.u32()?.cast_signed());
        for sample in rest.by_ref().take(count) {
            sample.composition_offset = offset;
        }
    }
    Ok(())
}

fn read_sync(table: &[u8], samples: &mut [TrackSample]) -> Result<(), ReadError> {
    let Some(body) = Children::new(table).find(b"stss")? else {
        samples.iter_mut().for_each(|sample| sample.flags.sync = true);
        return Ok(());
    };
    let mut fields = Fields::new(body, "stss");
    fields.version()?;
    for _ in 0..fields.u32()? {
        let number = fields.u32()? as usize;
        if let Some(sample) = number.checked_sub(1).and_then(|index| samples.get_mut(index)) {
            sample.flags.sync = true;
        }
    }
    Ok(())
}
