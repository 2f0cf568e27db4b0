//! The clockwork: one thread that wakes when the next picture, sound frame or chunk of any stream is due.
//!
//! A thread of its own, because runtimes wake in whole milliseconds and paced packets are 300 µs apart.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use varde_ambient::{mono_now, utc_now};
use varde_units::Mono;

use crate::stream::{Due, Stream};

/// What is to be done when. Dropping the last handle does not stop the thread; [`Schedule::stop`] does.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    plan: Mutex<Plan>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Plan {
    entries: BinaryHeap<Reverse<Entry>>,
    /// Makes entries of the same instant keep their order.
    count: u64,
    stopped: bool,
}

#[derive(Debug)]
struct Entry {
    at: Mono,
    order: u64,
    stream: Arc<Stream>,
    due: Due,
    generation: u64,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl Plan {
    fn add(&mut self, at: Mono, stream: Arc<Stream>, due: Due, generation: u64) {
        self.count += 1;
        self.entries.push(Reverse(Entry { at, order: self.count, stream, due, generation }));
    }
}

impl Schedule {
    /// Starts the thread.
    pub(crate) fn run(self: &Arc<Self>) -> std::io::Result<thread::JoinHandle<()>> {
        let schedule = self.clone();
        thread::Builder::new().name("virtual-cameras".to_owned()).spawn(move || schedule.work())
    }

    /// Puts a stream that was idle on the plan.
    pub(crate) fn start(&self, stream: &Arc<Stream>) {
        let (generation, picture, sound) = stream.first_due();
        let mut plan = self.plan.lock();
        plan.add(picture, stream.clone(), Due::Picture, generation);
        if let Some(sound) = sound {
            plan.add(sound, stream.clone(), Due::Sound, generation);
        }
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.plan.lock().stopped = true;
        self.changed.notify_one();
    }

    fn work(&self) {
        let mut ready = Vec::new();
        while self.wait(&mut ready) {
            let utc = utc_now();
            for entry in ready.drain(..) {
                let next = entry.stream.on_due(entry.due, entry.generation, mono_now(), utc);
                let mut plan = self.plan.lock();
                if let Some(at) = next.again {
                    plan.add(at, entry.stream.clone(), entry.due, entry.generation);
                }
                if let Some(at) = next.chunk {
                    plan.add(at, entry.stream, Due::Chunk, entry.generation);
                }
            }
        }
    }

    /// Waits until something is due and takes it. False when it is over.
    fn wait(&self, ready: &mut Vec<Entry>) -> bool {
        let mut plan = self.plan.lock();
        loop {
            if plan.stopped {
                return false;
            }
            let now = mono_now();
            while plan.entries.peek().is_some_and(|Reverse(entry)| entry.at <= now) {
                ready.extend(plan.entries.pop().map(|Reverse(entry)| entry));
            }
            if !ready.is_empty() {
                return true;
            }
            match plan.entries.peek() {
                Some(Reverse(entry)) => {
                    let rest = entry.at.since(now).min(Duration::from_secs(1));
                    self.changed.wait_for(&mut plan, rest);
                }
                None => self.changed.wait(&mut plan),
            }
        }
    }
}
