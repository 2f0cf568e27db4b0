//! One stream's subscription and the places of its viewers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::watch;
use varde_ambient::utc_now;
use varde_api::codes::CameraState;
use varde_api_internal::link::{Message, StateMessage};
use varde_codec::{AccessUnit, Format, Medium};
use varde_ids::StreamId;
use varde_units::{Mono, Utc};

use super::ring::Ring;
use crate::recorder::Recorder;
use crate::vision::{Target, Vision};

/// A viewer further behind than this skips to the latest entry point.
const BEHIND_MAX: Duration = Duration::from_millis(2_500);

const RECONNECT_FIRST: Duration = Duration::from_millis(200);
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// State of a stream's source, as tiles show it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateInfo {
    /// A code of `CameraState`.
    pub state: String,
    pub parameters: Map<String, Value>,
    pub since: Utc,
}

/// What a viewer gets.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Format(Arc<Format>),
    State(StateInfo),
    Unit {
        unit: AccessUnit,
        duration: Duration,
        /// Units before this one were skipped for this viewer.
        after_skip: bool,
    },
}

#[derive(Debug)]
struct Shared {
    ring: Ring,
    format: Option<Arc<Format>>,
    state: StateInfo,
    /// Rises with each change of `state`.
    state_version: u64,
}

#[derive(Debug)]
pub(super) struct Feed {
    stream: StreamId,
    shared: Mutex<Shared>,
    news: watch::Sender<()>,
    viewers: AtomicUsize,
    left: tokio::sync::Notify,
    ended: AtomicBool,
}

impl Feed {
    /// Begins to read. The task holds the feed until the last viewer has been gone for `linger`, or `read` ends.
    pub(super) fn open<F>(stream: StreamId, linger: Duration, read: impl FnOnce(Arc<Self>) -> F) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let state = StateInfo {
            state: CameraState::Connecting.code().to_owned(),
            parameters: Map::new(),
            since: utc_now(),
        };
        let feed = Arc::new(Self {
            stream,
            shared: Mutex::new(Shared { ring: Ring::default(), format: None, state, state_version: 0 }),
            news: watch::channel(()).0,
            viewers: AtomicUsize::new(0),
            left: tokio::sync::Notify::new(),
            ended: AtomicBool::new(false),
        });
        let (own, reading) = (feed.clone(), read(feed.clone()));
        tokio::spawn(async move {
            tokio::select! {
                () = reading => {}
                () = own.deserted(linger) => {}
            }
            own.ended.store(true, Ordering::Relaxed);
        });
        feed
    }

    /// Whether nothing will come any more; who wants the stream opens it anew.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    async fn deserted(&self, linger: Duration) {
        loop {
            if self.viewers() == 0 {
                tokio::select! {
                    () = tokio::time::sleep(linger) => if self.viewers() == 0 { return },
                    () = self.left.notified() => {}
                }
            } else {
                self.left.notified().await;
            }
        }
    }

    /// Reads the recorder's link for ever; a link that ends is opened again.
    pub(super) async fn read_recorder(&self, recorder: &dyn Recorder, stream: StreamId) {
        let mut wait = RECONNECT_FIRST;
        loop {
            match recorder.live(stream).await {
                Ok(mut link) => {
                    while let Some(message) = link.next().await {
                        match message {
                            Ok(message) => {
                                wait = RECONNECT_FIRST;
                                self.take(message);
                            }
                            Err(error) => {
                                tracing::debug!(%stream, %error, "media link broke");
                                break;
                            }
                        }
                    }
                }
                Err(error) => tracing::debug!(%stream, %error, "media link refused"),
            }
            self.lost();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RECONNECT_MAX);
        }
    }

    /// Reads what the worker makes of another stream, until that ends.
    pub(super) async fn read_worker(&self, source: Subscriber, vision: &dyn Vision, target: Target) {
        let messages = futures::stream::unfold(source, async |mut source| {
            let message = match source.next().await {
                Item::Format(format) => Message::Format((*format).clone()),
                Item::State(state) => {
                    Message::State(StateMessage { state: state.state, parameters: state.parameters })
                }
                Item::Unit { mut unit, after_skip, .. } => {
                    unit.flags.after_loss |= after_skip;
                    Message::Unit(unit)
                }
            };
            Some((message, source))
        });
        match vision.transcode(target, messages.boxed()).await {
            Ok(mut made) => {
                while let Some(message) = made.next().await {
                    self.take(message);
                }
                tracing::info!(stream = %self.stream, "the worker ended a stream");
            }
            Err(error) => tracing::warn!(stream = %self.stream, %error, "a stream can't be encoded anew"),
        }
        self.lost();
    }

    fn take(&self, message: Message) {
        let mut shared = self.shared.lock();
        match message {
            Message::Format(format) => {
                if shared.format.as_deref() != Some(&format) {
                    shared.format = Some(Arc::new(format));
                    // Units of the former format need the former init segment, which is gone.
                    shared.ring.clear();
                }
            }
            Message::Unit(unit) => {
                let Some(format) = shared.format.clone() else { return };
                shared.ring.push(unit, format);
            }
            Message::State(state) => {
                shared.set_state(state.state, state.parameters);
            }
        }
        drop(shared);
        self.news.send_replace(());
    }

    /// The recorder is away: pictures of before and after have nothing in common.
    fn lost(&self) {
        let mut shared = self.shared.lock();
        shared.ring.clear();
        let mut parameters = Map::new();
        parameters.insert("part".into(), "recorder".into());
        shared.set_state(CameraState::Disconnected.code().to_owned(), parameters);
        drop(shared);
        self.news.send_replace(());
    }
}

impl Shared {
    fn set_state(&mut self, state: String, parameters: Map<String, Value>) {
        if self.state.state != state || self.state.parameters != parameters {
            self.state = StateInfo { state, parameters, since: utc_now() };
            self.state_version += 1;
        }
    }
}

/// A viewer's place in a stream.
#[derive(Debug)]
pub(crate) struct Subscriber {
    feed: Arc<Feed>,
    news: watch::Receiver<()>,
    /// The next entry; `None`: waits for an entry point from this number on.
    next: Option<u64>,
    wait_from: u64,
    skipped: bool,
    format: Option<Arc<Format>>,
    state_version: Option<u64>,
}

impl Subscriber {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        feed.viewers.fetch_add(1, Ordering::Relaxed);
        feed.left.notify_one();
        let news = feed.news.subscribe();
        let (next, wait_from) = {
            let shared = feed.shared.lock();
            let sound = shared.format.as_ref().is_some_and(|format| format.medium() != Medium::Video);
            let next = if sound { Some(shared.ring.end()) } else { shared.ring.latest_entry_point() };
            (next, shared.ring.end())
        };
        Self { feed, news, next, wait_from, skipped: false, format: None, state_version: None }
    }

    /// Waits for what comes next. Cancel safe.
    pub async fn next(&mut self) -> Item {
        loop {
            self.news.mark_unchanged();
            if let Some(item) = self.poll() {
                return item;
            }
            // The feed holds the sender and this place holds the feed, so the channel is never closed.
            let _ = self.news.changed().await;
        }
    }

    /// What is there already.
    pub fn poll(&mut self) -> Option<Item> {
        let shared = self.feed.shared.lock();
        if self.state_version != Some(shared.state_version) {
            self.state_version = Some(shared.state_version);
            return Some(Item::State(shared.state.clone()));
        }
        let mut number = match self.next {
            Some(number) => number,
            None => {
                let number = shared.ring.latest_entry_point().filter(|number| *number >= self.wait_from)?;
                self.next = Some(number);
                number
            }
        };
        let newest = shared.ring.newest()?;
        let behind = shared.ring.get(number).map(|entry| newest.unit.received.since(entry.unit.received));
        if behind.is_none_or(|behind| behind > BEHIND_MAX) && number < shared.ring.end() {
            // Too slow, or what it waited for has left the ring. A new viewer of a long group of pictures reads from
            // its entry point, however old: only a later entry point is worth a jump.
            match shared.ring.latest_entry_point() {
                Some(latest) if latest > number || behind.is_none() => {
                    self.skipped = true;
                    self.next = Some(latest);
                    number = latest;
                }
                Some(_) => {}
                None => {
                    self.skipped = true;
                    self.next = None;
                    self.wait_from = shared.ring.end();
                    return None;
                }
            }
        }
        let entry = shared.ring.get(number)?;
        if self.format.as_ref() != Some(&entry.format) {
            self.format = Some(entry.format.clone());
            return Some(Item::Format(entry.format.clone()));
        }
        self.next = Some(number + 1);
        let after_skip = std::mem::take(&mut self.skipped);
        Some(Item::Unit { unit: entry.unit.clone(), duration: entry.duration, after_skip })
    }

    pub fn stream(&self) -> StreamId {
        self.feed.stream
    }

    /// Whether pictures are shown in another order than they are decoded (B-frames), as far as the ring tells.
    pub fn reorders(&self) -> bool {
        self.feed.shared.lock().ring.reorders()
    }

    /// Goes on with the first unit at or after `time`; for sound that must begin with the pictures.
    pub fn start_at(&mut self, time: Mono) {
        let shared = self.feed.shared.lock();
        self.next = Some(shared.ring.at_or_after(time));
    }

    /// Goes on at the latest entry point, or the next where there is none: after a pause.
    pub fn restart(&mut self) {
        let shared = self.feed.shared.lock();
        self.next = shared.ring.latest_entry_point();
        self.wait_from = shared.ring.end();
        self.skipped = true;
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.feed.viewers.fetch_sub(1, Ordering::Relaxed);
        self.feed.left.notify_one();
    }
}
