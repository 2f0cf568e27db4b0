//! The index's tables. A change of shape is a new version, and a new version is a rebuild: nothing is migrated.

use std::path::Path;

use rusqlite::{Connection, params};
use varde_ids::StorageId;

const VERSION: i64 = 1;

pub(super) const ALL_SPANS: &str =
    "SELECT channel, start, stream, epoch, codec, \"end\", check_sum FROM span";
pub(super) const ALL_GAPS: &str =
    "SELECT channel, start, id, stream, \"end\", cause, parameters, check_sum FROM gap";

const TABLES: &str = "
CREATE TABLE meta (
    version INTEGER NOT NULL, storage BLOB NOT NULL, sum INTEGER NOT NULL,
    ledger_log INTEGER NOT NULL, ledger_byte INTEGER NOT NULL, whole INTEGER NOT NULL
) STRICT;
CREATE TABLE file (
    stream BLOB NOT NULL, start INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    channel BLOB NOT NULL, name_start INTEGER NOT NULL, \"end\" INTEGER NOT NULL, bytes INTEGER NOT NULL,
    codec TEXT NOT NULL, codec_string TEXT NOT NULL, width INTEGER, height INTEGER,
    timescale INTEGER NOT NULL, init_bytes INTEGER NOT NULL, flags INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
    first_leaf BLOB NOT NULL, last_leaf BLOB NOT NULL, check_sum INTEGER NOT NULL,
    PRIMARY KEY (stream, start, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE span (
    channel BLOB NOT NULL, start INTEGER NOT NULL, stream BLOB NOT NULL, epoch INTEGER NOT NULL,
    codec TEXT NOT NULL, \"end\" INTEGER NOT NULL, check_sum INTEGER NOT NULL,
    PRIMARY KEY (channel, start, stream, epoch, codec)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap (
    channel BLOB NOT NULL, start INTEGER NOT NULL, id INTEGER NOT NULL, stream BLOB NOT NULL,
    \"end\" INTEGER, cause TEXT NOT NULL, parameters TEXT NOT NULL, check_sum INTEGER NOT NULL,
    PRIMARY KEY (channel, start, id)
) STRICT, WITHOUT ROWID;
";

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A hostile or damaged file must not run code or reach outside.
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub(super) fn create(connection: &Connection, storage: StorageId) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.execute("INSERT INTO meta VALUES (?, ?, 0, 0, 0, 0)", params![VERSION, storage.as_bytes()])?;
    Ok(())
}

/// Whether the tables are exactly ours, of this version and of this storage, and whole.
pub(super) fn is_current(connection: &Connection, storage: StorageId) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut expected: Vec<_> =
        TABLES.split(';').map(str::trim).filter(|table| !table.is_empty()).map(str::to_owned).collect();
    expected.sort_by_key(|table| table.split_whitespace().nth(2).unwrap_or_default().to_owned());
    if found != expected {
        return Ok(false);
    }
    let mut statement = connection.prepare("SELECT version, storage FROM meta WHERE whole = 1")?;
    let rows: Vec<(i64, Vec<u8>)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    Ok(matches!(rows.as_slice(), [(VERSION, found)] if found == storage.as_bytes()))
}
