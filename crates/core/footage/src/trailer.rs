//! A closed file's trailer: a signed summary, a row per fragment, and the leaves. The signed summary alone is also
//! appended to the day's catalogue, so that a rebuild reads one small file per channel and day.
//!
//! Layout of the payload (big-endian): `u32` length of the summary, summary (JSON), signature (64), key (32), `u32`
//! count of rows, rows of [`ROW_BYTES`], leaves of 32 bytes, `u64` length of the whole payload, the eight bytes
//! `vardeEND`. The end says how long it is, so that a reader finds it from the file's end.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use varde_units::Utc;

use crate::{Digest, FileIdentity, chain};

/// Bytes of a [`Row`] on disk.
pub const ROW_BYTES: usize = 40;
/// Bytes at the end of a trailer that say how long it is.
pub const TRAILER_END_BYTES: usize = 16;
/// Most fragments of one file: 30 minutes of the shortest fragments, with room.
pub const ROWS_MAX: usize = 1 << 18;
const END: &[u8; 8] = b"vardeEND";
const SUMMARY_BYTES_MAX: usize = 1 << 20;
const DOMAIN: &[u8] = b"varde summary 1\0";

/// Where one fragment lies in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Of the fragment's first byte.
    pub offset: u64,
    /// First decode time, in ticks since the file's start.
    pub start_ticks: u64,
    /// Sequence in the stream.
    pub sequence: u64,
    /// Whole fragment: boxes and media.
    pub bytes: u32,
    /// Bytes before the media.
    pub head_bytes: u32,
    pub duration_ticks: u32,
    /// CRC-32 of the bytes before the media; 0 is a value like any other.
    pub head_crc: u32,
    pub entry_point: bool,
}

impl Row {
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes as u64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(&self.start_ticks.to_be_bytes());
        // The top bit of the sequence is the entry point; a stream never counts so far.
        out.extend_from_slice(&(self.sequence | u64::from(self.entry_point) << 63).to_be_bytes());
        for number in [self.bytes, self.head_bytes, self.duration_ticks, self.head_crc] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8; ROW_BYTES]) -> Self {
        let long = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let short = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        Self {
            offset: long(0),
            start_ticks: long(8),
            sequence: long(16) & (u64::MAX >> 1),
            bytes: short(24),
            head_bytes: short(28),
            duration_ticks: short(32),
            head_crc: short(36),
            entry_point: bytes[16] & 0x80 != 0,
        }
    }
}

/// What a closed file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub identity: FileIdentity,
    /// Length of `ftyp` and `moov`.
    pub init_bytes: u64,
    pub init: Digest,
    /// End of the last sample.
    pub end: Utc,
    /// Bytes up to the end of the last fragment.
    pub bytes: u64,
    pub fragments: u32,
    pub first_sequence: u64,
    pub last_sequence: u64,
    pub first_leaf: Digest,
    pub last_leaf: Digest,
    /// SHA-256 over rows and leaves as they stand in the trailer.
    pub table: Digest,
    /// Why the file ended: `duration`, `size`, `gap`, `format`, `clock`, `closed`, `crash`, `suspect`.
    pub ended: String,
    /// A flush failed while the file was open: its end may be missing after a crash.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A summary in its exact bytes, and the signature over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedSummary {
    pub json: Vec<u8>,
    pub signature: [u8; 64],
    pub key: [u8; 32],
}

/// The bytes are not a trailer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailerError {
    #[error("there is no trailer")]
    Missing,
    #[error("the trailer is malformed")]
    Malformed,
    #[error("the trailer's table differs from its summary")]
    Table,
}

/// A whole trailer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    pub signed: SignedSummary,
    pub summary: Summary,
    pub rows: Vec<Row>,
    pub leaves: Vec<Digest>,
}

impl SignedSummary {
    pub fn sign(key: &SigningKey, summary: &Summary) -> Self {
        let json = serde_json::to_vec(summary).expect("a summary is plain data");
        let signature = key.sign(&[DOMAIN, &json].concat()).to_bytes();
        Self { json, signature, key: *key.verifying_key().as_bytes() }
    }

    /// Whether one of the trusted keys signed exactly this.
    pub fn verify(&self, trusted: &[VerifyingKey]) -> bool {
        let message = [DOMAIN, &self.json].concat();
        chain::verify_hex(trusted, &crate::hex(&self.key), &message, &crate::hex(&self.signature))
    }

    pub fn summary(&self) -> Result<Summary, TrailerError> {
        serde_json::from_slice(&self.json).map_err(|_| TrailerError::Malformed)
    }

    /// The body of a catalogue's frame, and the beginning of a trailer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.json.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.json);
        out.extend_from_slice(&self.signature);
        out.extend_from_slice(&self.key);
    }

    /// Reads one and gives what follows it.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), TrailerError> {
        let read = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let length = u32::from_be_bytes(*length) as usize;
            if length > SUMMARY_BYTES_MAX {
                return None;
            }
            let (json, rest) = rest.split_at_checked(length)?;
            let (signature, rest) = rest.split_first_chunk::<64>()?;
            let (key, rest) = rest.split_first_chunk::<32>()?;
            Some((Self { json: json.to_vec(), signature: *signature, key: *key }, rest))
        };
        read().ok_or(TrailerError::Malformed)
    }
}

/// SHA-256 over rows and leaves as they stand in a trailer.
pub fn table_digest(rows: &[Row], leaves: &[Digest]) -> Digest {
    Digest::of(&encode_table(rows, leaves))
}

fn encode_table(rows: &[Row], leaves: &[Digest]) -> Vec<u8> {
    let mut table = Vec::with_capacity(rows.len() * (ROW_BYTES + 32));
    rows.iter().for_each(|row| row.encode(&mut table));
    leaves.iter().for_each(|leaf| table.extend_from_slice(&leaf.0));
    table
}

impl Trailer {
    /// The payload of the trailer's `uuid` box. `rows` and `leaves` are as long as each other.
    pub fn encode(signed: &SignedSummary, rows: &[Row], leaves: &[Digest]) -> Vec<u8> {
        let mut out = Vec::with_capacity(signed.json.len() + 128 + rows.len() * (ROW_BYTES + 32));
        signed.encode(&mut out);
        out.extend_from_slice(&(rows.len() as u32).to_be_bytes());
        out.extend_from_slice(&encode_table(rows, leaves));
        out.extend_from_slice(&((out.len() + TRAILER_END_BYTES) as u64).to_be_bytes());
        out.extend_from_slice(END);
        out
    }

    /// The length of a trailer's payload, by the last [`TRAILER_END_BYTES`] of a file.
    pub fn length(end: &[u8; TRAILER_END_BYTES]) -> Option<usize> {
        let (length, magic) = end.split_at(8);
        let length = u64::from_be_bytes(length.try_into().expect("eight bytes"));
        let most = SUMMARY_BYTES_MAX + 128 + ROWS_MAX * (ROW_BYTES + 32);
        (magic == END && length <= most as u64).then_some(length as usize)
    }

    pub fn decode(payload: &[u8]) -> Result<Self, TrailerError> {
        let (body, end) = payload.split_last_chunk::<TRAILER_END_BYTES>().ok_or(TrailerError::Malformed)?;
        if Self::length(end) != Some(payload.len()) {
            return Err(TrailerError::Malformed);
        }
        let (signed, rest) = SignedSummary::decode(body)?;
        let (count, table) = rest.split_first_chunk::<4>().ok_or(TrailerError::Malformed)?;
        let count = u32::from_be_bytes(*count) as usize;
        if count > ROWS_MAX || table.len() != count * (ROW_BYTES + 32) {
            return Err(TrailerError::Malformed);
        }
        let summary = signed.summary()?;
        if Digest::of(table) != summary.table || summary.fragments as usize != count {
            return Err(TrailerError::Table);
        }
        let (rows, leaves) = table.split_at(count * ROW_BYTES);
        let rows = rows.chunks_exact(ROW_BYTES);
        let leaves = leaves.chunks_exact(32);
        let trailer = Self {
            summary,
            rows: rows.map(|row| Row::decode(row.try_into().expect("a row's bytes"))).collect(),
            leaves: leaves.map(|leaf| Digest(leaf.try_into().expect("32 bytes"))).collect(),
            signed,
        };
        if !rows_are_sound(&trailer.rows, &trailer.summary) {
            return Err(TrailerError::Malformed);
        }
        Ok(trailer)
    }
}

/// Rows lie in order, inside the file, and do not overlap: readers add and subtract them without a check.
fn rows_are_sound(rows: &[Row], summary: &Summary) -> bool {
    let mut end = summary.init_bytes;
    let mut ticks = 0;
    rows.iter().all(|row| {
        let sound = row.offset >= end
            && row.head_bytes <= row.bytes
            && row.start_ticks >= ticks
            && row.start_ticks <= 1 << 48
            && row.offset.checked_add(u64::from(row.bytes)).is_some_and(|end| end <= summary.bytes);
        if sound {
            end = row.end();
            ticks = row.start_ticks;
        }
        sound
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use varde_codec::Codec;
    use varde_ids::{ChannelId, InstallationId, StorageId, StreamId, WriterId};
    use varde_units::Mono;

    fn trailer() -> Vec<u8> {
        let start = Utc::from_micros(1_795_462_800_000_000);
        let rows: Vec<_> = (0..3)
            .map(|at| Row {
                offset: 800 + at * 100,
                start_ticks: at * 45_000,
                sequence: 40 + at,
                bytes: 100,
                head_bytes: 30,
                duration_ticks: 45_000,
                head_crc: 0xdead_beef,
                entry_point: at == 0,
            })
            .collect();
        let leaves = vec![Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
        let summary = Summary {
            identity: FileIdentity {
                format: 1,
                must_understand: Vec::new(),
                installation: InstallationId::new(start, [1; 10]),
                storage: StorageId::new(start, [2; 10]),
                channel: ChannelId::new(start, [3; 10]),
                stream: StreamId::new(start, [4; 10]),
                writer: WriterId::new(start, [5; 10]),
                epoch: 1,
                seq: 0,
                start,
                mono: Mono::from_nanos(9),
                codec: Codec::H264,
                codec_string: "avc1.64001f".into(),
                width: Some(640),
                height: Some(360),
                timescale: 90_000,
                configuration: Digest([6; 32]),
                previous: Digest::ZERO,
                other: Map::new(),
            },
            init_bytes: 800,
            init: Digest([7; 32]),
            end: start,
            bytes: 1100,
            fragments: 3,
            first_sequence: 40,
            last_sequence: 42,
            first_leaf: leaves[0],
            last_leaf: leaves[2],
            table: table_digest(&rows, &leaves),
            ended: "closed".into(),
            suspect: false,
            other: Map::new(),
        };
        let signed = SignedSummary::sign(&SigningKey::from_bytes(&[7; 32]), &summary);
        let payload = Trailer::encode(&signed, &rows, &leaves);
        let read = Trailer::decode(&payload).unwrap();
        assert_eq!((&read.rows, &read.leaves, &read.summary), (&rows, &leaves, &summary));
        payload
    }

    #[test]
    fn a_trailer_is_found_from_its_end() {
        let payload = trailer();
        assert_eq!(Trailer::length(payload.last_chunk().unwrap()), Some(payload.len()));
    }

    #[test]
    fn flipped_bits_are_noticed() {
        let whole = trailer();
        let trusted = [SigningKey::from_bytes(&[7; 32]).verifying_key()];
        assert!(Trailer::decode(&whole).unwrap().signed.verify(&trusted));
        // A step that is prime to eight meets every bit position; all bits would take half a minute.
        for bit in (0..whole.len() * 8).step_by(29) {
            let mut payload = whole.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            let sound = Trailer::decode(&payload).is_ok_and(|trailer| trailer.signed.verify(&trusted));
            assert!(!sound, "bit {bit}");
        }
    }
}
