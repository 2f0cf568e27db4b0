//! The in-process bus: roles publish events, the events role takes them. Roles of other machines will publish over
//! NATS behind the same two types.
//!
//! Publishing never waits. At the limit the newest events are dropped, counted and logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use varde_ambient::{identifier_random, utc_now};
use varde_api::codes::EventType;
use varde_api_internal::recorder::Event;
use varde_ids::{ChannelId, EventId, StorageId, WriterId};

/// Events that wait for the events role at most.
const WAITING_MAX: usize = 4096;

/// What a publisher knows of an event; the bus adds identity, origin and times.
#[derive(Clone, Debug)]
pub struct Draft {
    pub kind: EventType,
    /// `info`, `warning`, `error`.
    pub severity: &'static str,
    pub channel: Option<ChannelId>,
    pub storage: Option<StorageId>,
    pub data: Map<String, Value>,
}

impl Draft {
    pub fn new(kind: EventType) -> Self {
        Self { kind, severity: "info", channel: None, storage: None, data: Map::new() }
    }

    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = "warning";
        self
    }

    #[must_use]
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.channel = Some(channel);
        self
    }

    #[must_use]
    pub fn data(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }
}

/// Publishes on behalf of one origin, which counts its events.
#[derive(Clone, Debug)]
pub struct Publisher {
    origin: WriterId,
    next: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    sender: mpsc::Sender<Event>,
}

/// The events role's end.
#[derive(Debug)]
pub struct Subscriber {
    receiver: mpsc::Receiver<Event>,
}

pub fn bus() -> (Publisher, Subscriber) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let origin = WriterId::new(utc_now(), identifier_random());
    let publisher =
        Publisher { origin, next: Arc::new(AtomicU64::new(1)), dropped: Arc::new(AtomicU64::new(0)), sender };
    (publisher, Subscriber { receiver })
}

impl Publisher {
    pub fn publish(&self, draft: Draft) {
        let now = utc_now();
        let event = Event {
            id: EventId::new(now, identifier_random()),
            kind: draft.kind.code().to_owned(),
            time: now,
            recordedat: now,
            origin: self.origin,
            originseq: self.next.fetch_add(1, Ordering::Relaxed),
            phase: "pulse".to_owned(),
            correlation: None,
            severity: draft.severity.to_owned(),
            channel: draft.channel,
            storage: draft.storage,
            data: draft.data,
        };
        if self.sender.try_send(event).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(dropped, "an event was dropped: the events role does not take them");
        }
    }

    /// Events that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Subscriber {
    /// The next event; `None` once every publisher is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// An event that waits already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_arrive_in_order_and_a_full_bus_drops_the_newest() {
        let (publisher, mut subscriber) = bus();
        for _ in 0..WAITING_MAX + 3 {
            publisher.publish(Draft::new(EventType::SignIn).data("user", "a"));
        }
        assert_eq!(publisher.dropped(), 3);
        for expected in 1..=WAITING_MAX as u64 {
            assert_eq!(subscriber.next().await.unwrap().originseq, expected);
        }
        drop(publisher);
        assert!(subscriber.next().await.is_none());
    }
}
