//! One viewer: a str0m peer, and where each of its tracks stands.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::{Mid, Pt};
use str0m::net::Receive;
use str0m::rtp::RtpWrite;
use str0m::{Event, IceConnectionState, Input, Output, Rtc};
use tokio::sync::oneshot;
use varde_codec::Medium;
use varde_units::Mono;

use crate::track::{Backlog, Picture, TrackId};

/// A viewer that has not connected by then never will.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// Browsers check connectivity every few seconds and report reception every second; one that is silent has gone
/// (RFC 7675 §5.1 takes 30 s as consent's end).
const SILENT_MAX: Duration = Duration::from_secs(20);

/// Bytes of one viewer that may wait for the socket before it drops to the next entry point.
const QUEUED_BYTES_MAX: usize = 4 << 20;

/// A viewer's plea for a key frame is answered at most this often.
const RESTART_INTERVAL: Duration = Duration::from_millis(250);

/// What a viewer lacks is sent at this pace at most, about 100 Mbit/s: browsers' socket buffers hold little more than
/// one such piece.
const REPLAY_BYTES: usize = 48 << 10;
const REPLAY_INTERVAL: Duration = Duration::from_millis(4);

/// One track of one viewer.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) track: TrackId,
    pub(crate) medium: Medium,
    pub(crate) mid: Mid,
    pub(crate) pt: Pt,
    pub(crate) clock_hz: u32,
    sequence: u64,
    base: u32,
    last_ticks: Option<i64>,
    /// Waits for an entry point.
    waiting: bool,
    restarted: Option<Instant>,
    /// Units from the latest entry point on that are still to be sent; live ones queue behind them.
    replay: VecDeque<Arc<Picture>>,
    replay_due: Instant,
}

impl Sending {
    pub(crate) fn new(
        track: TrackId,
        medium: Medium,
        mid: Mid,
        pt: Pt,
        clock_hz: u32,
        random: u32,
        now: Instant,
    ) -> Self {
        Self {
            track,
            medium,
            mid,
            pt,
            clock_hz,
            // The first sequence number must leave the roll-over counter at zero.
            sequence: u64::from(random & 0x7fff),
            base: random.rotate_left(16),
            last_ticks: None,
            waiting: true,
            restarted: None,
            replay: VecDeque::new(),
            replay_due: now,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Viewer {
    rtc: Rtc,
    pub(crate) sendings: Vec<Sending>,
    pub(crate) ufrag: String,
    pub(crate) timeout: Instant,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) queued_bytes: usize,
    /// Ties the server's monotonic clock to `Instant`, for sender reports that keep picture and sound together.
    anchor: Option<(Instant, Mono)>,
    connected: bool,
    /// Tracks whose viewer asks for a key frame.
    pleas: Vec<Mid>,
    opened: Instant,
    heard: Instant,
    pub(crate) ended: Option<oneshot::Sender<()>>,
}

impl Viewer {
    pub(crate) fn new(
        rtc: Rtc,
        sendings: Vec<Sending>,
        ufrag: String,
        now: Instant,
        ended: oneshot::Sender<()>,
    ) -> Self {
        Self {
            rtc,
            sendings,
            ufrag,
            timeout: now,
            addresses: Vec::new(),
            queued_bytes: 0,
            anchor: None,
            connected: false,
            pleas: Vec::new(),
            opened: now,
            heard: now,
            ended: Some(ended),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(crate) fn accepts(&self, input: &Input<'_>) -> bool {
        self.rtc.accepts(input)
    }

    pub(crate) fn receive(&mut self, now: Instant, receive: Receive<'_>) {
        self.heard = now;
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, receive)) {
            tracing::debug!(%error, "viewer's datagram refused");
            self.rtc.disconnect();
        }
    }

    /// Moves the peer's clock and takes all it has to say. `false` once the session has ended.
    pub(crate) fn poll(
        &mut self,
        now: Instant,
        mut transmit: impl FnMut(&mut usize, str0m::net::Transmit),
    ) -> bool {
        let late = !self.connected && now.duration_since(self.opened) > CONNECT_WITHIN;
        if late || now.duration_since(self.heard) > SILENT_MAX {
            return false;
        }
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            return false;
        }
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(datagram)) => transmit(&mut self.queued_bytes, datagram),
                Ok(Output::Event(event)) => match event {
                    Event::Connected => self.connected = true,
                    Event::IceConnectionStateChange(IceConnectionState::Disconnected) | Event::Closed => {
                        return false;
                    }
                    Event::KeyframeRequest(request) if !self.pleas.contains(&request.mid) => {
                        self.pleas.push(request.mid);
                    }
                    _ => {}
                },
                Ok(Output::Timeout(at)) => {
                    self.timeout = at.min(now + SILENT_MAX);
                    return self.rtc.is_alive();
                }
                Err(error) => {
                    tracing::debug!(%error, "viewer's session failed");
                    return false;
                }
            }
        }
    }

    /// A new unit of `track`. What a viewer can't take now, it never gets.
    pub(crate) fn unit(&mut self, now: Instant, track: TrackId, picture: &Arc<Picture>) {
        if !self.connected {
            return;
        }
        for index in 0..self.sendings.len() {
            let sending = &mut self.sendings[index];
            if sending.track != track {
                continue;
            }
            if self.queued_bytes > QUEUED_BYTES_MAX {
                sending.waiting = true;
                sending.replay.clear();
                continue;
            }
            if picture.entry_point {
                sending.replay.clear();
            } else if sending.waiting {
                continue;
            } else if !sending.replay.is_empty() {
                sending.replay.push_back(picture.clone());
                continue;
            }
            sending.waiting = false;
            self.write(now, index, picture, 0, picture.time);
        }
    }

    /// Gives tracks that wait, or whose viewer lost a picture, what is there since the latest entry point, a piece at a
    /// time. Returns whether anything was written.
    pub(crate) fn catch_up<'a>(
        &mut self,
        now: Instant,
        backlog: impl Fn(TrackId) -> Option<&'a Backlog>,
    ) -> bool {
        if !self.connected {
            return false;
        }
        let mut written = false;
        let mut next_answer: Option<Instant> = None;
        for index in 0..self.sendings.len() {
            let sending = &mut self.sendings[index];
            let wanted = sending.waiting || self.pleas.contains(&sending.mid);
            let free = sending.restarted.map_or(now, |at| at + RESTART_INTERVAL);
            if wanted
                && self.queued_bytes <= QUEUED_BYTES_MAX
                && let Some(pictures) = backlog(sending.track).map(Backlog::pictures)
                && !pictures.is_empty()
            {
                if free <= now {
                    self.pleas.retain(|mid| *mid != sending.mid);
                    sending.replay = pictures.iter().cloned().collect();
                    sending.replay_due = now;
                    sending.restarted = Some(now);
                    sending.waiting = false;
                } else {
                    next_answer = Some(next_answer.map_or(free, |other| other.min(free)));
                }
            }
            written |= self.replay(now, index);
        }
        let due = self.sendings.iter().filter(|s| !s.replay.is_empty()).map(|s| s.replay_due);
        self.timeout = due.chain(next_answer).fold(self.timeout, Instant::min);
        written
    }

    fn replay(&mut self, now: Instant, index: usize) -> bool {
        let sending = &mut self.sendings[index];
        let Some(live) = sending.replay.back().map(|picture| picture.time) else { return false };
        if now < sending.replay_due {
            return false;
        }
        sending.replay_due = now + REPLAY_INTERVAL;
        let mut bytes = 0;
        while bytes < REPLAY_BYTES {
            let Some(picture) = self.sendings[index].replay.pop_front() else { break };
            bytes += picture.bytes;
            let newer = self.sendings[index].replay.len();
            self.write(now, index, &picture, newer, live);
        }
        true
    }

    /// The track's units so far are worth nothing to a decoder.
    pub(crate) fn wait_for_entry_point(&mut self, track: TrackId) {
        for sending in self.sendings.iter_mut().filter(|sending| sending.track == track) {
            sending.waiting = true;
            sending.replay.clear();
        }
    }

    /// Writes one unit. `newer` units of the backlog follow it at once: they are squeezed to a millisecond each before
    /// the live one, so that the viewer shows the present and not the past.
    fn write(&mut self, now: Instant, index: usize, picture: &Picture, newer: usize, live: Mono) {
        let &mut (anchor, origin) = self.anchor.get_or_insert((now, live));
        let sending = &mut self.sendings[index];
        let clock = i64::from(sending.clock_hz);
        let live_ticks = i128::from(live.signed_nanos_since(origin)) * i128::from(clock) / 1_000_000_000;
        let squeezed = live_ticks as i64 - newer as i64 * clock / 1_000;
        let ticks = sending.last_ticks.map_or(squeezed, |last| squeezed.max(last.saturating_add(1)));
        sending.last_ticks = Some(ticks);
        let distance = Duration::from_nanos(
            u64::try_from(i128::from(ticks).unsigned_abs() * 1_000_000_000 / clock as u128).unwrap_or(0),
        );
        let wallclock = if ticks < 0 { anchor.checked_sub(distance) } else { anchor.checked_add(distance) };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(sending.mid, None) else { return };
        for payload in &picture.payloads {
            let time = sending.base.wrapping_add(ticks as u32).wrapping_add(payload.offset_ticks);
            stream.write_rtp(
                RtpWrite::new(
                    sending.pt,
                    sending.sequence.into(),
                    time,
                    wallclock.unwrap_or(now),
                    payload.data.clone(),
                )
                .marker(payload.marker)
                .nackable(sending.medium == Medium::Video),
            );
            sending.sequence += 1;
        }
    }
}
