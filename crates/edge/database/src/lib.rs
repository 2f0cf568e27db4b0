//! The database: the only crate that knows SQL. SQLite here; the statements keep to what PostgreSQL says too.
//!
//! Functions are noun first. Refuses to know who may call them and what a password or URL means.

mod camera;
mod column;
mod configuration;
mod error;
mod event;
mod session;
mod storage;
mod token;
mod user;

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use camera::{CameraRows, ChannelRow, HardwareRow, StreamRow};
pub use configuration::{Configuration, ServerRow};
pub use error::Error;
pub use event::{EventFilter, EventScope};
pub use session::SessionRow;
pub use storage::StorageRow;
pub use token::TokenRow;
pub use user::UserRow;

/// Connections at once; SQLite writes through one of them at a time.
const CONNECTIONS_MAX: u32 = 4;
/// How long a statement waits for another's lock, and a caller for a connection.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// An open database, migrated to this release. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
}

impl Database {
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(WAIT_MAX);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(WAIT_MAX)
            .connect_with(options)
            .await?;
        sqlx::migrate!("migrations/sqlite")
            .run(&pool)
            .await
            .map_err(|error| Error::Migration(error.to_string()))?;
        Ok(Self { pool })
    }

    /// Ends every connection, after which the file may be moved.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests;
