//! Footage that somebody gives: an MP4 file with H.264 or H.265 pictures.

use std::path::Path;

use crate::Error;
use crate::clip::Clip;

/// Reads the video track of a file into a loop.
pub(crate) fn read(path: &Path) -> Result<Clip, Error> {
    Err(Error::Source { path: path.to_owned(), what: "MP4 files can't be read yet".to_owned() })
}
