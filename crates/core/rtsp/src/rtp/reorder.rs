//! Puts the packets of one sender in order, within bounds of count and time, and says how many are missing.

use std::collections::VecDeque;
use std::time::Duration;

use varde_units::Mono;

/// Jumps beyond these are a sender that began anew, once a second packet agrees (RFC 3550 appendix A.1).
const DROPOUT_MAX: i16 = 3000;
const MISORDER_MAX: i16 = 100;

/// A packet that had to wait for others.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    pub bytes: Vec<u8>,
    pub received: Mono,
    /// Packets missing before this one.
    pub lost: u32,
    sequence: u16,
}

/// What to do with a packet that just arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the next one: use it now, in place. Then call [`Reorder::poll`].
    Next {
        lost: u32,
        /// The sender began a new count; what came before has no relation to this.
        restarted: bool,
    },
    /// It came early and was copied; [`Reorder::poll`] gives it in its turn.
    Held,
    /// It came twice or too late, or stands far from the others. Forget it.
    Stale,
}

/// The reorder buffer of one sender. A packet in order is never copied.
#[derive(Debug)]
pub struct Reorder {
    expected: Option<u16>,
    /// In order of sequence; all after `expected`.
    held: VecDeque<Held>,
    packets_max: usize,
    hold: Duration,
    /// The number that would confirm a new count.
    suspect: Option<u16>,
}

impl Reorder {
    /// For datagrams: waits for a missing packet while no more than `packets_max` others wait, and not over `hold`.
    pub fn unordered(packets_max: usize, hold: Duration) -> Self {
        Self { expected: None, held: VecDeque::new(), packets_max, hold, suspect: None }
    }

    /// For TCP: never waits; what is missing was never sent.
    pub fn ordered() -> Self {
        Self::unordered(0, Duration::ZERO)
    }

    pub fn on_packet(&mut self, sequence: u16, bytes: &[u8], now: Mono) -> Admission {
        let expected = *self.expected.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(expected) as i16;
        if !(-MISORDER_MAX..=DROPOUT_MAX).contains(&ahead) {
            return self.on_jump(sequence);
        }
        self.suspect = None;
        if ahead < 0 {
            return Admission::Stale;
        }
        if ahead == 0 || self.packets_max == 0 {
            self.expected = Some(sequence.wrapping_add(1));
            return Admission::Next { lost: ahead as u32, restarted: false };
        }
        let place = self.held.partition_point(|held| (held.sequence.wrapping_sub(sequence) as i16) < 0);
        if self.held.get(place).is_some_and(|held| held.sequence == sequence) {
            return Admission::Stale;
        }
        self.held.insert(place, Held { bytes: bytes.to_vec(), received: now, lost: 0, sequence });
        Admission::Held
    }

    fn on_jump(&mut self, sequence: u16) -> Admission {
        if self.suspect != Some(sequence) {
            self.suspect = Some(sequence.wrapping_add(1));
            return Admission::Stale;
        }
        self.suspect = None;
        self.held.clear();
        self.expected = Some(sequence.wrapping_add(1));
        Admission::Next { lost: 1, restarted: true }
    }

    /// The next packet that waited and need not wait longer.
    pub fn poll(&mut self, now: Mono) -> Option<Held> {
        let front = self.held.front()?;
        let missing = front.sequence.wrapping_sub(self.expected?);
        let give_up = self.held.len() > self.packets_max || self.deadline().is_some_and(|due| due <= now);
        if missing > 0 && !give_up {
            return None;
        }
        let mut packet = self.held.pop_front()?;
        packet.lost = u32::from(missing);
        self.expected = Some(packet.sequence.wrapping_add(1));
        Some(packet)
    }

    /// When the longest waiting packet is given up on waiting.
    pub fn deadline(&self) -> Option<Mono> {
        self.held.iter().map(|held| held.received).min().map(|first| first + self.hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(50);

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    /// Gives packets 10 ms apart; `5-2` in the answer is packet 5 with two lost before it.
    fn check(reorder: &mut Reorder, sequences: &[u16], expected: &str) {
        let mut told = Vec::new();
        let say = |sequence: u16, lost: u32| match lost {
            0 => sequence.to_string(),
            lost => format!("{sequence}-{lost}"),
        };
        let mut now = at(0);
        for &sequence in sequences {
            now += Duration::from_millis(10);
            if let Admission::Next { lost, .. } = reorder.on_packet(sequence, &sequence.to_be_bytes(), now) {
                told.push(say(sequence, lost));
            }
            while let Some(held) = reorder.poll(now) {
                told.push(say(u16::from_be_bytes([held.bytes[0], held.bytes[1]]), held.lost));
            }
        }
        assert_eq!(told.join(" "), expected, "{sequences:?}");
    }

    #[test]
    fn packets_come_out_in_order_or_counted_as_lost() {
        let udp = || Reorder::unordered(3, HOLD);
        check(&mut udp(), &[1, 2, 3], "1 2 3");
        check(&mut udp(), &[1, 3, 2, 4], "1 2 3 4");
        check(&mut udp(), &[1, 4, 3, 2, 5], "1 2 3 4 5");
        check(&mut udp(), &[1, 2, 2, 1, 3, 3], "1 2 3");
        check(&mut udp(), &[1, 3, 3, 2], "1 2 3");
        check(&mut udp(), &[1, 4, 5, 6, 7, 2], "1 4-2 5 6 7"); // The fourth fills the buffer; 2 is too late.
        check(&mut udp(), &[65_534, 0, 65_535, 1], "65534 65535 0 1");
        check(&mut Reorder::unordered(100, HOLD), &[1, 3, 4, 5, 6, 7, 8], "1 3-1 4 5 6 7 8"); // 50 ms passed.
    }

    #[test]
    fn tcp_never_waits() {
        check(&mut Reorder::ordered(), &[1, 2, 5, 6, 4], "1 2 5-2 6");
    }

    #[test]
    fn a_new_count_needs_two_packets() {
        check(&mut Reorder::ordered(), &[1, 2, 30_000, 3, 30_000, 30_001, 30_002], "1 2 3 30001-1 30002");
    }
}
