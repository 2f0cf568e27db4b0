//! Storages: what is configured, with what the recorder says of them.

use std::collections::HashMap;
use std::path::{Component, Path};

use varde_ambient::identifier_random;
use varde_api::codes::{ProblemCode, StorageState};
use varde_api::storage::{Storage, StorageCamera, StorageCreate, StorageUpdate};
use varde_api_internal::recorder::StorageStatus;
use varde_database::{Configuration, Error, StorageRow};
use varde_http::Problem;
use varde_ids::{ChannelId, StorageId};

use super::camera::video;
use crate::problem;
use crate::role::Management;

const STORAGES_MAX: usize = 64;
const PATH_BYTES_MAX: usize = 1024;
const SIZE_MIN_BYTES: u64 = 1 << 30;
const FREE_MIN_DEFAULT_BYTES: u64 = 5 << 30;
const RETENTION_DAYS_MAX: u32 = 36_500;
const MICROS_PER_DAY: f64 = 86_400_000_000.0;

fn storage_public(
    row: &StorageRow,
    said: Option<&StorageStatus>,
    names: &HashMap<ChannelId, &str>,
) -> Storage {
    let oldest = said.and_then(|said| said.oldest);
    let newest = said.and_then(|said| said.newest);
    let bytes_per_day = said.map_or(0, |said| said.bytes_per_day);
    let used_bytes = said.map_or(0, |said| said.used_bytes);
    let free_bytes = said.map_or(0, |said| said.free_bytes);
    let days_kept = match (oldest, newest) {
        (Some(oldest), Some(newest)) => newest.signed_micros_since(oldest) as f64 / MICROS_PER_DAY,
        _ => 0.0,
    };
    let room = free_bytes.saturating_sub(row.free_min_bytes);
    let room = row.size_max_bytes.map_or(room, |max| room.min(max.saturating_sub(used_bytes)));
    let days_left = (bytes_per_day > 0 && room > 0).then(|| room as f64 / bytes_per_day as f64);
    let cameras = said.map_or(&[][..], |said| &said.channels).iter().map(|usage| StorageCamera {
        camera: usage.channel,
        name: names.get(&usage.channel).copied().unwrap_or_default().to_owned(),
        used_bytes: usage.used_bytes,
        bytes_per_day: usage.bytes_per_day,
        oldest: usage.oldest,
        newest: usage.newest,
    });
    Storage {
        id: row.id,
        name: row.name.clone(),
        path: row.path.clone(),
        state: said.and_then(|said| StorageState::from_code(&said.state)).unwrap_or(StorageState::Offline),
        used_bytes,
        free_bytes,
        capacity_bytes: said.map_or(0, |said| said.capacity_bytes),
        size_max_bytes: row.size_max_bytes,
        free_min_bytes: row.free_min_bytes,
        retention_days: row.retention_days,
        encrypted: row.encrypted,
        oldest,
        newest,
        bytes_per_day,
        days_kept,
        days_left,
        cameras: cameras.collect(),
        version: row.version,
    }
}

/// Names of channels; sound goes by its camera's name, and a preview has none.
fn names(configuration: &Configuration) -> HashMap<ChannelId, &str> {
    let of = |rows: &'_ varde_database::CameraRows| video(rows).map(|channel| channel.id);
    let mut names = HashMap::new();
    for rows in configuration.cameras.iter().filter(|rows| of(rows).is_some()) {
        names.extend(rows.channels.iter().map(|channel| (channel.id, channel.name.as_str())));
    }
    names
}

fn limits_check(size_max: Option<u64>, retention: Option<u32>) -> Result<(), Problem> {
    if size_max.is_some_and(|bytes| bytes < SIZE_MIN_BYTES) {
        return Err(Problem::invalid("size_max_bytes", "`size_max_bytes` must be at least 1 GiB."));
    }
    if retention.is_some_and(|days| !(1..=RETENTION_DAYS_MAX).contains(&days)) {
        return Err(Problem::invalid("retention_days", "`retention_days` must lie between 1 and 36,500."));
    }
    Ok(())
}

/// An absolute path without steps upwards.
fn path_check(path: &str) -> Result<(), Problem> {
    let good = path.len() <= PATH_BYTES_MAX
        && !path.chars().any(char::is_control)
        && Path::new(path).is_absolute()
        && Path::new(path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && Path::new(path).components().count() > 1;
    if good {
        Ok(())
    } else {
        Err(Problem::invalid("path", "`path` must be an absolute folder on the server."))
    }
}

impl Management {
    pub fn storage_list(&self) -> Vec<Storage> {
        let configuration = self.configuration();
        let recorder = self.recorder();
        let names = names(&configuration);
        let said =
            |id| recorder.iter().flat_map(|status| &status.storages).find(|storage| storage.storage == id);
        configuration.storages.iter().map(|row| storage_public(row, said(row.id), &names)).collect()
    }

    pub fn storage_get(&self, id: StorageId) -> Result<Storage, Problem> {
        self.storage_list().into_iter().find(|storage| storage.id == id).ok_or_else(Problem::not_found)
    }

    pub async fn storage_create(&self, request: StorageCreate) -> Result<Storage, Problem> {
        let name = problem::name("name", &request.name)?;
        path_check(&request.path)?;
        limits_check(request.size_max_bytes, request.retention_days)?;
        let row = StorageRow {
            id: StorageId::new(self.now(), identifier_random()),
            name,
            path: request.path,
            size_max_bytes: request.size_max_bytes,
            free_min_bytes: request.free_min_bytes.unwrap_or(FREE_MIN_DEFAULT_BYTES),
            retention_days: request.retention_days,
            encrypted: request.encrypted.unwrap_or(false),
            version: 1,
        };
        {
            let _change = self.changing.lock().await;
            let configuration = self.configuration();
            if configuration.storages.len() >= STORAGES_MAX {
                return Err(Problem::new(
                    ProblemCode::LimitReached,
                    "There are as many storages as a server holds.",
                )
                .parameter("limit", STORAGES_MAX));
            }
            // Two storages in one folder would delete each other's files.
            let new = Path::new(&row.path);
            let overlaps = |other: &StorageRow| {
                let other = Path::new(&other.path);
                new.starts_with(other) || other.starts_with(new)
            };
            let taken = || {
                Problem::new(
                    ProblemCode::AlreadyExists,
                    "Another storage lies in that folder, above or below it.",
                )
                .parameter("field", "path")
            };
            if configuration.storages.iter().any(overlaps) {
                return Err(taken());
            }
            let stored = self.database.storage_create(configuration.server.server, &row).await;
            stored.map_err(|error| match error {
                Error::AlreadyExists(_) => taken(),
                other => problem::database(other),
            })?;
            self.reload().await?;
            self.revise(0).await?;
        }
        self.storage_get(row.id)
    }

    pub async fn storage_update(&self, id: StorageId, request: StorageUpdate) -> Result<Storage, Problem> {
        {
            let _change = self.changing.lock().await;
            let configuration = self.configuration();
            let stored = configuration
                .storages
                .iter()
                .find(|storage| storage.id == id)
                .ok_or_else(Problem::not_found)?;
            let name = request.name.as_deref().map(|name| problem::name("name", name)).transpose()?;
            let row = StorageRow {
                name: name.unwrap_or_else(|| stored.name.clone()),
                size_max_bytes: request.size_max_bytes.unwrap_or(stored.size_max_bytes),
                free_min_bytes: request.free_min_bytes.unwrap_or(stored.free_min_bytes),
                retention_days: request.retention_days.unwrap_or(stored.retention_days),
                version: request.version,
                ..stored.clone()
            };
            limits_check(row.size_max_bytes, row.retention_days)?;
            self.database
                .storage_update(&row)
                .await
                .map_err(|error| problem::change(error, request.version))?;
            self.reload().await?;
            self.revise(0).await?;
        }
        self.storage_get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_lies_at_an_absolute_folder() {
        let check = |path: &str, good: bool| assert_eq!(path_check(path).is_ok(), good, "{path}");
        check("/srv/recordings", true);
        check("/srv/with blank", true);
        check("srv/recordings", false);
        check("/srv/../etc", false);
        check("/", false);
        check("", false);
        check("/srv/a\nb", false);
        check(&format!("/{}", "a".repeat(2000)), false);
    }
}
