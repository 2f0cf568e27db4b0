//! Live fan-out: one subscription to the recorder per stream, however many watch.
//!
//! Decides what a new viewer begins with (the latest entry point) and what a slow one loses (everything up to the next
//! entry point). A viewer holds a place in a bounded ring and nothing else, so that none can hold up another.

mod feed;
mod ring;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use varde_ids::StreamId;

pub(crate) use feed::{Item, StateInfo, Subscriber};

use crate::recorder::Recorder;
use crate::vision::{Target, Vision};
use feed::Feed;

/// How long a stream stays subscribed after its last viewer left: switching views opens nothing anew.
const LINGER: Duration = Duration::from_secs(5);

/// A stream as the recorder has it, or as the worker makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    stream: StreamId,
    target: Option<Target>,
}

/// The streams that somebody watches.
pub struct Hub {
    recorder: Arc<dyn Recorder>,
    vision: Option<Arc<dyn Vision>>,
    feeds: Mutex<HashMap<Key, Weak<Feed>>>,
    linger: Duration,
    /// Video streams that are encoded anew hold one each.
    places: Arc<Semaphore>,
    places_max: usize,
}

/// Why a stream can't be encoded anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTranscode {
    /// There is no worker.
    NoWorker,
    /// As many as this are encoded already.
    Limit(usize),
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("feeds", &self.feeds.lock().len()).finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new(
        recorder: Arc<dyn Recorder>,
        vision: Option<Arc<dyn Vision>>,
        transcode_streams_max: usize,
    ) -> Self {
        Self {
            recorder,
            vision,
            feeds: Mutex::default(),
            linger: LINGER,
            places: Arc::new(Semaphore::new(transcode_streams_max)),
            places_max: transcode_streams_max,
        }
    }

    /// A place in the stream, at its latest entry point.
    pub(crate) fn subscribe(&self, stream: StreamId) -> Subscriber {
        let mut feeds = self.feeds.lock();
        Subscriber::new(self.recorded(&mut feeds, stream))
    }

    fn recorded(&self, feeds: &mut HashMap<Key, Weak<Feed>>, stream: StreamId) -> Arc<Feed> {
        let key = Key { stream, target: None };
        live_feed(feeds, key).unwrap_or_else(|| {
            let recorder = self.recorder.clone();
            let feed = Feed::open(stream, self.linger, |feed| async move {
                feed.read_recorder(&*recorder, stream).await;
            });
            feeds.insert(key, Arc::downgrade(&feed));
            feed
        })
    }

    /// A place in the stream as the worker encodes it anew, once for all who want it so.
    pub(crate) fn subscribe_transcoded(
        &self,
        stream: StreamId,
        target: Target,
    ) -> Result<Subscriber, NoTranscode> {
        let vision = self.vision.clone().ok_or(NoTranscode::NoWorker)?;
        let mut feeds = self.feeds.lock();
        let key = Key { stream, target: Some(target) };
        if let Some(feed) = live_feed(&mut feeds, key) {
            return Ok(Subscriber::new(feed));
        }
        let place = match target {
            // Sound costs next to nothing.
            Target::Opus => None,
            Target::H264 => Some(
                self.places.clone().try_acquire_owned().map_err(|_| NoTranscode::Limit(self.places_max))?,
            ),
        };
        let source = Subscriber::new(self.recorded(&mut feeds, stream));
        let feed = Feed::open(stream, self.linger, |feed| async move {
            feed.read_worker(source, &*vision, target).await;
            drop(place);
        });
        feeds.insert(key, Arc::downgrade(&feed));
        Ok(Subscriber::new(feed))
    }

    /// How many watch a stream as the recorder has it; the worker is one of them.
    pub(crate) fn viewers(&self, stream: StreamId) -> usize {
        let key = Key { stream, target: None };
        self.feeds.lock().get(&key).and_then(Weak::upgrade).map_or(0, |feed| feed.viewers())
    }
}

fn live_feed(feeds: &mut HashMap<Key, Weak<Feed>>, key: Key) -> Option<Arc<Feed>> {
    feeds.retain(|_, feed| feed.strong_count() > 0);
    feeds.get(&key).and_then(Weak::upgrade).filter(|feed| !feed.has_ended())
}

#[cfg(test)]
mod tests;
