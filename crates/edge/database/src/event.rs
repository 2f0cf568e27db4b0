//! Events, as the events role keeps them.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use varde_api_internal::recorder::Event;
use varde_ids::{ChannelId, EventId, UserId};
use varde_units::Utc;

use crate::column::{json, number, signed, text, text_maybe, utc};
use crate::{Database, Error};

/// Which events a list may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScope {
    All,
    /// Those of the cameras that the user was granted one by one.
    CamerasOf(UserId),
}

#[derive(Clone, Debug)]
pub struct EventFilter {
    pub scope: EventScope,
    pub channel: Option<ChannelId>,
    pub kind: Option<String>,
    /// No event whose type begins so.
    pub hidden: Option<&'static str>,
    /// Not before.
    pub start: Option<Utc>,
    /// Before.
    pub end: Option<Utc>,
    /// Strictly older than this one, in the list's order.
    pub before: Option<(Utc, EventId)>,
    pub limit: usize,
}

fn read(row: &SqliteRow) -> Result<Event, sqlx::Error> {
    Ok(Event {
        id: text(row, "id")?,
        kind: row.try_get("type")?,
        time: utc(row, "time")?,
        recordedat: utc(row, "recorded_at")?,
        origin: text(row, "origin")?,
        originseq: number(row, "origin_sequence")?,
        phase: row.try_get("phase")?,
        correlation: text_maybe(row, "correlation")?,
        severity: row.try_get("severity")?,
        channel: text_maybe(row, "channel_id")?,
        storage: text_maybe(row, "storage_id")?,
        data: json(row, "data")?,
    })
}

impl Database {
    /// Stores events in one transaction and gives back those that were not there yet.
    pub async fn event_insert(&self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            let data =
                serde_json::to_string(&event.data).map_err(|error| Error::Damaged(error.to_string()))?;
            let done = sqlx::query(
                "INSERT INTO event (id, type, time, recorded_at, origin, origin_sequence, phase, correlation, \
                 severity, channel_id, storage_id, data) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
            )
            .bind(event.id.to_string())
            .bind(&event.kind)
            .bind(event.time.as_micros())
            .bind(event.recordedat.as_micros())
            .bind(event.origin.to_string())
            .bind(signed(event.originseq))
            .bind(&event.phase)
            .bind(event.correlation.map(|id| id.to_string()))
            .bind(&event.severity)
            .bind(event.channel.map(|id| id.to_string()))
            .bind(event.storage.map(|id| id.to_string()))
            .bind(data)
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() > 0 {
                fresh.push(event);
            }
        }
        transaction.commit().await?;
        Ok(fresh)
    }

    /// Newest first.
    pub async fn event_list(&self, filter: &EventFilter) -> Result<Vec<Event>, Error> {
        let user = match filter.scope {
            EventScope::All => None,
            EventScope::CamerasOf(user) => Some(user.to_string()),
        };
        let rows = sqlx::query(
            "SELECT * FROM event WHERE ($1 IS NULL OR channel_id IN (SELECT channel_id FROM user_camera \
             WHERE user_id = $1 UNION SELECT channel.id FROM channel JOIN user_camera \
             ON channel.related_to = user_camera.channel_id WHERE user_id = $1)) \
             AND ($2 IS NULL OR channel_id = $2) AND ($3 IS NULL OR type = $3) \
             AND time >= $4 AND time < $5 AND (time < $6 OR (time = $6 AND id < $7)) \
             AND ($9 IS NULL OR SUBSTR(type, 1, LENGTH($9)) <> $9) \
             ORDER BY time DESC, id DESC LIMIT $8",
        )
        .bind(user)
        .bind(filter.channel.map(|id| id.to_string()))
        .bind(&filter.kind)
        .bind(filter.start.unwrap_or(Utc::MIN).as_micros())
        .bind(filter.end.map_or(i64::MAX, Utc::as_micros))
        .bind(filter.before.map_or(i64::MAX, |(time, _)| time.as_micros()))
        .bind(filter.before.map(|(_, id)| id.to_string()).unwrap_or_default())
        .bind(i64::try_from(filter.limit).unwrap_or(i64::MAX))
        .bind(filter.hidden)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Keeps the newest `keep` events and removes at most `step` older ones; gives how many went.
    pub async fn event_prune(&self, keep: u64, step: u64) -> Result<u64, Error> {
        let done = sqlx::query(
            "DELETE FROM event WHERE id IN (SELECT id FROM (SELECT id, time FROM event ORDER BY time DESC, id DESC \
             LIMIT $2 OFFSET $1) AS old)",
        )
        .bind(signed(keep))
        .bind(signed(step))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
