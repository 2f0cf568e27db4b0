//! Why a header could not be read.

/// What is wrong with a parameter set, a configuration record or a frame header that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end before the named field; more of them would have to come.
    #[error("{what} is cut short")]
    Truncated { what: &'static str },
    /// A field has a value that the standard or this server's limits exclude.
    #[error("{what} is {value}, which is out of range")]
    OutOfRange { what: &'static str, value: u64 },
    /// The bytes are something else than they should be.
    #[error("{what} is malformed")]
    Malformed { what: &'static str },
    /// Legal, but nothing here can use it.
    #[error("{what} is not supported")]
    Unsupported { what: &'static str },
}

pub type Result<T> = std::result::Result<T, Error>;
