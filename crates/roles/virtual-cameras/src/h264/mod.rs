//! Just enough H.264 to give bundled footage a frame counter, a crop and a display order without encoding a picture.
//!
//! The footage is encoded with one slice a picture, CAVLC and a flat guard row on top (footage/README.md). A counter
//! is one more macroblock row above the guard, as a slice of its own.

mod header;
mod strip;

pub(crate) use header::{GUARD_HEIGHT, Pps, SliceHeader, Sps};
pub(crate) use strip::Strip;
