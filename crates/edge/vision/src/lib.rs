//! Decoding and encoding with FFmpeg, for the worker `varde-vision` alone.
//!
//! Input is what cameras sent, so everything here runs behind [`confine`]: without network, files and other
//! processes, and with bounded memory. No `unsafe`: streams go to FFmpeg as Annex B or ADTS, with their parameters
//! in band, so nothing has to be put behind its pointers by hand.

mod confine;
mod decode;
mod encode;
mod failure;
mod job;
mod jpeg;
mod scale;
mod serve;
mod sound;

pub use confine::{ConfineError, confine};
pub use serve::serve;
