//! What retention deletes: oldest first, by age and by size; locks and leases win over both.

use std::time::Duration;

use varde_ids::{ChannelId, LockId};
use varde_units::{ByteSize, Utc};

/// A closed file that could be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<Id> {
    pub id: Id,
    pub channel: ChannelId,
    pub start: Utc,
    pub end: Utc,
    pub bytes: ByteSize,
}

/// A stretch of channels that nothing may delete.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lock {
    pub id: LockId,
    pub channels: Vec<ChannelId>,
    pub start: Utc,
    pub end: Utc,
}

impl Lock {
    /// Whether the lock covers any instant of `start..end` of a channel.
    pub fn covers(&self, channel: ChannelId, start: Utc, end: Utc) -> bool {
        self.start < end && start < self.end && self.channels.contains(&channel)
    }
}

/// Why a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Age,
    Size,
}

/// Decides what goes. `files` come oldest first. `age_max` is asked per channel; `None` keeps until room is needed.
/// `age_stands_still` while the clock is in doubt: size still counts, age does not.
pub fn expired<Id: Copy>(
    files: impl IntoIterator<Item = Candidate<Id>>,
    now: Utc,
    age_stands_still: bool,
    age_max: impl Fn(ChannelId) -> Option<Duration>,
    bytes_to_free: ByteSize,
    is_held: impl Fn(&Candidate<Id>) -> bool,
) -> Vec<(Id, Reason)> {
    let mut still_to_free = bytes_to_free.bytes();
    let mut going = Vec::new();
    for file in files {
        let too_old = !age_stands_still && age_max(file.channel).is_some_and(|age| file.end < now.minus(age));
        if !(too_old || still_to_free > 0) || is_held(&file) {
            continue;
        }
        still_to_free = still_to_free.saturating_sub(file.bytes.bytes());
        going.push((file.id, if too_old { Reason::Age } else { Reason::Size }));
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files run oldest to newest, an hour and a byte each; `!` marks one that is held. It is now the end of the last.
    fn check(files: &str, age_hours: Option<u64>, stands_still: bool, bytes: u64, expected: &str) {
        let hour = |count: usize| Utc::EPOCH.plus(Duration::from_secs(count as u64 * 3600));
        let channel = ChannelId::new(Utc::EPOCH, [1; 10]);
        let words: Vec<_> = files.split_whitespace().collect();
        let candidates = words.iter().enumerate().map(|(at, &id)| Candidate {
            id,
            channel,
            start: hour(at),
            end: hour(at + 1),
            bytes: ByteSize(1),
        });
        let age = age_hours.map(|hours| Duration::from_secs(hours * 3600));
        let gone = expired(
            candidates,
            hour(words.len()),
            stands_still,
            |_| age,
            ByteSize(bytes),
            |file| file.id.ends_with('!'),
        );
        let gone: Vec<_> = gone.into_iter().map(|(id, _)| id).collect();
        assert_eq!(gone.join(" "), expected, "{files}");
    }

    #[test]
    fn oldest_unlocked_files_go_first() {
        check("a b c d", None, false, 1, "a");
        check("a! b c d", None, false, 1, "b");
        check("a! b! c!", None, false, 2, ""); // Locks outrank the quota.
        check("a b! c d", None, false, 2, "a c");
        check("a b c d", None, false, 0, "");
        check("a b", None, false, 9, "a b");
    }

    #[test]
    fn age_counts_from_the_end_and_stands_still_with_a_doubtful_clock() {
        check("a b c d", Some(2), false, 0, "a");
        check("a! b c d", Some(1), false, 0, "b");
        check("a b c d", Some(2), true, 0, "");
        check("a b c d", Some(2), true, 2, "a b"); // The quota goes on.
        check("a b c d", Some(0), false, 0, "a b c");
    }

    #[test]
    fn a_lock_covers_its_channels_and_its_time() {
        let at = |seconds: i64| Utc::from_micros(seconds * 1_000_000);
        let channel = |byte| ChannelId::new(Utc::EPOCH, [byte; 10]);
        let lock = Lock {
            id: LockId::new(Utc::EPOCH, [1; 10]),
            channels: vec![channel(1), channel(2)],
            start: at(10),
            end: at(20),
        };
        assert!(lock.covers(channel(2), at(0), at(11)));
        assert!(lock.covers(channel(1), at(19), at(30)));
        assert!(!lock.covers(channel(1), at(20), at(30)));
        assert!(!lock.covers(channel(1), at(0), at(10)));
        assert!(!lock.covers(channel(3), at(0), at(30)));
    }
}
