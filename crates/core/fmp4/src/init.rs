//! `ftyp` and `moov` of a fragmented file with one track, and the boxes that exports share.

use bytes::Bytes;
use varde_codec::{Format, Medium};
use varde_units::Utc;

use crate::error::WriteError;
use crate::sample::UserBox;
use crate::sample_entry;
use crate::write::BoxWriter;

/// Seconds from 1904-01-01, MP4's epoch, to 1970-01-01.
pub(crate) const EPOCH_1904_SECONDS: i64 = 2_082_844_800;
/// ISO 639-2 `und`, five bits a letter.
const LANGUAGE_UNDETERMINED: u16 = 0x55c4;
const UNITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// What a file's beginning says.
#[derive(Clone, Copy, Debug)]
pub struct TrackInit<'a> {
    pub format: &'a Format,
    /// Creation time of movie and track; whole seconds stand in the file.
    pub creation: Utc,
    /// Written as the last child of `moov`.
    pub user: Option<UserBox<'a>>,
}

/// `ftyp` and `moov`: the beginning of a fragmented file of one track (id 1) with [`Format::timescale`].
pub fn init_segment(track: &TrackInit<'_>) -> Result<Bytes, WriteError> {
    let mut out = BoxWriter::with_capacity(1024 + track.user.map_or(0, |user| user.body.len()));
    file_type(&mut out);
    let timescale = track.format.timescale();
    let creation = movie_seconds(track.creation);
    out.boxed(b"moov", |out| -> Result<(), WriteError> {
        movie_header(out, creation, timescale, 0, 2);
        out.boxed(b"trak", |out| -> Result<(), WriteError> {
            track_header(out, 1, track.format, creation, 0);
            media(out, track.format, creation, 0, |out| -> Result<(), WriteError> {
                sample_descriptions(out, std::slice::from_ref(track.format))?;
                for kind in [b"stts", b"stsc", b"stco"] {
                    out.full(kind, 0, 0, |out| out.u32(0));
                }
                out.full(b"stsz", 0, 0, |out| out.u64(0));
                Ok(())
            })
        })?;
        out.boxed(b"mvex", |out| {
            out.full(b"trex", 0, 0, |out| {
                out.u32(1);
                out.u32(1);
                out.zeros(12);
            });
        });
        track.user.map_or(Ok(()), |user| out.user(&user))
    })?;
    Ok(out.out.into())
}

pub(crate) fn movie_seconds(time: Utc) -> u64 {
    u64::try_from(time.as_micros().div_euclid(1_000_000) + EPOCH_1904_SECONDS).unwrap_or(0)
}

pub(crate) fn file_type(out: &mut BoxWriter) {
    out.boxed(b"ftyp", |out| {
        out.bytes(b"iso6");
        out.u32(0);
        out.bytes(b"iso6isommp41");
    });
}

pub(crate) fn movie_header(
    out: &mut BoxWriter,
    creation: u64,
    timescale: u32,
    duration: u64,
    next_track: u32,
) {
    out.full(b"mvhd", 1, 0, |out| {
        out.u64(creation);
        out.u64(creation);
        out.u32(timescale);
        out.u64(duration);
        out.u32(0x1_0000); // Rate 1.
        out.u16(0x100); // Full volume.
        out.zeros(10);
        UNITY_MATRIX.iter().for_each(|&value| out.u32(value));
        out.zeros(24);
        out.u32(next_track);
    });
}

/// `duration` counts in the movie's timescale.
pub(crate) fn track_header(out: &mut BoxWriter, id: u32, format: &Format, creation: u64, duration: u64) {
    const ENABLED_IN_MOVIE: u32 = 3;
    out.full(b"tkhd", 1, ENABLED_IN_MOVIE, |out| {
        out.u64(creation);
        out.u64(creation);
        out.u32(id);
        out.u32(0);
        out.u64(duration);
        out.zeros(12);
        out.u16(if format.medium() == Medium::Audio { 0x100 } else { 0 });
        out.u16(0);
        UNITY_MATRIX.iter().for_each(|&value| out.u32(value));
        let (width, height) = format.dimensions().unwrap_or_default();
        // 16.16 fixed point; the sample entry has refused larger pictures.
        out.u32(width << 16);
        out.u32(height << 16);
    });
}

/// `mdia` around the sample tables that `tables` writes. `duration` counts in the track's timescale.
pub(crate) fn media(
    out: &mut BoxWriter,
    format: &Format,
    creation: u64,
    duration: u64,
    tables: impl FnOnce(&mut BoxWriter) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    out.boxed(b"mdia", |out| {
        out.full(b"mdhd", 1, 0, |out| {
            out.u64(creation);
            out.u64(creation);
            out.u32(format.timescale());
            out.u64(duration);
            out.u16(LANGUAGE_UNDETERMINED);
            out.u16(0);
        });
        let (handler, name): (&[u8; 4], &[u8]) = match format.medium() {
            Medium::Video => (b"vide", b"video\0"),
            Medium::Audio => (b"soun", b"audio\0"),
            Medium::Metadata => (b"meta", b"metadata\0"),
        };
        out.full(b"hdlr", 0, 0, |out| {
            out.u32(0);
            out.bytes(handler);
            out.zeros(12);
            out.bytes(name);
        });
        out.boxed(b"minf", |out| {
            match format.medium() {
                Medium::Video => out.full(b"vmhd", 0, 1, |out| out.zeros(8)),
                Medium::Audio => out.full(b"smhd", 0, 0, |out| out.zeros(4)),
                Medium::Metadata => out.full(b"nmhd", 0, 0, |_| ()),
            }
            out.boxed(b"dinf", |out| {
                out.full(b"dref", 0, 0, |out| {
                    out.u32(1);
                    out.full(b"url ", 0, 1, |_| ()); // The media is in this file.
                });
            });
            out.boxed(b"stbl", tables)
        })
    })
}

pub(crate) fn sample_descriptions(out: &mut BoxWriter, formats: &[Format]) -> Result<(), WriteError> {
    out.full(b"stsd", 0, 0, |out| {
        out.u32(formats.len() as u32);
        formats.iter().try_for_each(|format| sample_entry::write(out, format))
    })
}
