//! Keys outside the database: device passwords are sealed under one, configurations are signed with the other.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use varde_ambient::random_bytes;
use varde_api_internal::config::SignedConfig;
use varde_ids::HardwareId;
use zeroize::Zeroizing;

const SEALING_KEY_FILE: &str = "device-passwords.key";
const SIGNING_KEY_FILE: &str = "configuration.key";
const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {0} can't be read or made: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("the key file {0} is damaged")]
    Damaged(PathBuf),
}

/// The sealed text was made with another key, for another device, or is damaged.
#[derive(Debug, thiserror::Error)]
#[error("a sealed password does not open")]
pub struct SealError;

pub struct Keys {
    sealing: RandomizedNonceKey,
    signing: Ed25519KeyPair,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the keys of the folder, or makes them where they are missing.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        fs::create_dir_all(folder).map_err(|error| KeyError::File(folder.to_owned(), error))?;
        let sealing_path = folder.join(SEALING_KEY_FILE);
        let sealing = key_file(&sealing_path)?;
        let signing_path = folder.join(SIGNING_KEY_FILE);
        let signing = key_file(&signing_path)?;
        Ok(Self {
            sealing: RandomizedNonceKey::new(&AES_256_GCM, &*sealing)
                .map_err(|_| KeyError::Damaged(sealing_path))?,
            signing: Ed25519KeyPair::from_seed_unchecked(&*signing)
                .map_err(|_| KeyError::Damaged(signing_path))?,
        })
    }

    /// Seals a device's password: nonce, then AES-256-GCM with the device's identifier as associated data.
    pub fn seal(&self, hardware: HardwareId, password: &str) -> Result<Vec<u8>, SealError> {
        let mut text = password.as_bytes().to_vec();
        let nonce = self
            .sealing
            .seal_in_place_append_tag(Aad::from(hardware.as_bytes()), &mut text)
            .map_err(|_| SealError)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        Ok(sealed)
    }

    pub fn unseal(&self, hardware: HardwareId, sealed: &[u8]) -> Result<Zeroizing<String>, SealError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .sealing
            .open_in_place(nonce, Aad::from(hardware.as_bytes()), &mut text)
            .map_err(|_| SealError)?;
        let password = std::str::from_utf8(opened).map_err(|_| SealError)?;
        Ok(Zeroizing::new(password.to_owned()))
    }

    pub fn sign(&self, config: String) -> SignedConfig {
        let signature = STANDARD.encode(self.signing.sign(config.as_bytes()));
        SignedConfig { config, signature, key: STANDARD.encode(self.signing.public_key()) }
    }
}

/// SHA-256 in hexadecimal: how secrets of sessions, tokens and tickets are kept. They are 256 random bits, so nothing
/// slower is needed.
pub fn secret_hash(secret: &str) -> String {
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key_file(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let failed = |error| KeyError::File(path.to_owned(), error);
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            let key: [u8; KEY_BYTES] =
                bytes.as_slice().try_into().map_err(|_| KeyError::Damaged(path.to_owned()))?;
            Ok(Zeroizing::new(key))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Zeroizing::new(random_bytes::<KEY_BYTES>());
            // Written whole under another name first: a torn key would close every password for good.
            let partial = path.with_extension("partial");
            let _ = fs::remove_file(&partial);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)
                .map_err(failed)?;
            file.write_all(&*key).and_then(|()| file.sync_all()).map_err(failed)?;
            fs::rename(&partial, path).map_err(failed)?;
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_opens_for_its_own_device_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let (door, gate) = (HardwareId::from_bytes([1; 16]), HardwareId::from_bytes([2; 16]));
        let sealed = keys.seal(door, "canary").unwrap();
        assert!(!sealed.windows(6).any(|piece| piece == b"canary"));
        assert_ne!(sealed, keys.seal(door, "canary").unwrap(), "a nonce of its own each time");
        let again = Keys::open(folder.path()).unwrap();
        assert_eq!(*again.unseal(door, &sealed).unwrap(), "canary");
        assert!(again.unseal(gate, &sealed).is_err());
        for length in 0..sealed.len() {
            assert!(again.unseal(door, &sealed[..length]).is_err());
        }
    }

    #[test]
    fn key_files_are_private_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        Keys::open(folder.path()).unwrap();
        let path = folder.path().join(SEALING_KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(matches!(Keys::open(folder.path()), Err(KeyError::Damaged(_))));
    }
}
