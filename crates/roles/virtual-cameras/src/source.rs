//! Footage that somebody gives: an MP4 file, whole or fragmented, with a video track in a codec of the codec table.

use std::path::Path;

use bytes::Bytes;
use varde_codec::{Format, Medium};
use varde_fmp4::{SampleFlags, progressive, read_fragment, read_init, scan};

use crate::Error;
use crate::clip::{Clip, Frame, lead};

/// The file is kept in memory while it is played.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A picture's place in the file and in time.
struct Found {
    data: Bytes,
    key: bool,
    presentation: i128,
}

/// Pictures, their format, and the time that all of them take.
struct Track {
    format: Format,
    pictures: Vec<Found>,
    ticks: u64,
    timescale: u32,
}

/// Reads the first video track of a file into a loop. The loop begins at the first key frame.
pub(crate) fn read(path: &Path) -> Result<Clip, Error> {
    let failed = |what: String| Error::Source { path: path.to_owned(), what };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = Bytes::from(std::fs::read(path).map_err(|error| failed(error.to_string()))?);
    let track = whole(&bytes).or_else(|| fragmented(&bytes));
    track.and_then(into_clip).ok_or_else(|| failed("has no video track that can be played".to_owned()))
}

fn whole(bytes: &Bytes) -> Option<Track> {
    let movie = scan(bytes, 0).filter_map(Result::ok).find(|found| &found.kind == b"moov")?.body?;
    let tracks = progressive::read(movie).ok()?;
    let track = tracks
        .into_iter()
        .find(|track| track.format.medium() == Medium::Video && !track.samples.is_empty())?;
    let ticks = track.samples.iter().map(|sample| u64::from(sample.duration)).sum();
    let picture = |sample: &progressive::TrackSample| {
        let time = i128::from(sample.decode_time) + i128::from(sample.composition_offset);
        found(bytes, sample.offset, sample.bytes, sample.flags, time)
    };
    let pictures = track.samples.iter().map_while(picture).collect();
    Some(Track { format: track.format, pictures, ticks, timescale: track.timescale })
}

fn fragmented(bytes: &Bytes) -> Option<Track> {
    let init = read_init(bytes).ok().filter(|init| init.format.medium() == Medium::Video)?;
    let mut track = Track { format: init.format, pictures: Vec::new(), ticks: 0, timescale: init.timescale };
    let mut at = init.bytes;
    // What is torn or no fragment ends the loop.
    while let Some(rest) =
        usize::try_from(at).ok().and_then(|at| bytes.get(at..)).filter(|rest| !rest.is_empty())
        && let Ok(fragment) = read_fragment(rest)
    {
        let mut time = i128::from(fragment.decode_time);
        for sample in &fragment.samples {
            let shown = time + i128::from(sample.composition_offset);
            time += i128::from(sample.duration);
            track.ticks += u64::from(sample.duration);
            let Some(found) = found(bytes, at.checked_add(sample.offset)?, sample.bytes, sample.flags, shown)
            else {
                return Some(track);
            };
            track.pictures.push(found);
        }
        at = at.checked_add(fragment.bytes.max(8))?;
    }
    Some(track)
}

/// `None` where the file ends before the picture does.
fn found(bytes: &Bytes, offset: u64, length: u32, flags: SampleFlags, presentation: i128) -> Option<Found> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(length as usize)?;
    (end <= bytes.len()).then(|| Found { data: bytes.slice(start..end), key: flags.sync, presentation })
}

fn into_clip(track: Track) -> Option<Clip> {
    let Track { format, pictures, ticks, timescale } = track;
    let rate = u128::from(timescale) * 1000 * pictures.len() as u128 / u128::from(ticks.max(1));
    let rate_milli = u32::try_from(rate).ok()?.clamp(100, 240_000);
    let first = pictures.iter().position(|picture| picture.key)?;
    let pictures = &pictures[first..];
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    order.sort_by_key(|&index| pictures[index].presentation);
    let mut display = vec![0u32; pictures.len()];
    for (rank, index) in (0..).zip(order) {
        display[index] = rank;
    }
    let frames: Vec<Frame> = pictures
        .iter()
        .zip(display)
        .map(|(picture, display)| Frame::new(picture.data.clone(), picture.key, display))
        .collect();
    let lead = lead(&frames);
    Some(Clip { format, frames, rate_milli, lead })
}
