//! Encryption at rest: AES-256-GCM per fragment, a data key per channel and UTC day, wrapped by the master key.
//!
//! Wrapped keys lie in `STORE/keys/<channel>/<day>.json` beside the media, so that archiving copies bytes. Nonces are
//! random: one that is derived would repeat when a torn tail is written anew.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use varde_footage::{KEYS_FOLDER, LeafContext, Seal, hex, unhex};
use varde_ids::ChannelId;
use varde_units::Day;

use crate::disk::{Disk, read_whole, write_document};
use crate::options::{Ambient, MasterKey, ReadError};

/// Most data keys in memory; all are dropped at the limit.
const KEYS_MAX: usize = 4096;

/// A wrapped data key as it lies beside the media.
#[derive(Serialize, Deserialize)]
struct KeyDocument {
    format: u32,
    algorithm: String,
    /// Hexadecimal.
    nonce: String,
    /// Ciphertext and tag, hexadecimal.
    wrapped: String,
}

/// The data keys of a storage.
#[derive(Debug)]
pub(crate) struct Vault {
    disk: Arc<dyn Disk>,
    master: Option<MasterKey>,
    keys: Mutex<HashMap<(ChannelId, Day), Arc<LessSafeKey>>>,
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the algorithm's length"))
}

fn key_path(channel: ChannelId, day: Day) -> (String, String) {
    (format!("{KEYS_FOLDER}/{channel}"), format!("{day}.json"))
}

fn wrap_context(channel: ChannelId, day: Day) -> String {
    format!("varde data key 1 {channel} {day}")
}

impl Vault {
    pub(crate) fn new(disk: Arc<dyn Disk>, master: Option<MasterKey>) -> Self {
        Self { disk, master, keys: Mutex::default() }
    }

    /// The key of a channel's day; made and stored durably if there is none.
    pub(crate) fn writing_key(
        &self,
        channel: ChannelId,
        day: Day,
        ambient: &dyn Ambient,
    ) -> io::Result<Arc<LessSafeKey>> {
        match self.reading_key(channel, day) {
            Ok(key) => return Ok(key),
            Err(ReadError::NotFound) => {}
            Err(ReadError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
        let master = self.master.as_ref().ok_or_else(|| io::Error::other("no master key"))?;
        let (mut key, mut nonce) = ([0; 32], [0; 12]);
        ambient.fill_random(&mut key);
        ambient.fill_random(&mut nonce);
        let mut wrapped = key.to_vec();
        cipher(&master.0)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(wrap_context(channel, day)),
                &mut wrapped,
            )
            .map_err(|_| io::Error::other("a data key could not be wrapped"))?;
        let document = KeyDocument {
            format: 1,
            algorithm: "aes-256-gcm".into(),
            nonce: hex(&nonce),
            wrapped: hex(&wrapped),
        };
        let (folder, name) = key_path(channel, day);
        if self.disk.create_folder(KEYS_FOLDER)? {
            self.disk.sync_folder("")?;
        }
        if self.disk.create_folder(&folder)? {
            self.disk.sync_folder(KEYS_FOLDER)?;
        }
        let json = serde_json::to_vec(&document).expect("the document is plain data");
        write_document(&*self.disk, &folder, &name, &json)?;
        Ok(self.remember(channel, day, &key))
    }

    fn remember(&self, channel: ChannelId, day: Day, key: &[u8; 32]) -> Arc<LessSafeKey> {
        let key = Arc::new(cipher(key));
        let mut keys = self.keys.lock();
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        keys.insert((channel, day), Arc::clone(&key));
        key
    }

    /// The key of a channel's day; `NotFound` where there is none.
    pub(crate) fn reading_key(&self, channel: ChannelId, day: Day) -> Result<Arc<LessSafeKey>, ReadError> {
        if let Some(key) = self.keys.lock().get(&(channel, day)) {
            return Ok(Arc::clone(key));
        }
        let (folder, name) = key_path(channel, day);
        let json = match read_whole(&*self.disk, &format!("{folder}/{name}"), 4096) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ReadError::NotFound),
            other => other?,
        };
        let damaged = || ReadError::Damaged("a data key can't be unwrapped".into());
        let document: KeyDocument = serde_json::from_slice(&json).map_err(|_| damaged())?;
        let nonce = unhex::<12>(&document.nonce).ok_or_else(damaged)?;
        let mut wrapped = unhex::<48>(&document.wrapped).ok_or_else(damaged)?;
        let master = self.master.as_ref().ok_or(ReadError::NoKey)?;
        let key = cipher(&master.0)
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(wrap_context(channel, day)),
                &mut wrapped,
            )
            .map_err(|_| damaged())?;
        let key: [u8; 32] = (&*key).try_into().map_err(|_| damaged())?;
        Ok(self.remember(channel, day, &key))
    }
}

/// What binds a ciphertext to its place.
fn binding(context: &LeafContext, sequence: u64) -> Vec<u8> {
    [&context.stream.as_bytes()[..], &context.epoch.to_be_bytes(), &sequence.to_be_bytes()].concat()
}

/// Encrypts a fragment's media in place.
pub(crate) fn seal(
    key: &LessSafeKey,
    context: &LeafContext,
    sequence: u64,
    nonce: [u8; 12],
    media: &mut [u8],
) -> io::Result<Seal> {
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(binding(context, sequence)),
            media,
        )
        .map_err(|_| io::Error::other("a fragment could not be encrypted"))?;
    let tag = tag.as_ref().try_into().map_err(|_| io::Error::other("a tag has sixteen bytes"))?;
    Ok(Seal { nonce, tag })
}

/// Decrypts a fragment's media.
pub(crate) fn open(
    key: &LessSafeKey,
    context: &LeafContext,
    sequence: u64,
    seal: &Seal,
    mut media: Vec<u8>,
) -> Result<Vec<u8>, ReadError> {
    let length = media.len();
    media.extend_from_slice(&seal.tag);
    key.open_in_place(
        Nonce::assume_unique_for_key(seal.nonce),
        Aad::from(binding(context, sequence)),
        &mut media,
    )
    .map_err(|_| ReadError::Damaged("a fragment can't be decrypted".into()))?;
    media.truncate(length);
    Ok(media)
}
