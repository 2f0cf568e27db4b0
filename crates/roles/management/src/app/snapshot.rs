//! The recorder's configuration, made from the database and the running previews, and signed.

use std::sync::atomic::Ordering;

use varde_api_internal::config::{
    ChannelConfig, HardwareConfig, RecorderConfig, SignedConfig, StorageConfig, StreamConfig,
};
use varde_database::{CameraRows, ChannelRow, StorageRow};
use varde_http::Problem;

use crate::role::Management;

/// Where cameras may be unless somebody says more: private ranges and unique local addresses. Neither this machine
/// itself nor link-local ones, where cloud providers keep secrets.
pub const NETWORKS_DEFAULT: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fd00::/8"];

fn channel_config(channel: &ChannelRow) -> ChannelConfig {
    let stream = |stream: &varde_database::StreamRow| StreamConfig {
        id: stream.id,
        url: stream.url.clone(),
        transport: stream.transport.clone(),
        roles: stream.roles.clone(),
        codec: None,
    };
    ChannelConfig {
        id: channel.id,
        kind: channel.kind,
        name: channel.name.clone(),
        priority: channel.priority,
        record: channel.record,
        retention_days: channel.retention_days,
        storage: channel.storage,
        streams: channel.streams.iter().map(stream).collect(),
        related_to: channel.related_to,
    }
}

fn storage_config(storage: &StorageRow) -> StorageConfig {
    StorageConfig {
        id: storage.id,
        name: storage.name.clone(),
        path: storage.path.clone(),
        size_max_bytes: storage.size_max_bytes,
        free_min_bytes: storage.free_min_bytes,
        retention_days: storage.retention_days,
        encrypted: storage.encrypted,
    }
}

impl Management {
    fn hardware_config(&self, rows: &CameraRows) -> HardwareConfig {
        let hardware = &rows.hardware;
        // A password that does not open costs this camera its sign-in, which its state then says; not all the others
        // their configuration.
        let password = hardware.password_sealed.as_deref().and_then(|sealed| {
            let opened = self.keys.unseal(hardware.id, sealed);
            opened
                .inspect_err(
                    |error| tracing::error!(hardware = %hardware.id, %error, "a camera has no password now"),
                )
                .ok()
        });
        HardwareConfig {
            id: hardware.id,
            name: hardware.name.clone(),
            driver: hardware.driver.clone(),
            enabled: hardware.enabled,
            user: hardware.login.clone(),
            password: password.map(|password| password.to_string()),
            channels: rows.channels.iter().map(channel_config).collect(),
        }
    }

    /// The configuration of the present revision.
    pub fn snapshot(&self) -> Result<SignedConfig, Problem> {
        let revision = self.revision.load(Ordering::SeqCst);
        let configuration = self.configuration();
        let live = configuration.cameras.iter().filter(|rows| rows.hardware.retired_at.is_none());
        let mut hardware: Vec<HardwareConfig> = live.map(|rows| self.hardware_config(rows)).collect();
        if let Some(storage) = configuration.storages.first() {
            hardware.extend(self.previews.hardware(self.now(), storage.id));
        }
        let config = RecorderConfig {
            installation: configuration.server.installation,
            server: configuration.server.server,
            revision,
            allowed_networks: self.options.allowed_networks.clone(),
            hardware,
            storages: configuration.storages.iter().map(storage_config).collect(),
            pre_buffer_seconds: self.options.pre_buffer_seconds,
        };
        let text = serde_json::to_string(&config).map_err(|error| Problem::internal(&error))?;
        Ok(self.keys.sign(text))
    }
}
