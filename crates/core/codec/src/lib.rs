//! Codecs: what a stream carries, how its units look in memory, and what their headers say.
//!
//! Decides what a key frame is and when a stream's configuration changed. Decodes no picture and no sound.

mod format;
mod unit;

pub use format::{Codec, Format, Medium};
pub use unit::{AccessUnit, UnitFlags};
