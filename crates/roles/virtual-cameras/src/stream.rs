//! One stream that plays: which picture is due when, its packets, its clients and what goes wrong on the way.
//!
//! Picture `n` is due at `zero + n / rate`, whatever happens; a counter in a picture therefore tells when it was due.
//! Packets are made once for all clients.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use varde_codec::Format;
use varde_rtsp::rtp::Packetiser;
use varde_rtsp::rtp::rtcp::{SenderReport, write_sender_report, write_source_description};
use varde_rtsp::server::RtpInfo;
use varde_units::{Mono, Utc};

use crate::audio::AudioClip;
use crate::batch::{Batch, BatchWriter, Chance, Place, spoil};
use crate::clip::Clip;
use crate::fault::{Effects, Faults, Show};
use crate::footage::{Footage, Wanted};
use crate::options::Delivery;
use crate::viewer::Viewer;

/// A whole RTP packet, so that UDP need not fragment.
const PACKET_BYTES_MAX: usize = 1400;
/// Clients of one stream at a time.
pub(crate) const VIEWERS_MAX: usize = 256;
/// Packets that are kept back by a stall or in batches.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Pictures whose time of sending is remembered.
const SENT_MAX: usize = 4096;
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) const VIDEO: usize = 0;
pub(crate) const AUDIO: usize = 1;

/// What a stream is made of; never changes.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `/camera/1/main`.
    pub(crate) path: String,
    pub(crate) role: &'static str,
    pub(crate) rate_milli: u32,
    /// When picture 0 was due.
    pub(crate) zero: Mono,
    pub(crate) zero_utc: Utc,
    pub(crate) faults: Arc<Mutex<Faults>>,
    /// The loop to show by what faults ask for; missing where this stream can't.
    pub(crate) choices: Vec<(Show, Wanted)>,
    pub(crate) delivery: Delivery,
    pub(crate) footage: Arc<Footage>,
    pub(crate) audio: Option<Arc<AudioClip>>,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    clip: Arc<Clip>,
    show: Show,
    /// Picture `n` of the stream is picture `(n + offset) % length` of the loop.
    offset: u64,
    /// The largest lag of display behind decoding so far; time stamps never go back.
    lead: u32,
    previous_was_key: bool,
    next_picture: u64,
    next_sound: u64,
    tracks: [Option<Track>; 2],
    viewers: Vec<Viewer>,
    held: Vec<Batch>,
    held_bytes: usize,
    held_pictures: u16,
    chunks: VecDeque<Batch>,
    chance: Chance,
    sent: VecDeque<(u32, Mono)>,
    /// Counts starts from idle, so that what was planned before is recognised as old.
    pub(crate) generation: u64,
    pub(crate) pictures_sent: u64,
}

#[derive(Debug)]
struct Track {
    packetiser: Packetiser,
    format: Format,
    first_timestamp: u32,
    drift_ticks: f64,
    next_report: Mono,
}

/// What a stream wants next of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Picture,
    Sound,
    /// The next packets of a paced picture.
    Chunk,
}

/// A stream's numbers for people and tests.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) format: Format,
    pub(crate) viewers: usize,
    pub(crate) next_picture: u64,
    pub(crate) pictures_sent: u64,
    pub(crate) pictures_dropped: u64,
}

impl State {
    pub(crate) fn new(clip: Arc<Clip>, audio: Option<&AudioClip>, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut track = |format: &Format, payload_type: u8| {
            let (ssrc, sequence) = (chance.next() as u32, (chance.next() >> 20) as u16);
            Track {
                packetiser: Packetiser::new(format, payload_type, ssrc, sequence, PACKET_BYTES_MAX),
                format: format.clone(),
                first_timestamp: (chance.next() >> 8) as u32,
                drift_ticks: 0.0,
                next_report: Mono::ZERO,
            }
        };
        let video_type = if matches!(clip.format, Format::Mjpeg { .. }) { 26 } else { 96 };
        let video = track(&clip.format, video_type);
        let audio = audio.map(|audio| {
            let payload_type = match audio.format {
                Format::Ulaw { .. } => 0,
                Format::Alaw { .. } => 8,
                _ => 97,
            };
            track(&audio.format, payload_type)
        });
        Self {
            lead: clip.lead,
            offset: (chance.next() >> 16) % clip.frames.len() as u64,
            clip,
            show: Show::Usual,
            previous_was_key: false,
            next_picture: 0,
            next_sound: 0,
            tracks: [Some(video), audio],
            viewers: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            held_pictures: 0,
            chunks: VecDeque::new(),
            chance,
            sent: VecDeque::new(),
            generation: 0,
            pictures_sent: 0,
        }
    }
}

impl Stream {
    /// When picture `number` is due.
    pub(crate) fn picture_due(&self, number: u64) -> Mono {
        let nanos = u128::from(number) * 1_000_000_000_000 / u128::from(self.rate_milli);
        self.zero + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn sound_due(&self, number: u64) -> Mono {
        let Some(audio) = &self.audio else { return Mono::from_nanos(u64::MAX) };
        let ticks = u128::from(number) * u128::from(audio.frame_ticks);
        let nanos = ticks * 1_000_000_000 / u128::from(audio.format.timescale());
        self.zero + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What a session description says of the tracks.
    pub(crate) fn payloads(&self) -> Vec<varde_rtsp::rtp::PayloadParameters> {
        self.state.lock().tracks.iter().flatten().map(|track| track.packetiser.parameters()).collect()
    }

    pub(crate) fn ssrc(&self, track: usize) -> Option<u32> {
        Some(self.state.lock().tracks.get(track)?.as_ref()?.packetiser.ssrc())
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        Figures {
            format: state.clip.format.clone(),
            viewers: state.viewers.len(),
            next_picture: state.next_picture,
            pictures_sent: state.pictures_sent,
            pictures_dropped: state.viewers.iter().map(|viewer| viewer.dropped).sum(),
        }
    }

    /// When the picture that shows `number` left; `None` when it did not or that is too long ago.
    pub(crate) fn sent_at(&self, number: u32) -> Option<Mono> {
        let state = self.state.lock();
        state.sent.iter().rev().find(|(each, _)| *each == number).map(|&(_, sent)| sent)
    }

    /// Lets a client in. `answer` runs before the first packet leaves. True when the stream was idle and has to be
    /// put on the schedule; then it begins with a key frame at once, and the answer learns the first packets.
    pub(crate) fn start(&self, viewer: Viewer, now: Mono, answer: impl FnOnce(&[RtpInfo])) -> bool {
        let mut state = self.state.lock();
        state.viewers.retain(|viewer| !viewer.outlet.is_closing());
        let was_idle = state.viewers.is_empty();
        if was_idle {
            self.wake_up(&mut state, now);
            let infos = self.first_packets(&state);
            answer(&infos);
        } else {
            answer(&[]);
        }
        state.viewers.push(viewer);
        was_idle
    }

    fn wake_up(&self, state: &mut State, now: Mono) {
        state.generation += 1;
        state.held.clear();
        state.chunks.clear();
        (state.held_bytes, state.held_pictures) = (0, 0);
        let elapsed = u128::from(u64::try_from(now.since(self.zero).as_nanos()).unwrap_or(u64::MAX));
        state.next_picture = (elapsed * u128::from(self.rate_milli) / 1_000_000_000_000) as u64 + 1;
        if let Some(audio) = &self.audio {
            let ticks = elapsed * u128::from(audio.format.timescale()) / 1_000_000_000;
            state.next_sound = (ticks / u128::from(audio.frame_ticks)) as u64 + 1;
        }
        // Go back within the loop to where decoding can begin.
        let length = state.clip.frames.len() as u64;
        let mut place = (state.next_picture + state.offset) % length;
        while !state.clip.frames[place as usize].key && place > 0 {
            place -= 1;
        }
        state.offset = offset_for(place, state.next_picture, length);
    }

    fn first_packets(&self, state: &State) -> Vec<RtpInfo> {
        let info = |(index, track): (usize, &Option<Track>)| {
            let track = track.as_ref()?;
            let ticks = if index == VIDEO {
                self.picture_ticks(state, state.next_picture)
            } else {
                self.sound_ticks(state)
            };
            Some(RtpInfo {
                track: index,
                sequence: track.packetiser.next_sequence(),
                timestamp: track.timestamp(ticks, 0),
            })
        };
        state.tracks.iter().enumerate().filter_map(info).collect()
    }

    /// Forgets the clients that `gone` names.
    pub(crate) fn stop(&self, gone: impl Fn(&Viewer) -> bool) {
        self.state.lock().viewers.retain(|viewer| !gone(viewer));
    }

    /// Closes every connection that plays this stream.
    pub(crate) fn disconnect_all(&self) {
        for viewer in self.state.lock().viewers.drain(..) {
            viewer.outlet.close();
        }
    }

    /// When the first picture and sound after a start are due.
    pub(crate) fn first_due(&self) -> (u64, Mono, Option<Mono>) {
        let state = self.state.lock();
        let sound = self.audio.as_ref().map(|_| self.sound_due(state.next_sound));
        (state.generation, self.picture_due(state.next_picture), sound)
    }

    /// Does what is due. Tells what comes next: `None` when nobody watches any more.
    pub(crate) fn on_due(&self, due: Due, generation: u64, now: Mono, utc: Utc) -> Next {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.viewers.is_empty() || generation != state.generation {
            return Next::default();
        }
        let effects = self.faults.lock().effects(now);
        let mut next = Next::default();
        match due {
            Due::Picture => {
                let batch = self.picture(state, &effects, now);
                next.again = Some(self.picture_due(state.next_picture));
                next.chunk = self.dispatch(state, batch, &effects, now);
                self.report(state, VIDEO, &effects, now, utc);
            }
            Due::Sound => {
                let batch = self.sound(state, &effects);
                next.again = Some(self.sound_due(state.next_sound));
                next.chunk = self.dispatch(state, batch, &effects, now);
                self.report(state, AUDIO, &effects, now, utc);
            }
            Due::Chunk => {
                if let Some(chunk) = state.chunks.pop_front() {
                    state.deliver(&chunk);
                }
                if !state.chunks.is_empty() {
                    next.again = Some(now + Duration::from_micros(u64::from(self.pace(&effects))));
                }
            }
        }
        next
    }

    fn pace(&self, effects: &Effects) -> u32 {
        match effects.delivery.unwrap_or(self.delivery) {
            Delivery::Burst => 0,
            Delivery::Paced { micros, .. } => micros,
        }
    }

    fn picture_ticks(&self, state: &State, number: u64) -> u64 {
        let length = state.clip.frames.len() as u64;
        let place = (number + state.offset) % length;
        let display = u64::from(state.clip.frames[place as usize].display);
        // Display lags behind decoding by at most `lead`, so this is never below zero.
        let shown = (number + display + u64::from(state.lead)).saturating_sub(place);
        (u128::from(shown) * 90_000_000 / u128::from(self.rate_milli)) as u64
    }

    fn sound_ticks(&self, state: &State) -> u64 {
        state.next_sound * u64::from(self.audio.as_ref().map_or(0, |audio| audio.frame_ticks))
    }

    /// Makes the packets of the next picture.
    fn picture(&self, state: &mut State, effects: &Effects, now: Mono) -> Option<Batch> {
        let number = state.next_picture;
        self.choose_clip(state, effects.show, number);
        state.next_picture = number + 1;
        let clip = state.clip.clone();
        let place = (number + state.offset) % clip.frames.len() as u64;
        let frame = &clip.frames[place as usize];
        state.previous_was_key = frame.key;
        let ticks = self.picture_ticks(state, number);
        let shown = (number + u64::from(frame.display)).saturating_sub(place) as u32;
        let drift = effects.drift_ppm / 1e6 * 90_000.0 * 1000.0 / f64::from(self.rate_milli);
        let place = if frame.key { Place::KeyFrame } else { Place::Picture };
        let data = frame.data(shown);
        let track = state.tracks[VIDEO].as_mut()?;
        track.drift_ticks += drift;
        let timestamp = track.timestamp(ticks, effects.jump_nanos);
        if effects.frozen {
            return None;
        }
        let mut writer = BatchWriter::new(VIDEO, false, data.len() + data.len() / 32 + 256);
        track
            .packetiser
            .packetise(&data, timestamp, frame.key, |head, body| writer.packet(head, body))
            .inspect_err(|error| tracing::warn!(path = self.path, %error, "a picture can't be sent"))
            .ok()?;
        if state.sent.len() >= SENT_MAX {
            state.sent.pop_front();
        }
        state.sent.push_back((shown, now));
        state.pictures_sent += 1;
        Some(writer.finish(place))
    }

    /// Changes the loop where a fault asks for it, so that it begins with a key frame.
    fn choose_clip(&self, state: &mut State, show: Show, number: u64) {
        let length = state.clip.frames.len() as u64;
        let at_key = state.clip.frames[((number + state.offset) % length) as usize].key;
        // Two key frames in a row could look like one picture; with reordering, leave between groups.
        if show == state.show || state.previous_was_key || state.clip.lead > 0 && !at_key {
            return;
        }
        let Some((_, wanted)) = self.choices.iter().find(|(each, _)| *each == show) else { return };
        // It was made when the fault was started.
        let Ok(clip) = self.footage.clip(wanted) else { return };
        state.show = show;
        state.lead = state.lead.max(clip.lead);
        state.offset = offset_for(0, number, clip.frames.len() as u64);
        if let Some(track) = &mut state.tracks[VIDEO] {
            track.packetiser.set_format(&clip.format);
            track.format = clip.format.clone();
        }
        state.clip = clip;
    }

    fn sound(&self, state: &mut State, effects: &Effects) -> Option<Batch> {
        let audio = self.audio.as_ref()?;
        let ticks = self.sound_ticks(state);
        let data = &audio.frames[(state.next_sound % audio.frames.len() as u64) as usize];
        state.next_sound += 1;
        let track = state.tracks[AUDIO].as_mut()?;
        track.drift_ticks += effects.drift_ppm / 1e6 * f64::from(audio.frame_ticks);
        let timestamp = track.timestamp(ticks, effects.jump_nanos);
        if effects.frozen {
            return None;
        }
        let mut writer = BatchWriter::new(AUDIO, false, data.len() + 64);
        track.packetiser.packetise(data, timestamp, true, |head, body| writer.packet(head, body)).ok()?;
        Some(writer.finish(Place::Other))
    }

    /// Sends, spoils, keeps back or paces a batch. Tells when the next chunk is due.
    fn dispatch(
        &self,
        state: &mut State,
        batch: Option<Batch>,
        effects: &Effects,
        now: Mono,
    ) -> Option<Mono> {
        let keeps_back = effects.stalled || effects.batch > 1;
        if let Some(mut batch) = batch {
            if effects.touches_packets() {
                batch = spoil(&batch, effects, &mut state.chance);
            }
            let is_picture = batch.track == VIDEO;
            if keeps_back || !state.held.is_empty() {
                if state.held_bytes + batch.bytes.len() <= HELD_BYTES_MAX {
                    state.held_bytes += batch.bytes.len();
                    state.held_pictures = state.held_pictures.saturating_add(u16::from(is_picture));
                    state.held.push(batch);
                }
            } else if let (true, Delivery::Paced { packets, micros }) =
                (is_picture, effects.delivery.unwrap_or(self.delivery))
            {
                let was_empty = state.chunks.is_empty();
                state.chunks.extend(batch.chunks(usize::from(packets)));
                if let Some(chunk) = state.chunks.pop_front_if(|_| was_empty) {
                    state.deliver(&chunk);
                }
                let due = now + Duration::from_micros(u64::from(micros));
                return (was_empty && !state.chunks.is_empty()).then_some(due);
            } else {
                state.deliver(&batch);
            }
        }
        let full = effects.batch > 1 && state.held_pictures >= effects.batch && !effects.stalled;
        if !state.held.is_empty() && (!keeps_back || full) {
            (state.held_bytes, state.held_pictures) = (0, 0);
            for batch in std::mem::take(&mut state.held) {
                state.deliver(&batch);
            }
        }
        None
    }

    /// Sends a sender report when one is due: the media clock at this very instant.
    fn report(&self, state: &mut State, index: usize, effects: &Effects, now: Mono, utc: Utc) {
        let Some(track) = state.tracks[index].as_mut() else { return };
        if now < track.next_report || effects.frozen || effects.stalled {
            return;
        }
        track.next_report = now + REPORT_INTERVAL;
        let rate = u128::from(track.format.timescale());
        let ticks = (now.since(self.zero).as_nanos() * rate / 1_000_000_000) as u64;
        let report = SenderReport {
            ssrc: track.packetiser.ssrc(),
            ntp: ntp(utc),
            rtp_timestamp: track.timestamp(ticks, effects.jump_nanos),
            packets: track.packetiser.packets_sent(),
            octets: track.packetiser.octets_sent(),
        };
        let mut packet = Vec::with_capacity(64);
        write_sender_report(&mut packet, &report, &[]);
        write_source_description(&mut packet, report.ssrc, "virtual-camera");
        let mut writer = BatchWriter::new(index, true, packet.len() + 4);
        writer.packet(&packet, &[]);
        let batch = writer.finish(Place::Other);
        state.deliver(&batch);
        for viewer in &state.viewers {
            viewer.listen(now);
        }
    }
}

/// What the schedule does after a stream's turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    /// When the same is due again.
    pub(crate) again: Option<Mono>,
    /// When the first chunk of a paced picture is due.
    pub(crate) chunk: Option<Mono>,
}

impl State {
    fn deliver(&mut self, batch: &Batch) {
        self.viewers.retain_mut(|viewer| viewer.deliver(batch));
    }
}

impl Track {
    fn timestamp(&self, ticks: u64, jump_nanos: i64) -> u32 {
        let rate = i128::from(self.format.timescale());
        let jump = i128::from(jump_nanos) * rate / 1_000_000_000;
        // RTP time wraps; the low 32 bits are what travels.
        let moved = i128::from(ticks) + jump + self.drift_ticks as i128;
        self.first_timestamp.wrapping_add(moved as u32)
    }
}

/// The offset at which picture `number` is picture `place` of a loop of `length`.
fn offset_for(place: u64, number: u64, length: u64) -> u64 {
    (place + length - number % length) % length
}

/// 64 bits of NTP time: seconds since 1900 and their fraction.
fn ntp(utc: Utc) -> u64 {
    const SECONDS_1900_TO_1970: i64 = 2_208_988_800;
    let micros = utc.as_micros();
    let seconds = micros.div_euclid(1_000_000) + SECONDS_1900_TO_1970;
    let fraction = ((micros.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    (seconds as u64) << 32 | fraction
}
