//! What can go wrong when boxes are written and read.

/// Why something can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The decoder configuration is unusable.
    #[error("the format can't be written: {0}")]
    Format(#[from] varde_codec::Error),
    /// A limit of this writer or of a field is reached: the fragment or export has to end before this sample.
    #[error("{what} would be over its limit")]
    Full { what: &'static str },
    /// The new format of a track has another timescale or codec family than its first.
    #[error("the format does not fit its track")]
    FormatDiffers,
}

/// Why bytes are not the boxes that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes are needed.
    #[error("{what} is cut short")]
    Truncated { what: &'static str },
    #[error("{what} is malformed")]
    Malformed { what: &'static str },
    #[error("{what} is missing")]
    Missing { what: &'static str },
    /// More of something than this reader takes.
    #[error("too many {what}")]
    TooMany { what: &'static str },
    #[error("{what} is not supported")]
    Unsupported { what: &'static str },
    #[error(transparent)]
    Format(#[from] varde_codec::Error),
}
