//! `RecorderConfig`: everything a recording role needs, in one signed document. The recorder saves it, applies it as
//! a diff, and starts from it alone when nobody else is there.

use std::fmt;

use serde::{Deserialize, Serialize};
use varde_codec::Codec;
use varde_ids::{ChannelId, HardwareId, InstallationId, ServerId, StorageId, StreamId};

/// A configuration and the signature over its exact bytes. Holds passwords, and is printed without its text.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedConfig {
    /// The JSON text of a [`RecorderConfig`], kept as text so that the signature holds whatever fields it has.
    pub config: String,
    /// Ed25519 by the management role's key over `config`, base64.
    pub signature: String,
    /// The key that signed, base64; the recorder pins the first that it sees for its installation.
    pub key: String,
}

impl fmt::Debug for SignedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedConfig").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderConfig {
    pub installation: InstallationId,
    pub server: ServerId,
    /// Rises with every change; a recorder refuses an older one.
    pub revision: u64,
    /// The recorder's own address book of networks where devices may be.
    pub allowed_networks: Vec<String>,
    pub hardware: Vec<HardwareConfig>,
    pub storages: Vec<StorageConfig>,
    /// Seconds kept in memory before a recording begins.
    pub pre_buffer_seconds: u32,
}

/// A device at an address. The password is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareConfig {
    pub id: HardwareId,
    pub name: String,
    /// Name of the driver: `rtsp`.
    pub driver: String,
    pub enabled: bool,
    #[serde(default)]
    pub user: Option<String>,
    /// Sealed in rest; in this document only on its way to the recorder that drives the device.
    #[serde(default)]
    pub password: Option<String>,
    pub channels: Vec<ChannelConfig>,
}

impl fmt::Debug for HardwareConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HardwareConfig")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("driver", &self.driver)
            .field("enabled", &self.enabled)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("channels", &self.channels)
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    Camera,
    Microphone,
    Metadata,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelConfig {
    pub id: ChannelId,
    pub kind: ChannelKind,
    pub name: String,
    /// Higher is kept longer when something must be dropped.
    pub priority: u8,
    pub record: bool,
    /// Days that recordings are kept at most; `None`: until the storage needs the room.
    #[serde(default)]
    pub retention_days: Option<u32>,
    pub storage: StorageId,
    pub streams: Vec<StreamConfig>,
    /// The camera whose sound or metadata this is.
    #[serde(default)]
    pub related_to: Option<ChannelId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamConfig {
    pub id: StreamId,
    /// Where the stream is, without user information.
    pub url: String,
    /// `tcp` or `udp`.
    pub transport: String,
    pub roles: Vec<StreamRole>,
    /// Learned from the device; a hint for lists, never trusted.
    #[serde(default)]
    pub codec: Option<Codec>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamRole {
    /// Shown when a tile is large.
    Live,
    /// Shown when a tile is small, and where the browser can't decode the live one.
    Sub,
    /// Recorded.
    Record,
    /// Fed to analytics.
    Analytics,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageConfig {
    pub id: StorageId,
    pub name: String,
    pub path: String,
    /// Bytes that recordings may take at most.
    #[serde(default)]
    pub size_max_bytes: Option<u64>,
    /// Bytes of the file system that stay free.
    pub free_min_bytes: u64,
    #[serde(default)]
    pub retention_days: Option<u32>,
    #[serde(default)]
    pub encrypted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_printed() {
        let hardware = HardwareConfig {
            id: HardwareId::from_bytes([1; 16]),
            name: "Door".into(),
            driver: "rtsp".into(),
            enabled: true,
            user: Some("viewer".into()),
            password: Some("canary".into()),
            channels: Vec::new(),
        };
        let config = serde_json::to_string(&hardware).unwrap();
        assert!(config.contains("canary"), "it travels, though");
        let signed = SignedConfig { config, signature: String::new(), key: String::new() };
        assert!(!format!("{hardware:?}{signed:?}").contains("canary"));
    }
}
