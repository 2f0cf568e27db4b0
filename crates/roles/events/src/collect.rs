//! Where events come from. Each is stored once, whatever is asked for twice.

use std::sync::Arc;
use std::time::Duration;

use varde_api_internal::recorder::Event;
use varde_bus::Subscriber;
use varde_database::Error;
use varde_ids::WriterId;

use crate::{EVENTS_MAX, Events};

/// How long the recorder keeps a question open that it has no event for.
const WAIT: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_secs(1);
/// Events of the bus that are stored in one transaction.
const BATCH_MAX: usize = 256;
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
const PRUNE_STEP: u64 = 10_000;

impl Events {
    /// Stores until it succeeds, then shows what is new. An event that can't be stored at all is left out, and said.
    async fn store(&self, events: Vec<Event>) {
        loop {
            match self.database.event_insert(events.clone()).await {
                Ok(fresh) => {
                    for event in fresh {
                        // Nobody may be listening.
                        let _ = self.arrivals.send(Arc::new(self.public(event)));
                    }
                    return;
                }
                Err(Error::Unavailable(detail)) => {
                    tracing::warn!(detail, "events wait for the database");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => {
                    tracing::error!(%error, count = events.len(), "events were left out");
                    return;
                }
            }
        }
    }
}

/// Asks the recorder for what comes after the last known event. A restarted recorder counts anew, under a new name.
pub async fn from_recorder(events: &Events) {
    let mut known: Option<WriterId> = None;
    let mut after = 0;
    loop {
        let page = match events.link.status().await {
            Err(error) => Err(error),
            Ok(status) => {
                if known != Some(status.writer) {
                    (known, after) = (Some(status.writer), 0);
                }
                events.link.events(after, WAIT).await
            }
        };
        match page {
            Ok(page) => {
                // An answer without progress would be asked for again at once, for ever.
                let is_progress = page.next > after || page.events.is_empty();
                if !page.events.is_empty() {
                    events.store(page.events).await;
                }
                after = page.next;
                if !is_progress {
                    tokio::time::sleep(RETRY).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no events from the recorder");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Takes what roles of this process publish. Ends, and rests for ever, once they are gone.
pub async fn from_bus(events: &Events, mut bus: Subscriber) {
    while let Some(first) = bus.next().await {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Some(event) = bus.try_next()
        {
            batch.push(event);
        }
        events.store(batch).await;
    }
    std::future::pending().await
}

/// Keeps the table within its limit.
pub async fn prune(events: &Events) {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        loop {
            match events.database.event_prune(EVENTS_MAX, PRUNE_STEP).await {
                Ok(PRUNE_STEP..) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "old events stay for now");
                    break;
                }
            }
        }
    }
}
