//! The events role: takes events from the recorder and from the roles of this process, keeps each once, and shows them
//! as a list and as they come.
//!
//! Refuses to make events of its own, and to keep them for ever: the oldest go at a named limit.

mod collect;
mod http;

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use varde_api::event::Event;
use varde_api_internal::recorder;
use varde_bus::Subscriber;
use varde_database::{Database, Error};
use varde_ids::SiteId;
use varde_recorder_link::RecorderLink;

pub use http::{openapi, routes};

/// Events that a WebSocket may be behind before it is closed.
const BEHIND_MAX: usize = 1024;
/// Events that are kept; at some hundred bytes each, a few hundred megabytes.
const EVENTS_MAX: u64 = 1_000_000;

/// The role. Handlers and tasks share it.
#[derive(Debug)]
pub struct Events {
    database: Database,
    link: Arc<dyn RecorderLink>,
    site: SiteId,
    arrivals: broadcast::Sender<Arc<Event>>,
}

impl Events {
    /// After the management role's start, which makes the site.
    pub async fn start(database: Database, link: Arc<dyn RecorderLink>) -> Result<Arc<Self>, Error> {
        let site = database.server_get().await?.site;
        let (arrivals, _) = broadcast::channel(BEHIND_MAX);
        Ok(Arc::new(Self { database, link, site, arrivals }))
    }

    /// Collects until `stop` becomes true.
    pub async fn run(&self, bus: Subscriber, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = collect::from_recorder(self) => {}
            () = collect::from_bus(self, bus) => {}
            () = collect::prune(self) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// The public form of a stored event.
    fn public(&self, event: recorder::Event) -> Event {
        let site = self.site;
        let source = match (event.channel, event.storage) {
            (Some(camera), _) => format!("/sites/{site}/cameras/{camera}"),
            (None, Some(storage)) => format!("/sites/{site}/storages/{storage}"),
            (None, None) => format!("/sites/{site}"),
        };
        Event {
            specversion: "1.0".to_owned(),
            id: event.id,
            source,
            kind: event.kind,
            time: event.time,
            recordedat: event.recordedat,
            origin: event.origin,
            originseq: event.originseq,
            phase: event.phase,
            correlation: event.correlation,
            severity: event.severity,
            camera: event.channel,
            storage: event.storage,
            data: event.data,
        }
    }
}

#[cfg(test)]
mod tests;
