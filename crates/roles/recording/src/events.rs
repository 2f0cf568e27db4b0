//! The recorder's events on their way out: numbered, bounded, kept until the newest ten thousand push them out.
//!
//! A reader asks for what comes after a number and may wait. A jump in the numbers tells it that it came too late.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use varde_ambient::{identifier_random, utc_now};
use varde_api::codes::EventType;
use varde_api_internal::recorder::{Event, EventPage};
use varde_ids::{ChannelId, EventId, StorageId, WriterId};
use varde_units::Utc;

/// Events that wait for a reader at most.
const EVENTS_MAX: usize = 10_000;
/// Events in one answer at most.
const PAGE_MAX: usize = 500;

#[derive(Debug)]
pub struct EventLog {
    origin: WriterId,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    /// `originseq` of the newest event; the first is 1.
    newest: u64,
}

/// What an event says besides its number and times of writing.
#[derive(Clone, Debug)]
pub struct Occurrence {
    pub kind: EventType,
    pub time: Utc,
    pub phase: &'static str,
    pub correlation: Option<EventId>,
    pub severity: &'static str,
    pub channel: Option<ChannelId>,
    pub storage: Option<StorageId>,
    pub data: Map<String, Value>,
}

impl Occurrence {
    /// An event without duration that is about nothing yet.
    pub fn pulse(kind: EventType, time: Utc, severity: &'static str) -> Self {
        Self {
            kind,
            time,
            phase: "pulse",
            correlation: None,
            severity,
            channel: None,
            storage: None,
            data: Map::new(),
        }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }
}

impl EventLog {
    pub fn new(origin: WriterId) -> Self {
        Self { origin, state: Mutex::default(), arrived: Notify::new() }
    }

    pub fn push(&self, occurrence: Occurrence) -> EventId {
        let recordedat = utc_now();
        let id = EventId::new(recordedat, identifier_random());
        let mut state = self.state.lock();
        state.newest += 1;
        let event = Event {
            id,
            kind: occurrence.kind.code().to_owned(),
            time: occurrence.time,
            recordedat,
            origin: self.origin,
            originseq: state.newest,
            phase: occurrence.phase.to_owned(),
            correlation: occurrence.correlation,
            severity: occurrence.severity.to_owned(),
            channel: occurrence.channel,
            storage: occurrence.storage,
            data: occurrence.data,
        };
        if state.events.len() == EVENTS_MAX {
            state.events.pop_front();
        }
        state.events.push_back(event);
        drop(state);
        self.arrived.notify_waiters();
        id
    }

    /// The events after number `after`, waiting up to `wait` for the first.
    pub async fn page(&self, after: u64, wait: Duration) -> EventPage {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let page = self.page_now(after);
            if !page.events.is_empty() || tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return page;
            }
        }
    }

    fn page_now(&self, after: u64) -> EventPage {
        let state = self.state.lock();
        // A reader that knows an earlier run of ours holds a number that we never gave.
        let after = if after > state.newest { 0 } else { after };
        let first = state.newest + 1 - state.events.len() as u64;
        let skip = (after + 1).saturating_sub(first) as usize;
        let events: Vec<Event> = state.events.iter().skip(skip).take(PAGE_MAX).cloned().collect();
        let next = events.last().map_or(after, |event| event.originseq);
        EventPage { events, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> EventLog {
        EventLog::new(WriterId::from_bytes([1; 16]))
    }

    fn push(log: &EventLog, count: usize) {
        for _ in 0..count {
            log.push(Occurrence::pulse(EventType::RecorderStarted, Utc::EPOCH, "info"));
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_a_hole() {
        let log = log();
        push(&log, 1200);
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = log.page(after, Duration::ZERO).await;
            if page.events.is_empty() {
                break;
            }
            seen.extend(page.events.iter().map(|event| event.originseq));
            after = page.next;
        }
        assert_eq!(seen, (1..=1200).collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn the_log_is_bounded_and_a_late_reader_sees_the_jump() {
        let log = log();
        push(&log, EVENTS_MAX + 5);
        let page = log.page(2, Duration::ZERO).await;
        assert_eq!(page.events[0].originseq, 6);
    }

    #[tokio::test]
    async fn a_reader_from_before_a_restart_begins_anew() {
        let log = log();
        push(&log, 1);
        assert_eq!(log.page(900, Duration::ZERO).await.events.len(), 1);
    }
}
