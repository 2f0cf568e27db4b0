//! Storages.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};
use varde_ids::{ServerId, StorageId};

use crate::column::{flag, number, number_maybe, signed, text};
use crate::{Database, Error};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRow {
    pub id: StorageId,
    pub name: String,
    pub path: String,
    pub size_max_bytes: Option<u64>,
    pub free_min_bytes: u64,
    pub retention_days: Option<u32>,
    pub encrypted: bool,
    pub version: u64,
}

impl FromRow<'_, SqliteRow> for StorageRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            name: row.try_get("name")?,
            path: row.try_get("path")?,
            size_max_bytes: number_maybe(row, "size_max_bytes")?,
            free_min_bytes: number(row, "free_min_bytes")?,
            retention_days: number_maybe(row, "retention_days")?,
            encrypted: flag(row, "encrypted")?,
            version: number(row, "version")?,
        })
    }
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    server: ServerId,
    storage: &StorageRow,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO storage (id, server_id, name, path, size_max_bytes, free_min_bytes, retention_days, encrypted, \
         version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(storage.id.to_string())
    .bind(server.to_string())
    .bind(&storage.name)
    .bind(&storage.path)
    .bind(storage.size_max_bytes.map(signed))
    .bind(signed(storage.free_min_bytes))
    .bind(storage.retention_days.map(i64::from))
    .bind(i64::from(storage.encrypted))
    .bind(signed(storage.version))
    .execute(connection)
    .await?;
    Ok(())
}

impl Database {
    pub async fn storage_list(&self) -> Result<Vec<StorageRow>, Error> {
        Ok(sqlx::query_as("SELECT * FROM storage ORDER BY id").fetch_all(&self.pool).await?)
    }

    pub async fn storage_create(&self, server: ServerId, storage: &StorageRow) -> Result<(), Error> {
        let mut connection = self.pool.acquire().await?;
        insert(&mut connection, server, storage).await
    }

    /// Writes the changeable fields where the stored version is `storage.version`, and raises it.
    pub async fn storage_update(&self, storage: &StorageRow) -> Result<(), Error> {
        let done = sqlx::query(
            "UPDATE storage SET name = $3, size_max_bytes = $4, free_min_bytes = $5, retention_days = $6, \
             version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(storage.id.to_string())
        .bind(signed(storage.version))
        .bind(&storage.name)
        .bind(storage.size_max_bytes.map(signed))
        .bind(signed(storage.free_min_bytes))
        .bind(storage.retention_days.map(i64::from))
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
        let now: Option<i64> = sqlx::query_scalar("SELECT version FROM storage WHERE id = $1")
            .bind(storage.id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Err(crate::user::conflict_or_missing(now))
    }
}
