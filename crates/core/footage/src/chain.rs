//! The evidence chain: each fragment's leaf covers its content and the leaf before it, per stream and across files.
//!
//! `payload` = SHA-256 over the samples' bytes. `leaf` = SHA-256 over channel, stream, writer, epoch, sequence,
//! start, sample times and flags, codec configuration, payload and the previous leaf. Once a minute all heads are
//! signed with Ed25519. The trusted key comes from outside the storage.

use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use varde_codec::Format;
use varde_ids::{ChannelId, StorageId, StreamId, WriterId};
use varde_units::Utc;

use crate::fragment::encode_samples;
use crate::{Digest, FileIdentity, FragmentRecord};

const LEAF_DOMAIN: &[u8] = b"varde leaf 1\0";
const CHECKPOINT_DOMAIN: &[u8] = b"varde checkpoint 1\0";

/// What a leaf covers beside the fragment's own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafContext {
    pub channel: ChannelId,
    pub stream: StreamId,
    pub writer: WriterId,
    pub epoch: u32,
    /// SHA-256 of the codec configuration.
    pub configuration: Digest,
}

impl From<&FileIdentity> for LeafContext {
    fn from(identity: &FileIdentity) -> Self {
        Self {
            channel: identity.channel,
            stream: identity.stream,
            writer: identity.writer,
            epoch: identity.epoch,
            configuration: identity.configuration,
        }
    }
}

/// The leaf of a fragment; its own `leaf` field is not looked at.
pub fn leaf(context: &LeafContext, record: &FragmentRecord) -> Digest {
    let mut samples = Vec::with_capacity(8 + record.samples.len() * 8);
    encode_samples(&record.samples, &mut samples);
    let mut hasher = Sha256::new();
    hasher.update(LEAF_DOMAIN);
    hasher.update(context.channel.as_bytes());
    hasher.update(context.stream.as_bytes());
    hasher.update(context.writer.as_bytes());
    hasher.update(context.epoch.to_be_bytes());
    hasher.update(record.sequence.to_be_bytes());
    hasher.update(record.start.as_micros().to_be_bytes());
    hasher.update(record.camera_time.map_or(i64::MIN, Utc::as_micros).to_be_bytes());
    hasher.update((samples.len() as u64).to_be_bytes());
    hasher.update(&samples);
    hasher.update(context.configuration.0);
    hasher.update(record.key_frame.unwrap_or(Digest::ZERO).0);
    hasher.update(record.payload.0);
    hasher.update(record.previous.0);
    Digest(hasher.finalize().into())
}

/// SHA-256 of a codec configuration in its one canonical spelling.
pub fn configuration_digest(format: &Format) -> Digest {
    fn part(hasher: &mut Sha256, bytes: &[u8]) {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    }
    let mut hasher = Sha256::new();
    part(&mut hasher, format.codec().name().as_bytes());
    let (width, height) = format.dimensions().unwrap_or((0, 0));
    for number in [width, height, format.timescale()] {
        hasher.update(number.to_be_bytes());
    }
    match format {
        Format::H264 { sps, pps, .. } => {
            part(&mut hasher, sps);
            pps.iter().for_each(|set| part(&mut hasher, set));
        }
        Format::H265 { vps, sps, pps, .. } => {
            vps.iter().for_each(|set| part(&mut hasher, set));
            part(&mut hasher, sps);
            pps.iter().for_each(|set| part(&mut hasher, set));
        }
        Format::Av1 { config, .. } => part(&mut hasher, config),
        Format::Aac { config, channels, .. } => {
            part(&mut hasher, config);
            part(&mut hasher, &[*channels]);
        }
        Format::Alaw { channels, .. } | Format::Ulaw { channels, .. } | Format::Opus { channels } => {
            part(&mut hasher, &[*channels]);
        }
        Format::Mjpeg { .. } | Format::Metadata => {}
    }
    Digest(hasher.finalize().into())
}

/// The newest leaf of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub stream: StreamId,
    pub sequence: u64,
    pub leaf: Digest,
}

/// All heads of a storage at one instant, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub storage: StorageId,
    pub writer: WriterId,
    pub time: Utc,
    pub heads: Vec<Head>,
    /// SHA-256 over the bytes of this ledger file up to this record, so that no record before it can be changed.
    pub ledger: Digest,
    /// Ed25519 public key, hexadecimal.
    pub key: String,
    /// Ed25519 signature, hexadecimal.
    pub signature: String,
}

impl Checkpoint {
    pub fn sign(
        key: &SigningKey,
        storage: StorageId,
        writer: WriterId,
        time: Utc,
        heads: Vec<Head>,
        ledger: Digest,
    ) -> Self {
        let mut checkpoint = Self {
            storage,
            writer,
            time,
            heads,
            ledger,
            key: crate::hex(key.verifying_key().as_bytes()),
            signature: String::new(),
        };
        checkpoint.signature = crate::hex(&key.sign(&checkpoint.signed_bytes()).to_bytes());
        checkpoint
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.heads.len() * 56);
        bytes.extend_from_slice(CHECKPOINT_DOMAIN);
        bytes.extend_from_slice(self.storage.as_bytes());
        bytes.extend_from_slice(self.writer.as_bytes());
        bytes.extend_from_slice(&self.time.as_micros().to_be_bytes());
        bytes.extend_from_slice(&self.ledger.0);
        for head in &self.heads {
            bytes.extend_from_slice(head.stream.as_bytes());
            bytes.extend_from_slice(&head.sequence.to_be_bytes());
            bytes.extend_from_slice(&head.leaf.0);
        }
        bytes
    }

    /// Whether one of the trusted keys signed exactly this.
    pub fn verify(&self, trusted: &[VerifyingKey]) -> bool {
        verify_hex(trusted, &self.key, &self.signed_bytes(), &self.signature)
    }
}

/// Whether `signature` over `message` is by `key`, and `key` is one of `trusted`; both are hexadecimal.
pub(crate) fn verify_hex(trusted: &[VerifyingKey], key: &str, message: &[u8], signature: &str) -> bool {
    let (Some(key), Some(signature)) = (crate::unhex::<32>(key), crate::unhex::<64>(signature)) else {
        return false;
    };
    let signature = ed25519_dalek::Signature::from_bytes(&signature);
    trusted.iter().any(|trusted| *trusted.as_bytes() == key && trusted.verify(message, &signature).is_ok())
}

/// What is wrong with a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainProblem {
    #[error("the media differs from its hash")]
    Payload,
    #[error("the key frame differs from its hash")]
    KeyFrame,
    #[error("the fragment's description differs from its leaf")]
    Leaf,
    #[error("the fragment does not follow the one before it: expected sequence {expected}, found {found}")]
    Sequence { expected: u64, found: u64 },
    #[error("the fragment does not name the leaf before it")]
    Previous,
}

/// Follows one stream's chain fragment by fragment.
#[derive(Clone, Debug, Default)]
pub struct ChainVerifier {
    last: Option<(u64, Digest)>,
}

impl ChainVerifier {
    /// Begins behind a known leaf: the last one of what retention deleted.
    pub fn after(sequence: u64, leaf: Digest) -> Self {
        Self { last: Some((sequence, leaf)) }
    }

    /// Sequence and leaf of the last fragment that was looked at.
    pub fn head(&self) -> Option<(u64, Digest)> {
        self.last
    }

    /// Checks one fragment; `hashes` are those of its media (payload, first sample), where it can be read.
    pub fn check(
        &mut self,
        context: &LeafContext,
        record: &FragmentRecord,
        hashes: Option<(Digest, Digest)>,
    ) -> Result<(), ChainProblem> {
        let last = self.last.replace((record.sequence, record.leaf));
        if leaf(context, record) != record.leaf {
            return Err(ChainProblem::Leaf);
        }
        if let Some((payload, first_sample)) = hashes {
            if record.key_frame.is_some_and(|expected| expected != first_sample) {
                return Err(ChainProblem::KeyFrame);
            }
            if payload != record.payload {
                return Err(ChainProblem::Payload);
            }
        }
        match last {
            Some((sequence, _)) if sequence.checked_add(1) != Some(record.sequence) => {
                Err(ChainProblem::Sequence { expected: sequence.saturating_add(1), found: record.sequence })
            }
            Some((_, leaf)) if leaf != record.previous => Err(ChainProblem::Previous),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SampleEntry;

    fn context() -> LeafContext {
        let now = Utc::from_micros(1_795_462_800_000_000);
        LeafContext {
            channel: ChannelId::new(now, [1; 10]),
            stream: StreamId::new(now, [2; 10]),
            writer: WriterId::new(now, [3; 10]),
            epoch: 4,
            configuration: Digest([5; 32]),
        }
    }

    fn records(count: u64) -> Vec<FragmentRecord> {
        let mut previous = Digest::ZERO;
        (0..count)
            .map(|sequence| {
                let media = [sequence as u8; 40];
                let mut record = FragmentRecord {
                    sequence,
                    durable: 0,
                    start: Utc::from_micros(sequence as i64 * 500_000),
                    camera_time: None,
                    payload: Digest::of(&media),
                    previous,
                    leaf: Digest::ZERO,
                    key_frame: (sequence % 2 == 0).then(|| Digest::of(&media[..30])),
                    seal: None,
                    samples: vec![SampleEntry { duration: 3600, size: 20, composition: 0, flags: 1 }; 2],
                };
                record.leaf = leaf(&context(), &record);
                previous = record.leaf;
                record
            })
            .collect()
    }

    fn follow(context: LeafContext, records: &[FragmentRecord]) -> Vec<ChainProblem> {
        let mut verifier = ChainVerifier::default();
        records.iter().filter_map(|record| verifier.check(&context, record, None).err()).collect()
    }

    #[test]
    fn an_untouched_chain_has_no_problem() {
        assert_eq!(follow(context(), &records(5)), []);
    }

    #[test]
    fn every_change_is_named() {
        let check = |change: fn(&mut Vec<FragmentRecord>), expected: &[ChainProblem]| {
            let mut records = records(5);
            change(&mut records);
            assert_eq!(follow(context(), &records), expected);
        };
        check(|records| records[2].samples[1].duration = 1, &[ChainProblem::Leaf]);
        check(|records| records[2].start = Utc::EPOCH, &[ChainProblem::Leaf]);
        check(|records| records[2].key_frame = None, &[ChainProblem::Leaf]);
        check(|records| drop(records.remove(2)), &[ChainProblem::Sequence { expected: 2, found: 3 }]);
        check(
            |records| records.swap(1, 2),
            &[
                ChainProblem::Sequence { expected: 1, found: 2 },
                ChainProblem::Sequence { expected: 3, found: 1 },
                ChainProblem::Sequence { expected: 2, found: 3 },
            ],
        );
        // A whole re-made fragment has a right leaf of its own, but the next one does not name it.
        check(
            |records| {
                records[2].payload = Digest([9; 32]);
                records[2].leaf = leaf(&context(), &records[2]);
            },
            &[ChainProblem::Previous],
        );
    }

    #[test]
    fn another_camera_can_not_lend_its_chain() {
        let mut other = context();
        other.channel = ChannelId::new(Utc::EPOCH, [9; 10]);
        assert_eq!(follow(other, &records(2)), [ChainProblem::Leaf; 2]);
    }

    #[test]
    fn changed_media_is_found() {
        let records = records(1);
        let mut verifier = ChainVerifier::default();
        let good = (records[0].payload, records[0].key_frame.unwrap());
        assert_eq!(verifier.clone().check(&context(), &records[0], Some(good)), Ok(()));
        assert_eq!(
            verifier.check(&context(), &records[0], Some((Digest([7; 32]), good.1))),
            Err(ChainProblem::Payload)
        );
    }

    #[test]
    fn a_checkpoint_is_worth_its_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let context = context();
        let storage = StorageId::new(Utc::EPOCH, [1; 10]);
        let head = Head { stream: context.stream, sequence: 9, leaf: Digest([1; 32]) };
        let checkpoint =
            Checkpoint::sign(&key, storage, context.writer, Utc::EPOCH, vec![head], Digest([2; 32]));
        assert!(checkpoint.verify(&[key.verifying_key()]));
        assert!(!checkpoint.verify(&[SigningKey::from_bytes(&[8; 32]).verifying_key()]));
        let mut forged = checkpoint;
        forged.heads[0].sequence = 8;
        assert!(!forged.verify(&[key.verifying_key()]));
    }
}
