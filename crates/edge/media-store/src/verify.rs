//! Verification: whether a store is what its recorder signed. Needs nothing but the folder and the keys that are
//! trusted, which come from outside the storage. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};
use varde_footage::{
    CATALOGUE, ChainProblem, ChainVerifier, Digest, FilePath, Frames, LeafContext, LedgerEntry, LedgerRecord,
    Row, STORE_DOCUMENT, SignedSummary, StoreDocument, ledger_path,
};
use varde_ids::StreamId;

use crate::catalogue;
use crate::close::CATALOGUE_BYTES_MAX;
use crate::crypt::Vault;
use crate::disk::{Disk, DiskFile, RealDisk, read_exact, read_whole};
use crate::ledger::{LOG_BYTES_READ_MAX, log_numbers};
use crate::options::{MasterKey, ReadError};
use crate::scan::{self, Doubt};
use crate::shared::media_path;
use crate::tables::read_trailer;

/// Most findings of one report; a store that has more is not worth listing.
const FINDINGS_MAX: usize = 10_000;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `store.json` is missing or can't be read.
    StoreDocument,
    /// Bytes that make no record, with sound records behind them: damage, not a crash.
    LedgerDamaged,
    /// Bytes at a log's end that make no record: a crash, or damage.
    LedgerTorn,
    /// A checkpoint is not signed by a trusted key.
    CheckpointSignature,
    /// The ledger before a checkpoint is not what was signed.
    LedgerChanged,
    /// The file has no sound trailer: it was being written, or its end is damaged.
    Trailer,
    /// The trailer is not signed by a trusted key.
    TrailerSignature,
    /// Codec configuration or identity differ from what was signed.
    Beginning,
    /// The file and its day's catalogue disagree, or the catalogue is damaged.
    Catalogue,
    /// Bytes that belong to nothing.
    Stray,
    /// A fragment can't be read or differs from its row in the trailer.
    Fragment {
        sequence: u64,
    },
    /// A fragment breaks the chain.
    Chain {
        sequence: u64,
        problem: ChainProblem,
    },
    /// Fragments are missing, and no record says that they were deleted.
    Missing {
        from: u64,
        until: u64,
    },
    /// What was signed as the newest fragment is not there, or is another one.
    Head {
        sequence: u64,
    },
    /// The media is encrypted and can't be compared without the key.
    NoKey,
    Unreadable(String),
}

/// One problem and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path below the storage's root.
    pub place: String,
    /// Byte in the file, where that is known.
    pub offset: Option<u64>,
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        match &self.problem {
            Problem::StoreDocument => f.write_str(": can't be read"),
            Problem::LedgerDamaged => f.write_str(": the ledger is damaged here"),
            Problem::LedgerTorn => f.write_str(": the ledger ends in the middle of a record"),
            Problem::CheckpointSignature => f.write_str(": a checkpoint is not signed by a trusted key"),
            Problem::LedgerChanged => f.write_str(": the ledger was changed after it was signed"),
            Problem::Trailer => f.write_str(": has no sound trailer"),
            Problem::TrailerSignature => f.write_str(": the trailer is not signed by a trusted key"),
            Problem::Beginning => f.write_str(": identity or codec configuration were changed"),
            Problem::Catalogue => f.write_str(": the day's catalogue says something else"),
            Problem::Stray => f.write_str(": holds bytes that belong to nothing"),
            Problem::Fragment { sequence } => write!(f, ": fragment {sequence} is damaged"),
            Problem::Chain { sequence, problem } => write!(f, ": fragment {sequence}: {problem}"),
            Problem::Missing { from, until } => write!(f, ": fragments {from} to {until} are missing"),
            Problem::Head { sequence } => write!(f, ": fragment {sequence} was signed and is not there"),
            Problem::NoKey => f.write_str(": is encrypted; give the master key to compare its media"),
            Problem::Unreadable(why) => write!(f, ": {why}"),
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub files: u64,
    /// Of these, those that the ledger says are not closed: being written now, or left by a crash. What is in them is
    /// checked like all else; only their trailer can't be.
    pub open: u64,
    pub fragments: u64,
    pub media_bytes: u64,
    pub checkpoints: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies the storage at a path. `progress` hears the bytes of media so far.
pub fn verify(
    path: &Path,
    trusted: &[VerifyingKey],
    master_key: Option<MasterKey>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Report> {
    verify_on(std::sync::Arc::new(RealDisk::open(path)?), trusted, master_key, progress)
}

/// Verifies a storage on any disk.
pub fn verify_on(
    disk: std::sync::Arc<dyn Disk>,
    trusted: &[VerifyingKey],
    master_key: Option<MasterKey>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Report> {
    let vault = Vault::new(std::sync::Arc::clone(&disk), master_key);
    let mut verifier = Verifier {
        disk: &*disk,
        vault: &vault,
        trusted,
        report: Report::default(),
        deleted: BTreeMap::new(),
        open: BTreeSet::new(),
        heads: HashMap::new(),
    };
    verifier.document();
    verifier.ledger()?;
    verifier.media(progress)?;
    verifier.missing_heads();
    Ok(verifier.report)
}

/// A run of fragments that the ledger says were deleted.
#[derive(Clone, Copy)]
struct DeletedRun {
    last_sequence: u64,
    last_leaf: Digest,
}

struct Verifier<'a> {
    disk: &'a dyn Disk,
    vault: &'a Vault,
    trusted: &'a [VerifyingKey],
    report: Report,
    /// By stream and first sequence.
    deleted: BTreeMap<(StreamId, u64), DeletedRun>,
    /// Files that were opened and not closed, by the ledger. A file whose closing was signed is never among them.
    open: BTreeSet<FilePath>,
    /// Signed heads that no file has shown yet: the leaf, and where it was signed.
    heads: HashMap<(StreamId, u64), (Digest, String)>,
}

impl Verifier<'_> {
    fn find(&mut self, place: &str, offset: Option<u64>, problem: Problem) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { place: place.to_owned(), offset, problem });
        }
    }

    fn document(&mut self) {
        let text = read_whole(self.disk, STORE_DOCUMENT, 1 << 20);
        if !text.is_ok_and(|text| StoreDocument::from_json(&text).is_ok()) {
            self.find(STORE_DOCUMENT, None, Problem::StoreDocument);
        }
    }

    fn ledger(&mut self) -> io::Result<()> {
        for number in log_numbers(self.disk)? {
            let place = ledger_path(number);
            let log = read_whole(self.disk, &place, LOG_BYTES_READ_MAX)?;
            let mut frames = Frames::new(&log);
            let mut hasher = Sha256::new();
            loop {
                let before = frames.whole_bytes();
                let Some(body) = frames.next() else { break };
                match LedgerEntry::from_json(body) {
                    Some(entry) => self.ledger_entry(&place, before, &entry, &hasher),
                    None => self.find(&place, Some(before as u64), Problem::LedgerDamaged),
                }
                hasher.update(&log[before..frames.whole_bytes()]);
            }
            if frames.is_torn() {
                let at = frames.whole_bytes();
                let sound_behind =
                    (at + 1..log.len()).any(|at| Frames::starting_at(&log, at).next().is_some());
                let problem = if sound_behind { Problem::LedgerDamaged } else { Problem::LedgerTorn };
                self.find(&place, Some(at as u64), problem);
            }
        }
        Ok(())
    }

    fn ledger_entry(&mut self, place: &str, at: usize, entry: &LedgerEntry, before: &Sha256) {
        match &entry.record {
            LedgerRecord::State(state) => self.open.clone_from(&state.open_files),
            LedgerRecord::FileOpened { file } => {
                self.open.insert(*file);
            }
            LedgerRecord::FileClosed { file, .. } => {
                self.open.remove(file);
            }
            LedgerRecord::Deleted { file, first_sequence, last_sequence, last_leaf, .. } => {
                let run = DeletedRun { last_sequence: *last_sequence, last_leaf: *last_leaf };
                self.deleted.insert((file.stream, *first_sequence), run);
            }
            LedgerRecord::Checkpoint(checkpoint) => {
                self.report.checkpoints += 1;
                if !checkpoint.verify(self.trusted) {
                    self.find(place, Some(at as u64), Problem::CheckpointSignature);
                    return;
                }
                if checkpoint.ledger != Digest(before.clone().finalize().into()) {
                    self.find(place, Some(at as u64), Problem::LedgerChanged);
                }
                for head in &checkpoint.heads {
                    self.heads.insert((head.stream, head.sequence), (head.leaf, place.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn media(&mut self, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut streams: BTreeMap<StreamId, Vec<FilePath>> = BTreeMap::new();
        let mut catalogued: HashMap<FilePath, SignedSummary> = HashMap::new();
        for channel in catalogue::channels(self.disk)? {
            for folder in catalogue::days(self.disk, channel)? {
                self.catalogue(&folder, &mut catalogued)?;
                for path in catalogue::recordings(self.disk, channel, &folder)? {
                    streams.entry(path.stream).or_default().push(path);
                }
            }
        }
        for (stream, mut files) in streams {
            files.sort_by_key(|path| (path.epoch, path.seq));
            let mut chain = ChainVerifier::default();
            for path in files {
                self.report.files += 1;
                if let Err(error) = self.file(stream, &path, catalogued.remove(&path), &mut chain) {
                    self.find(&media_path(&path), None, Problem::Unreadable(error.to_string()));
                }
                progress(self.report.media_bytes);
            }
        }
        Ok(())
    }

    fn catalogue(&mut self, folder: &str, found: &mut HashMap<FilePath, SignedSummary>) -> io::Result<()> {
        let place = format!("{folder}/{CATALOGUE}");
        let log = match read_whole(self.disk, &place, CATALOGUE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let mut frames = Frames::new(&log);
        for body in frames.by_ref() {
            let signed = SignedSummary::decode(body).ok().map(|(signed, _)| signed);
            let summary = signed.as_ref().and_then(|signed| signed.summary().ok());
            match (signed, summary) {
                (Some(signed), Some(summary)) => drop(found.insert(summary.identity.path(), signed)),
                _ => self.find(&place, None, Problem::Catalogue),
            }
        }
        if frames.is_torn() {
            self.find(&place, Some(frames.whole_bytes() as u64), Problem::Catalogue);
        }
        Ok(())
    }

    fn file(
        &mut self,
        stream: StreamId,
        path: &FilePath,
        catalogued: Option<SignedSummary>,
        chain: &mut ChainVerifier,
    ) -> io::Result<()> {
        let place = media_path(path);
        let file = self.disk.open(&place, false)?;
        let length = file.length()?;
        let trailer = read_trailer(&*file)?;
        let Some((identity, init)) = scan::read_init(&*file)? else {
            self.find(&place, Some(0), Problem::Beginning);
            return Ok(());
        };
        if identity.path() != *path {
            self.find(&place, Some(0), Problem::Beginning);
        }
        let rows = match trailer {
            Some(trailer) => {
                if !trailer.signed.verify(self.trusted) {
                    self.find(&place, Some(trailer.summary.bytes), Problem::TrailerSignature);
                }
                if trailer.summary.init != Digest::of(&init) || trailer.summary.identity != identity {
                    self.find(&place, Some(0), Problem::Beginning);
                }
                if catalogued.as_ref() != Some(&trailer.signed) {
                    self.find(&place, None, Problem::Catalogue);
                }
                self.trailer_box(&place, &*file, trailer.summary.bytes, length)?;
                let mut end = trailer.summary.init_bytes;
                for row in &trailer.rows {
                    if row.offset != end {
                        self.find(&place, Some(end), Problem::Stray);
                    }
                    end = row.end();
                }
                trailer.rows
            }
            None => {
                if self.open.contains(path) {
                    self.report.open += 1;
                } else {
                    self.find(&place, None, Problem::Trailer);
                }
                match scan::scan(&*file, Doubt::Nothing)? {
                    Some(scanned) => scanned.rows,
                    None => return Ok(()),
                }
            }
        };
        let context = LeafContext::from(&identity);
        for row in &rows {
            self.fragment(stream, path, &place, &*file, &context, row, length, chain)?;
        }
        Ok(())
    }

    /// The trailer's box stands right behind the media and reaches to the file's end.
    fn trailer_box(&mut self, place: &str, file: &dyn DiskFile, at: u64, length: u64) -> io::Result<()> {
        let head = read_exact(file, at, 24)?;
        let size = u64::from(u32::from_be_bytes(head[..4].try_into().expect("four bytes")));
        if head[4..8] != *b"uuid"
            || head[8..] != varde_footage::TRAILER_BOX
            || at.checked_add(size) != Some(length)
        {
            self.find(place, Some(at), Problem::Trailer);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "one fragment and all that it is compared with")]
    fn fragment(
        &mut self,
        stream: StreamId,
        path: &FilePath,
        place: &str,
        file: &dyn DiskFile,
        context: &LeafContext,
        row: &Row,
        length: u64,
        chain: &mut ChainVerifier,
    ) -> io::Result<()> {
        self.report.fragments += 1;
        let broken = Problem::Fragment { sequence: row.sequence };
        let Some(found) = scan::fragment_at(file, row.offset, length)? else {
            self.find(place, Some(row.offset), broken);
            return Ok(());
        };
        if found.row != *row {
            self.find(place, Some(row.offset), broken.clone());
        }
        let record = found.record;
        let media_at = row.offset + u64::from(found.row.head_bytes);
        let media_bytes = record.media_bytes();
        self.report.media_bytes += media_bytes;
        let media = read_exact(file, media_at, media_bytes as usize)?;
        let media = match &record.seal {
            None => Some(media),
            Some(seal) => match self.vault.reading_key(path.channel, path.day()) {
                Ok(key) => match crate::crypt::open(&key, context, record.sequence, seal, media) {
                    Ok(media) => Some(media),
                    Err(_) => {
                        self.find(place, Some(media_at), broken);
                        None
                    }
                },
                Err(ReadError::NoKey | ReadError::NotFound) => {
                    self.find(place, Some(media_at), Problem::NoKey);
                    None
                }
                Err(error) => {
                    self.find(place, Some(media_at), Problem::Unreadable(error.to_string()));
                    None
                }
            },
        };
        let hashes = media.map(|media| {
            let first = record.samples.first().map_or(0, |sample| sample.size as usize).min(media.len());
            (Digest::of(&media), Digest::of(&media[..first]))
        });
        self.skip_deleted(stream, place, chain, record.sequence);
        if let Err(problem) = chain.check(context, &record, hashes) {
            self.find(place, Some(row.offset), Problem::Chain { sequence: record.sequence, problem });
        }
        if let Some((leaf, signed_in)) = self.heads.remove(&(stream, record.sequence))
            && leaf != record.leaf
        {
            self.find(&signed_in, None, Problem::Head { sequence: record.sequence });
        }
        Ok(())
    }

    /// Moves the chain over what the ledger says was deleted, up to `next`; the rest is missing.
    fn skip_deleted(&mut self, stream: StreamId, place: &str, chain: &mut ChainVerifier, next: u64) {
        let mut expected = chain.head().map_or(0, |(sequence, _)| sequence.saturating_add(1));
        while expected < next {
            let Some(run) = self.deleted.get(&(stream, expected)).copied() else {
                self.find(place, None, Problem::Missing { from: expected, until: next - 1 });
                // The rest is judged by itself.
                *chain = ChainVerifier::default();
                return;
            };
            *chain = ChainVerifier::after(run.last_sequence, run.last_leaf);
            expected = run.last_sequence.saturating_add(1);
        }
    }

    fn missing_heads(&mut self) {
        let heads = std::mem::take(&mut self.heads);
        for ((stream, sequence), (_, place)) in heads {
            let run = self.deleted.range((stream, 0)..=(stream, sequence)).next_back();
            if run.is_none_or(|(_, run)| run.last_sequence < sequence) {
                self.find(&place, None, Problem::Head { sequence });
            }
        }
    }
}
