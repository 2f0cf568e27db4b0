//! Counts of what one sender sent and what arrived (RFC 3550 §6.4.1, appendix A.1, A.3 and A.8).

use varde_units::Mono;

use super::rtcp::ReportBlock;

const SEQUENCES: u32 = 1 << 16;
const DROPOUT_MAX: u16 = 3000;
const MISORDER_MAX: u16 = 100;

/// Reception of one sender.
#[derive(Debug)]
pub struct Statistics {
    clock_rate: u32,
    highest: u16,
    cycles: u32,
    base: u32,
    /// The number that confirms a new count; beyond 16 bits when there is none.
    bad: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    /// Interarrival jitter in ticks, times 16.
    jitter: u32,
    transit: Option<u32>,
    report: Option<(u32, Mono)>,
}

impl Statistics {
    pub fn new(clock_rate: u32, first_sequence: u16) -> Self {
        let mut statistics = Self {
            clock_rate,
            highest: 0,
            cycles: 0,
            base: 0,
            bad: SEQUENCES + 1,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            jitter: 0,
            transit: None,
            report: None,
        };
        statistics.restart(first_sequence);
        statistics
    }

    fn restart(&mut self, sequence: u16) {
        self.base = u32::from(sequence);
        self.highest = sequence.wrapping_sub(1);
        self.cycles = if sequence == 0 { 0u32.wrapping_sub(SEQUENCES) } else { 0 };
        self.bad = SEQUENCES + 1;
        self.received = 0;
        self.expected_prior = 0;
        self.received_prior = 0;
        self.transit = None;
    }

    /// Counts a packet; false when its number stands far from the others and none confirmed it yet.
    pub fn on_packet(&mut self, sequence: u16, timestamp: u32, arrival: Mono) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(SEQUENCES);
            }
            self.highest = sequence;
        } else if u32::from(ahead) <= SEQUENCES - u32::from(MISORDER_MAX) {
            if u32::from(sequence) != self.bad {
                self.bad = u32::from(sequence.wrapping_add(1));
                return false;
            }
            self.restart(sequence);
            self.highest = sequence;
            self.cycles = 0;
        }
        self.received = self.received.wrapping_add(1);
        self.on_transit(timestamp, arrival);
        true
    }

    fn on_transit(&mut self, timestamp: u32, arrival: Mono) {
        let ticks = u128::from(arrival.as_nanos()) * u128::from(self.clock_rate) / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            // A jump of the timestamps must not spoil the mean for minutes.
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            if difference < self.clock_rate.saturating_mul(10) {
                self.jitter = self.jitter.saturating_add(difference).saturating_sub((self.jitter + 8) >> 4);
            }
        }
    }

    /// Keeps what a report's `LSR` and `DLSR` say about the last sender report.
    pub fn on_sender_report(&mut self, ntp: u64, arrival: Mono) {
        self.report = Some(((ntp >> 16) as u32, arrival));
    }

    fn extended_highest(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.highest))
    }

    fn expected(&self) -> u32 {
        self.extended_highest().wrapping_sub(self.base).wrapping_add(1)
    }

    /// Packets missing over all; negative where doubles outnumber them.
    pub fn lost(&self) -> i32 {
        self.expected().wrapping_sub(self.received) as i32
    }

    /// Interarrival jitter in ticks of the clock.
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The block of the next receiver report; the fraction counts from the report before.
    pub fn report(&mut self, ssrc: u32, now: Mono) -> ReportBlock {
        let expected = self.expected();
        let expected_since = expected.wrapping_sub(self.expected_prior);
        let received_since = self.received.wrapping_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, self.received);
        let lost_since = expected_since.wrapping_sub(received_since) as i32;
        let fraction_lost = if expected_since == 0 || lost_since <= 0 {
            0
        } else {
            ((u64::from(lost_since.unsigned_abs()) << 8) / u64::from(expected_since)).min(255) as u8
        };
        let (last_report, delay) = match self.report {
            Some((middle, at)) => {
                let delay = now.since(at).as_nanos() * 65_536 / 1_000_000_000;
                (middle, u32::try_from(delay).unwrap_or(u32::MAX))
            }
            None => (0, 0),
        };
        ReportBlock {
            ssrc,
            fraction_lost,
            lost: self.lost().clamp(-0x80_0000, 0x7f_ffff),
            highest_sequence: self.extended_highest(),
            jitter: self.jitter(),
            last_report,
            delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(statistics: &mut Statistics, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            statistics.on_packet(sequence, 0, Mono::ZERO);
        }
    }

    #[test]
    fn losses_doubles_and_wraps_are_counted() {
        let check = |sequences: &[u16], lost: i32, highest: u32| {
            let mut statistics = Statistics::new(90_000, sequences[0]);
            feed(&mut statistics, sequences.iter().copied());
            let block = statistics.report(1, Mono::ZERO);
            assert_eq!((block.lost, block.highest_sequence), (lost, highest), "{sequences:?}");
        };
        check(&[5, 6, 7], 0, 7);
        check(&[5, 7, 6], 0, 7);
        check(&[5, 9], 3, 9);
        check(&[5, 5, 6], -1, 6);
        check(&[65_534, 65_535, 0, 1], 0, 65_537);
        check(&[0, 1, 2], 0, 2);
        check(&[5, 6, 40_000, 40_001, 40_002], 0, 40_002); // Began anew: two packets confirm.
    }

    #[test]
    fn the_fraction_counts_from_the_report_before() {
        let mut statistics = Statistics::new(90_000, 0);
        feed(&mut statistics, [0, 1, 2, 7]);
        assert_eq!(statistics.report(1, Mono::ZERO).fraction_lost, 128);
        feed(&mut statistics, 8..20);
        assert_eq!(statistics.report(1, Mono::ZERO).fraction_lost, 0);
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation() {
        let mut statistics = Statistics::new(1_000, 0);
        for index in 0..200u16 {
            let late = if index % 2 == 0 { 0 } else { 16 };
            let arrival = Mono::from_nanos((u64::from(index) * 40 + late) * 1_000_000);
            statistics.on_packet(index, u32::from(index) * 40, arrival);
        }
        assert!((14..=16).contains(&statistics.jitter()), "{}", statistics.jitter());
    }

    #[test]
    fn a_report_says_when_the_sender_last_reported() {
        let mut statistics = Statistics::new(90_000, 0);
        statistics.on_sender_report(0x1111_2222_3333_4444, Mono::from_nanos(1_000_000_000));
        let block = statistics.report(9, Mono::from_nanos(1_500_000_000));
        assert_eq!((block.ssrc, block.last_report, block.delay), (9, 0x2222_3333, 0x8000));
    }
}
