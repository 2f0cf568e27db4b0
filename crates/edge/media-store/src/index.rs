//! The index: a cache of what files and ledger say, in SQLite in the server's own folder.
//!
//! A row per closed file and merged spans per stream and day. Each row carries a checksum, and their sum stands in
//! `meta`: whatever is wrong with the file, SQLite's own check or the sum shows it, and the index is made anew.

mod rows;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OptionalExtension as _, params};
use varde_footage::{FilePath, GapRecord, LedgerEntry, LedgerRecord, Span, Summary, merge_spans};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_units::{Day, Utc};

use crate::ledger::Position;
pub(crate) use rows::FileRow;
use rows::{gap_from_row, row_sum, span_from_row};

/// A file lasts at most so long, so that a look-up by start finds all that reach into a range.
pub(crate) const FILE_REACH: Duration = Duration::from_secs(40 * 60);
/// A span lies within the day that its first file begins in, plus one file.
const SPAN_REACH: Duration = Duration::from_secs(25 * 3600);

/// Bytes and ends of a channel's recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) bytes: u64,
    pub(crate) oldest: Option<Utc>,
    pub(crate) newest: Option<Utc>,
}

#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    storage: StorageId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    connection: Connection,
    /// Sum over the checksums of all rows, wrapping.
    sum: i64,
    position: Position,
    usage: BTreeMap<ChannelId, Usage>,
    redated: BTreeMap<u32, i64>,
    /// Gaps without an end, by number.
    open_gaps: BTreeMap<u64, (ChannelId, Utc)>,
    /// Nothing in here can be relied on before a rebuild.
    needs_rebuild: bool,
}

type Result<T> = rusqlite::Result<T>;

impl Index {
    /// Opens the index of a storage; one that is missing or not sound begins empty and asks for a rebuild.
    pub(crate) fn open(folder: &Path, storage: StorageId) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{storage}.sqlite"));
        let inner = match Inner::open(&path, storage) {
            Ok(Some(inner)) => inner,
            outcome => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, path = %path.display(), "the index is not sound and is made anew");
                }
                Inner::create(&path, storage).map_err(std::io::Error::other)?
            }
        };
        Ok(Self { path, storage, inner: Mutex::new(inner) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Throws everything away.
    pub(crate) fn clear(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.connection = Connection::open_in_memory()?;
        *inner = Inner::create(&self.path, self.storage)?;
        Ok(())
    }
}

impl Inner {
    fn open(path: &Path, storage: StorageId) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = schema::connect(path)?;
        let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" || !schema::is_current(&connection, storage)? {
            return Ok(None);
        }
        let (sum, log, byte): (i64, u32, i64) =
            connection.query_row("SELECT sum, ledger_log, ledger_byte FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let mut inner = Self {
            connection,
            sum,
            position: Position { log, byte: byte.unsigned_abs() },
            usage: BTreeMap::new(),
            redated: BTreeMap::new(),
            open_gaps: BTreeMap::new(),
            needs_rebuild: false,
        };
        if !inner.check_rows()? {
            return Ok(None);
        }
        Ok(Some(inner))
    }

    fn create(path: &Path, storage: StorageId) -> Result<Self> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let _ = std::fs::remove_file(PathBuf::from(name));
        }
        let connection = schema::connect(path)?;
        schema::create(&connection, storage)?;
        Ok(Self {
            connection,
            sum: 0,
            position: Position::default(),
            usage: BTreeMap::new(),
            redated: BTreeMap::new(),
            open_gaps: BTreeMap::new(),
            needs_rebuild: true,
        })
    }

    /// Reads every row, compares checksums, and adds up what channels use.
    fn check_rows(&mut self) -> Result<bool> {
        let mut sum = 0i64;
        let mut usage: BTreeMap<ChannelId, Usage> = BTreeMap::new();
        let mut open_gaps = BTreeMap::new();
        {
            let mut files = self.connection.prepare(&format!("SELECT {} FROM file", FileRow::COLUMNS))?;
            let mut rows = files.query([])?;
            while let Some(row) = rows.next()? {
                let Some((file, check)) = FileRow::read(row)? else { return Ok(false) };
                if row_sum(&file.values()) != check {
                    return Ok(false);
                }
                sum = sum.wrapping_add(check);
                add(&mut usage, &file);
            }
            let mut spans = self.connection.prepare(schema::ALL_SPANS)?;
            let mut rows = spans.query([])?;
            while let Some(row) = rows.next()? {
                let Some((_, values, check)) = span_from_row(row)? else { return Ok(false) };
                if row_sum(&values) != check {
                    return Ok(false);
                }
                sum = sum.wrapping_add(check);
            }
            let mut gaps = self.connection.prepare(schema::ALL_GAPS)?;
            let mut rows = gaps.query([])?;
            while let Some(row) = rows.next()? {
                let Some((gap, values, check)) = gap_from_row(row)? else { return Ok(false) };
                if gap.end.is_none() {
                    open_gaps.insert(gap.id, (gap.channel, gap.start));
                }
                if row_sum(&values) != check {
                    return Ok(false);
                }
                sum = sum.wrapping_add(check);
            }
        }
        self.usage = usage;
        self.open_gaps = open_gaps;
        Ok(sum == self.sum)
    }

    pub(crate) fn needs_rebuild(&self) -> bool {
        self.needs_rebuild
    }

    pub(crate) fn demand_rebuild(&mut self) {
        self.needs_rebuild = true;
    }

    /// Everything is in. Part of a change, so that a rebuild that was cut short is begun again after a restart.
    pub(crate) fn rebuilt(&mut self) -> Result<()> {
        self.connection.execute("UPDATE meta SET whole = 1", [])?;
        self.needs_rebuild = false;
        Ok(())
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Epochs whose footage is dated anew, as the ledger says.
    pub(crate) fn set_redated(&mut self, redated: BTreeMap<u32, i64>) {
        self.redated = redated;
    }

    /// Does several changes at once: all of them are in the index, or none.
    pub(crate) fn change<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (sum, position) = (self.sum, self.position);
        let (usage, open_gaps) = (self.usage.clone(), self.open_gaps.clone());
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let outcome = act(self).and_then(|value| {
            self.connection
                .prepare_cached("UPDATE meta SET sum = ?, ledger_log = ?, ledger_byte = ?")?
                .execute(params![
                    self.sum,
                    self.position.log,
                    i64::try_from(self.position.byte).unwrap_or(i64::MAX)
                ])?;
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if outcome.is_err() {
            let _ = self.connection.execute_batch("ROLLBACK");
            (self.sum, self.position) = (sum, position);
            (self.usage, self.open_gaps) = (usage, open_gaps);
        }
        outcome
    }

    /// Takes over what a record says. `summary` is that of a file that was closed.
    pub(crate) fn apply(
        &mut self,
        position: Position,
        entry: &LedgerEntry,
        summary: Option<&Summary>,
    ) -> Result<()> {
        match &entry.record {
            LedgerRecord::FileClosed { .. } => {
                if let Some(summary) = summary {
                    self.insert_file(summary)?;
                }
            }
            LedgerRecord::Deleted { file, cause, start, end, .. } => {
                self.remove_file(file)?;
                self.add_deleted(file, cause, *start, *end)?;
            }
            LedgerRecord::Moved { file, .. } => self.remove_file(file)?,
            LedgerRecord::Groomed { file, bytes } => self.groom(file, *bytes)?,
            LedgerRecord::GapBegin(gap) => self.put_gap(gap)?,
            LedgerRecord::GapEnd { gap, end } => self.end_gap(*gap, *end)?,
            LedgerRecord::EpochRedated { epoch, offset_micros } => {
                self.redated.insert(*epoch, *offset_micros);
                self.redate(*epoch)?;
            }
            _ => {}
        }
        self.position = self.position.max(position);
        Ok(())
    }

    fn shift(&self, epoch: u32) -> i64 {
        self.redated.get(&epoch).copied().unwrap_or(0)
    }

    /// Adds a closed file; one that is there is put anew.
    pub(crate) fn insert_file(&mut self, summary: &Summary) -> Result<()> {
        let file = FileRow::of(summary, self.shift(summary.identity.epoch));
        self.remove_row(&file.path())?;
        self.put_file(&file)?;
        self.refresh_spans(file.channel, file.stream, file.start.day())
    }

    /// Adds the closed files of a day, each of which is new; spans are made once.
    pub(crate) fn insert_files(&mut self, summaries: &[Summary]) -> Result<()> {
        let mut days = BTreeSet::new();
        for summary in summaries {
            let file = FileRow::of(summary, self.shift(summary.identity.epoch));
            self.remove_row(&file.path())?;
            self.put_file(&file)?;
            days.insert((file.channel, file.stream, file.start.day()));
        }
        days.into_iter().try_for_each(|(channel, stream, day)| self.refresh_spans(channel, stream, day))
    }

    fn put_file(&mut self, file: &FileRow) -> Result<()> {
        let check = row_sum(&file.values());
        let mut values = file.values();
        values.push(check.into());
        self.connection
            .prepare_cached(&format!(
                "INSERT INTO file ({}) VALUES ({})",
                FileRow::COLUMNS,
                vec!["?"; values.len()].join(", ")
            ))?
            .execute(rusqlite::params_from_iter(values))?;
        self.sum = self.sum.wrapping_add(check);
        add(&mut self.usage, file);
        Ok(())
    }

    /// The row of a file by its path.
    pub(crate) fn file(&self, path: &FilePath) -> Result<Option<FileRow>> {
        let sql = format!(
            "SELECT {} FROM file WHERE stream = ? AND start >= ? AND start < ? AND epoch = ? AND seq = ?",
            FileRow::COLUMNS
        );
        let shift = self.shift(path.epoch);
        // The name holds milliseconds, the row microseconds.
        let from = path.start().offset_micros(shift).as_micros();
        let row = self
            .connection
            .prepare_cached(&sql)?
            .query_row(
                params![path.stream.as_bytes(), from, from + 1000, path.epoch, path.seq],
                FileRow::read,
            )
            .optional()?;
        Ok(row.flatten().map(|(file, _)| file))
    }

    fn remove_row(&mut self, path: &FilePath) -> Result<Option<FileRow>> {
        let Some(file) = self.file(path)? else { return Ok(None) };
        self.connection
            .prepare_cached("DELETE FROM file WHERE stream = ? AND start = ? AND epoch = ? AND seq = ?")?
            .execute(params![file.stream.as_bytes(), file.start.as_micros(), file.epoch, file.seq])?;
        self.sum = self.sum.wrapping_sub(row_sum(&file.values()));
        self.recount(file.channel)?;
        Ok(Some(file))
    }

    pub(crate) fn remove_file(&mut self, path: &FilePath) -> Result<()> {
        match self.remove_row(path)? {
            Some(file) => self.refresh_spans(file.channel, file.stream, file.start.day()),
            None => Ok(()),
        }
    }

    fn groom(&mut self, path: &FilePath, bytes: u64) -> Result<()> {
        let Some(mut file) = self.remove_row(path)? else { return Ok(()) };
        file.bytes = bytes;
        file.groomed = true;
        self.put_file(&file)
    }

    fn redate(&mut self, epoch: u32) -> Result<()> {
        let files: Vec<_> = {
            let sql = format!("SELECT {} FROM file WHERE epoch = ?", FileRow::COLUMNS);
            let mut statement = self.connection.prepare(&sql)?;
            let rows = statement.query_map([epoch], FileRow::read)?;
            rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|(file, _)| file).collect()
        };
        let shift = self.shift(epoch);
        for old in files {
            let mut file = old.clone();
            file.redate(shift);
            self.connection
                .prepare_cached("DELETE FROM file WHERE stream = ? AND start = ? AND epoch = ? AND seq = ?")?
                .execute(params![old.stream.as_bytes(), old.start.as_micros(), old.epoch, old.seq])?;
            self.sum = self.sum.wrapping_sub(row_sum(&old.values()));
            self.put_file(&file)?;
            self.refresh_spans(old.channel, old.stream, old.start.day())?;
            self.refresh_spans(file.channel, file.stream, file.start.day())?;
            self.recount(file.channel)?;
        }
        Ok(())
    }

    fn recount(&mut self, channel: ChannelId) -> Result<()> {
        let usage = self
            .connection
            .prepare_cached("SELECT SUM(bytes), MIN(start), MAX(\"end\") FROM file WHERE channel = ?")?
            .query_row([channel.as_bytes()], |row| {
                Ok(Usage {
                    bytes: row.get::<_, Option<i64>>(0)?.unwrap_or(0).unsigned_abs(),
                    oldest: row.get::<_, Option<i64>>(1)?.map(Utc::from_micros),
                    newest: row.get::<_, Option<i64>>(2)?.map(Utc::from_micros),
                })
            })?;
        match usage.oldest {
            Some(_) => self.usage.insert(channel, usage),
            None => self.usage.remove(&channel),
        };
        Ok(())
    }

    /// Makes a stream's spans of a day anew from its files: the same whatever order they came in.
    fn refresh_spans(&mut self, channel: ChannelId, stream: StreamId, day: Day) -> Result<()> {
        let (from, until) = (day.start(), day.end());
        let files = self.files_of_stream(stream, from, until, u32::MAX)?;
        let spans = merge_spans(files.iter().map(FileRow::span).collect());
        let old = self.spans_where(
            "channel = ? AND start >= ? AND start < ? AND stream = ?",
            params![channel.as_bytes(), from.as_micros(), until.as_micros(), stream.as_bytes()],
        )?;
        for span in &old {
            self.sum = self.sum.wrapping_sub(row_sum(&rows::span_values(channel, span)));
        }
        self.connection
            .prepare_cached("DELETE FROM span WHERE channel = ? AND start >= ? AND start < ? AND stream = ?")?
            .execute(params![channel.as_bytes(), from.as_micros(), until.as_micros(), stream.as_bytes()])?;
        for span in &spans {
            let mut values = rows::span_values(channel, span);
            let check = row_sum(&values);
            values.push(check.into());
            self.connection
                .prepare_cached(
                    "INSERT INTO span (channel, start, stream, epoch, codec, \"end\", check_sum) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(rusqlite::params_from_iter(values))?;
            self.sum = self.sum.wrapping_add(check);
        }
        Ok(())
    }

    /// Files of a stream that begin within `from..until`, by start.
    pub(crate) fn files_of_stream(
        &self,
        stream: StreamId,
        from: Utc,
        until: Utc,
        limit: u32,
    ) -> Result<Vec<FileRow>> {
        let sql = format!(
            "SELECT {} FROM file WHERE stream = ? AND start >= ? AND start < ? \
             ORDER BY start, epoch, seq LIMIT ?",
            FileRow::COLUMNS
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            params![stream.as_bytes(), from.as_micros(), until.as_micros(), limit],
            FileRow::read,
        )?;
        Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|(file, _)| file).collect())
    }

    /// All files, oldest first.
    pub(crate) fn oldest_files(&self) -> Result<Vec<FileRow>> {
        let sql = format!("SELECT {} FROM file ORDER BY start, stream, epoch, seq", FileRow::COLUMNS);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], FileRow::read)?;
        Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|(file, _)| file).collect())
    }

    fn spans_where(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<Span>> {
        let sql = format!(
            "SELECT channel, start, stream, epoch, codec, \"end\", check_sum FROM span WHERE {condition}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, span_from_row)?;
        Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|(span, _, _)| span).collect())
    }

    /// Spans of a channel that touch `start..end`, by start.
    pub(crate) fn spans(&self, channel: ChannelId, start: Utc, end: Utc, limit: u32) -> Result<Vec<Span>> {
        let from = start.minus(SPAN_REACH);
        self.spans_where(
            "channel = ? AND start >= ? AND start < ? AND \"end\" > ? ORDER BY start, stream, epoch LIMIT ?",
            params![channel.as_bytes(), from.as_micros(), end.as_micros(), start.as_micros(), limit],
        )
    }

    /// Gaps of a channel that touch `start..end`, by start.
    pub(crate) fn gaps(
        &self,
        channel: ChannelId,
        start: Utc,
        end: Utc,
        limit: u32,
    ) -> Result<Vec<GapRecord>> {
        self.gaps_where(
            "channel = ? AND start < ? AND (\"end\" IS NULL OR \"end\" > ?) ORDER BY start, id LIMIT ?",
            params![channel.as_bytes(), end.as_micros(), start.as_micros(), limit],
        )
    }

    fn gaps_where(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<GapRecord>> {
        let sql = format!(
            "SELECT channel, start, id, stream, \"end\", cause, parameters, check_sum FROM gap WHERE {condition}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, gap_from_row)?;
        Ok(rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|(gap, _, _)| gap).collect())
    }

    fn put_gap(&mut self, gap: &GapRecord) -> Result<()> {
        self.remove_gap(gap.id, gap.channel, gap.start)?;
        let mut values = rows::gap_values(gap);
        let check = row_sum(&values);
        values.push(check.into());
        self.connection
            .prepare_cached(
                "INSERT INTO gap (channel, start, id, stream, \"end\", cause, parameters, check_sum) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(rusqlite::params_from_iter(values))?;
        self.sum = self.sum.wrapping_add(check);
        match gap.end {
            None => self.open_gaps.insert(gap.id, (gap.channel, gap.start)),
            Some(_) => self.open_gaps.remove(&gap.id),
        };
        Ok(())
    }

    fn remove_gap(&mut self, id: u64, channel: ChannelId, start: Utc) -> Result<Option<GapRecord>> {
        let id = i64::try_from(id).unwrap_or(i64::MAX);
        let key = params![channel.as_bytes(), start.as_micros(), id];
        let Some(gap) = self.gaps_where("channel = ? AND start = ? AND id = ?", key)?.pop() else {
            return Ok(None);
        };
        self.sum = self.sum.wrapping_sub(row_sum(&rows::gap_values(&gap)));
        self.connection
            .prepare_cached("DELETE FROM gap WHERE channel = ? AND start = ? AND id = ?")?
            .execute(key)?;
        Ok(Some(gap))
    }

    fn end_gap(&mut self, id: u64, end: Utc) -> Result<()> {
        let Some((channel, start)) = self.open_gaps.get(&id).copied() else { return Ok(()) };
        let Some(mut gap) = self.remove_gap(id, channel, start)? else { return Ok(()) };
        gap.end = Some(end);
        self.put_gap(&gap)
    }

    /// Deleted footage becomes a gap with that cause; neighbours become one.
    fn add_deleted(&mut self, file: &FilePath, cause: &str, start: Utc, end: Utc) -> Result<()> {
        let touching = self.gaps_where(
            "channel = ? AND start <= ? AND \"end\" >= ? AND stream = ? AND cause = ? AND id < 0",
            params![
                file.channel.as_bytes(),
                end.plus(varde_footage::MERGE_WITHIN).as_micros(),
                start.minus(varde_footage::MERGE_WITHIN).as_micros(),
                file.stream.as_bytes(),
                cause
            ],
        )?;
        let (mut start, mut end) = (start, end);
        for gap in &touching {
            start = start.min(gap.start);
            end = end.max(gap.end.unwrap_or(end));
            self.remove_derived(gap)?;
        }
        let gap = GapRecord {
            id: 0,
            channel: file.channel,
            stream: file.stream,
            start,
            end: Some(end),
            cause: cause.to_owned(),
            parameters: serde_json::Map::new(),
        };
        self.put_derived(&gap)
    }

    fn put_derived(&mut self, gap: &GapRecord) -> Result<()> {
        let mut values = rows::derived_gap_values(gap);
        let check = row_sum(&values);
        values.push(check.into());
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO gap (channel, start, id, stream, \"end\", cause, parameters, check_sum) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(rusqlite::params_from_iter(values))?;
        self.sum = self.sum.wrapping_add(check);
        Ok(())
    }

    fn remove_derived(&mut self, gap: &GapRecord) -> Result<()> {
        let values = rows::derived_gap_values(gap);
        self.sum = self.sum.wrapping_sub(row_sum(&values));
        self.connection
            .prepare_cached("DELETE FROM gap WHERE channel = ? AND start = ? AND id = ?")?
            .execute(rusqlite::params_from_iter(values.into_iter().take(3)))?;
        Ok(())
    }

    pub(crate) fn usage(&self) -> &BTreeMap<ChannelId, Usage> {
        &self.usage
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.usage.values().map(|usage| usage.bytes).sum()
    }

    /// Every row as text, for comparing two indexes.
    pub(crate) fn dump(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        let tables = [
            format!("SELECT {} FROM file", FileRow::COLUMNS),
            schema::ALL_SPANS.into(),
            schema::ALL_GAPS.into(),
        ];
        for sql in tables {
            let mut statement = self.connection.prepare(&sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values: Result<Vec<rusqlite::types::Value>> =
                    (0..columns).map(|at| row.get(at)).collect();
                all.insert(format!("{:?}", values?));
            }
        }
        Ok(all)
    }
}

fn add(usage: &mut BTreeMap<ChannelId, Usage>, file: &FileRow) {
    let channel = usage.entry(file.channel).or_default();
    channel.bytes += file.bytes;
    channel.oldest = Some(channel.oldest.map_or(file.start, |oldest| oldest.min(file.start)));
    channel.newest = Some(channel.newest.map_or(file.end, |newest| newest.max(file.end)));
}
