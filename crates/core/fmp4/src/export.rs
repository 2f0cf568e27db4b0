//! A whole MP4 file of several tracks, with its sample tables at the front: what players and editing programs open
//! everywhere.
//!
//! The caller names every sample in the order in which its bytes will follow, then gets everything that stands
//! before them. Two passes, and no media in memory.

use bytes::Bytes;
use varde_codec::Format;
use varde_units::Utc;

use crate::error::WriteError;
use crate::init::{file_type, media, movie_header, movie_seconds, sample_descriptions, track_header};
use crate::sample::{Sample, UserBox};
use crate::write::BoxWriter;

/// Ticks a second of the movie: edit lists count in it.
const MOVIE_TIMESCALE: u32 = 90_000;
/// Most samples of one file, all tracks together (24 bytes each while it is being made).
pub const SAMPLES_MAX: usize = 16 << 20;
/// Most configurations of one track.
pub const FORMATS_MAX: usize = 256;
/// Most tracks of one file.
pub const TRACKS_MAX: usize = 16;

/// A track of a [`Muxer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackNumber(usize);

/// Collects samples and writes what stands before them.
#[derive(Debug)]
pub struct Muxer {
    creation: Utc,
    tracks: Vec<Track>,
    samples: usize,
    media_bytes: u64,
    last_track: Option<usize>,
}

#[derive(Debug)]
struct Track {
    formats: Vec<Format>,
    format: usize,
    start: i64,
    samples: Vec<Sample>,
    chunks: Vec<Chunk>,
    /// Sum of the samples' durations.
    duration: u64,
    /// Latest end of a sample's presentation.
    end: u64,
}

/// Samples of one track, one behind the other.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// From the first byte of media.
    offset: u64,
    samples: u32,
    format: usize,
}

impl Muxer {
    pub const fn new(creation: Utc) -> Self {
        Self { creation, tracks: Vec::new(), samples: 0, media_bytes: 0, last_track: None }
    }

    /// Adds a track whose times count in [`Format::timescale`].
    pub fn track_add(&mut self, format: Format) -> Result<TrackNumber, WriteError> {
        if self.tracks.len() == TRACKS_MAX {
            return Err(WriteError::Full { what: "the number of tracks" });
        }
        self.tracks.push(Track {
            formats: vec![format],
            format: 0,
            start: 0,
            samples: Vec::new(),
            chunks: Vec::new(),
            duration: 0,
            end: 0,
        });
        Ok(TrackNumber(self.tracks.len() - 1))
    }

    /// Samples pushed from now on have this configuration. Codec and timescale of a track stay.
    pub fn format_set(&mut self, track: TrackNumber, format: Format) -> Result<(), WriteError> {
        let track = &mut self.tracks[track.0];
        let first = &track.formats[0];
        if (first.codec(), first.timescale()) != (format.codec(), format.timescale()) {
            return Err(WriteError::FormatDiffers);
        }
        track.format = match track.formats.iter().position(|known| *known == format) {
            Some(known) => known,
            None if track.formats.len() == FORMATS_MAX => {
                return Err(WriteError::Full { what: "the number of formats" });
            }
            None => {
                track.formats.push(format);
                track.formats.len() - 1
            }
        };
        Ok(())
    }

    /// Sets what the file shows first. `ticks` is that instant, counted from the decode time of the track's first
    /// sample: above zero, earlier samples are decoded and not shown; below, the track begins so much later.
    pub fn start_set(&mut self, track: TrackNumber, ticks: i64) {
        self.tracks[track.0].start = ticks;
    }

    /// Names the next sample of the file.
    pub fn push(&mut self, track: TrackNumber, sample: Sample) -> Result<(), WriteError> {
        /// Samples of one chunk: players read whole chunks.
        const CHUNK_SAMPLES_MAX: u32 = 1 << 10;
        if self.samples == SAMPLES_MAX {
            return Err(WriteError::Full { what: "the number of samples" });
        }
        let goes_on = self.last_track == Some(track.0);
        self.last_track = Some(track.0);
        self.samples += 1;
        let track = &mut self.tracks[track.0];
        match track.chunks.last_mut() {
            Some(chunk) if goes_on && chunk.format == track.format && chunk.samples < CHUNK_SAMPLES_MAX => {
                chunk.samples += 1;
            }
            _ => track.chunks.push(Chunk { offset: self.media_bytes, samples: 1, format: track.format }),
        }
        track.samples.push(sample);
        let presented = track.duration.saturating_add_signed(i64::from(sample.composition_offset));
        track.end = track.end.max(presented + u64::from(sample.duration));
        track.duration += u64::from(sample.duration);
        self.media_bytes += u64::from(sample.bytes);
        Ok(())
    }

    /// Bytes of all samples so far.
    pub fn media_bytes(&self) -> u64 {
        self.media_bytes
    }

    /// Everything before the samples' bytes: `ftyp`, `moov` and the head of `mdat`. `user` becomes the last child
    /// of `moov`.
    pub fn finish(&self, user: Option<UserBox<'_>>) -> Result<Bytes, WriteError> {
        // Offsets have a fixed width, so a first run with zeros tells how long the tables are.
        let mut out = self.head(0, true, user)?;
        // The wide table is the longer one, so this errs towards it.
        let wide = out.len() as u64 + 16 + self.media_bytes > u64::from(u32::MAX);
        if !wide {
            out = self.head(0, false, user)?;
        }
        let media_head_bytes = if wide { 16 } else { 8 };
        let mut out = self.head(out.len() as u64 + media_head_bytes, wide, user)?;
        if wide {
            out.extend_from_slice(&[0, 0, 0, 1, b'm', b'd', b'a', b't']);
            out.extend_from_slice(&(self.media_bytes + media_head_bytes).to_be_bytes());
        } else {
            out.extend_from_slice(&((self.media_bytes + media_head_bytes) as u32).to_be_bytes());
            out.extend_from_slice(b"mdat");
        }
        Ok(out.into())
    }

    fn head(&self, media_offset: u64, wide: bool, user: Option<UserBox<'_>>) -> Result<Vec<u8>, WriteError> {
        let creation = movie_seconds(self.creation);
        let mut out = BoxWriter::with_capacity(4096 + self.samples * 12);
        file_type(&mut out);
        out.boxed(b"moov", |out| {
            let duration = self.tracks.iter().map(Track::shown).max().unwrap_or(0);
            movie_header(out, creation, MOVIE_TIMESCALE, duration, self.tracks.len() as u32 + 1);
            for (index, track) in self.tracks.iter().enumerate() {
                out.boxed(b"trak", |out| {
                    track_header(out, index as u32 + 1, &track.formats[0], creation, track.shown());
                    track.edits(out);
                    media(out, &track.formats[0], creation, track.duration, |out| {
                        sample_descriptions(out, &track.formats)?;
                        track.tables(out, media_offset, wide);
                        Ok(())
                    })
                })?;
            }
            user.map_or(Ok(()), |user| out.user(&user))
        })?;
        Ok(out.out)
    }
}

impl Track {
    /// Ticks of the track in the movie's timescale.
    fn movie_ticks(&self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks) * u128::from(MOVIE_TIMESCALE) / u128::from(self.formats[0].timescale());
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Length of what is shown, from the movie's start, in the movie's timescale.
    fn shown(&self) -> u64 {
        self.movie_ticks(self.end.saturating_add_signed(self.start.saturating_neg()))
    }

    fn edits(&self, out: &mut BoxWriter) {
        if self.start == 0 {
            return;
        }
        let start = self.start.unsigned_abs();
        out.boxed(b"edts", |out| {
            out.full(b"elst", 1, 0, |out| {
                let edit = |out: &mut BoxWriter, duration: u64, media_time: u64| {
                    out.u64(duration);
                    out.u64(media_time);
                    out.u32(0x1_0000); // At normal speed.
                };
                if self.start > 0 {
                    out.u32(1);
                    edit(out, self.shown(), start);
                } else {
                    out.u32(2);
                    // Media time −1 shows nothing.
                    edit(out, self.movie_ticks(start), u64::MAX);
                    edit(out, self.movie_ticks(self.end), 0);
                }
            });
        });
    }

    fn tables(&self, out: &mut BoxWriter, media_offset: u64, wide: bool) {
        counted(out, b"stts", 0, self.samples.iter().map(|sample| sample.duration));
        if self.samples.iter().any(|sample| sample.composition_offset != 0) {
            let signed = self.samples.iter().any(|sample| sample.composition_offset < 0);
            let offsets = self.samples.iter().map(|sample| sample.composition_offset.cast_unsigned());
            counted(out, b"ctts", u8::from(signed), offsets);
        }
        if self.samples.iter().any(|sample| !sample.flags.sync) {
            let numbers = self.samples.iter().zip(1u32..).filter(|(sample, _)| sample.flags.sync);
            list(out, b"stss", numbers.map(|(_, number)| number), |out, number| out.u32(number));
        }
        let mut last = None;
        let runs = self.chunks.iter().zip(1u32..).filter(|(chunk, _)| {
            let run = Some((chunk.samples, chunk.format));
            std::mem::replace(&mut last, run) != run
        });
        list(out, b"stsc", runs, |out, (chunk, number)| {
            out.u32(number);
            out.u32(chunk.samples);
            out.u32(chunk.format as u32 + 1);
        });
        out.full(b"stsz", 0, 0, |out| {
            out.u32(0);
            out.u32(self.samples.len() as u32);
            self.samples.iter().for_each(|sample| out.u32(sample.bytes));
        });
        let offsets = self.chunks.iter().map(|chunk| media_offset + chunk.offset);
        if wide {
            list(out, b"co64", offsets, BoxWriter::u64);
        } else {
            list(out, b"stco", offsets, |out, offset| out.u32(offset as u32));
        }
    }
}

/// A full box with a count, then the items.
fn list<T>(
    out: &mut BoxWriter,
    kind: &[u8; 4],
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut BoxWriter, T),
) {
    out.full(kind, 0, 0, |out| {
        let at = out.out.len();
        out.u32(0);
        let mut count = 0u32;
        for item in items {
            write(out, item);
            count += 1;
        }
        out.out[at..at + 4].copy_from_slice(&count.to_be_bytes());
    });
}

/// A full box with runs of equal values.
fn counted(out: &mut BoxWriter, kind: &[u8; 4], version: u8, values: impl Iterator<Item = u32>) {
    out.full(kind, version, 0, |out| {
        let at = out.out.len();
        out.u32(0);
        let mut runs = 0u32;
        let mut current: Option<(u32, u32)> = None;
        let mut end = |out: &mut BoxWriter, run: Option<(u32, u32)>| {
            if let Some((value, count)) = run {
                out.u32(count);
                out.u32(value);
                runs += 1;
            }
        };
        for value in values {
            match &mut current {
                Some((same, count)) if *same == value => *count += 1,
                _ => end(out, current.replace((value, 1))),
            }
        }
        end(out, current);
        out.out[at..at + 4].copy_from_slice(&runs.to_be_bytes());
    });
}
