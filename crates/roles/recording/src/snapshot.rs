//! The recorder's configuration at rest: verifies, keeps and reads the signed snapshot.
//!
//! The first signing key that a recorder sees for its installation is pinned; later snapshots must be signed by it and
//! must not be older. What does not verify changes nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use varde_api_internal::config::{RecorderConfig, SignedConfig};

/// The longest snapshot that is taken: ten thousand cameras need about 10 MiB.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;

/// Why a snapshot was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the signature of the configuration is wrong")]
    BadSignature,
    #[error("the configuration is signed by another key than the one this recorder knows")]
    OtherKey,
    #[error("the configuration belongs to another installation")]
    OtherInstallation,
    #[error("the configuration has revision {offered}, and {present} is in force")]
    Older { offered: u64, present: u64 },
    #[error("the configuration can't be read: {0}")]
    Malformed(String),
    #[error("the configuration can't be kept: {0}")]
    NotKept(#[source] std::io::Error),
}

/// The snapshot's file and what stands in it.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    present: Option<(SignedConfig, RecorderConfig)>,
}

impl SnapshotFile {
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("config.json")
    }

    /// Reads what an earlier run kept. A damaged file counts as none, and is set aside for whoever looks into it.
    pub fn open(folder: &Path) -> Self {
        let path = Self::path(folder);
        let text = fs::read(&path).inspect_err(|error| {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::error!(%error, path = %path.display(), "the kept configuration can't be read");
            }
        });
        let present = text.ok().and_then(|text| {
            let read = serde_json::from_slice::<SignedConfig>(&text)
                .map_err(|error| SnapshotError::Malformed(error.to_string()))
                .and_then(|signed| verify(&signed).map(|config| (signed, config)));
            read.inspect_err(|error| {
                tracing::error!(%error, path = %path.display(), "the kept configuration is damaged and is set aside");
                let _ = fs::rename(&path, path.with_extension("damaged"));
            })
            .ok()
        });
        Self { path, present }
    }

    pub fn config(&self) -> Option<&RecorderConfig> {
        self.present.as_ref().map(|(_, config)| config)
    }

    /// Verifies and keeps a snapshot; gives the configuration that is now in force.
    pub fn take(&mut self, signed: SignedConfig) -> Result<&RecorderConfig, SnapshotError> {
        let config = verify(&signed)?;
        if let Some((known, present)) = &self.present {
            if known.key != signed.key {
                return Err(SnapshotError::OtherKey);
            }
            if present.installation != config.installation {
                return Err(SnapshotError::OtherInstallation);
            }
            if config.revision < present.revision {
                return Err(SnapshotError::Older { offered: config.revision, present: present.revision });
            }
        }
        self.keep(&signed).map_err(SnapshotError::NotKept)?;
        Ok(&self.present.insert((signed, config)).1)
    }

    /// Writes beside the old file and swaps: a crash leaves the one or the other, whole. Holds device passwords, so
    /// it is readable by its owner alone.
    fn keep(&self, signed: &SignedConfig) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(signed).map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        fs::File::open(self.path.parent().expect("the file lies in a folder"))?.sync_all()
    }
}

/// Checks the signature over the exact text, then reads it.
fn verify(signed: &SignedConfig) -> Result<RecorderConfig, SnapshotError> {
    let key: [u8; 32] = decode(&signed.key)?;
    let signature: [u8; 64] = decode(&signed.signature)?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| SnapshotError::BadSignature)?;
    key.verify_strict(signed.config.as_bytes(), &Signature::from_bytes(&signature))
        .map_err(|_| SnapshotError::BadSignature)?;
    serde_json::from_str(&signed.config).map_err(|error| SnapshotError::Malformed(error.to_string()))
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], SnapshotError> {
    let bytes = STANDARD.decode(text).map_err(|_| SnapshotError::BadSignature)?;
    bytes.try_into().map_err(|_| SnapshotError::BadSignature)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use varde_ids::{InstallationId, ServerId};

    use super::*;

    fn signed(key: u8, revision: u64) -> SignedConfig {
        let config = RecorderConfig {
            installation: InstallationId::from_bytes([1; 16]),
            server: ServerId::from_bytes([2; 16]),
            revision,
            allowed_networks: vec!["10.0.0.0/8".into()],
            hardware: Vec::new(),
            storages: Vec::new(),
            pre_buffer_seconds: 5,
        };
        let key = SigningKey::from_bytes(&[key; 32]);
        let config = serde_json::to_string(&config).unwrap();
        SignedConfig {
            signature: STANDARD.encode(key.sign(config.as_bytes()).to_bytes()),
            key: STANDARD.encode(key.verifying_key().to_bytes()),
            config,
        }
    }

    #[test]
    fn a_snapshot_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SnapshotFile::open(folder.path());
        assert!(file.config().is_none());
        file.take(signed(1, 3)).unwrap();
        assert_eq!(SnapshotFile::open(folder.path()).config().unwrap().revision, 3);
    }

    #[test]
    fn forged_older_and_foreign_snapshots_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SnapshotFile::open(folder.path());
        file.take(signed(1, 3)).unwrap();
        let mut forged = signed(1, 4);
        forged.config = forged.config.replace("10.0.0.0/8", "0.0.0.0/0");
        assert!(matches!(file.take(forged), Err(SnapshotError::BadSignature)));
        assert!(matches!(file.take(signed(2, 4)), Err(SnapshotError::OtherKey)));
        assert!(matches!(file.take(signed(1, 2)), Err(SnapshotError::Older { .. })));
        assert_eq!(file.config().unwrap().revision, 3);
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        SnapshotFile::open(folder.path()).take(signed(1, 3)).unwrap();
        fs::write(folder.path().join("config.json"), b"{").unwrap();
        assert!(SnapshotFile::open(folder.path()).config().is_none());
        assert!(folder.path().join("config.damaged").exists());
    }
}
