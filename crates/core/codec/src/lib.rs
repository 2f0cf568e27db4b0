//! Codecs: what a stream carries, how its units look in memory, and what their headers say.
//!
//! Decides what a key frame is and when a stream's configuration changed. Decodes no picture and no sound.

pub mod aac;
pub mod av1;
mod bits;
mod error;
mod format;
pub mod g711;
pub mod h264;
pub mod h265;
pub mod jpeg;
pub mod nal;
pub mod opus;
mod unit;

pub use error::{Error, Result};
pub use format::{Codec, Format, Medium};
pub use unit::{AccessUnit, UnitFlags};
