//! Sessions of browsers.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};
use varde_ids::{SessionId, UserId};
use varde_units::Utc;

use crate::column::{text, utc};
use crate::{Database, Error};

#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub id: SessionId,
    pub user: UserId,
    /// SHA-256 of the session's secret, hexadecimal.
    pub secret_hash: String,
    pub csrf: String,
    pub created_at: Utc,
    pub used_at: Utc,
}

impl std::fmt::Debug for SessionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionRow").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl FromRow<'_, SqliteRow> for SessionRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            user: text(row, "user_id")?,
            secret_hash: row.try_get("secret_hash")?,
            csrf: row.try_get("csrf")?,
            created_at: utc(row, "created_at")?,
            used_at: utc(row, "used_at")?,
        })
    }
}

impl Database {
    pub async fn session_create(&self, session: &SessionRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO session (id, user_id, secret_hash, csrf, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(session.id.to_string())
        .bind(session.user.to_string())
        .bind(&session.secret_hash)
        .bind(&session.csrf)
        .bind(session.created_at.as_micros())
        .bind(session.used_at.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn session_list(&self) -> Result<Vec<SessionRow>, Error> {
        Ok(sqlx::query_as("SELECT * FROM session").fetch_all(&self.pool).await?)
    }

    pub async fn session_touch(&self, id: SessionId, used_at: Utc) -> Result<(), Error> {
        sqlx::query("UPDATE session SET used_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(used_at.as_micros())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub async fn session_delete(&self, id: SessionId) -> Result<(), Error> {
        sqlx::query("DELETE FROM session WHERE id = $1").bind(id.to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes what was made before `created` or last used before `used`.
    pub async fn session_delete_older(&self, created: Utc, used: Utc) -> Result<(), Error> {
        sqlx::query("DELETE FROM session WHERE created_at < $1 OR used_at < $2")
            .bind(created.as_micros())
            .bind(used.as_micros())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
