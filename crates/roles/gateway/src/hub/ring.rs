//! The ring of one stream: its newest units, from an entry point on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use varde_codec::{AccessUnit, Format, Medium};
use varde_units::Mono;

/// Bytes kept at most. A group of pictures that is longer is given up: new viewers wait for the next.
const BYTES_MAX: usize = 24 << 20;
const UNITS_MAX: usize = 4_000;

/// Older groups of pictures leave once they are older than this: a viewer further behind skips.
const SPAN_MAX: Duration = Duration::from_secs(4);

/// Sound stays as long as the pictures that a new viewer may begin with.
const SOUND_SPAN_MAX: Duration = Duration::from_secs(30);

/// A unit in the ring.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) unit: AccessUnit,
    pub(super) format: Arc<Format>,
    /// How long it is shown, as far as that can be known before the next one: as long as the one before it.
    pub(super) duration: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Entry>,
    /// Number of the first entry; numbers rise by one and are never used again.
    first: u64,
    bytes: usize,
    last_decode_time: Option<Mono>,
    last_duration: Duration,
}

impl Ring {
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn newest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The entry of that number, unless it has left or has not come.
    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn push(&mut self, unit: AccessUnit, format: Arc<Format>) {
        let sound = format.medium() != Medium::Video;
        if unit.flags.after_loss && !unit.flags.entry_point {
            // What follows can't be decoded; the viewers' places move to the next entry point by themselves.
            self.clear();
        }
        if self.entries.is_empty() && !unit.flags.entry_point {
            self.first += 1;
            return;
        }
        let passed = self.last_decode_time.map_or(Duration::ZERO, |last| unit.decode_time.since(last));
        self.last_decode_time = Some(unit.decode_time);
        if (Duration::from_millis(1)..Duration::from_secs(1)).contains(&passed) {
            self.last_duration = passed;
        } else if self.last_duration.is_zero() {
            self.last_duration = Duration::from_millis(40);
        }
        self.bytes += unit.data.len();
        let now = unit.received;
        self.entries.push_back(Entry { unit, format, duration: self.last_duration });
        if sound {
            self.trim_sound(now);
        } else {
            self.trim(now);
        }
    }

    /// Forgets everything; numbers go on.
    pub(super) fn clear(&mut self) {
        self.first = self.end();
        self.entries.clear();
        self.bytes = 0;
        self.last_decode_time = None;
    }

    /// The newest entry point.
    pub(super) fn latest_entry_point(&self) -> Option<u64> {
        let back = self.entries.iter().rev().position(|entry| entry.unit.flags.entry_point)?;
        Some(self.end() - 1 - back as u64)
    }

    /// The first unit presented at or after `time`; the end where all are older.
    pub(super) fn at_or_after(&self, time: Mono) -> u64 {
        let before = self.entries.iter().take_while(|entry| entry.unit.time < time).count();
        self.first + before as u64
    }

    pub(super) fn reorders(&self) -> bool {
        self.entries.iter().any(|entry| entry.unit.time != entry.unit.decode_time)
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.unit.data.len();
            self.first += 1;
        }
    }

    fn over(&self) -> bool {
        self.bytes > BYTES_MAX || self.entries.len() > UNITS_MAX
    }

    /// Drops whole groups of pictures from the front, but never the newest, unless that alone is over the limits.
    fn trim(&mut self, now: Mono) {
        loop {
            let second = self.entries.iter().skip(1).position(|entry| entry.unit.flags.entry_point);
            match second {
                Some(at) if self.over() || now.since(self.entries[at + 1].unit.received) > SPAN_MAX => {
                    (0..=at).for_each(|_| self.pop());
                }
                None if self.over() => return self.clear(),
                _ => return,
            }
        }
    }

    fn trim_sound(&mut self, now: Mono) {
        while self.over()
            || self.entries.front().is_some_and(|entry| now.since(entry.unit.received) > SOUND_SPAN_MAX)
        {
            self.pop();
        }
    }
}
