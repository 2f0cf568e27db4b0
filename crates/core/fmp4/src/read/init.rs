//! Reads what [`crate::init_segment`] writes.

use varde_codec::Format;
use varde_units::Utc;

use crate::error::ReadError;
use crate::init::EPOCH_1904_SECONDS;
use crate::read::{Children, Fields, scan, user_boxes};
use crate::sample::UserData;
use crate::sample_entry;

/// The beginning of a file with one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitInfo {
    /// Bytes up to the end of `moov`: where the first fragment stands.
    pub bytes: u64,
    pub timescale: u32,
    pub format: Format,
    pub creation: Utc,
    /// The `uuid` boxes of `moov`.
    pub user: Vec<UserData>,
}

impl InitInfo {
    /// The body of the first `uuid` box of this kind.
    pub fn user(&self, kind: &[u8; 16]) -> Option<&bytes::Bytes> {
        self.user.iter().find(|user| user.kind == *kind).map(|user| &user.body)
    }
}

/// Reads the boxes before the first fragment. [`ReadError::Truncated`] where `moov` is not whole yet.
pub fn read_init(bytes: &[u8]) -> Result<InitInfo, ReadError> {
    const BOXES_BEFORE_MAX: usize = 16;
    for found in scan(bytes, 0).take(BOXES_BEFORE_MAX) {
        let found = found?;
        match (&found.kind, found.body) {
            (b"moof" | b"mdat", _) => return Err(ReadError::Missing { what: "moov" }),
            (_, None) => return Err(ReadError::Truncated { what: "moov" }),
            (b"moov", Some(body)) => {
                let end = found.offset + found.header_bytes + body.len() as u64;
                return read_movie(body, end);
            }
            _ => {}
        }
    }
    Err(ReadError::Truncated { what: "moov" })
}

fn read_movie(moov: &[u8], end: u64) -> Result<InitInfo, ReadError> {
    let mut movie = Fields::new(Children::new(moov).expect(b"mvhd", "mvhd")?, "mvhd");
    let (version, _) = movie.version()?;
    let creation = movie_time(movie.long(version)?);
    let mut tracks = Children::new(moov).filter(|child| !matches!(child, Ok((kind, _)) if kind != b"trak"));
    let (_, track) = tracks.next().ok_or(ReadError::Missing { what: "trak" })??;
    if tracks.next().is_some() {
        return Err(ReadError::Unsupported { what: "a fragmented file of several tracks" });
    }
    let (timescale, table) = read_track(track)?;
    let mut formats = read_formats(table, timescale)?;
    if formats.len() != 1 {
        return Err(ReadError::Unsupported { what: "other than one sample description" });
    }
    let format = formats.remove(0)?;
    Ok(InitInfo { bytes: end, timescale, format, creation, user: user_boxes(moov)? })
}

pub(crate) fn movie_time(seconds: u64) -> Utc {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_sub(EPOCH_1904_SECONDS);
    Utc::from_micros(seconds.saturating_mul(1_000_000))
}

/// Timescale and `stbl` of a `trak`.
pub(crate) fn read_track(track: &[u8]) -> Result<(u32, &[u8]), ReadError> {
    let media = Children::new(track).expect(b"mdia", "mdia")?;
    let mut header = Fields::new(Children::new(media).expect(b"mdhd", "mdhd")?, "mdhd");
    let (version, _) = header.version()?;
    header.long(version)?;
    header.long(version)?;
    let timescale = header.u32()?;
    if timescale == 0 {
        return Err(ReadError::Malformed { what: "timescale" });
    }
    let information = Children::new(media).expect(b"minf", "minf")?;
    Ok((timescale, Children::new(information).expect(b"stbl", "stbl")?))
}

/// The formats of `stsd`; each may be one that this reader does not know.
pub(crate) fn read_formats(
    table: &[u8],
    timescale: u32,
) -> Result<Vec<Result<Format, ReadError>>, ReadError> {
    const DESCRIPTIONS_MAX: usize = 64;
    let mut fields = Fields::new(Children::new(table).expect(b"stsd", "stsd")?, "stsd");
    fields.skip(8)?;
    let entries = fields.take(fields.remaining())?;
    let mut formats = Vec::new();
    for entry in Children::new(entries).take(DESCRIPTIONS_MAX) {
        let (kind, body) = entry?;
        formats.push(sample_entry::read(kind, body, timescale));
    }
    Ok(formats)
}
