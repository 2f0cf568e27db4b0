//! Why a call failed. Variants differ where callers act differently.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens, or the connection broke: the recorder is away and may come back.
    #[error("the recorder does not answer: {0}")]
    Unavailable(String),
    #[error("the recorder did not answer within {0:?}")]
    TimedOut(Duration),
    /// No such channel, stream or file.
    #[error("the recorder has no such thing")]
    NotFound,
    /// The byte range begins behind the end of the file.
    #[error("the range lies behind the end of the file")]
    OutOfRange,
    /// The recorder understood and said no.
    #[error("the recorder refused with {status}: {detail}")]
    Refused { status: u16, detail: String },
    /// The answer is not what the interface promises.
    #[error("the recorder's answer is not understood: {0}")]
    Malformed(String),
}

impl Error {
    /// Whether the recorder itself is away, so that the same call may succeed later.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_))
    }
}
