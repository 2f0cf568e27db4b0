//! Places units on the server's monotonic clock: smooth as the camera's media clock, true as their arrival.
//!
//! A unit's media time is its RTP time; the least delay of recent arrivals tells where media time stands on our
//! clock, and an offset follows that slowly, so that intervals stay the camera's. Tracks whose sender reports tell a
//! common wall time share one offset and are thereby aligned. Packets that came late, in bursts or after a stall
//! change nothing: only the earliest arrivals count.

use std::collections::VecDeque;
use std::time::Duration;

use varde_units::{Mono, Utc};

use super::unwrap::Unwrapper;

const SECOND: i64 = 1_000_000_000;
/// The least delay is sought over this many windows …
const WINDOWS: usize = 5;
/// … of this length.
const WINDOW: Duration = Duration::from_secs(2);
/// Least delays for the drift: one in this time, at most so many, at least so many.
const DRIFT_WINDOW: Duration = Duration::from_secs(10);
const DRIFT_WINDOWS_MAX: usize = 60;
const DRIFT_WINDOWS_MIN: usize = 6;
/// An error is slewed away within about this time, at no more than the rates of [`slew_limit_ppm`].
const SLEW_NANOS: i64 = 5 * SECOND;
/// RTP time that goes back by more is a jump, not reordering.
const BACK_JUMP_NANOS: i64 = SECOND;
/// RTP time that runs ahead of arrival by more within one step is a jump.
const FORWARD_JUMP_NANOS: i64 = 2 * SECOND;
/// An error that is not slewed away but ended by a new beginning.
const ERROR_NANOS_MAX: i64 = 5 * SECOND;
/// Sender reports that would move a track by more are not believed.
const ALIGNMENT_NANOS_MAX: i64 = SECOND;
/// Sender reports for RTP times further away than this belong to another stream.
const REPORT_REACH_NANOS: i64 = 60 * SECOND;
/// A wall clock that moved more between two reports was set; less is noise and is averaged.
const WALL_STEP_NANOS: i64 = 50_000_000;

/// Parts per million by which an error may stretch intervals.
fn slew_limit_ppm(error_nanos: i64) -> i64 {
    match error_nanos.unsigned_abs() {
        0..20_000_000 => 500,
        20_000_000..200_000_000 => 20_000,
        _ => 250_000,
    }
}

/// Where a unit stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it is to be presented.
    pub time: Mono,
    /// The camera's own time of it, where sender reports tell one.
    pub camera_time: Option<Utc>,
    /// The clock was set anew: intervals to earlier units mean nothing.
    pub discontinuity: bool,
}

/// The media clock of one track.
#[derive(Debug)]
pub struct MediaClock {
    clock_rate: u32,
    anchor: Option<Anchor>,
    /// A sender report that came before the first unit.
    early_report: Option<(u64, u32)>,
}

/// What is known once the first unit came. Offsets are nanoseconds to add to media time.
#[derive(Debug)]
struct Anchor {
    /// The RTP time that media time counts from.
    origin: i64,
    newest: i64,
    newest_media: i64,
    last_arrival: Mono,
    /// From media time to ours, as units are stamped.
    offset: i64,
    /// Least offsets of recent arrivals.
    least: Minima,
    /// Least offsets for the drift, the oldest first.
    drift: VecDeque<(Mono, i64)>,
    drift_window: (Mono, i64),
    /// From media time to the camera's wall time since 1970.
    wall: Option<i64>,
}

/// The minimum over a sliding time, in windows.
#[derive(Debug)]
struct Minima {
    closed: VecDeque<i64>,
    open: i64,
    open_since: Mono,
}

impl Minima {
    fn on_value(&mut self, value: i64, now: Mono) {
        // Only windows with arrivals count: what comes after a stall must not displace what came before it.
        if now.since(self.open_since) >= WINDOW {
            if self.closed.len() + 1 >= WINDOWS {
                self.closed.pop_front();
            }
            self.closed.push_back(self.open);
            (self.open, self.open_since) = (value, now);
        }
        self.open = self.open.min(value);
    }

    fn least(&self) -> i64 {
        self.closed.iter().copied().min().unwrap_or(self.open).min(self.open)
    }

    fn full(&self) -> bool {
        self.closed.len() + 1 >= WINDOWS
    }
}

impl MediaClock {
    /// `clock_rate` in ticks a second; zero counts as one.
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), anchor: None, early_report: None }
    }

    /// Stamps a unit of a track that stands alone.
    pub fn on_unit(&mut self, rtp_time: i64, arrival: Mono) -> Stamp {
        let discontinuity = self.observe(rtp_time, arrival);
        let target = self.own_target();
        self.stamp(rtp_time, arrival, target, discontinuity)
    }

    /// Forgets where the track stood, as when its sender began anew.
    pub fn restart(&mut self) {
        self.anchor = None;
    }

    fn media_nanos(&self, origin: i64, rtp_time: i64) -> i64 {
        let ticks = i128::from(rtp_time) - i128::from(origin);
        let nanos = ticks * i128::from(SECOND) / i128::from(self.clock_rate);
        nanos.clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4)) as i64
    }

    /// Takes the arrival into account; true where the clock had to be set anew.
    fn observe(&mut self, rtp_time: i64, arrival: Mono) -> bool {
        let Some(anchor) = &self.anchor else {
            self.begin(rtp_time, arrival);
            return false;
        };
        let media = self.media_nanos(anchor.origin, rtp_time);
        let offset = nanos(arrival).saturating_sub(media);
        let step = media.saturating_sub(anchor.newest_media);
        let waited = arrival.signed_nanos_since(anchor.last_arrival);
        let early = anchor.offset.saturating_sub(offset);
        let jumped = step < -BACK_JUMP_NANOS
            || (step.saturating_sub(waited) > FORWARD_JUMP_NANOS && early > SECOND)
            || early > ERROR_NANOS_MAX;
        let fell_behind =
            anchor.least.full() && anchor.least.least().saturating_sub(anchor.offset) > ERROR_NANOS_MAX;
        if jumped || fell_behind {
            self.begin(rtp_time, arrival);
            return true;
        }
        let anchor = self.anchor.as_mut().expect("looked at above");
        anchor.last_arrival = arrival;
        anchor.least.on_value(offset, arrival);
        let (since, least) = anchor.drift_window;
        if arrival.since(since) >= DRIFT_WINDOW {
            if anchor.drift.len() == DRIFT_WINDOWS_MAX {
                anchor.drift.pop_front();
            }
            anchor.drift.push_back((since, least));
            anchor.drift_window = (arrival, offset);
        } else {
            anchor.drift_window.1 = least.min(offset);
        }
        false
    }

    fn begin(&mut self, rtp_time: i64, arrival: Mono) {
        let offset = nanos(arrival);
        self.anchor = Some(Anchor {
            origin: rtp_time,
            newest: rtp_time,
            newest_media: 0,
            last_arrival: arrival,
            offset,
            least: Minima { closed: VecDeque::new(), open: offset, open_since: arrival },
            drift: VecDeque::new(),
            drift_window: (arrival, offset),
            wall: None,
        });
        if let Some((ntp, timestamp)) = self.early_report.take() {
            self.on_sender_report(ntp, timestamp);
        }
    }

    /// The offset that the track's own arrivals ask for.
    fn own_target(&self) -> i64 {
        self.anchor.as_ref().map_or(0, |anchor| anchor.least.least())
    }

    fn stamp(&mut self, rtp_time: i64, arrival: Mono, target: i64, discontinuity: bool) -> Stamp {
        let origin = self.anchor.as_ref().map_or(rtp_time, |anchor| anchor.origin);
        let media = self.media_nanos(origin, rtp_time);
        let Some(anchor) = &mut self.anchor else {
            return Stamp { time: arrival, camera_time: None, discontinuity };
        };
        if rtp_time > anchor.newest {
            let step = media.saturating_sub(anchor.newest_media);
            let error = target.saturating_sub(anchor.offset);
            let limit = i128::from(slew_limit_ppm(error)) * i128::from(step) / 1_000_000;
            let wish = i128::from(error) * i128::from(step) / i128::from(SLEW_NANOS);
            // Never past the target, however long the step was.
            let room = i128::from(error).abs();
            anchor.offset += wish.clamp(-limit, limit).clamp(-room, room) as i64;
            (anchor.newest, anchor.newest_media) = (rtp_time, media);
        }
        Stamp {
            time: Mono::ZERO.offset_nanos(media.saturating_add(anchor.offset)),
            camera_time: anchor.wall.map(|wall| Utc::from_micros(media.saturating_add(wall) / 1000)),
            discontinuity,
        }
    }

    /// `ntp` and `timestamp` name one instant, by the camera's wall clock and by the track's media clock.
    pub fn on_sender_report(&mut self, ntp: u64, timestamp: u32) {
        let Some(wall_nanos) = unix_nanos(ntp) else { return };
        let Some(anchor) = &self.anchor else {
            self.early_report = Some((ntp, timestamp));
            return;
        };
        let media = self.media_nanos(anchor.origin, Unwrapper::near(anchor.newest, timestamp));
        if media.saturating_sub(anchor.newest_media).abs() > REPORT_REACH_NANOS {
            return;
        }
        let wall = wall_nanos.saturating_sub(media);
        let anchor = self.anchor.as_mut().expect("looked at above");
        anchor.wall = Some(match anchor.wall {
            Some(before) if wall.saturating_sub(before).abs() < WALL_STEP_NANOS => {
                before + (wall - before) / 4
            }
            _ => wall,
        });
    }

    /// How fast the camera's media clock runs against ours, in parts per million; positive is fast. `None` until
    /// it has been watched for a minute.
    pub fn drift_ppm(&self) -> Option<f64> {
        // The first window holds the burst of the beginning.
        let points: Vec<(f64, f64)> = {
            let drift = &self.anchor.as_ref()?.drift;
            let &(first, base) = drift.get(1)?;
            let relative = |&(at, least): &(Mono, i64)| {
                (at.signed_nanos_since(first) as f64 / 1e9, (least - base) as f64 / 1e9)
            };
            drift.iter().skip(1).map(relative).collect()
        };
        if points.len() + 1 < DRIFT_WINDOWS_MIN {
            return None;
        }
        let count = points.len() as f64;
        let (sum_at, sum_least) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_at, mean_least) = (sum_at / count, sum_least / count);
        let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (at, least)| {
            (over + (at - mean_at) * (least - mean_least), under + (at - mean_at).powi(2))
        });
        (under > 0.0).then(|| -1e6 * over / under)
    }
}

/// Relates the tracks of one session: each has its media clock, and sender reports align them.
#[derive(Debug, Default)]
pub struct SessionClock {
    tracks: Vec<MediaClock>,
}

/// A track of a [`SessionClock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackId(usize);

impl SessionClock {
    pub fn add_track(&mut self, clock_rate: u32) -> TrackId {
        self.tracks.push(MediaClock::new(clock_rate));
        TrackId(self.tracks.len() - 1)
    }

    /// Stamps a unit. `rtp_time` is unwrapped; its low 32 bits are the timestamp on the wire.
    pub fn on_unit(&mut self, track: TrackId, rtp_time: i64, arrival: Mono) -> Stamp {
        let discontinuity = self.tracks[track.0].observe(rtp_time, arrival);
        let target = self.target(track, arrival);
        self.tracks[track.0].stamp(rtp_time, arrival, target, discontinuity)
    }

    /// `ntp` is the 64-bit NTP time of a sender report, `timestamp` its RTP time.
    pub fn on_sender_report(&mut self, track: TrackId, ntp: u64, timestamp: u32) {
        self.tracks[track.0].on_sender_report(ntp, timestamp);
    }

    /// The track's sender began anew.
    pub fn restart(&mut self, track: TrackId) {
        self.tracks[track.0].restart();
    }

    /// As [`MediaClock::drift_ppm`].
    pub fn drift_ppm(&self, track: TrackId) -> Option<f64> {
        self.tracks[track.0].drift_ppm()
    }

    /// The camera's wall time at `now`, less the way to us, where it tells one.
    pub fn camera_time(&self, now: Mono) -> Option<Utc> {
        let offset = self.wall_offset(now)?;
        Some(Utc::from_micros(nanos(now).saturating_sub(offset) / 1000))
    }

    /// From the camera's wall time to our clock, by the least delay of all tracks that are heard and tell it.
    fn wall_offset(&self, now: Mono) -> Option<i64> {
        let heard = WINDOW * WINDOWS as u32;
        self.tracks
            .iter()
            .filter_map(|track| track.anchor.as_ref())
            .filter(|anchor| now.since(anchor.last_arrival) <= heard)
            .filter_map(|anchor| Some(anchor.least.least().saturating_sub(anchor.wall?)))
            .min()
    }

    fn target(&self, track: TrackId, now: Mono) -> i64 {
        let own = self.tracks[track.0].own_target();
        let wall = self.tracks[track.0].anchor.as_ref().and_then(|anchor| anchor.wall);
        let Some((wall, shared)) = wall.zip(self.wall_offset(now)) else { return own };
        let aligned = wall.saturating_add(shared);
        if own.saturating_sub(aligned).abs() <= ALIGNMENT_NANOS_MAX { aligned } else { own }
    }
}

fn nanos(at: Mono) -> i64 {
    at.signed_nanos_since(Mono::ZERO)
}

/// NTP time to nanoseconds since 1970. Times with the highest bit clear lie after 2036 (RFC 4330 §3); zero is none.
fn unix_nanos(ntp: u64) -> Option<i64> {
    const EPOCHS_APART: i64 = 2_208_988_800;
    if ntp == 0 {
        return None;
    }
    let era = if ntp >> 63 == 0 { 1i64 << 32 } else { 0 };
    let seconds = (ntp >> 32) as i64 + era - EPOCHS_APART;
    let fraction = ((ntp & 0xffff_ffff) * SECOND as u64) >> 32;
    seconds.checked_mul(SECOND)?.checked_add(fraction as i64)
}

/// The 64-bit NTP time of an instant, for sender reports.
pub fn ntp_time(at: Utc) -> u64 {
    const EPOCHS_APART: i64 = 2_208_988_800;
    let micros = at.as_micros();
    let seconds = (micros.div_euclid(1_000_000) + EPOCHS_APART) as u32;
    let fraction = ((micros.rem_euclid(1_000_000) as u64) << 32).div_ceil(1_000_000);
    u64::from(seconds) << 32 | fraction
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
