//! One stream in the recorder: its ring, its place in the store, how it does, and why there is no picture.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use varde_api::codes::{CameraState, GapCause};
use varde_api_internal::recorder::StreamStatus;
use varde_codec::{AccessUnit, Format};
use varde_driver::{SourceHealth, SourceState};
use varde_ids::{ChannelId, StreamId};
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
    track: Option<TrackWriter>,
    format: Option<Arc<Format>>,
    view: View,
    health: SourceHealth,
    meter: Meter,
    /// When the last unit was to be shown: where a gap begins.
    last_unit: Option<Mono>,
    units_in_state: u64,
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
        Arc::new(Self {
            id,
            channel,
            ring: Ring::new(limits),
            inner: Mutex::new(Inner {
                track: None,
                format: None,
                view,
                health: SourceHealth::default(),
                meter: Meter::default(),
                last_unit: None,
                units_in_state: 0,
            }),
        })
    }

    /// Begins to record what comes from now on.
    pub fn record(&self, mut track: TrackWriter) {
        let mut inner = self.inner.lock();
        if let Some(format) = &inner.format {
            track.format(Arc::clone(format));
        }
        if let Some(cause) =
            inner.view.state.gap_cause().filter(|_| inner.view.state != CameraState::Connecting)
        {
            track.gap(cause, inner.view.parameters.clone(), varde_ambient::mono_now());
        }
        inner.track = Some(track);
    }

    /// Ends the recording; the timeline says why.
    pub fn stop_recording(&self, cause: Option<GapCause>) {
        let mut inner = self.inner.lock();
        if let Some(mut track) = inner.track.take() {
            if let Some(cause) = cause {
                track.gap(cause, Map::new(), varde_ambient::mono_now());
            }
            track.close();
        }
    }

    /// Hands over a fragment that waits for a unit which may never come. Called every half second.
    pub fn on_tick(&self, now: Mono) {
        if let Some(track) = &mut self.inner.lock().track {
            track.tick(now);
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.inner.lock().track.is_some()
    }

    pub fn on_format(&self, format: Arc<Format>) {
        self.ring.set_format(Arc::clone(&format));
        let mut inner = self.inner.lock();
        if let Some(track) = &mut inner.track {
            track.format(Arc::clone(&format));
        }
        inner.format = Some(format);
    }

    pub fn on_unit(&self, unit: AccessUnit) {
        {
            let mut inner = self.inner.lock();
            inner.meter.count(&unit);
            inner.last_unit = Some(unit.time);
            inner.units_in_state += 1;
            if let Some(track) = &mut inner.track {
                track.append(unit.clone());
            }
        }
        self.ring.push(Arc::new(unit));
    }

    /// Takes a new state of the source. Says whether it differs from the one before.
    pub fn on_state(&self, state: &SourceState, at: Mono, now: Utc) -> bool {
        let mut inner = self.inner.lock();
        // A new attempt does not change why there is no picture; only its result does.
        let attempt = state.state == CameraState::Connecting && inner.view.state.gap_cause().is_some();
        if attempt || (inner.view.state == state.state && inner.view.parameters == state.parameters) {
            return false;
        }
        let cause = state.state.gap_cause().filter(|_| state.state != CameraState::Connecting);
        let begun = inner.last_unit.filter(|_| inner.units_in_state > 0).unwrap_or(at);
        if let (Some(cause), Some(track)) = (cause, &mut inner.track) {
            track.gap(cause, state.parameters.clone(), begun.min(at));
        }
        let changed = inner.view.state != state.state;
        let since = if changed { now } else { inner.view.since };
        inner.view = View { state: state.state, parameters: state.parameters.clone(), since };
        inner.units_in_state = 0;
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
        inner.track.is_some() && inner.view.state == CameraState::Online && inner.units_in_state > 0
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
            durable_until: inner.track.as_ref().and_then(TrackWriter::durable_until),
            units_received: inner.meter.units,
            units_dropped: inner.track.as_ref().map_or(0, |track| track.durability().units_dropped()),
            packets_lost: inner.health.packets_lost,
            clock_drift_ppm: inner.health.clock_drift_ppm,
            clock_offset_ms: inner.health.clock_offset_ms,
            ring_bytes: self.ring.bytes() as u64,
            viewers: self.ring.readers(),
        }
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
