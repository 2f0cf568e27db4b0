//! Devices with their channels and streams.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};
use varde_api_internal::config::{ChannelKind, StreamRole};
use varde_ids::{ChannelId, HardwareId, ServerId, StorageId, StreamId};
use varde_units::Utc;

use crate::column::{flag, json, number, number_maybe, signed, text, text_maybe, utc, utc_maybe};
use crate::{Database, Error};

#[derive(Clone, PartialEq, Eq)]
pub struct HardwareRow {
    pub id: HardwareId,
    pub name: String,
    pub driver: String,
    pub enabled: bool,
    pub login: Option<String>,
    pub password_sealed: Option<Vec<u8>>,
    pub created_at: Utc,
    pub retired_at: Option<Utc>,
}

impl std::fmt::Debug for HardwareRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HardwareRow").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    pub id: ChannelId,
    pub hardware: HardwareId,
    pub kind: ChannelKind,
    pub name: String,
    pub priority: u8,
    pub record: bool,
    pub retention_days: Option<u32>,
    pub storage: StorageId,
    pub related_to: Option<ChannelId>,
    pub version: u64,
    pub retired_at: Option<Utc>,
    pub streams: Vec<StreamRow>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRow {
    pub id: StreamId,
    pub channel: ChannelId,
    /// Order within the channel; the main stream is 0.
    pub position: u32,
    pub url: String,
    pub transport: String,
    pub roles: Vec<StreamRole>,
}

/// A device with everything on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraRows {
    pub hardware: HardwareRow,
    pub channels: Vec<ChannelRow>,
}

const fn kind_text(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Camera => "camera",
        ChannelKind::Microphone => "microphone",
        ChannelKind::Metadata => "metadata",
    }
}

fn kind(row: &SqliteRow) -> Result<ChannelKind, sqlx::Error> {
    match row.try_get::<String, _>("kind")?.as_str() {
        "camera" => Ok(ChannelKind::Camera),
        "microphone" => Ok(ChannelKind::Microphone),
        "metadata" => Ok(ChannelKind::Metadata),
        other => Err(sqlx::Error::Decode(format!("{other:?} is no kind of channel").into())),
    }
}

impl FromRow<'_, SqliteRow> for HardwareRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            name: row.try_get("name")?,
            driver: row.try_get("driver")?,
            enabled: flag(row, "enabled")?,
            login: row.try_get("login")?,
            password_sealed: row.try_get("password_sealed")?,
            created_at: utc(row, "created_at")?,
            retired_at: utc_maybe(row, "retired_at")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for ChannelRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            hardware: text(row, "hardware_id")?,
            kind: kind(row)?,
            name: row.try_get("name")?,
            priority: number(row, "priority")?,
            record: flag(row, "record")?,
            retention_days: number_maybe(row, "retention_days")?,
            storage: text(row, "storage_id")?,
            related_to: text_maybe(row, "related_to")?,
            version: number(row, "version")?,
            retired_at: utc_maybe(row, "retired_at")?,
            streams: Vec::new(),
        })
    }
}

impl FromRow<'_, SqliteRow> for StreamRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: text(row, "id")?,
            channel: text(row, "channel_id")?,
            position: number(row, "position")?,
            url: row.try_get("url")?,
            transport: row.try_get("transport")?,
            roles: json(row, "roles")?,
        })
    }
}

impl Database {
    /// Every device, retired ones too, oldest first; channels and streams in their order.
    pub async fn camera_list(&self) -> Result<Vec<CameraRows>, Error> {
        let mut transaction = self.pool.begin().await?;
        let hardware: Vec<HardwareRow> =
            sqlx::query_as("SELECT * FROM hardware ORDER BY id").fetch_all(&mut *transaction).await?;
        let channels: Vec<ChannelRow> =
            sqlx::query_as("SELECT * FROM channel ORDER BY hardware_id, kind, id")
                .fetch_all(&mut *transaction)
                .await?;
        let streams: Vec<StreamRow> = sqlx::query_as("SELECT * FROM stream ORDER BY channel_id, position")
            .fetch_all(&mut *transaction)
            .await?;
        let mut by_channel: HashMap<ChannelId, Vec<StreamRow>> = HashMap::new();
        for stream in streams {
            by_channel.entry(stream.channel).or_default().push(stream);
        }
        let mut by_hardware: HashMap<HardwareId, Vec<ChannelRow>> = HashMap::new();
        for mut channel in channels {
            channel.streams = by_channel.remove(&channel.id).unwrap_or_default();
            by_hardware.entry(channel.hardware).or_default().push(channel);
        }
        let whole = hardware.into_iter().map(|hardware| {
            let channels = by_hardware.remove(&hardware.id).unwrap_or_default();
            CameraRows { hardware, channels }
        });
        Ok(whole.collect())
    }

    pub async fn camera_create(&self, server: ServerId, camera: &CameraRows) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let hardware = &camera.hardware;
        sqlx::query(
            "INSERT INTO hardware (id, server_id, name, driver, enabled, login, password_sealed, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(hardware.id.to_string())
        .bind(server.to_string())
        .bind(&hardware.name)
        .bind(&hardware.driver)
        .bind(i64::from(hardware.enabled))
        .bind(&hardware.login)
        .bind(&hardware.password_sealed)
        .bind(hardware.created_at.as_micros())
        .execute(&mut *transaction)
        .await?;
        for channel in &camera.channels {
            channel_insert(&mut transaction, channel).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes the device, its channels and streams anew, where the stored version of `channel` is `version`; raises
    /// that version. Streams that are no longer named go.
    pub async fn camera_update(
        &self,
        camera: &CameraRows,
        channel: ChannelId,
        version: u64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        version_raise(&mut transaction, channel, version).await?;
        let hardware = &camera.hardware;
        sqlx::query(
            "UPDATE hardware SET name = $2, enabled = $3, login = $4, password_sealed = $5 WHERE id = $1",
        )
        .bind(hardware.id.to_string())
        .bind(&hardware.name)
        .bind(i64::from(hardware.enabled))
        .bind(&hardware.login)
        .bind(&hardware.password_sealed)
        .execute(&mut *transaction)
        .await?;
        for channel in &camera.channels {
            sqlx::query(
                "UPDATE channel SET name = $2, priority = $3, record = $4, retention_days = $5, storage_id = $6 \
                 WHERE id = $1",
            )
            .bind(channel.id.to_string())
            .bind(&channel.name)
            .bind(i64::from(channel.priority))
            .bind(i64::from(channel.record))
            .bind(channel.retention_days.map(i64::from))
            .bind(channel.storage.to_string())
            .execute(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM stream WHERE channel_id = $1")
                .bind(channel.id.to_string())
                .execute(&mut *transaction)
                .await?;
            for stream in &channel.streams {
                stream_insert(&mut transaction, stream).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Marks the device and its channels as retired; what they recorded stays theirs.
    pub async fn camera_retire(&self, hardware: HardwareId, now: Utc) -> Result<(), Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE hardware SET retired_at = $2, password_sealed = NULL WHERE id = $1 AND retired_at IS NULL",
        )
        .bind(hardware.to_string())
        .bind(now.as_micros())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::NotFound);
        }
        sqlx::query("UPDATE channel SET retired_at = $2, version = version + 1 WHERE hardware_id = $1")
            .bind(hardware.to_string())
            .bind(now.as_micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn version_raise(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    version: u64,
) -> Result<(), Error> {
    let done = sqlx::query(
        "UPDATE channel SET version = version + 1 WHERE id = $1 AND version = $2 AND retired_at IS NULL",
    )
    .bind(channel.to_string())
    .bind(signed(version))
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() > 0 {
        return Ok(());
    }
    let now: Option<i64> =
        sqlx::query_scalar("SELECT version FROM channel WHERE id = $1 AND retired_at IS NULL")
            .bind(channel.to_string())
            .fetch_optional(connection)
            .await?;
    Err(crate::user::conflict_or_missing(now))
}

async fn channel_insert(connection: &mut SqliteConnection, channel: &ChannelRow) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO channel (id, hardware_id, kind, name, priority, record, retention_days, storage_id, related_to, \
         version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(channel.id.to_string())
    .bind(channel.hardware.to_string())
    .bind(kind_text(channel.kind))
    .bind(&channel.name)
    .bind(i64::from(channel.priority))
    .bind(i64::from(channel.record))
    .bind(channel.retention_days.map(i64::from))
    .bind(channel.storage.to_string())
    .bind(channel.related_to.map(|id| id.to_string()))
    .bind(signed(channel.version))
    .execute(&mut *connection)
    .await?;
    for stream in &channel.streams {
        stream_insert(connection, stream).await?;
    }
    Ok(())
}

async fn stream_insert(connection: &mut SqliteConnection, stream: &StreamRow) -> Result<(), Error> {
    let roles = serde_json::to_string(&stream.roles).map_err(|error| Error::Damaged(error.to_string()))?;
    sqlx::query(
        "INSERT INTO stream (id, channel_id, position, url, transport, roles) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(stream.id.to_string())
    .bind(stream.channel.to_string())
    .bind(i64::from(stream.position))
    .bind(&stream.url)
    .bind(&stream.transport)
    .bind(roles)
    .execute(connection)
    .await?;
    Ok(())
}
