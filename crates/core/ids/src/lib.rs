//! Typed identifiers: every object has a UUIDv7 that is made anywhere and never reused.
//!
//! Refuses to make randomness: `edge/ambient` hands in the time and the random bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use varde_units::Utc;

/// The text was not a lower-case UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an identifier; it looks like 01980f1e-7c3a-7cc1-a9ab-0123456789ab")]
pub struct ParseIdError {
    /// What was sent, cut to 64 characters.
    pub text: String,
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier from the present time and ten random bytes (RFC 9562 §5.7).
            pub fn new(now: Utc, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Takes the hyphenated form alone: one object has one spelling.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let refuse = || ParseIdError { text: text.chars().take(64).collect() };
                if text.len() != 36 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(refuse());
                }
                Uuid::try_parse(text).map(Self).map_err(|_| refuse())
            }
        }
    )*};
}

identifiers! {
    /// A whole installation: own database, keys and storage prefix.
    InstallationId,
    /// A site of the installation.
    SiteId,
    /// A machine that runs one or more roles.
    ServerId,
    /// A device at an address.
    HardwareId,
    /// A camera, microphone, speaker, metadata source, input or output of a device.
    ChannelId,
    /// One encoding of a channel.
    StreamId,
    /// A place that holds recordings.
    StorageId,
    /// A person or a program that signs in.
    UserId,
    /// A named set of permissions.
    RoleId,
    /// A signed-in browser.
    SessionId,
    /// An API token.
    TokenId,
    /// An event.
    EventId,
    /// An export job.
    ExportId,
    /// A lock that outlives retention.
    LockId,
    /// A request, for logs and problem documents.
    RequestId,
    /// One run of a writer: the recording role from start to end.
    WriterId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let id = ChannelId::new(Utc::from_micros(1_795_000_000_000_000), [7; 10]);
        assert_eq!(id.to_string().parse::<ChannelId>().unwrap(), id);
        assert_eq!(&id.to_string()[14..15], "7", "version 7");
        assert!(id.to_string().to_uppercase().parse::<ChannelId>().is_err());
        for text in ["", "constructor", "../../etc/passwd", "{01980f1e-7c3a-7cc1-a9ab-0123456789ab}"] {
            assert!(text.parse::<ChannelId>().is_err(), "{text}");
        }
    }

    #[test]
    fn later_identifiers_sort_later() {
        let first = EventId::new(Utc::from_micros(1_000_000), [255; 10]);
        let second = EventId::new(Utc::from_micros(2_000_000), [0; 10]);
        assert!(first < second);
    }
}
