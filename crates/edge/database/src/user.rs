//! People and programs that sign in.

use std::collections::{BTreeSet, HashMap};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use varde_access::{CameraScope, Role};
use varde_ids::{ChannelId, UserId};
use varde_units::Utc;

use crate::column::{flag, number, signed, text, utc};
use crate::{Database, Error};

#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    pub id: UserId,
    pub name: String,
    pub password_hash: String,
    pub role: Role,
    pub cameras: CameraScope,
    pub enabled: bool,
    pub created_at: Utc,
    pub version: u64,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Administrator => "administrator",
        Role::Operator => "operator",
        Role::Viewer => "viewer",
    }
}

fn read(row: &SqliteRow, scopes: &mut HashMap<UserId, BTreeSet<ChannelId>>) -> Result<UserRow, sqlx::Error> {
    let id: UserId = text(row, "id")?;
    let role = match row.try_get::<String, _>("role")?.as_str() {
        "administrator" => Role::Administrator,
        "operator" => Role::Operator,
        "viewer" => Role::Viewer,
        other => return Err(sqlx::Error::Decode(format!("{other:?} is no role").into())),
    };
    let cameras = match flag(row, "cameras_all")? {
        true => CameraScope::All,
        false => CameraScope::Set(scopes.remove(&id).unwrap_or_default()),
    };
    Ok(UserRow {
        id,
        name: row.try_get("name")?,
        password_hash: row.try_get("password_hash")?,
        role,
        cameras,
        enabled: flag(row, "enabled")?,
        created_at: utc(row, "created_at")?,
        version: number(row, "version")?,
    })
}

/// What an update that matched no row means.
pub(crate) fn conflict_or_missing(version_now: Option<i64>) -> Error {
    match version_now.and_then(|version| u64::try_from(version).ok()) {
        Some(now) => Error::Conflict { now },
        None => Error::NotFound,
    }
}

impl Database {
    pub async fn user_list(&self) -> Result<Vec<UserRow>, Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query("SELECT * FROM user_account ORDER BY id").fetch_all(&mut *transaction).await?;
        let scopes =
            sqlx::query("SELECT user_id, channel_id FROM user_camera").fetch_all(&mut *transaction).await?;
        let mut by_user: HashMap<UserId, BTreeSet<ChannelId>> = HashMap::new();
        for scope in &scopes {
            by_user.entry(text(scope, "user_id")?).or_default().insert(text(scope, "channel_id")?);
        }
        Ok(rows.iter().map(|row| read(row, &mut by_user)).collect::<Result<_, _>>()?)
    }

    /// [`Error::AlreadyExists`] when the name is taken, whatever its case.
    pub async fn user_create(&self, user: &UserRow) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, user).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Makes the first user; [`Error::AlreadyExists`] when there is one already.
    pub async fn user_create_first(&self, user: &UserRow) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let there: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM user_account").fetch_one(&mut *transaction).await?;
        if there > 0 {
            return Err(Error::AlreadyExists("a user exists".into()));
        }
        insert(&mut transaction, user).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes the user where the stored version is `user.version`, and raises it. Sessions and tokens stay.
    pub async fn user_update(&self, user: &UserRow) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE user_account SET name = $3, name_key = $4, password_hash = $5, role = $6, cameras_all = $7, \
             enabled = $8, version = version + 1 WHERE id = $1 AND version = $2",
        )
        .bind(user.id.to_string())
        .bind(signed(user.version))
        .bind(&user.name)
        .bind(user.name.to_lowercase())
        .bind(&user.password_hash)
        .bind(role_text(user.role))
        .bind(i64::from(user.cameras == CameraScope::All))
        .bind(i64::from(user.enabled))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            let now: Option<i64> = sqlx::query_scalar("SELECT version FROM user_account WHERE id = $1")
                .bind(user.id.to_string())
                .fetch_optional(&mut *transaction)
                .await?;
            return Err(conflict_or_missing(now));
        }
        scope_write(&mut transaction, user).await?;
        administrator_check(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes the user with sessions and tokens. [`Error::Reference`] for the last enabled administrator.
    pub async fn user_delete(&self, id: UserId) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query("DELETE FROM user_account WHERE id = $1")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        administrator_check(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Refuses a state in which nobody could administer; the transaction of the caller is dropped with it.
async fn administrator_check(connection: &mut SqliteConnection) -> Result<(), Error> {
    let left: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM user_account WHERE role = 'administrator' AND enabled = 1 AND cameras_all = 1",
    )
    .fetch_one(connection)
    .await?;
    if left > 0 { Ok(()) } else { Err(Error::Reference) }
}

async fn insert(connection: &mut SqliteConnection, user: &UserRow) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO user_account (id, name, name_key, password_hash, role, cameras_all, enabled, created_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(user.id.to_string())
    .bind(&user.name)
    .bind(user.name.to_lowercase())
    .bind(&user.password_hash)
    .bind(role_text(user.role))
    .bind(i64::from(user.cameras == CameraScope::All))
    .bind(i64::from(user.enabled))
    .bind(user.created_at.as_micros())
    .bind(signed(user.version))
    .execute(&mut *connection)
    .await?;
    scope_write(connection, user).await
}

async fn scope_write(connection: &mut SqliteConnection, user: &UserRow) -> Result<(), Error> {
    sqlx::query("DELETE FROM user_camera WHERE user_id = $1")
        .bind(user.id.to_string())
        .execute(&mut *connection)
        .await?;
    let CameraScope::Set(cameras) = &user.cameras else { return Ok(()) };
    for camera in cameras {
        sqlx::query("INSERT INTO user_camera (user_id, channel_id) VALUES ($1, $2)")
            .bind(user.id.to_string())
            .bind(camera.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
