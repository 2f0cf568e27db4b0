//! When to try again: soon at first, then ever less often, and never all cameras at once.

use std::time::Duration;

use varde_driver::Surroundings;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// Cameras lock an account after a handful of wrong passwords, most of them for half an hour or less.
const FIRST_SLOW: Duration = Duration::from_secs(60);
const LONGEST_SLOW: Duration = Duration::from_secs(600);
/// After this long online the past is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What kind of failure the wait follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Normal,
    /// Trying costs something: a wrong password.
    Slow,
}

#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    slow_failures: u32,
}

impl BackOff {
    /// The wait after a failure; `online` is how long units had come before it.
    pub(crate) fn next(&mut self, pace: Pace, online: Duration, surroundings: &dyn Surroundings) -> Duration {
        if online >= FORGET_AFTER {
            *self = Self::default();
        }
        let (failures, first, longest) = match pace {
            Pace::Normal => (&mut self.failures, FIRST, LONGEST),
            Pace::Slow => (&mut self.slow_failures, FIRST_SLOW, LONGEST_SLOW),
        };
        let whole = first.saturating_mul(1 << (*failures).min(16)).min(longest);
        *failures = failures.saturating_add(1);
        // Half of it is certain, the other half is drawn: cameras that fell together come back apart.
        let half = whole / 2;
        let drawn = surroundings.random(u64::try_from(half.as_millis()).unwrap_or(u64::MAX));
        half + Duration::from_millis(drawn)
    }
}

#[cfg(test)]
mod tests {
    use varde_units::{Mono, Utc};

    use super::*;

    struct Highest;

    impl Surroundings for Highest {
        fn mono(&self) -> Mono {
            Mono::ZERO
        }
        fn utc(&self) -> Utc {
            Utc::EPOCH
        }
        fn random(&self, limit: u64) -> u64 {
            limit
        }
    }

    #[test]
    fn waits_double_up_to_half_a_minute_and_shrink_after_a_minute_online() {
        let mut back_off = BackOff::default();
        let mut next = |pace, online| back_off.next(pace, Duration::from_secs(online), &Highest).as_millis();
        let waits: Vec<_> = (0..9).map(|_| next(Pace::Normal, 0)).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(next(Pace::Normal, 59), 30_000);
        assert_eq!(next(Pace::Normal, 60), 500);
    }

    #[test]
    fn a_wrong_password_is_tried_rarely() {
        let mut back_off = BackOff::default();
        let waits: Vec<_> =
            (0..5).map(|_| back_off.next(Pace::Slow, Duration::ZERO, &Highest).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 600]);
    }
}
