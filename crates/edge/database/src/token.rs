//! API tokens.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};
use varde_ids::{TokenId, UserId};
use varde_units::Utc;

use crate::column::{text, utc, utc_maybe};
use crate::{Database, Error};

#[derive(Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    pub user: UserId,
    pub name: String,
    /// SHA-256 of the token, hexadecimal.
    pub secret_hash: String,
    pub created_at: Utc,
    pub expires_at: Utc,
    pub used_at: Option<Utc>,
}

impl std::fmt::Debug for TokenRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRow").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl FromRow<'_, SqliteRow> for TokenRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            user: text(row, "user_id")?,
            name: row.try_get("name")?,
            secret_hash: row.try_get("secret_hash")?,
            created_at: utc(row, "created_at")?,
            expires_at: utc(row, "expires_at")?,
            used_at: utc_maybe(row, "used_at")?,
        })
    }
}

impl Database {
    pub async fn token_create(&self, token: &TokenRow) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO api_token (id, user_id, name, secret_hash, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(token.id.to_string())
        .bind(token.user.to_string())
        .bind(&token.name)
        .bind(&token.secret_hash)
        .bind(token.created_at.as_micros())
        .bind(token.expires_at.as_micros())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Of everybody, oldest first.
    pub async fn token_list(&self) -> Result<Vec<TokenRow>, Error> {
        Ok(sqlx::query_as("SELECT * FROM api_token ORDER BY id").fetch_all(&self.pool).await?)
    }

    pub async fn token_touch(&self, id: TokenId, used_at: Utc) -> Result<(), Error> {
        sqlx::query("UPDATE api_token SET used_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(used_at.as_micros())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub async fn token_delete(&self, id: TokenId) -> Result<(), Error> {
        sqlx::query("DELETE FROM api_token WHERE id = $1").bind(id.to_string()).execute(&self.pool).await?;
        Ok(())
    }

    pub async fn token_delete_expired(&self, now: Utc) -> Result<(), Error> {
        sqlx::query("DELETE FROM api_token WHERE expires_at < $1")
            .bind(now.as_micros())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
