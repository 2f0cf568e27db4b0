//! What callers act on.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, is locked, or its disk failed; the same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The row has another version than the one the change is based on.
    #[error("the row has version {now} now")]
    Conflict { now: u64 },
    #[error("no such row")]
    NotFound,
    /// A value that must be unique stands already.
    #[error("a row with this value exists: {0}")]
    AlreadyExists(String),
    /// Other rows refer to this one, or this one to a row that is not there.
    #[error("a reference does not hold")]
    Reference,
    /// A stored value can't be read: damage, or a newer release wrote it.
    #[error("a stored value is not understood: {0}")]
    Damaged(String),
    #[error("the schema could not be brought up to this release: {0}")]
    Migration(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged(error.to_string()),
            sqlx::Error::Database(inner) if inner.is_unique_violation() => {
                Self::AlreadyExists(inner.message().to_owned())
            }
            sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => Self::Reference,
            other => Self::Unavailable(other.to_string()),
        }
    }
}
