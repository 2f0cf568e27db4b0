//! The cameras' end of a track: collects units, hashes them, and hands over finished fragments.
//!
//! Runs on the camera's I/O thread: no file is touched here, and nothing waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use varde_api::codes::GapCause;
use varde_codec::{AccessUnit, Format, Medium};
use varde_footage::{Digest, SAMPLES_MAX};
use varde_units::{Mono, Utc};

use crate::options::GapNotice;
use crate::queue::{Fragment, FragmentUnit, Job, Queue, Slot};

/// A fragment ends before the unit that would make it longer.
const FRAGMENT_MAX: Duration = Duration::from_millis(500);
/// Where every unit is an entry point (motion JPEG, intra-only video), a fragment lasts this long.
const INTRA_FRAGMENT_MAX: Duration = Duration::from_millis(250);
/// A fragment ends before the unit that would make it larger.
const FRAGMENT_BYTES_MAX: u64 = 32 << 20;
/// How long a last unit is taken to last when nothing says so.
const UNIT_DURATION_DEFAULT: Duration = Duration::from_millis(40);
/// A unit is never taken to last longer than this on its predecessor's word.
const UNIT_DURATION_MAX: Duration = Duration::from_secs(10);

/// How far a track is safe on disk. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Durability(Arc<Slot>);

impl Durability {
    /// Nothing recorded before this instant can be missing any more; `None` before the first flush.
    pub fn until(&self) -> Option<Utc> {
        self.0.durable_until()
    }

    /// Units that were dropped because the disk could not keep up.
    pub fn units_dropped(&self) -> u64 {
        self.0.units_dropped.load(Ordering::Relaxed)
    }
}

/// Writes one stream of one channel. Dropping it closes the track as [`TrackWriter::close`] does.
#[derive(Debug)]
pub struct TrackWriter {
    slot: Arc<Slot>,
    queue: Arc<Queue>,
    format: Option<Arc<Format>>,
    units: Vec<FragmentUnit>,
    hasher: Sha256,
    key_frame: Option<Digest>,
    camera_time: Option<Utc>,
    bytes: u64,
    all_entry_points: bool,
    /// Nothing can be decoded before the next entry point.
    needs_entry_point: bool,
    last_duration: Duration,
    closed: bool,
}

impl TrackWriter {
    pub(crate) fn new(slot: Arc<Slot>, queue: Arc<Queue>) -> Self {
        Self {
            slot,
            queue,
            format: None,
            units: Vec::new(),
            hasher: Sha256::new(),
            key_frame: None,
            camera_time: None,
            bytes: 0,
            all_entry_points: true,
            needs_entry_point: true,
            last_duration: UNIT_DURATION_DEFAULT,
            closed: false,
        }
    }

    /// Says what the following units are. A format that differs ends the file; video waits for an entry point.
    pub fn format(&mut self, format: Arc<Format>) {
        if self.format.as_ref().is_some_and(|old| **old == *format) {
            return;
        }
        self.finish(None);
        self.needs_entry_point = true;
        self.format = Some(format);
    }

    /// Takes a unit. Units before the first format and before the first entry point are left out.
    pub fn append(&mut self, unit: AccessUnit) {
        let Some(format) = &self.format else { return };
        if self.needs_entry_point && !unit.flags.entry_point {
            return;
        }
        let medium = format.medium();
        if let (Some(first), Some(last)) = (self.units.first(), self.units.last()) {
            let duration = unit.decode_time.since(first.decode_time);
            // Sound and documents are all entry points: they are cut by time alone.
            let at_entry_point = medium == Medium::Video
                && unit.flags.entry_point
                && (!self.all_entry_points || duration >= INTRA_FRAGMENT_MAX);
            let backwards = unit.decode_time < last.decode_time;
            if at_entry_point
                || backwards
                || duration >= FRAGMENT_MAX
                || self.units.len() >= SAMPLES_MAX
                || self.bytes + unit.data.len() as u64 > FRAGMENT_BYTES_MAX
            {
                self.finish((!backwards).then_some(unit.decode_time));
                // The fragment may have been dropped; then so is this unit, unless decoding can begin at it.
                if self.needs_entry_point && !unit.flags.entry_point {
                    self.slot.units_dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        self.collect(unit);
    }

    fn collect(&mut self, unit: AccessUnit) {
        self.needs_entry_point = false;
        self.hasher.update(&unit.data);
        if self.units.is_empty() {
            self.camera_time = unit.camera_time;
            if unit.flags.entry_point {
                // The key frame is the first unit, so its hash is a prefix of the fragment's.
                self.key_frame = Some(Digest(self.hasher.clone().finalize().into()));
            }
        } else if let Some(last) = self.units.last() {
            self.last_duration = unit.decode_time.since(last.decode_time).min(UNIT_DURATION_MAX);
        }
        self.all_entry_points &= unit.flags.entry_point;
        self.bytes += unit.data.len() as u64;
        self.units.push(FragmentUnit {
            time: unit.time,
            decode_time: unit.decode_time,
            flags: unit.flags,
            data: unit.data,
        });
    }

    /// Hands over what was collected. `next` is the decode time of the unit behind it.
    fn finish(&mut self, next: Option<Mono>) {
        let Some(last) = self.units.last() else { return };
        let Some(format) = self.format.clone() else { return };
        let limit = last.decode_time + UNIT_DURATION_MAX;
        let end = next.unwrap_or(last.decode_time + self.last_duration).min(limit);
        let capacity = self.units.len();
        let fragment = Fragment {
            format,
            units: std::mem::replace(&mut self.units, Vec::with_capacity(capacity)),
            end,
            camera_time: self.camera_time.take(),
            payload: Digest(self.hasher.finalize_reset().into()),
            key_frame: self.key_frame.take(),
            bytes: std::mem::take(&mut self.bytes),
        };
        self.all_entry_points = true;
        self.needs_entry_point = !self.queue.push_fragment(&self.slot, fragment);
    }

    /// Hands over what has been collected for half a second though no unit came behind it. To be called about
    /// twice a second, so that a stalling camera's last pictures become durable.
    pub fn tick(&mut self, now: Mono) {
        let waiting = self.units.first().is_some_and(|first| now.since(first.time) >= FRAGMENT_MAX * 2);
        if waiting {
            self.finish(None);
        }
    }

    /// The recording stops here for a cause, until the next unit. A cause that differs from that of a gap which is
    /// still open ends the open gap and begins another at `at`.
    pub fn gap(&mut self, cause: GapCause, parameters: Map<String, Value>, at: Mono) {
        self.finish(None);
        self.needs_entry_point = true;
        self.queue.push(Job::Gap(Arc::clone(&self.slot), GapNotice { cause, parameters, at }));
    }

    /// Ends the track: its file gets its trailer. What follows later, also after a restart, begins with a gap.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.finish(None);
            self.queue.push(Job::Close(Arc::clone(&self.slot)));
        }
    }

    /// Nothing recorded before this instant can be missing any more; `None` before the first flush.
    pub fn durable_until(&self) -> Option<Utc> {
        self.slot.durable_until()
    }

    /// The same for others to keep.
    pub fn durability(&self) -> Durability {
        Durability(Arc::clone(&self.slot))
    }
}

impl Drop for TrackWriter {
    fn drop(&mut self) {
        self.end();
    }
}
