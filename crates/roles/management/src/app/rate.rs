//! Rate limits of sign-in: a growing delay per account and address, and budgets: one of each known address, one of all
//! strangers together. An address is what [`address_network`] says.
//!
//! Nobody is locked out: the longest delay is a minute, and it holds for one account from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use varde_http::address_network;
use varde_units::Utc;

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 4;
const DELAY_MAX_SECONDS: u64 = 60;
/// After this long without an attempt an entry is forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
const ENTRIES_MAX: usize = 10_000;
/// Failures from strangers' addresses, all together: this many at once, and one more each second.
const STRANGERS_MAX: f64 = 100.0;
/// The same for each address from which somebody signed in, which may be a whole house behind one router.
const KNOWN_MAX: f64 = 50.0;
const KNOWN_ADDRESSES_MAX: usize = 1024;

#[derive(Debug, Default)]
pub struct Attempts {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: HashMap<(String, IpAddr), Entry>,
    /// Addresses from which somebody signed in since the start.
    known: HashMap<IpAddr, Budget>,
    strangers: Budget,
}

impl Default for State {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            known: HashMap::new(),
            strangers: Budget { left: STRANGERS_MAX, at: Utc::EPOCH, max: STRANGERS_MAX },
        }
    }
}

/// Attempts that may still fail; one comes back each second.
#[derive(Clone, Copy, Debug)]
struct Budget {
    left: f64,
    at: Utc,
    max: f64,
}

impl Budget {
    fn take(&mut self, now: Utc) -> bool {
        self.left = (self.left + now.since(self.at).as_secs_f64()).min(self.max);
        self.at = now;
        let is_there = self.left >= 1.0;
        if is_there {
            self.left -= 1.0;
        }
        is_there
    }

    fn give_back(&mut self) {
        self.left = (self.left + 1.0).min(self.max);
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Utc,
    not_before: Utc,
}

impl Attempts {
    /// Begins an attempt, which counts as failed until [`Attempts::succeeded`]: attempts side by side can't outrun the
    /// delay. `Err` holds the seconds to wait.
    pub fn begin(&self, account: &str, address: IpAddr, now: Utc) -> Result<(), u64> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let address = address_network(address);
        let key = (account_key(account), address);
        let wait = state.entries.get(&key).map_or(Duration::ZERO, |entry| entry.not_before.since(now));
        // A longer wait than any is a clock that was set back.
        if !wait.is_zero() && wait <= Duration::from_secs(DELAY_MAX_SECONDS) {
            return Err(wait.as_secs() + 1);
        }
        if !state.known.get_mut(&address).unwrap_or(&mut state.strangers).take(now) {
            return Err(1);
        }
        if state.entries.len() >= ENTRIES_MAX && !state.entries.contains_key(&key) {
            state.make_room(now);
        }
        let entry = state.entries.entry(key).or_insert(Entry { failures: 0, last: now, not_before: now });
        if now.since(entry.last) > MEMORY {
            entry.failures = 0;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.last = now;
        entry.not_before = now.plus(delay(entry.failures));
        Ok(())
    }

    pub fn succeeded(&self, account: &str, address: IpAddr) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let address = address_network(address);
        state.entries.remove(&(account_key(account), address));
        match state.known.get_mut(&address) {
            Some(budget) => budget.give_back(),
            None => {
                state.strangers.give_back();
                if state.known.len() < KNOWN_ADDRESSES_MAX {
                    let at = state.strangers.at;
                    state.known.insert(address, Budget { left: KNOWN_MAX, at, max: KNOWN_MAX });
                }
            }
        }
    }
}

impl State {
    /// Drops what is forgotten anyway, else the entry that rested longest.
    fn make_room(&mut self, now: Utc) {
        self.entries.retain(|_, entry| now.since(entry.last) <= MEMORY);
        if self.entries.len() >= ENTRIES_MAX
            && let Some(oldest) =
                self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone())
        {
            self.entries.remove(&oldest);
        }
    }
}

fn account_key(account: &str) -> String {
    account.chars().take(100).collect::<String>().to_lowercase()
}

fn delay(failures: u32) -> Duration {
    let Some(over) = failures.checked_sub(FREE_FAILURES) else { return Duration::ZERO };
    if over == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs((1u64 << (over - 1).min(10)).min(DELAY_MAX_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Utc {
        Utc::from_micros(1_000_000_000_000 + seconds * 1_000_000)
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn the_delay_grows_and_ends_at_a_minute() {
        let attempts = Attempts::default();
        for _ in 0..5 {
            attempts.begin("Admin", HERE, at(0)).unwrap();
        }
        assert!(attempts.begin("admin", HERE, at(0)).is_err(), "case makes no other account");
        assert!(attempts.begin("admin", THERE, at(0)).is_ok(), "another address is not held up");
        assert!(attempts.begin("guard", HERE, at(0)).is_ok(), "another account neither");
        let mut now = 0;
        for _ in 0..20 {
            while attempts.begin("admin", HERE, at(now)).is_err() {
                now += 1;
            }
        }
        let wait = attempts.begin("admin", HERE, at(now)).unwrap_err();
        assert!((59..=61).contains(&wait), "{wait}");
        attempts.succeeded("admin", HERE);
        assert!(attempts.begin("admin", HERE, at(now)).is_ok());
    }

    #[test]
    fn a_flood_of_accounts_meets_the_budget_and_guards_pass() {
        let attempts = Attempts::default();
        attempts.begin("guard", THERE, at(0)).unwrap();
        attempts.succeeded("guard", THERE);
        let passed = (0..500).filter(|n| attempts.begin(&format!("user{n}"), HERE, at(0)).is_ok()).count();
        assert_eq!(passed, 100);
        assert!(attempts.begin("guard", THERE, at(0)).is_ok());
        assert!(attempts.begin("other", HERE, at(2)).is_ok(), "the budget fills again");
    }

    #[test]
    fn who_signed_in_once_may_not_try_one_password_on_everybody() {
        let attempts = Attempts::default();
        attempts.begin("anna", HERE, at(0)).unwrap();
        attempts.succeeded("anna", HERE);
        let passed = (0..500).filter(|n| attempts.begin(&format!("user{n}"), HERE, at(0)).is_ok()).count();
        assert_eq!(passed, 50);
    }

    #[test]
    fn a_machine_with_many_addresses_waits_like_one_and_a_clock_set_back_holds_up_nobody() {
        let attempts = Attempts::default();
        let address = |n: u32| format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap();
        let tried = (0..20).filter(|&n| attempts.begin("admin", address(n), at(0)).is_ok()).count();
        assert_eq!(tried, 5);
        assert!(attempts.begin("admin", address(1), at(-86_400)).is_ok());
    }
}
