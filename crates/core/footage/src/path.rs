//! Names of folders and files in a store. One file has one spelling, on every storage and in object storage.
//!
//! Refuses every path that it would not itself write, so no text from outside can leave the store.

use std::fmt;
use std::str::FromStr;

use varde_ids::{ChannelId, StreamId};
use varde_units::{Day, Utc};

/// Name of the document that says what a folder is.
pub const STORE_DOCUMENT: &str = "store.json";
/// Folder of the ledger.
pub const LEDGER_FOLDER: &str = "ledger";
/// Folder of wrapped data keys.
pub const KEYS_FOLDER: &str = "keys";
/// Folder of recordings.
pub const MEDIA_FOLDER: &str = "media";
/// Name of a channel's description.
pub const CHANNEL_DOCUMENT: &str = "channel.json";
/// Name of a day's catalogue.
pub const CATALOGUE: &str = "catalogue.log";

/// The name of a recording: `<channel>/<YYYY-MM-DD>/<YYYYMMDDTHHMMSS.mmmZ>-<stream>-<epoch>-<seq>.mp4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath {
    pub channel: ChannelId,
    pub stream: StreamId,
    pub epoch: u32,
    /// Counts the files of this stream within the epoch.
    pub seq: u32,
    /// Start, in whole milliseconds: the name holds no more.
    start: Utc,
}

/// The text is not the name of a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name of a recording")]
pub struct ParsePathError {
    /// What was given, cut to 200 characters.
    pub text: String,
}

impl FilePath {
    /// `start` is cut to whole milliseconds.
    pub fn new(channel: ChannelId, stream: StreamId, epoch: u32, seq: u32, start: Utc) -> Self {
        Self { channel, stream, epoch, seq, start: Utc::from_micros(start.as_millis().saturating_mul(1000)) }
    }

    /// The start in the name: whole milliseconds.
    pub const fn start(&self) -> Utc {
        self.start
    }

    /// The folder's day.
    pub const fn day(&self) -> Day {
        self.start.day()
    }

    /// The folder below `media`: `<channel>/<day>`.
    pub fn folder(&self) -> String {
        format!("{}/{}", self.channel, self.day())
    }

    /// The name without its folder.
    pub fn name(&self) -> String {
        format!("{}-{}-{}-{}.mp4", self.start.file_name(), self.stream, self.epoch, self.seq)
    }

    /// Reads a file's name, given its channel; `None` unless this very type would write it so.
    pub fn from_name(channel: ChannelId, name: &str) -> Option<Self> {
        // `20261123T194000.000Z-` then 36 characters of the stream, then `-<epoch>-<seq>.mp4`.
        if name.len() > 100 || !name.is_ascii() || name.len() < 60 {
            return None;
        }
        let stream: StreamId = name.get(21..57)?.parse().ok()?;
        let (epoch, seq) = name.get(57..)?.strip_prefix('-')?.strip_suffix(".mp4")?.split_once('-')?;
        let time = name.get(..20)?;
        let text = format!(
            "{}-{}-{}T{}:{}:{}",
            time.get(..4)?,
            time.get(4..6)?,
            time.get(6..8)?,
            time.get(9..11)?,
            time.get(11..13)?,
            time.get(13..20)?
        );
        let path = Self::new(channel, stream, epoch.parse().ok()?, seq.parse().ok()?, text.parse().ok()?);
        (path.name() == name).then_some(path)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.channel, self.day(), self.name())
    }
}

impl FromStr for FilePath {
    type Err = ParsePathError;

    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        let read = || {
            let (channel, rest) = text.split_once('/')?;
            let (day, name) = rest.split_once('/')?;
            let path = Self::from_name(channel.parse().ok()?, name)?;
            (path.day().to_string() == day).then_some(path)
        };
        read().ok_or_else(|| ParsePathError { text: text.chars().take(200).collect() })
    }
}

impl serde::Serialize for FilePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for FilePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `ledger/000042.log`.
pub fn ledger_path(number: u32) -> String {
    format!("{LEDGER_FOLDER}/{number:06}.log")
}

/// The number of a ledger file by its name without folder.
pub fn ledger_number(name: &str) -> Option<u32> {
    let number: u32 = name.strip_suffix(".log")?.parse().ok()?;
    (format!("{number:06}.log") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> FilePath {
        let start: Utc = "2026-11-23T19:40:00.123999Z".parse().unwrap();
        FilePath::new(ChannelId::new(start, [1; 10]), StreamId::new(start, [2; 10]), 7, 31, start)
    }

    #[test]
    fn a_name_comes_back_as_it_went() {
        let text = path().to_string();
        assert!(text.contains("/2026-11-23/20261123T194000.123Z-"), "{text}");
        assert!(text.ends_with("-7-31.mp4"), "{text}");
        assert_eq!(text.parse(), Ok(path()));
    }

    #[test]
    fn no_other_spelling_is_taken() {
        let good = path().to_string();
        let check = |text: String| assert!(text.parse::<FilePath>().is_err(), "{text}");
        check(String::new());
        check(format!("../{good}"));
        check(format!("/{good}"));
        check(format!("{good}/"));
        check(good.replace("-7-31", "-07-31"));
        check(good.replace("-7-31", "-+7-31"));
        check(good.replace("-7-31", "-7-4294967296"));
        check(good.replace("2026-11-23/", "2026-11-24/"));
        check(good.replace("2026-11-23/", "../"));
        check(good.replace(".mp4", ".mp4\0"));
        check(good.replace("T194000", "T254000"));
        check(good.to_uppercase());
        check("ä".repeat(60));
        for cut in 0..good.len() {
            check(good[..cut].to_owned());
        }
    }

    #[test]
    fn ledger_files_have_one_name() {
        assert_eq!(ledger_number("000042.log"), Some(42));
        assert_eq!(ledger_number("1000042.log"), Some(1_000_042));
        for name in ["42.log", "000042.log.old", "../42.log", "-00042.log", "0000042.log"] {
            assert_eq!(ledger_number(name), None, "{name}");
        }
    }
}
