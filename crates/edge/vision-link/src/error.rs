//! What can go wrong when something is to be decoded.

use serde::{Deserialize, Serialize};

/// What the worker says when it can't do a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: FailureCode,
    /// English, for the log.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// This FFmpeg, or this job, can't do the codec.
    Unsupported,
    /// No picture or sound came out of what was sent.
    Broken,
    /// The pictures are larger than the worker takes.
    TooLarge,
}

/// Why a job of the pool came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisionError {
    /// As many jobs run and wait as are allowed; try later.
    #[error("all vision workers are busy")]
    Busy,
    /// No worker can be started.
    #[error("the vision worker can't be started: {0}")]
    Unavailable(String),
    /// The worker died of this job.
    #[error("the vision worker stopped in the middle of the job")]
    Crashed,
    /// The worker took too long and was stopped.
    #[error("the vision worker took too long")]
    TimedOut,
    #[error("the vision worker refused: {0}")]
    Refused(#[from] Failure),
}
