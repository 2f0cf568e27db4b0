//! Rows of the index and their checksums.

use rusqlite::Row;
use rusqlite::types::Value;
use varde_codec::Codec;
use varde_footage::{Digest, FilePath, GapRecord, Span, Summary};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

const FLAG_SUSPECT: i64 = 1;
const FLAG_ENCRYPTED: i64 = 2;
const FLAG_GROOMED: i64 = 4;

/// A closed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRow {
    pub(crate) channel: ChannelId,
    pub(crate) stream: StreamId,
    /// As served: dated anew where the epoch was.
    pub(crate) start: Utc,
    pub(crate) end: Utc,
    pub(crate) epoch: u32,
    pub(crate) seq: u32,
    /// As the file's name has it.
    pub(crate) name_start: Utc,
    pub(crate) bytes: u64,
    pub(crate) codec: Codec,
    pub(crate) codec_string: String,
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) timescale: u32,
    pub(crate) init_bytes: u64,
    pub(crate) suspect: bool,
    pub(crate) encrypted: bool,
    pub(crate) groomed: bool,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) first_leaf: Digest,
    pub(crate) last_leaf: Digest,
}

impl FileRow {
    pub(crate) const COLUMNS: &str = "stream, start, epoch, seq, channel, name_start, \"end\", bytes, codec, \
        codec_string, width, height, timescale, init_bytes, flags, first_sequence, last_sequence, first_leaf, \
        last_leaf, check_sum";

    /// The row of a file whose epoch is dated anew by `shift` microseconds.
    pub(crate) fn of(summary: &Summary, shift: i64) -> Self {
        let identity = &summary.identity;
        Self {
            channel: identity.channel,
            stream: identity.stream,
            start: identity.start.offset_micros(shift),
            end: summary.end.offset_micros(shift),
            epoch: identity.epoch,
            seq: identity.seq,
            name_start: identity.start,
            bytes: summary.bytes,
            codec: identity.codec,
            codec_string: identity.codec_string.clone(),
            width: identity.width,
            height: identity.height,
            timescale: identity.timescale,
            init_bytes: summary.init_bytes,
            suspect: summary.suspect,
            encrypted: identity.encrypted(),
            groomed: false,
            first_sequence: summary.first_sequence,
            last_sequence: summary.last_sequence,
            first_leaf: summary.first_leaf,
            last_leaf: summary.last_leaf,
        }
    }

    pub(crate) fn redate(&mut self, shift: i64) {
        let duration = self.end.signed_micros_since(self.start);
        self.start = self.name_start.offset_micros(shift);
        self.end = self.start.offset_micros(duration);
    }

    pub(crate) fn path(&self) -> FilePath {
        FilePath::new(self.channel, self.stream, self.epoch, self.seq, self.name_start)
    }

    pub(crate) fn span(&self) -> Span {
        Span { start: self.start, end: self.end, stream: self.stream, epoch: self.epoch, codec: self.codec }
    }

    pub(super) fn values(&self) -> Vec<Value> {
        let flags = if self.suspect { FLAG_SUSPECT } else { 0 }
            | if self.encrypted { FLAG_ENCRYPTED } else { 0 }
            | if self.groomed { FLAG_GROOMED } else { 0 };
        vec![
            blob(self.stream.as_bytes()),
            self.start.as_micros().into(),
            i64::from(self.epoch).into(),
            i64::from(self.seq).into(),
            blob(self.channel.as_bytes()),
            self.name_start.as_micros().into(),
            self.end.as_micros().into(),
            signed(self.bytes),
            self.codec.name().to_owned().into(),
            self.codec_string.clone().into(),
            self.width.map(i64::from).into(),
            self.height.map(i64::from).into(),
            i64::from(self.timescale).into(),
            signed(self.init_bytes),
            flags.into(),
            signed(self.first_sequence),
            signed(self.last_sequence),
            blob(&self.first_leaf.0),
            blob(&self.last_leaf.0),
        ]
    }

    /// The row and its checksum; `None` where a value can't be ours.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<(Self, i64)>> {
        let flags: i64 = row.get(14)?;
        let read = |row: &Row<'_>| -> rusqlite::Result<Option<Self>> {
            let Some(codec) = codec(&row.get::<_, String>(8)?) else { return Ok(None) };
            Ok(Some(Self {
                stream: StreamId::from_bytes(row.get(0)?),
                start: Utc::from_micros(row.get(1)?),
                epoch: row.get(2)?,
                seq: row.get(3)?,
                channel: ChannelId::from_bytes(row.get(4)?),
                name_start: Utc::from_micros(row.get(5)?),
                end: Utc::from_micros(row.get(6)?),
                bytes: row.get::<_, i64>(7)?.unsigned_abs(),
                codec,
                codec_string: row.get(9)?,
                width: row.get(10)?,
                height: row.get(11)?,
                timescale: row.get::<_, u32>(12)?.max(1),
                init_bytes: row.get::<_, i64>(13)?.unsigned_abs(),
                suspect: flags & FLAG_SUSPECT != 0,
                encrypted: flags & FLAG_ENCRYPTED != 0,
                groomed: flags & FLAG_GROOMED != 0,
                first_sequence: row.get::<_, i64>(15)?.unsigned_abs(),
                last_sequence: row.get::<_, i64>(16)?.unsigned_abs(),
                first_leaf: Digest(row.get(17)?),
                last_leaf: Digest(row.get(18)?),
            }))
        };
        let Some(file) = read(row)? else { return Ok(None) };
        Ok(Some((file, row.get(19)?)))
    }
}

fn codec(name: &str) -> Option<Codec> {
    serde_json::from_value(name.into()).ok()
}

fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

fn signed(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn span_values(channel: ChannelId, span: &Span) -> Vec<Value> {
    vec![
        blob(channel.as_bytes()),
        span.start.as_micros().into(),
        blob(span.stream.as_bytes()),
        i64::from(span.epoch).into(),
        span.codec.name().to_owned().into(),
        span.end.as_micros().into(),
    ]
}

type Read<T> = rusqlite::Result<Option<(T, Vec<Value>, i64)>>;

pub(super) fn span_from_row(row: &Row<'_>) -> Read<Span> {
    let channel = ChannelId::from_bytes(row.get(0)?);
    let Some(codec) = codec(&row.get::<_, String>(4)?) else { return Ok(None) };
    let span = Span {
        start: Utc::from_micros(row.get(1)?),
        end: Utc::from_micros(row.get(5)?),
        stream: StreamId::from_bytes(row.get(2)?),
        epoch: row.get(3)?,
        codec,
    };
    Ok(Some((span, span_values(channel, &span), row.get(6)?)))
}

pub(super) fn gap_values(gap: &GapRecord) -> Vec<Value> {
    let mut values = derived_gap_values(gap);
    values[2] = signed(gap.id);
    values
}

/// A gap that no record made, but deleted files: its number is below zero and follows from its stream
/// and cause, so that two of a channel may begin at the same instant.
pub(super) fn derived_gap_values(gap: &GapRecord) -> Vec<Value> {
    let key = [gap.stream.as_bytes(), gap.cause.as_bytes()].concat();
    let number = i64::from(crc32fast::hash(&key));
    vec![
        blob(gap.channel.as_bytes()),
        gap.start.as_micros().into(),
        Value::Integer(-1 - number),
        blob(gap.stream.as_bytes()),
        gap.end.map(Utc::as_micros).into(),
        gap.cause.clone().into(),
        serde_json::to_string(&gap.parameters).unwrap_or_default().into(),
    ]
}

pub(super) fn gap_from_row(row: &Row<'_>) -> Read<GapRecord> {
    let id: i64 = row.get(2)?;
    let Ok(parameters) = serde_json::from_str(&row.get::<_, String>(6)?) else { return Ok(None) };
    let gap = GapRecord {
        channel: ChannelId::from_bytes(row.get(0)?),
        start: Utc::from_micros(row.get(1)?),
        id: u64::try_from(id).unwrap_or(0),
        stream: StreamId::from_bytes(row.get(3)?),
        end: row.get::<_, Option<i64>>(4)?.map(Utc::from_micros),
        cause: row.get(5)?,
        parameters,
    };
    let values = if id < 0 { derived_gap_values(&gap) } else { gap_values(&gap) };
    Ok(Some((gap, values, row.get(7)?)))
}

/// A checksum over a row's values.
pub(super) fn row_sum(values: &[Value]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for value in values {
        match value {
            Value::Null => hasher.update(&[0]),
            Value::Integer(number) => {
                hasher.update(&[1]);
                hasher.update(&number.to_le_bytes());
            }
            Value::Real(number) => hasher.update(&number.to_le_bytes()),
            Value::Text(text) => {
                hasher.update(&[3]);
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
            Value::Blob(bytes) => {
                hasher.update(&[4]);
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
        }
    }
    i64::from(hasher.finalize())
}
