//! The real clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use varde_units::{Mono, Utc};

/// Nanoseconds since boot, time asleep included; the same origin for all processes of the machine.
pub fn mono_now() -> Mono {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).expect("time since boot is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("a timespec's nanoseconds are not negative");
    Mono::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// The system's wall clock, right or wrong.
pub fn utc_now() -> Utc {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    Utc::from_micros(micros)
}

/// Whether time synchronisation vouches for the wall clock: the mark that systemd-timesyncd leaves. With another
/// daemon the answer is no, and whoever asks must do without.
pub fn clock_is_synchronised() -> bool {
    std::path::Path::new("/run/systemd/timesync/synchronized").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_goes_back() {
        let mut last = mono_now();
        for _ in 0..1000 {
            let now = mono_now();
            assert!(now >= last);
            last = now;
        }
    }
}
