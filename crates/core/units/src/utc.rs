//! Universal time with microseconds, as the API, the store and the ledger write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC: microseconds since the Unix epoch, leap seconds ignored as POSIX does.
///
/// Text form is RFC 3339 with exactly six digits and `Z`: `2026-11-23T19:40:00.000000Z`. Any offset and any
/// number of digits is read; the rest below a microsecond is cut. Range: years 0000 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

/// What was wrong with a time that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time; write it as 2026-11-23T19:40:00.000000Z")]
pub struct ParseUtcError {
    /// What was sent, cut to 64 characters.
    pub text: String,
}

impl Utc {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The earliest instant that has a text form: 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// The latest instant that has a text form: 9999-12-30T22:00:00Z.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// Clamps to [`Utc::MIN`]..=[`Utc::MAX`].
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// Signed microseconds from `earlier` to `self`.
    pub const fn signed_micros_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Moves by signed microseconds; stays within the range.
    pub const fn offset_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Moves later; stays within the range.
    pub fn plus(self, span: Duration) -> Self {
        self.offset_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
    }

    /// Moves earlier; stays within the range.
    pub fn minus(self, span: Duration) -> Self {
        self.offset_micros(i64::try_from(span.as_micros()).map_or(i64::MIN, |micros| -micros))
    }

    /// The UTC day that holds this instant.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(Day::MICROS))
    }

    /// `20261123T194000.000Z`: the form in file names, cut to milliseconds.
    pub fn file_name(self) -> String {
        let text = self.to_string();
        let mut name: String = text[..23].chars().filter(|c| !matches!(c, '-' | ':')).collect();
        name.push('Z');
        name
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.div_euclid(Day::MICROS), self.0.rem_euclid(Day::MICROS));
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", Day(days))
    }
}

impl fmt::Debug for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Utc {
    type Err = ParseUtcError;

    fn from_str(text: &str) -> Result<Self, ParseUtcError> {
        let refuse = || ParseUtcError { text: text.chars().take(64).collect() };
        if text.len() > 40 {
            return Err(refuse());
        }
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| refuse())?;
        let micros = timestamp.as_microsecond();
        if !(Self::MIN.0..=Self::MAX.0).contains(&micros) {
            return Err(refuse());
        }
        Ok(Self(micros))
    }
}

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A UTC day: whole days since 1970-01-01. Text form `2026-11-23`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    const MICROS: i64 = 86_400_000_000;

    pub const fn start(self) -> Utc {
        Utc::from_micros(self.0.saturating_mul(Self::MICROS))
    }

    /// The first instant of the next day.
    pub const fn end(self) -> Utc {
        Utc::from_micros(self.0.saturating_add(1).saturating_mul(Self::MICROS))
    }

    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    pub const fn from_number(days: i64) -> Self {
        Self(days)
    }

    /// Proleptic Gregorian date by Hinnant's `civil_from_days`.
    const fn civil(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = ParseUtcError;

    fn from_str(text: &str) -> Result<Self, ParseUtcError> {
        if text.len() != 10 {
            return Err(ParseUtcError { text: text.chars().take(64).collect() });
        }
        Ok(format!("{text}T00:00:00Z").parse::<Utc>()?.day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_went() {
        let check = |text: &str, micros: i64| {
            let instant: Utc = text.parse().unwrap();
            assert_eq!(instant.as_micros(), micros, "{text}");
            assert_eq!(instant.to_string(), text);
        };
        check("1970-01-01T00:00:00.000000Z", 0);
        check("2026-11-23T19:40:00.123456Z", 1_795_462_800_123_456);
        check("2038-01-19T03:14:08.000000Z", 2_147_483_648_000_000);
        check("1969-12-31T23:59:59.999999Z", -1);
        check("0000-01-01T00:00:00.000000Z", Utc::MIN.as_micros());
        check("9999-12-30T22:00:00.000000Z", Utc::MAX.as_micros());
        check("2024-02-29T12:00:00.000000Z", 1_709_208_000_000_000);
    }

    #[test]
    fn offsets_are_read_and_nonsense_is_refused() {
        let read = |text: &str| text.parse::<Utc>();
        assert_eq!(read("2026-11-23T20:40:00+01:00"), read("2026-11-23T19:40:00Z"));
        for text in ["", "now", "2026-13-01T00:00:00Z", "2026-11-23", "2026-11-23T19:40:00", &"9".repeat(500)]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_and_file_names() {
        let instant: Utc = "2026-11-23T19:40:00.123456Z".parse().unwrap();
        assert_eq!(instant.file_name(), "20261123T194000.123Z");
        assert_eq!(instant.day().to_string(), "2026-11-23");
        assert_eq!("2026-11-23".parse::<Day>().unwrap(), instant.day());
        assert_eq!(instant.day().end(), instant.day().next().start());
    }

    #[test]
    fn arithmetic_stays_inside_the_range() {
        assert_eq!(Utc::MAX.plus(Duration::MAX), Utc::MAX);
        assert_eq!(Utc::MIN.minus(Duration::MAX), Utc::MIN);
        assert_eq!(Utc::from_micros(i64::MAX), Utc::MAX);
    }
}
