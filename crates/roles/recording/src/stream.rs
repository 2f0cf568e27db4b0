//! One stream in the recorder: its ring, its place in the store, how it does, and why there is no picture.
//!
//! A recording that moves to another storage does so at an entry point, so that no picture is left out.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use varde_api::codes::{CameraState, GapCause};
use varde_api_internal::link::StateMessage;
use varde_api_internal::recorder::StreamStatus;
use varde_codec::{AccessUnit, Format};
use varde_driver::{SourceHealth, SourceState};
use varde_ids::{ChannelId, StorageId, StreamId};
use varde_media_store::TrackWriter;
use varde_units::{Bitrate, ByteSize, Mono, Utc};

use crate::ring::{Ring, RingLimits};

/// How long a rate is measured.
const METER_WINDOW: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Stream {
    pub id: StreamId,
    pub channel: ChannelId,
    pub ring: Arc<Ring>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    track: Option<Track>,
    /// Takes over from `track` at the next entry point.
    next_track: Option<Track>,
    format: Option<Arc<Format>>,
    view: View,
    health: SourceHealth,
    meter: Meter,
    /// When the last unit was to be shown: where a gap begins.
    last_unit: Option<Mono>,
    /// Units since the last state without pictures.
    units_since_gap: u64,
}

/// Where a stream is recorded.
#[derive(Debug)]
struct Track {
    storage: StorageId,
    writer: TrackWriter,
    /// An entry point was recorded since the last gap, so that gap has its end.
    begun: bool,
}

/// What a tile says of the stream.
#[derive(Clone, Debug)]
pub struct View {
    pub state: CameraState,
    pub parameters: Map<String, Value>,
    pub since: Utc,
}

#[derive(Debug, Default)]
struct Meter {
    units: u64,
    window_start: Option<Mono>,
    window_units: u64,
    window_bytes: u64,
    bitrate: Bitrate,
    units_per_second: f64,
}

impl Stream {
    pub fn new(id: StreamId, channel: ChannelId, limits: RingLimits, now: Utc) -> Arc<Self> {
        let view = View { state: CameraState::Connecting, parameters: Map::new(), since: now };
        let ring = Ring::new(limits);
        ring.set_state(view.message());
        Arc::new(Self {
            id,
            channel,
            ring,
            inner: Mutex::new(Inner {
                track: None,
                next_track: None,
                format: None,
                view,
                health: SourceHealth::default(),
                meter: Meter::default(),
                last_unit: None,
                units_since_gap: 0,
            }),
        })
    }

    /// Begins to record what comes from now on. A recording that runs moves over at an entry point, once a gap that is
    /// open in its storage has got its end there; or at once, where that storage goes.
    pub fn record(&self, storage: StorageId, mut writer: TrackWriter, at_once: bool) {
        let mut inner = self.inner.lock();
        if let Some(format) = &inner.format {
            writer.format(Arc::clone(format));
        }
        if inner.track.is_some() && !at_once {
            inner.next_track = Some(Track { storage, writer, begun: false });
            return;
        }
        if let Some(cause) = inner.view.gap_cause() {
            writer.gap(cause, inner.view.parameters.clone(), varde_ambient::mono_now());
        }
        inner.next_track = None;
        inner.track = Some(Track { storage, writer, begun: false });
    }

    /// What was asked for with another storage is forgotten.
    pub fn stay(&self) {
        self.inner.lock().next_track = None;
    }

    /// Ends the recording; the timeline says why.
    pub fn stop_recording(&self, cause: Option<GapCause>) {
        let mut inner = self.inner.lock();
        inner.next_track = None;
        if let Some(Track { mut writer, .. }) = inner.track.take() {
            if let Some(cause) = cause {
                writer.gap(cause, Map::new(), varde_ambient::mono_now());
            }
            writer.close();
        }
    }

    /// Hands over a fragment that waits for a unit which may never come. Called every half second.
    pub fn on_tick(&self, now: Mono) {
        if let Some(track) = &mut self.inner.lock().track {
            track.writer.tick(now);
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.inner.lock().track.is_some()
    }

    /// The storage that it is recorded to now, and the one that it moves to.
    pub fn recorded_to(&self) -> (Option<StorageId>, Option<StorageId>) {
        let inner = self.inner.lock();
        let storage = |track: &Option<Track>| track.as_ref().map(|track| track.storage);
        (storage(&inner.track), storage(&inner.next_track))
    }

    pub fn on_format(&self, format: Arc<Format>) {
        self.ring.set_format(Arc::clone(&format));
        let mut inner = self.inner.lock();
        let Inner { track, next_track, .. } = &mut *inner;
        for track in track.iter_mut().chain(next_track) {
            track.writer.format(Arc::clone(&format));
        }
        inner.format = Some(format);
    }

    pub fn on_unit(&self, unit: AccessUnit) {
        {
            let mut inner = self.inner.lock();
            inner.meter.count(&unit);
            inner.last_unit = Some(unit.time);
            inner.units_since_gap += 1;
            let Inner { track, next_track, .. } = &mut *inner;
            if unit.flags.entry_point
                && next_track.is_some()
                && track.as_ref().is_none_or(|track| track.begun)
            {
                // What is dropped here ends in order: its last fragment is handed over and its file is closed.
                *track = next_track.take();
            }
            if let Some(track) = track {
                track.begun |= unit.flags.entry_point;
                track.writer.append(unit.clone());
            }
        }
        self.ring.push(Arc::new(unit));
    }

    /// Takes a new state of the source. Says whether it differs from the one before.
    pub fn on_state(&self, state: &SourceState, at: Mono, now: Utc) -> bool {
        let mut inner = self.inner.lock();
        // A new attempt does not change why there is no picture; only its result does. A camera that was switched off
        // is connected to because it no longer is.
        let attempt = state.state == CameraState::Connecting
            && inner.view.state.gap_cause().is_some()
            && inner.view.state != CameraState::Disabled;
        if attempt || (inner.view.state == state.state && inner.view.parameters == state.parameters) {
            return false;
        }
        let changed = inner.view.state != state.state;
        let since = if changed { now } else { inner.view.since };
        inner.view = View { state: state.state, parameters: state.parameters.clone(), since };
        self.ring.set_state(inner.view.message());
        if let Some(cause) = inner.view.gap_cause() {
            // The pictures ended when the last one was shown, not when that was noticed.
            let begun = inner.last_unit.filter(|_| inner.units_since_gap > 0).unwrap_or(at).min(at);
            inner.units_since_gap = 0;
            if let Some(track) = &mut inner.track {
                track.begun = false;
                track.writer.gap(cause, state.parameters.clone(), begun);
            }
        }
        changed
    }

    pub fn on_health(&self, health: SourceHealth) {
        self.inner.lock().health = health;
    }

    pub fn view(&self) -> View {
        self.inner.lock().view.clone()
    }

    /// Pictures come and go to the store.
    pub fn is_recording(&self) -> bool {
        let inner = self.inner.lock();
        inner.track.is_some() && inner.view.state == CameraState::Online && inner.units_since_gap > 0
    }

    pub fn status(&self) -> StreamStatus {
        let inner = self.inner.lock();
        let dimensions = inner.format.as_ref().and_then(|format| format.dimensions());
        // A camera that fell silent has no rate.
        let runs = inner.view.state == CameraState::Online;
        StreamStatus {
            stream: self.id,
            state: inner.view.state.code().to_owned(),
            codec: inner.format.as_ref().map(|format| format.codec()),
            width: dimensions.map(|(width, _)| width),
            height: dimensions.map(|(_, height)| height),
            codec_string: inner.format.as_ref().map(|format| format.codec_string()),
            bitrate_bps: if runs { inner.meter.bitrate.0 } else { 0 },
            frames_per_second: if runs { inner.meter.units_per_second } else { 0.0 },
            durable_until: inner.track.as_ref().and_then(|track| track.writer.durable_until()),
            units_received: inner.meter.units,
            units_dropped: inner.track.as_ref().map_or(0, |track| track.writer.durability().units_dropped()),
            packets_lost: inner.health.packets_lost,
            clock_drift_ppm: inner.health.clock_drift_ppm,
            clock_offset_ms: inner.health.clock_offset_ms,
            ring_bytes: self.ring.bytes() as u64,
            viewers: self.ring.readers(),
        }
    }
}

impl View {
    /// As the media link says it.
    fn message(&self) -> StateMessage {
        StateMessage { state: self.state.code().to_owned(), parameters: self.parameters.clone() }
    }

    /// The cause of the gap that this state leaves in the recording. An attempt to connect is no cause: what comes of
    /// it is.
    fn gap_cause(&self) -> Option<GapCause> {
        self.state.gap_cause().filter(|_| self.state != CameraState::Connecting)
    }
}

impl Meter {
    fn count(&mut self, unit: &AccessUnit) {
        self.units += 1;
        self.window_units += 1;
        self.window_bytes += unit.data.len() as u64;
        let start = *self.window_start.get_or_insert(unit.received);
        let span = unit.received.since(start);
        if span >= METER_WINDOW {
            self.bitrate = Bitrate::of(ByteSize(self.window_bytes), span);
            self.units_per_second = self.window_units as f64 / span.as_secs_f64();
            self.window_start = Some(unit.received);
            self.window_units = 0;
            self.window_bytes = 0;
        }
    }
}
