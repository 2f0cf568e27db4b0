//! The ledger on disk: numbered logs, appended to, never changed. Each begins with what those before it come to.
//!
//! A record that could not be written, or whose flush failed, is written again into the next log: the state in
//! memory is what must become durable, whatever happens to a file.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use varde_footage::{
    Digest, LEDGER_FOLDER, LedgerEntry, LedgerRecord, LedgerState, ledger_number, ledger_path, push_frame,
    read_entries,
};
use varde_units::Utc;

use crate::disk::{Disk, DiskFile, read_whole};

/// A log longer than this is followed by the next.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// Longest log that is read: the longest that is written, and one frame.
pub(crate) const LOG_BYTES_READ_MAX: u64 = LOG_BYTES_MAX + (64 << 20);
/// Most records that wait for a disk that takes none. The oldest go first; the state still knows what they came to.
const WAITING_MAX: usize = 10_000;

/// Where a record ends: log number and byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) log: u32,
    pub(crate) byte: u64,
}

#[derive(Debug)]
struct Log {
    number: u32,
    file: Arc<dyn DiskFile>,
    length: u64,
    hasher: Sha256,
}

/// The open ledger of a storage.
#[derive(Debug)]
pub(crate) struct Ledger {
    disk: Arc<dyn Disk>,
    state: LedgerState,
    /// The newest log ended in damage: it may have said more.
    is_torn: bool,
    log: Option<Log>,
    next_number: u32,
    /// Records written to the present log and not yet known to be durable.
    undurable: VecDeque<LedgerEntry>,
    /// Records that no log holds yet.
    waiting: VecDeque<LedgerEntry>,
    /// Records that the index has not seen.
    feed: Vec<(Position, LedgerEntry)>,
    feed_lost: bool,
}

impl Ledger {
    /// Reads what the logs come to. Creates no file yet: the first append begins a new log.
    pub(crate) fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let numbers = log_numbers(&*disk)?;
        let (state, is_torn) = read_state(&*disk, &numbers)?;
        let next_number = numbers.last().map_or(0, |number| number + 1);
        Ok(Self {
            disk,
            state,
            is_torn,
            log: None,
            next_number,
            undurable: VecDeque::new(),
            waiting: VecDeque::new(),
            feed: Vec::new(),
            feed_lost: false,
        })
    }

    /// Whether records may have been lost that were written before.
    pub(crate) fn may_have_lost(&self) -> bool {
        self.is_torn || self.state.epoch == 0
    }

    pub(crate) fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Applies a record and writes it. On an error it is applied all the same and waits for the next log.
    pub(crate) fn append(&mut self, at: Utc, record: LedgerRecord) -> io::Result<()> {
        let entry = LedgerEntry { at, record };
        self.state.apply(&entry);
        self.waiting.push_back(entry);
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.feed_lost = true;
        }
        self.write_waiting(at)
    }

    fn write_waiting(&mut self, at: Utc) -> io::Result<()> {
        if self.log.as_ref().is_none_or(|log| log.length > LOG_BYTES_MAX) {
            self.begin_log(at)?;
        }
        while let Some(entry) = self.waiting.front() {
            let log = self.log.as_mut().expect("a log was begun");
            if let Err(error) = log.write(&entry.to_json()) {
                // The frame may lie there in part: nothing is ever written behind it.
                self.abandon();
                return Err(error);
            }
            let position = Position { log: log.number, byte: log.length };
            let entry = self.waiting.pop_front().expect("the front was just seen");
            if self.feed.len() < WAITING_MAX {
                self.feed.push((position, entry.clone()));
            } else {
                self.feed_lost = true;
            }
            self.undurable.push_back(entry);
        }
        Ok(())
    }

    /// The present log is not to be trusted any more: what is not durable waits for the next one.
    pub(crate) fn abandon(&mut self) {
        self.log = None;
        while let Some(entry) = self.undurable.pop_back() {
            self.waiting.push_front(entry);
        }
    }

    fn begin_log(&mut self, at: Utc) -> io::Result<()> {
        if self.disk.create_folder(LEDGER_FOLDER)? {
            self.disk.sync_folder("")?;
        }
        let number = self.next_number;
        // A number is used once, also when what follows fails.
        self.next_number = number.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        let file = self.disk.create(&ledger_path(number))?;
        let mut log = Log { number, file, length: 0, hasher: Sha256::new() };
        let state = LedgerEntry { at, record: LedgerRecord::State(self.state.clone()) };
        log.write(&state.to_json())?;
        if let Some(old) = self.log.take() {
            // The new log's state stands for it, but an index that is rebuilt reads it.
            old.file.sync()?;
        }
        self.disk.sync_folder(LEDGER_FOLDER)?;
        self.undurable.push_back(state);
        self.log = Some(log);
        Ok(())
    }

    /// What a flush must make durable, and how many records that covers.
    pub(crate) fn to_flush(&self) -> Option<(Arc<dyn DiskFile>, u32, usize)> {
        let log = self.log.as_ref()?;
        (!self.undurable.is_empty()).then(|| (Arc::clone(&log.file), log.number, self.undurable.len()))
    }

    /// The first `records` of log `number` are durable now.
    pub(crate) fn flushed(&mut self, number: u32, records: usize) {
        if self.log.as_ref().is_some_and(|log| log.number == number) {
            self.undurable.drain(..records.min(self.undurable.len()));
        }
    }

    /// Appends and makes durable before it returns.
    pub(crate) fn append_durably(&mut self, at: Utc, record: LedgerRecord) -> io::Result<()> {
        self.append(at, record)?;
        let Some((file, number, records)) = self.to_flush() else { return Ok(()) };
        if let Err(error) = file.sync() {
            self.abandon();
            return Err(error);
        }
        self.flushed(number, records);
        Ok(())
    }

    /// SHA-256 over the present log, as a checkpoint signs it.
    pub(crate) fn digest(&self) -> Digest {
        let empty = || Digest::of(b"");
        self.log.as_ref().map_or_else(empty, |log| Digest(log.hasher.clone().finalize().into()))
    }

    /// Records since the last call, for the index; `None` where some were lost and it must be rebuilt.
    pub(crate) fn take_feed(&mut self) -> Option<Vec<(Position, LedgerEntry)>> {
        let feed = std::mem::take(&mut self.feed);
        (!std::mem::take(&mut self.feed_lost)).then_some(feed)
    }
}

impl Log {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(body.len() + 8);
        push_frame(&mut frame, body);
        self.file.write_at(&mut [IoSlice::new(&frame)], self.length)?;
        self.hasher.update(&frame);
        self.length += frame.len() as u64;
        Ok(())
    }
}

/// The numbers of all logs, rising.
pub(crate) fn log_numbers(disk: &dyn Disk) -> io::Result<Vec<u32>> {
    let entries = match disk.list(LEDGER_FOLDER) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.is_folder)
        .filter_map(|entry| ledger_number(&entry.name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Finds the newest log that begins with a state, and applies it and all later ones.
fn read_state(disk: &dyn Disk, numbers: &[u32]) -> io::Result<(LedgerState, bool)> {
    let mut logs = Vec::new();
    let mut torn = false;
    for &number in numbers.iter().rev() {
        let log = read_whole(disk, &ledger_path(number), LOG_BYTES_READ_MAX)?;
        let (entries, is_torn) = read_entries(&log, 0);
        torn |= is_torn || entries.is_empty();
        let whole = matches!(entries.first(), Some((_, LedgerEntry { record: LedgerRecord::State(_), .. })));
        logs.push(entries);
        if whole {
            break;
        }
    }
    let mut state = LedgerState::default();
    for (_, entry) in logs.into_iter().rev().flatten() {
        state.apply(&entry);
    }
    Ok((state, torn))
}

/// All records from a position on, with where each ends. Torn logs end early; later logs follow.
pub(crate) fn entries_from(disk: &dyn Disk, from: Position) -> io::Result<Vec<(Position, LedgerEntry)>> {
    let mut all = Vec::new();
    for number in log_numbers(disk)? {
        if number < from.log {
            continue;
        }
        let log = read_whole(disk, &ledger_path(number), LOG_BYTES_READ_MAX)?;
        let at = if number == from.log { from.byte as usize } else { 0 };
        let (entries, _) = read_entries(&log, at);
        all.extend(
            entries.into_iter().map(|(byte, entry)| (Position { log: number, byte: byte as u64 }, entry)),
        );
    }
    Ok(all)
}
