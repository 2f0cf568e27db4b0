//! The ledger's records: what media files can not say. One JSON object a frame ([`crate::push_frame`]).
//!
//! Tolerant: a record of a kind that this release does not know is kept as it is and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use varde_ids::{EventId, LockId, StorageId, StreamId, WriterId};
use varde_units::Utc;

use crate::{Checkpoint, ClockMapping, Digest, FilePath, Frames, GapRecord, Lock};

/// One record and when it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub at: Utc,
    #[serde(flatten)]
    pub record: LedgerRecord,
}

/// Why a clock epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochReason {
    WriterStarted,
    ClockSetForward,
    ClockSetBack,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LedgerRecord {
    /// First in each ledger file: all that the files before it come to, so that a start reads one file.
    State(LedgerState),
    StorageIdentity {
        storage: StorageId,
    },
    WriterStart {
        writer: WriterId,
    },
    WriterEnd {
        writer: WriterId,
    },
    /// The writer may write under this epoch; no lower one is granted any more.
    EpochGranted {
        epoch: u32,
        writer: WriterId,
        reason: EpochReason,
        mapping: ClockMapping,
    },
    /// A slewed correction within the epoch.
    ClockMapped {
        epoch: u32,
        mapping: ClockMapping,
    },
    /// The clock was changed by more than can be slewed.
    ClockCorrected {
        old: Utc,
        new: Utc,
        source: String,
    },
    /// Footage of an epoch whose clock was unsure really began this much later.
    EpochRedated {
        epoch: u32,
        offset_micros: i64,
    },
    /// A file was created: after a crash, it may lack its trailer.
    FileOpened {
        file: FilePath,
    },
    /// The file was created, and nothing of it could be written or kept.
    FileDiscarded {
        file: FilePath,
    },
    /// The file has its trailer, or was sealed without one.
    FileClosed {
        file: FilePath,
        end: Utc,
        last_sequence: u64,
        last_leaf: Digest,
    },
    GapBegin(GapRecord),
    GapEnd {
        gap: u64,
        end: Utc,
    },
    Locked(Lock),
    Unlocked {
        lock: LockId,
    },
    /// Written before the file is unlinked.
    Deleted {
        file: FilePath,
        cause: String,
        start: Utc,
        end: Utc,
        bytes: u64,
        first_sequence: u64,
        first_leaf: Digest,
        last_sequence: u64,
        last_leaf: Digest,
    },
    /// The file was thinned out; what was dropped has its leaves in the file.
    Groomed {
        file: FilePath,
        bytes: u64,
    },
    /// The file lies on another storage now.
    Moved {
        file: FilePath,
        to: StorageId,
    },
    Checkpoint(Checkpoint),
    /// An event or audit entry that is to be delivered.
    OutboxEvent {
        event: EventId,
        body: Value,
    },
    OutboxAcknowledged {
        event: EventId,
    },
    /// A record of a newer release.
    #[serde(untagged)]
    Unknown(Map<String, Value>),
}

impl LedgerEntry {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a ledger record is plain data")
    }

    /// `None` where a whole frame holds no JSON object: damage that a checksum did not see, or another's file.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// Reads the whole entries of one ledger file from byte `at`; gives them with the position behind each, and whether the file is torn.
pub fn read_entries(log: &[u8], at: usize) -> (Vec<(usize, LedgerEntry)>, bool) {
    let mut frames = Frames::starting_at(log, at);
    let mut entries = Vec::new();
    while let Some(body) = frames.next() {
        if let Some(entry) = LedgerEntry::from_json(body) {
            entries.push((frames.whole_bytes(), entry));
        }
    }
    (entries, frames.is_torn())
}

/// Where a stream's recordings end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTail {
    pub epoch: u32,
    pub end: Utc,
    pub sequence: u64,
    pub leaf: Digest,
}

/// What a ledger comes to. Applying a record twice changes nothing: after a failed flush records are written again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerState {
    /// The highest epoch that was granted.
    pub epoch: u32,
    /// Time of the newest record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Utc>,
    /// The last gap's number.
    pub gap: u64,
    pub open_gaps: Vec<GapRecord>,
    pub locks: Vec<Lock>,
    /// Files without a trailer: after a crash, those that must be looked at.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub open_files: BTreeSet<FilePath>,
    /// Epochs whose footage is dated anew, and by how much.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redated: BTreeMap<u32, i64>,
    /// What must still be delivered, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbox: Vec<(EventId, Value)>,
    /// Where each stream's newest closed file ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<StreamId, StreamTail>,
    /// Newest leaf of each stream whose files were deleted: where the chain of what is left begins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deleted: BTreeMap<StreamId, (u64, Digest)>,
}

impl LedgerState {
    pub fn apply(&mut self, entry: &LedgerEntry) {
        self.newest = self.newest.max(Some(entry.at));
        match &entry.record {
            LedgerRecord::State(state) => {
                let newest = self.newest.max(state.newest);
                *self = Self { newest, ..state.clone() };
            }
            LedgerRecord::EpochGranted { epoch, .. } => self.epoch = self.epoch.max(*epoch),
            LedgerRecord::EpochRedated { epoch, offset_micros } => {
                self.redated.insert(*epoch, *offset_micros);
            }
            LedgerRecord::FileOpened { file } => drop(self.open_files.insert(*file)),
            LedgerRecord::FileClosed { file, end, last_sequence, last_leaf } => {
                self.open_files.remove(file);
                let tail =
                    StreamTail { epoch: file.epoch, end: *end, sequence: *last_sequence, leaf: *last_leaf };
                let known = self.streams.entry(file.stream).or_insert(tail);
                if (tail.epoch, tail.sequence) >= (known.epoch, known.sequence) {
                    *known = tail;
                }
            }
            LedgerRecord::Moved { file, .. } | LedgerRecord::FileDiscarded { file } => {
                self.open_files.remove(file);
            }
            LedgerRecord::GapBegin(gap) => {
                self.gap = self.gap.max(gap.id);
                if gap.end.is_none() && self.open_gaps.iter().all(|open| open.id != gap.id) {
                    self.open_gaps.push(gap.clone());
                }
            }
            LedgerRecord::GapEnd { gap, .. } => self.open_gaps.retain(|open| open.id != *gap),
            LedgerRecord::Locked(lock) => {
                self.locks.retain(|old| old.id != lock.id);
                self.locks.push(lock.clone());
            }
            LedgerRecord::Unlocked { lock } => self.locks.retain(|old| old.id != *lock),
            LedgerRecord::Deleted { file, last_sequence, last_leaf, .. } => {
                self.open_files.remove(file);
                let last = self.deleted.entry(file.stream).or_insert((*last_sequence, *last_leaf));
                if *last_sequence >= last.0 {
                    *last = (*last_sequence, *last_leaf);
                }
            }
            LedgerRecord::OutboxEvent { event, body } => {
                if self.outbox.iter().all(|(id, _)| id != event) {
                    self.outbox.push((*event, body.clone()));
                }
            }
            LedgerRecord::OutboxAcknowledged { event } => self.outbox.retain(|(id, _)| id != event),
            LedgerRecord::StorageIdentity { .. }
            | LedgerRecord::WriterStart { .. }
            | LedgerRecord::WriterEnd { .. }
            | LedgerRecord::ClockMapped { .. }
            | LedgerRecord::ClockCorrected { .. }
            | LedgerRecord::Groomed { .. }
            | LedgerRecord::Checkpoint(_)
            | LedgerRecord::Unknown(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push_frame;
    use varde_ids::ChannelId;

    fn at(seconds: i64) -> Utc {
        Utc::from_micros(seconds * 1_000_000)
    }

    fn gap(id: u64) -> GapRecord {
        GapRecord {
            id,
            channel: ChannelId::new(Utc::EPOCH, [1; 10]),
            stream: StreamId::new(Utc::EPOCH, [2; 10]),
            start: at(5),
            end: None,
            cause: "silent".into(),
            parameters: Map::from_iter([("seconds".to_owned(), Value::from(12))]),
        }
    }

    fn lock(byte: u8) -> Lock {
        Lock { id: LockId::new(Utc::EPOCH, [byte; 10]), channels: Vec::new(), start: at(0), end: at(9) }
    }

    fn entries() -> Vec<LedgerEntry> {
        let file = FilePath::new(gap(1).channel, gap(1).stream, 3, 4, at(100));
        let deleted = LedgerRecord::Deleted {
            file,
            cause: "expired".into(),
            start: at(1),
            end: at(2),
            bytes: 3,
            first_sequence: 4,
            first_leaf: Digest([5; 32]),
            last_sequence: 6,
            last_leaf: Digest([7; 32]),
        };
        let records = [
            LedgerRecord::State(LedgerState { epoch: 2, ..LedgerState::default() }),
            LedgerRecord::WriterStart { writer: WriterId::new(Utc::EPOCH, [3; 10]) },
            LedgerRecord::EpochGranted {
                epoch: 3,
                writer: WriterId::new(Utc::EPOCH, [3; 10]),
                reason: EpochReason::WriterStarted,
                mapping: ClockMapping::new(varde_units::Mono::ZERO, at(9)),
            },
            LedgerRecord::GapBegin(gap(8)),
            LedgerRecord::GapBegin(gap(9)),
            LedgerRecord::GapEnd { gap: 8, end: at(6) },
            LedgerRecord::Locked(lock(1)),
            LedgerRecord::Locked(lock(2)),
            LedgerRecord::Unlocked { lock: lock(1).id },
            deleted,
            LedgerRecord::EpochRedated { epoch: 1, offset_micros: 77 },
            LedgerRecord::Unknown(Map::from_iter([
                ("kind".to_owned(), Value::from("hologram")),
                ("depth".to_owned(), Value::from(3)),
            ])),
        ];
        records.into_iter().map(|record| LedgerEntry { at: at(10), record }).collect()
    }

    #[test]
    fn records_come_back_as_they_went() {
        for entry in entries() {
            let read = LedgerEntry::from_json(&entry.to_json()).unwrap();
            assert_eq!(read, entry);
        }
    }

    #[test]
    fn a_state_is_what_its_records_come_to() {
        let mut state = LedgerState::default();
        entries().iter().for_each(|entry| state.apply(entry));
        assert_eq!((state.epoch, state.gap, state.newest), (3, 9, Some(at(10))));
        assert_eq!(state.open_gaps, [gap(9)]);
        assert_eq!(state.locks, [lock(2)]);
        assert_eq!(state.redated.get(&1), Some(&77));
        assert_eq!(state.deleted.get(&gap(1).stream), Some(&(6, Digest([7; 32]))));
        // A next file that begins with it leads to the same.
        let mut next = LedgerState::default();
        next.apply(&LedgerEntry { at: at(10), record: LedgerRecord::State(state.clone()) });
        assert_eq!(next, state);
    }

    #[test]
    fn a_torn_file_ends_at_its_first_bad_frame() {
        let mut log = Vec::new();
        for entry in entries() {
            push_frame(&mut log, &entry.to_json());
        }
        let (whole, torn) = read_entries(&log, 0);
        assert!(!torn && whole.len() == entries().len());
        for cut in (0..log.len()).step_by(7) {
            let (read, _) = read_entries(&log[..cut], 0);
            assert!(whole.starts_with(&read), "{cut}");
        }
        // Reading on from any position gives the rest.
        for (index, (position, _)) in whole.iter().enumerate() {
            assert_eq!(read_entries(&log, *position).0, whole[index + 1..]);
        }
    }
}
