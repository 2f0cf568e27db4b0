//! The two JSON documents of a store: `store.json` and the identity that stands in each file's `moov`.
//!
//! Both keep fields that they don't know, and both refuse what they must understand and don't.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use varde_codec::Codec;
use varde_ids::{ChannelId, InstallationId, StorageId, StreamId, WriterId};
use varde_units::{Mono, Utc};

use crate::{Digest, FilePath};

/// The format version that this release writes.
pub const FORMAT_VERSION: u32 = 1;
/// User type of the `uuid` box in `moov` that holds a [`FileIdentity`].
pub const IDENTITY_BOX: [u8; 16] = *b"varde identity 1";
/// User type of the `uuid` box of a fragment that holds a [`crate::FragmentRecord`].
pub const FRAGMENT_BOX: [u8; 16] = *b"varde fragment 1";
/// User type of the `uuid` box at a file's end that holds a [`crate::Trailer`].
pub const TRAILER_BOX: [u8; 16] = *b"varde trailer  1";

/// Capabilities that a reader must have for what this release can write.
const UNDERSTOOD: &[&str] = &["encryption.aes-256-gcm"];
/// The capability that encrypted files demand.
pub const ENCRYPTION: &str = "encryption.aes-256-gcm";

/// Why a document can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the document can't be read: {0}")]
    Malformed(String),
    /// A newer release wrote it in a way that must not be ignored.
    #[error("the document needs {0:?}, which this release does not know; use a newer release")]
    NotUnderstood(String),
}

fn understood(format: u32, must_understand: &[String]) -> Result<(), DocumentError> {
    if format > FORMAT_VERSION {
        return Err(DocumentError::NotUnderstood(format!("format {format}")));
    }
    match must_understand.iter().find(|need| !UNDERSTOOD.contains(&need.as_str())) {
        Some(need) => Err(DocumentError::NotUnderstood(need.chars().take(100).collect())),
        None => Ok(()),
    }
}

/// `store.json`: what a folder is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDocument {
    pub format: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_understand: Vec<String>,
    pub installation: InstallationId,
    pub storage: StorageId,
    pub created: Utc,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl StoreDocument {
    pub fn new(installation: InstallationId, storage: StorageId, created: Utc) -> Self {
        Self {
            format: FORMAT_VERSION,
            must_understand: Vec::new(),
            installation,
            storage,
            created,
            other: Map::new(),
        }
    }

    pub fn from_json(text: &[u8]) -> Result<Self, DocumentError> {
        let document: Self =
            serde_json::from_slice(text).map_err(|error| DocumentError::Malformed(error.to_string()))?;
        understood(document.format, &document.must_understand)?;
        Ok(document)
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("the document is plain data");
        text.push(b'\n');
        text
    }
}

/// What a file is, apart from its media: stands in the `uuid` box of its `moov`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    pub format: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_understand: Vec<String>,
    pub installation: InstallationId,
    pub storage: StorageId,
    pub channel: ChannelId,
    pub stream: StreamId,
    pub writer: WriterId,
    /// Clock epoch of the storage.
    pub epoch: u32,
    /// Counts the files of the stream within the epoch.
    pub seq: u32,
    /// Absolute time of `tfdt` zero.
    pub start: Utc,
    /// The same instant on the writer's monotonic clock.
    pub mono: Mono,
    pub codec: Codec,
    /// RFC 6381 name of the codec with its profile.
    pub codec_string: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Ticks a second of sample times; never zero.
    pub timescale: u32,
    /// SHA-256 of the codec configuration; a part of each leaf.
    pub configuration: Digest,
    /// The leaf before this file's first.
    pub previous: Digest,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl FileIdentity {
    pub fn from_json(text: &[u8]) -> Result<Self, DocumentError> {
        let identity: Self =
            serde_json::from_slice(text).map_err(|error| DocumentError::Malformed(error.to_string()))?;
        understood(identity.format, &identity.must_understand)?;
        if identity.timescale == 0 {
            return Err(DocumentError::Malformed("the timescale is zero".into()));
        }
        Ok(identity)
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the document is plain data")
    }

    /// The absolute time of a tick count.
    pub fn utc(&self, ticks: u64) -> Utc {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(self.timescale.max(1));
        self.start.offset_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The tick count of an absolute time; zero before the start.
    pub fn ticks(&self, at: Utc) -> u64 {
        let micros = u128::from(u64::try_from(at.signed_micros_since(self.start)).unwrap_or(0));
        u64::try_from(micros * u128::from(self.timescale) / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Where the file belongs.
    pub fn path(&self) -> FilePath {
        FilePath::new(self.channel, self.stream, self.epoch, self.seq, self.start)
    }

    pub fn encrypted(&self) -> bool {
        self.must_understand.iter().any(|need| need == ENCRYPTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> StoreDocument {
        let now = Utc::from_micros(1_795_462_800_123_456);
        StoreDocument::new(InstallationId::new(now, [1; 10]), StorageId::new(now, [2; 10]), now)
    }

    #[test]
    fn unknown_fields_survive() {
        let mut document = document();
        document.other.insert("colour".into(), "blue".into());
        assert_eq!(StoreDocument::from_json(&document.to_json()), Ok(document));
    }

    #[test]
    fn what_must_be_understood_is_not_ignored() {
        let mut newer = document();
        newer.must_understand.push("holograms".into());
        assert_eq!(
            StoreDocument::from_json(&newer.to_json()),
            Err(DocumentError::NotUnderstood("holograms".into()))
        );
        newer.must_understand.clear();
        newer.format = 2;
        assert!(matches!(StoreDocument::from_json(&newer.to_json()), Err(DocumentError::NotUnderstood(_))));
        assert!(matches!(StoreDocument::from_json(b"{}"), Err(DocumentError::Malformed(_))));
    }
}
