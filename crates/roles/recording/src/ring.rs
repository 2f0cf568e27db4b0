//! The ring of one stream: the newest units, shared with every reader without a copy.
//!
//! Holds at least everything since the pre-buffer began (from an entry point on) and never more than its budget. A
//! reader that falls behind loses units up to an entry point; it never slows the camera or another reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use varde_api_internal::link::StateMessage;
use varde_codec::{AccessUnit, Format};
use varde_units::Mono;

/// What a reader gets.
#[derive(Clone, Debug)]
pub enum Item {
    /// How the source does: the present state first, then each that follows, unless the reader is slower than they are.
    State(Arc<StateMessage>),
    Format(Arc<Format>),
    Unit(Arc<AccessUnit>),
}

/// Bounds of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingLimits {
    /// The span that is kept at least, as far as the bytes allow.
    pub pre_buffer: Duration,
    /// Bytes of media at most.
    pub bytes_max: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self { pre_buffer: Duration::from_secs(5), bytes_max: 64 << 20 }
    }
}

/// Units in a ring at most, whatever their size: a bound for a camera that sends tiny ones.
const UNITS_MAX: usize = 20_000;

#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    units: VecDeque<Entry>,
    /// Numbers of the entry points among `units`, rising.
    entry_points: VecDeque<u64>,
    /// Number of the first unit in `units` since the ring began.
    base: u64,
    bytes: usize,
    format: Option<Arc<Format>>,
    source: Option<Arc<StateMessage>>,
    readers: u32,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    unit: Arc<AccessUnit>,
    /// The configuration that decodes it.
    format: Arc<Format>,
}

impl Ring {
    pub fn new(limits: RingLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), arrived: Notify::new() })
    }

    /// Sets the configuration of the units that follow.
    pub fn set_format(&self, format: Arc<Format>) {
        self.state.lock().format = Some(format);
    }

    /// Tells the readers how the source does.
    pub fn set_state(&self, state: StateMessage) {
        self.state.lock().source = Some(Arc::new(state));
        self.arrived.notify_waiters();
    }

    /// Adds a unit. Before the first format it is dropped: nobody could decode it.
    pub fn push(&self, unit: Arc<AccessUnit>) {
        {
            let mut state = self.state.lock();
            let Some(format) = state.format.clone() else { return };
            state.bytes += unit.data.len();
            if unit.flags.entry_point {
                let number = state.end();
                state.entry_points.push_back(number);
            }
            state.units.push_back(Entry { unit, format });
            state.trim(&self.limits);
        }
        self.arrived.notify_waiters();
    }

    /// Ends all readers once they have read what is there.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_waiters();
    }

    pub fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub fn readers(&self) -> u32 {
        self.state.lock().readers
    }

    pub fn format(&self) -> Option<Arc<Format>> {
        self.state.lock().format.clone()
    }

    /// Reads from the newest entry point on, so that a picture can be shown at once.
    pub fn reader(self: &Arc<Self>) -> Reader {
        let mut state = self.state.lock();
        state.readers += 1;
        let next = state.newest_entry_point().unwrap_or(state.base + state.units.len() as u64);
        drop(state);
        Reader { ring: Arc::clone(self), next, source: None, format: None, needs_entry_point: true }
    }
}

impl State {
    fn end(&self) -> u64 {
        self.base + self.units.len() as u64
    }

    fn newest_entry_point(&self) -> Option<u64> {
        self.entry_points.back().copied()
    }

    /// Drops whole groups of pictures from the front while the rest still covers the pre-buffer, and single units
    /// while the ring is over its bounds.
    fn trim(&mut self, limits: &RingLimits) {
        while self.bytes > limits.bytes_max || self.units.len() > UNITS_MAX {
            self.pop();
        }
        let Some(newest) = self.units.back().map(|entry| entry.unit.received) else { return };
        let keep_from: Mono = newest - limits.pre_buffer;
        loop {
            // The first group ends where the next begins; it may go once the next one covers the pre-buffer.
            let is_first = self.entry_points.front() == Some(&self.base);
            let Some(&next_group) = self.entry_points.get(usize::from(is_first)) else { return };
            if self.units[(next_group - self.base) as usize].unit.received > keep_from {
                return;
            }
            (self.base..next_group).for_each(|_| self.pop());
        }
    }

    fn pop(&mut self) {
        if let Some(entry) = self.units.pop_front() {
            self.bytes -= entry.unit.data.len();
            self.base += 1;
            if self.entry_points.front().is_some_and(|&number| number < self.base) {
                self.entry_points.pop_front();
            }
        }
    }
}

/// One reader's place in a ring.
#[derive(Debug)]
pub struct Reader {
    ring: Arc<Ring>,
    next: u64,
    source: Option<Arc<StateMessage>>,
    format: Option<Arc<Format>>,
    needs_entry_point: bool,
}

impl Reader {
    /// The next item; waits for one. `None` when the ring was closed and is read to its end.
    pub async fn next(&mut self) -> Option<Item> {
        let ring = Arc::clone(&self.ring);
        loop {
            let arrived = ring.arrived.notified();
            tokio::pin!(arrived);
            // Registers before looking, so that a unit that comes in between wakes us.
            arrived.as_mut().enable();
            match self.poll() {
                Poll::Item(item) => return Some(item),
                Poll::Closed => return None,
                Poll::Empty => arrived.await,
            }
        }
    }

    fn poll(&mut self) -> Poll {
        let state = self.ring.state.lock();
        if let Some(source) = &state.source
            && self.source.as_ref() != Some(source)
        {
            self.source = Some(Arc::clone(source));
            return Poll::Item(Item::State(Arc::clone(source)));
        }
        if self.next < state.base {
            // Fell behind: what comes next can't be decoded before an entry point.
            self.next = state.newest_entry_point().unwrap_or_else(|| state.end());
            self.needs_entry_point = true;
        }
        while self.next < state.end() {
            let entry = &state.units[(self.next - state.base) as usize];
            if self.needs_entry_point && !entry.unit.flags.entry_point {
                self.next += 1;
                continue;
            }
            if self.format.as_ref() != Some(&entry.format) {
                self.format = Some(Arc::clone(&entry.format));
                return Poll::Item(Item::Format(Arc::clone(&entry.format)));
            }
            self.needs_entry_point = false;
            self.next += 1;
            return Poll::Item(Item::Unit(Arc::clone(&entry.unit)));
        }
        if state.closed { Poll::Closed } else { Poll::Empty }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ring.state.lock().readers -= 1;
    }
}

enum Poll {
    Item(Item),
    Empty,
    Closed,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use varde_codec::UnitFlags;

    use super::*;

    fn unit(number: u64, entry_point: bool, bytes: usize) -> Arc<AccessUnit> {
        let at = Mono::from_nanos(number * 100_000_000);
        Arc::new(AccessUnit {
            sequence: number,
            time: at,
            decode_time: at,
            received: at,
            camera_time: None,
            flags: UnitFlags { entry_point, ..UnitFlags::default() },
            data: Bytes::from(vec![0; bytes]),
        })
    }

    fn ring(pre_buffer_ms: u64, bytes_max: usize) -> Arc<Ring> {
        let ring = Ring::new(RingLimits { pre_buffer: Duration::from_millis(pre_buffer_ms), bytes_max });
        ring.set_format(Arc::new(Format::Mjpeg { width: 640, height: 360 }));
        ring
    }

    /// Ten units a second, an entry point every fifth.
    fn fill(ring: &Ring, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| ring.push(unit(number, number % 5 == 0, 10)));
    }

    async fn numbers(reader: &mut Reader, count: usize) -> Vec<u64> {
        let mut read = Vec::new();
        while read.len() < count {
            match reader.next().await {
                Some(Item::Unit(unit)) => read.push(unit.sequence),
                Some(Item::Format(_) | Item::State(_)) => {}
                None => break,
            }
        }
        read
    }

    #[tokio::test]
    async fn a_reader_begins_at_the_newest_entry_point() {
        let ring = ring(5_000, 1 << 20);
        fill(&ring, 0..13);
        let mut reader = ring.reader();
        assert!(matches!(reader.next().await, Some(Item::Format(_))));
        assert_eq!(numbers(&mut reader, 3).await, [10, 11, 12]);
    }

    #[tokio::test]
    async fn a_slow_reader_skips_to_an_entry_point_and_holds_nobody() {
        let ring = ring(1_000, 1 << 20);
        fill(&ring, 0..6);
        let mut slow = ring.reader();
        assert_eq!(numbers(&mut slow, 1).await, [5]);
        fill(&ring, 6..103);
        assert_eq!(numbers(&mut slow, 2).await, [100, 101]);
    }

    #[test]
    fn the_pre_buffer_begins_with_an_entry_point_and_the_budget_wins() {
        let generous = ring(1_000, 1 << 20);
        fill(&generous, 0..103);
        let first = generous.state.lock().units.front().map(|entry| entry.unit.clone()).unwrap();
        assert!(first.flags.entry_point);
        assert_eq!(first.sequence, 90, "a second back from 102 lies in the group of 90");

        let tight = ring(60_000, 105);
        fill(&tight, 0..100);
        assert!(tight.bytes() <= 105);
    }

    #[tokio::test]
    async fn a_new_configuration_reaches_the_reader_before_its_units() {
        let ring = ring(5_000, 1 << 20);
        fill(&ring, 0..6);
        let mut reader = ring.reader();
        assert_eq!(numbers(&mut reader, 1).await, [5]);
        let changed = Arc::new(Format::Mjpeg { width: 1280, height: 720 });
        ring.set_format(Arc::clone(&changed));
        ring.push(unit(6, true, 10));
        assert!(matches!(reader.next().await, Some(Item::Format(format)) if format == changed));
        assert!(matches!(reader.next().await, Some(Item::Unit(unit)) if unit.sequence == 6));
    }

    #[tokio::test]
    async fn a_reader_hears_how_the_source_does_at_once_and_whenever_it_changes() {
        let state = |code: &str| StateMessage { state: code.into(), parameters: serde_json::Map::new() };
        let ring = ring(5_000, 1 << 20);
        ring.set_state(state("connecting"));
        let mut reader = ring.reader();
        assert!(matches!(reader.next().await, Some(Item::State(told)) if *told == state("connecting")));
        fill(&ring, 0..1);
        ring.set_state(state("connecting"));
        assert_eq!(numbers(&mut reader, 1).await, [0]);
        ring.set_state(state("unreachable"));
        assert!(matches!(reader.next().await, Some(Item::State(told)) if *told == state("unreachable")));
    }

    #[tokio::test]
    async fn a_closed_ring_ends_its_readers() {
        let ring = ring(5_000, 1 << 20);
        fill(&ring, 0..1);
        let mut reader = ring.reader();
        ring.close();
        assert_eq!(numbers(&mut reader, 9).await, [0]);
        assert!(reader.next().await.is_none());
        drop(reader);
        assert_eq!(ring.readers(), 0);
    }
}
