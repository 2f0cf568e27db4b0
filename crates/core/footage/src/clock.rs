//! How monotonic time maps to UTC, and when the clock was really changed (design.md, "Time").
//!
//! Owns no clock: the caller shows it both clocks about once a second and carries out what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use varde_units::{Mono, Utc};

/// Offsets up to this are slewed.
pub const SLEW_MAX: Duration = Duration::from_secs(1);
/// A larger offset must stand this long before it counts.
pub const STEADY_FOR: Duration = Duration::from_secs(10);
/// Smaller offsets are noise of reading two clocks.
const NOISE_MICROS: i64 = 2_000;
/// Slewing speed: 5 %, so that a second is made good in twenty.
const SLEW_PER_MILLE: i64 = 50;

/// The line from monotonic time to UTC within one clock epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMapping {
    pub mono: Mono,
    pub utc: Utc,
    /// Still to be added, little by little, from `mono` on.
    #[serde(default)]
    pub slew_micros: i64,
}

impl ClockMapping {
    pub const fn new(mono: Mono, utc: Utc) -> Self {
        Self { mono, utc, slew_micros: 0 }
    }

    /// Rises with `at`: slewing only makes it a little slower or faster.
    pub fn utc(&self, at: Mono) -> Utc {
        let passed = at.signed_nanos_since(self.mono) / 1000;
        let most = passed.max(0) / 1000 * SLEW_PER_MILLE;
        let slewed = self.slew_micros.clamp(most.saturating_neg(), most);
        self.utc.offset_micros(passed.saturating_add(slewed))
    }

    /// The inverse of [`ClockMapping::utc`], to within the slew.
    pub fn mono(&self, at: Utc) -> Mono {
        self.mono.offset_nanos(at.signed_micros_since(self.utc).saturating_mul(1000))
    }
}

/// What a look at the clocks led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockAction {
    /// Nothing to do.
    Keep,
    /// A small offset: use this mapping in the same epoch.
    Slew(ClockMapping),
    /// The clock was changed: close the files, begin a new epoch with this mapping.
    NewEpoch {
        /// The instant of the change in the old epoch's time.
        old: Utc,
        /// The same instant in the new epoch's time.
        new: Utc,
        mapping: ClockMapping,
        /// The old epoch's clock could not be right: its footage is dated anew by the difference.
        redates: bool,
    },
}

/// Watches the difference between the server's clock and the mapping in force.
#[derive(Clone, Debug)]
pub struct ClockWatch {
    mapping: ClockMapping,
    /// A clock earlier than this can't be right.
    not_before: Utc,
    unsure: bool,
    /// The clock jumped, and nobody confirmed it yet.
    jumped: bool,
    suspect: Option<Suspect>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    since: Mono,
    offset_micros: i64,
}

impl ClockWatch {
    /// `not_before`: the later of the build's date and the ledger's newest record.
    pub fn new(mono: Mono, utc: Utc, not_before: Utc) -> Self {
        let mapping = ClockMapping::new(mono, utc);
        Self { mapping, not_before, unsure: utc < not_before, jumped: false, suspect: None }
    }

    pub const fn mapping(&self) -> ClockMapping {
        self.mapping
    }

    /// The clock is earlier than it can be: recording goes on, and is re-dated once the clock is set.
    pub const fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Whether retention by age must stand still.
    pub const fn holds_retention(&self) -> bool {
        self.unsure || self.jumped || self.suspect.is_some()
    }

    /// A person, or time synchronisation, vouches for the clock as it is.
    pub fn confirm(&mut self) {
        self.jumped = false;
        self.unsure = false;
    }

    /// Looks at both clocks, read as close together as can be.
    pub fn observe(&mut self, mono: Mono, utc: Utc) -> ClockAction {
        let expected = self.mapping.utc(mono);
        let offset = utc.signed_micros_since(expected);
        if offset.unsigned_abs() <= SLEW_MAX.as_micros() as u64 {
            self.suspect = None;
            return self.slew(mono, expected, offset);
        }
        let limit = SLEW_MAX.as_micros() as u64;
        match self.suspect {
            Some(suspect) if offset.abs_diff(suspect.offset_micros) <= limit => {
                if mono.since(suspect.since) < STEADY_FOR {
                    return ClockAction::Keep;
                }
                self.suspect = None;
                self.mapping = ClockMapping::new(mono, utc);
                // Out of an unsure clock into a possible one is what everybody waited for; every other jump is
                // doubted until it is confirmed.
                let was_unsure = self.unsure;
                self.unsure = utc < self.not_before;
                self.jumped = !was_unsure || self.unsure;
                let redates = was_unsure && !self.unsure;
                ClockAction::NewEpoch { old: expected, new: utc, mapping: self.mapping, redates }
            }
            _ => {
                self.suspect = Some(Suspect { since: mono, offset_micros: offset });
                ClockAction::Keep
            }
        }
    }

    fn slew(&mut self, mono: Mono, expected: Utc, offset: i64) -> ClockAction {
        // What is still on its way counts as done.
        let passed = mono.signed_nanos_since(self.mapping.mono) / 1_000_000;
        let most = passed.max(0).saturating_mul(SLEW_PER_MILLE);
        let pending = self.mapping.slew_micros - self.mapping.slew_micros.clamp(-most, most);
        if offset.abs_diff(pending) < NOISE_MICROS as u64 {
            return ClockAction::Keep;
        }
        self.mapping = ClockMapping { mono, utc: expected, slew_micros: offset };
        ClockAction::Slew(self.mapping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_462_800;

    fn mono(seconds: f64) -> Mono {
        Mono::from_nanos(1_000_000_000_000 + (seconds * 1e9) as u64)
    }

    fn utc(seconds: f64) -> Utc {
        Utc::from_micros(START * 1_000_000 + (seconds * 1e6) as i64)
    }

    /// Runs 60 s at one look a second; the clock is `offset(second)` off. Gives the second of each new epoch with
    /// its size, and whether retention is held at the end.
    fn run(offset: impl Fn(u32) -> f64) -> (Vec<(u32, i64)>, bool) {
        let mut watch = ClockWatch::new(mono(0.0), utc(0.0), Utc::EPOCH);
        let mut epochs = Vec::new();
        let mut last = utc(-1.0);
        for second in 1..=60 {
            let at = f64::from(second);
            match watch.observe(mono(at), utc(at + offset(second))) {
                ClockAction::NewEpoch { old, new, .. } => {
                    epochs.push((second, new.signed_micros_since(old) / 1_000_000));
                }
                ClockAction::Keep | ClockAction::Slew(_) => {
                    assert!(watch.mapping().utc(mono(at)) > last, "monotonic within an epoch");
                }
            }
            last = watch.mapping().utc(mono(at));
        }
        (epochs, watch.holds_retention())
    }

    #[test]
    fn small_offsets_slew_and_large_steady_ones_begin_an_epoch() {
        let check = |offset: fn(u32) -> f64, expected: &[(u32, i64)], held: bool| {
            assert_eq!(run(offset), (expected.to_vec(), held));
        };
        check(|_| 0.0, &[], false);
        check(|second| if second > 20 { 0.9 } else { 0.0 }, &[], false);
        check(|second| if second > 20 { -0.9 } else { 0.0 }, &[], false);
        check(|second| if second > 20 { 3600.0 } else { 0.0 }, &[(31, 3600)], true);
        check(|second| if second > 20 { -3600.0 } else { 0.0 }, &[(31, -3600)], true);
        check(|second| if second > 20 { -(START as f64) } else { 0.0 }, &[(31, -START)], true);
        check(|second| if second > 20 { 356_000_000.0 } else { 0.0 }, &[(31, 356_000_000)], true);
        // It came back before ten seconds: nothing happened.
        check(|second| if (20..28).contains(&second) { 3600.0 } else { 0.0 }, &[], false);
        // It never stands still.
        check(|second| f64::from(second) * 5.0, &[], true);
    }

    #[test]
    fn a_slew_arrives_within_100_ms_in_20_seconds() {
        for offset in [-0.95, 0.05, 0.95] {
            let mut watch = ClockWatch::new(mono(0.0), utc(0.0), Utc::EPOCH);
            for second in 1..=22 {
                watch.observe(mono(f64::from(second)), utc(f64::from(second) + offset));
            }
            let error = watch.mapping().utc(mono(22.0)).signed_micros_since(utc(22.0 + offset));
            assert!(error.abs() < 100_000, "{offset}: {error}");
        }
    }

    #[test]
    fn a_clock_before_its_time_is_unsure_until_it_is_set() {
        let mut watch = ClockWatch::new(mono(0.0), Utc::EPOCH, utc(0.0));
        assert!(watch.is_unsure() && watch.holds_retention());
        for second in 1..=12 {
            watch.observe(mono(f64::from(second)), utc(f64::from(second)));
        }
        assert!(!watch.is_unsure() && !watch.holds_retention());
    }

    #[test]
    fn a_jump_holds_retention_until_somebody_confirms() {
        let mut watch = ClockWatch::new(mono(0.0), utc(0.0), Utc::EPOCH);
        for second in 1..=12 {
            watch.observe(mono(f64::from(second)), utc(f64::from(second) + 86_400.0));
        }
        assert!(watch.holds_retention());
        watch.confirm();
        assert!(!watch.holds_retention());
    }
}
