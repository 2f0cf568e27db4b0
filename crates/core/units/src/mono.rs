//! Monotonic time: the server's own order of things, unmoved by clock changes.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant on the machine's monotonic clock, in nanoseconds since an origin that is fixed until reboot.
///
/// Processes of one machine share the origin (`CLOCK_BOOTTIME`), so an instant may cross the media link.
/// It never crosses machines and is never stored without a mapping to [`crate::Utc`] beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(u64);

impl Mono {
    pub const ZERO: Self = Self(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Signed nanoseconds from `earlier` to `self`; saturates at the ends of `i64`.
    pub const fn signed_nanos_since(self, earlier: Self) -> i64 {
        let difference = self.0 as i128 - earlier.0 as i128;
        if difference > i64::MAX as i128 {
            i64::MAX
        } else if difference < i64::MIN as i128 {
            i64::MIN
        } else {
            difference as i64
        }
    }

    /// Moves by signed nanoseconds; saturates at zero and at the end of the range.
    pub const fn offset_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;

    /// Saturates: a hostile duration can not wrap time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Mono {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_keep_their_sign_and_never_wrap() {
        let early = Mono::from_nanos(5);
        let late = Mono::from_nanos(12);
        assert_eq!(late.signed_nanos_since(early), 7);
        assert_eq!(early.signed_nanos_since(late), -7);
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Mono::from_nanos(u64::MAX).signed_nanos_since(Mono::ZERO), i64::MAX);
        assert_eq!(early.offset_nanos(-9), Mono::ZERO);
    }
}
