//! The bounded way from the cameras' threads to the storage's writer thread.
//!
//! Bounded by bytes of media, of what waits here and of what was written but is not durable yet. At the limit whole
//! groups of pictures are dropped, lowest priority first, and the drop itself travels on as a message, so that it
//! becomes a gap with a cause.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use varde_codec::{Format, UnitFlags};
use varde_footage::Digest;
use varde_units::{Mono, Utc};

use crate::options::{GapNotice, TrackSpec};

/// Most messages that carry no media, per queue: every track could announce some gaps while the disk hangs.
const NOTICES_MAX: usize = 16_384;

/// What both ends of a track share.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) spec: TrackSpec,
    /// Fragments were dropped: nothing may follow before the next entry point.
    pub(crate) dropping: AtomicBool,
    /// Microseconds of UTC up to which nothing can be missing; `i64::MIN` before the first flush.
    durable_until: AtomicI64,
    /// The highest durable fragment sequence plus one.
    durable_sequence: AtomicU64,
    pub(crate) units_dropped: AtomicU64,
}

impl Slot {
    pub(crate) fn new(spec: TrackSpec) -> Self {
        Self {
            spec,
            dropping: AtomicBool::new(false),
            durable_until: AtomicI64::new(i64::MIN),
            durable_sequence: AtomicU64::new(0),
            units_dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn durable_until(&self) -> Option<Utc> {
        let micros = self.durable_until.load(Ordering::Acquire);
        (micros != i64::MIN).then(|| Utc::from_micros(micros))
    }

    /// The first sequence that is not known to be durable.
    pub(crate) fn durable_sequence(&self) -> u64 {
        self.durable_sequence.load(Ordering::Acquire)
    }

    /// Everything up to and with fragment `sequence`, which ends at `until`, is durable.
    pub(crate) fn publish(&self, sequence: u64, until: Utc) {
        self.durable_sequence.fetch_max(sequence + 1, Ordering::AcqRel);
        // Not a maximum: after a clock was set back, time in the new epoch is earlier.
        self.durable_until.store(until.as_micros(), Ordering::Release);
    }

    pub(crate) fn forget_durable_sequence(&self, next: u64) {
        self.durable_sequence.store(next, Ordering::Release);
    }
}

/// One unit of a finished fragment.
#[derive(Clone, Debug)]
pub(crate) struct FragmentUnit {
    pub(crate) time: Mono,
    pub(crate) decode_time: Mono,
    pub(crate) flags: UnitFlags,
    pub(crate) data: Bytes,
}

/// A finished fragment: its media is hashed, everything else is the writer thread's.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) format: Arc<Format>,
    pub(crate) units: Vec<FragmentUnit>,
    /// When the last unit's display ends, as far as is known.
    pub(crate) end: Mono,
    pub(crate) camera_time: Option<Utc>,
    pub(crate) payload: Digest,
    /// Set where the first unit is an entry point.
    pub(crate) key_frame: Option<Digest>,
    pub(crate) bytes: u64,
}

impl Fragment {
    pub(crate) fn start(&self) -> Mono {
        self.units.first().map_or(self.end, |unit| unit.decode_time)
    }
}

#[derive(Debug)]
pub(crate) enum Job {
    Fragment(Arc<Slot>, Fragment),
    /// Media from this instant on was dropped for want of room.
    Dropped(Arc<Slot>, Mono),
    Gap(Arc<Slot>, GapNotice),
    /// The track ends in order; nothing follows from it.
    Close(Arc<Slot>),
    /// A flush ended well: memory that it covers can go.
    Flushed,
    /// A flush failed: nothing that is not durable is to be trusted.
    FlushFailed(std::io::Error),
    /// Close every file and end the thread.
    ShutDown,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: VecDeque<Job>,
    notices: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    /// Bytes of media that wait or are not durable.
    memory: AtomicU64,
    memory_max: u64,
}

impl Queue {
    pub(crate) fn new(memory_max: u64) -> Self {
        Self { inner: Mutex::default(), filled: Condvar::new(), memory: AtomicU64::new(0), memory_max }
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Media left memory.
    pub(crate) fn release(&self, bytes: u64) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Hands over a fragment; false if it was dropped, which the writer then records.
    pub(crate) fn push_fragment(&self, slot: &Arc<Slot>, fragment: Fragment) -> bool {
        let bytes = fragment.bytes;
        let units = fragment.units.len() as u64;
        let mut inner = self.inner.lock();
        // Earlier media was dropped: only a new group of pictures may follow.
        if fragment.key_frame.is_none() && slot.dropping.load(Ordering::Acquire) {
            slot.units_dropped.fetch_add(units, Ordering::Relaxed);
            return false;
        }
        while self.memory() + bytes > self.memory_max {
            if !self.evict_below(&mut inner, slot.spec.priority) {
                slot.units_dropped.fetch_add(units, Ordering::Relaxed);
                if !slot.dropping.swap(true, Ordering::AcqRel) {
                    inner.jobs.push_back(Job::Dropped(Arc::clone(slot), fragment.start()));
                }
                drop(inner);
                self.filled.notify_one();
                return false;
            }
        }
        slot.dropping.store(false, Ordering::Release);
        self.memory.fetch_add(bytes, Ordering::Relaxed);
        inner.jobs.push_back(Job::Fragment(Arc::clone(slot), fragment));
        drop(inner);
        self.filled.notify_one();
        true
    }

    /// Drops all waiting fragments of the waiting track with the lowest priority below `priority`.
    fn evict_below(&self, inner: &mut Inner, priority: u8) -> bool {
        let waiting = inner.jobs.iter().filter_map(|job| match job {
            Job::Fragment(slot, _) if slot.spec.priority < priority => Some(slot),
            _ => None,
        });
        let Some(victim) = waiting.min_by_key(|slot| slot.spec.priority).map(Arc::clone) else {
            return false;
        };
        let mut first = None;
        inner.jobs.retain(|job| match job {
            Job::Fragment(slot, fragment) if Arc::ptr_eq(slot, &victim) => {
                first.get_or_insert(fragment.start());
                self.release(fragment.bytes);
                victim.units_dropped.fetch_add(fragment.units.len() as u64, Ordering::Relaxed);
                false
            }
            _ => true,
        });
        victim.dropping.store(true, Ordering::Release);
        if let Some(at) = first {
            inner.jobs.push_back(Job::Dropped(victim, at));
        }
        true
    }

    /// Hands over a message without media. Bounded: at the limit the oldest gap notice gives way.
    pub(crate) fn push(&self, job: Job) {
        let mut inner = self.inner.lock();
        if matches!(job, Job::Gap(..)) {
            inner.notices += 1;
            if inner.notices > NOTICES_MAX {
                if let Some(at) = inner.jobs.iter().position(|job| matches!(job, Job::Gap(..))) {
                    inner.jobs.remove(at);
                }
                inner.notices -= 1;
            }
        }
        inner.jobs.push_back(job);
        drop(inner);
        self.filled.notify_one();
    }

    /// The next message; waits for it.
    pub(crate) fn pop(&self) -> Job {
        let mut inner = self.inner.lock();
        loop {
            if let Some(job) = inner.jobs.pop_front() {
                if matches!(job, Job::Gap(..)) {
                    inner.notices -= 1;
                }
                return job;
            }
            self.filled.wait(&mut inner);
        }
    }
}
