//! Stretches of time: recorded spans and gaps, and how neighbours become one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use varde_codec::Codec;
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

/// Recordings of one stream whose ends lie nearer than this are one.
pub const MERGE_WITHIN: Duration = Duration::from_secs(1);

/// A stretch of one stream that is recorded without interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: Utc,
    pub end: Utc,
    pub stream: StreamId,
    pub epoch: u32,
    pub codec: Codec,
}

/// Merges neighbours of one stream, epoch and codec. The result is ordered by start and does not depend on the
/// order of what came in.
pub fn merge_spans(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.stream, span.epoch, span.codec, span.start, span.end));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last)
                if (last.stream, last.epoch, last.codec) == (span.stream, span.epoch, span.codec)
                    && span.start <= last.end.plus(MERGE_WITHIN) =>
            {
                last.end = last.end.max(span.end);
            }
            _ => merged.push(span),
        }
    }
    merged.sort();
    merged
}

/// A stretch of one stream that is not recorded, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// Counts the gaps of a storage.
    pub id: u64,
    pub channel: ChannelId,
    pub stream: StreamId,
    pub start: Utc,
    /// `None`: still open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Utc>,
    /// A code of the closed list `GapCause`; kept as text, so that a newer code survives.
    pub cause: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// Whether `start..end` has an instant in common with the gap.
impl GapRecord {
    pub fn touches(&self, start: Utc, end: Utc) -> bool {
        self.start < end && self.end.is_none_or(|gap_end| gap_end > start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans as `start-end` in seconds with an optional epoch behind `@`.
    fn read(text: &str) -> Vec<Span> {
        let stream = StreamId::new(Utc::EPOCH, [1; 10]);
        text.split_whitespace()
            .map(|word| {
                let (range, epoch) = word.split_once('@').unwrap_or((word, "1"));
                let (start, end) = range.split_once('-').unwrap();
                let time = |text: &str| Utc::from_micros((text.parse::<f64>().unwrap() * 1e6) as i64);
                Span {
                    start: time(start),
                    end: time(end),
                    stream,
                    epoch: epoch.parse().unwrap(),
                    codec: Codec::H264,
                }
            })
            .collect()
    }

    #[test]
    fn neighbours_become_one() {
        let check = |spans: &str, expected: &str| {
            let mut spans = read(spans);
            assert_eq!(merge_spans(spans.clone()), read(expected), "{spans:?}");
            spans.reverse();
            assert_eq!(merge_spans(spans), read(expected));
        };
        check("", "");
        check("0-10 10-20 20.9-30", "0-30");
        check("0-10 12-20", "0-10 12-20");
        // Two clock epochs may overlap, and both are kept.
        check("0-10@1 5-15@2 10-20@1", "0-20@1 5-15@2");
        // One inside another.
        check("0-30 5-6 29-31", "0-31");
    }
}
