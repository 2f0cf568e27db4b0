//! Starts and talks to `varde-vision`, the worker that decodes pictures and sound.
//!
//! The worker is alone with FFmpeg: it has no network, no files and no credentials, gets its input through a pipe,
//! does one job at a time, and costs that job alone when it dies. This crate links no FFmpeg.

mod error;
mod pool;
mod protocol;
mod stream;
mod worker;

pub use error::{Failure, FailureCode, VisionError};
pub use pool::{Head, VisionOptions, VisionPool};
pub use protocol::{
    Decoder, Image, Job, MESSAGE_BYTES_MAX, Message, ProtocolError, TranscodeOptions, encode,
};
pub use stream::{Offer, StreamItem, VisionInput, VisionOutput};
