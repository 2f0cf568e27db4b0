//! A receiving track: packets of one sender in, access units on the server's clock out.
//!
//! Ties together order, payload format, media clock and decode times; counts what was lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use varde_codec::{AccessUnit, Format};
use varde_units::Mono;

use super::clock::{SessionClock, TrackId};
use super::depacketise::{Depacketiser, reorder_depth};
use super::dts::DecodeTimes;
use super::packet::Packet;
use super::payload::{PayloadParameters, UnsupportedPayload};
use super::reorder::{Admission, Reorder};
use super::rtcp::{self, RtcpPacket};
use super::statistics::Statistics;

/// Datagrams that wait for a missing one, and how long. A 4K key frame is some 1,500 packets.
const REORDER_PACKETS_MAX: usize = 512;
const REORDER_HOLD: Duration = Duration::from_millis(100);
/// Our name in receiver reports; RFC 7022 would have it random, cameras do not care.
const CANONICAL_NAME: &str = "varde";

/// What a track gives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Before the first unit and whenever the configuration changes.
    Format(Arc<Format>),
    Unit(AccessUnit),
}

/// How packets reach the track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// In order and without loss on our side: interleaved in TCP.
    Ordered,
    /// By UDP: late, doubled, out of order or never.
    Unordered,
}

/// The one sender that is listened to.
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    statistics: Statistics,
    /// Another sender and the number that its next packet would have.
    rival: Option<(u32, u16)>,
}

/// One receiving track of a session. Feed it packets, then [`Self::poll`] until it is dry.
#[derive(Debug)]
pub struct Receiver {
    ssrc: u32,
    payload_type: u8,
    clock_rate: u32,
    arrival: Arrival,
    track: TrackId,
    sender: Option<Sender>,
    reorder: Reorder,
    depacketiser: Depacketiser,
    decode_times: DecodeTimes,
    format: Option<Arc<Format>>,
    /// The number of the next unit.
    sequence: u64,
    /// The last unit ended a run: the next one is marked.
    after_loss: bool,
    ready: VecDeque<Output>,
    packets_received: u64,
    packets_lost: u64,
    packets_refused: u64,
    discontinuities: u64,
}

impl Receiver {
    /// `ssrc` is ours, in receiver reports. `clock` is the session's: the same one in every call.
    pub fn new(
        parameters: &PayloadParameters,
        arrival: Arrival,
        ssrc: u32,
        clock: &mut SessionClock,
    ) -> Result<Self, UnsupportedPayload> {
        let depacketiser = Depacketiser::new(parameters)?;
        Ok(Self {
            ssrc,
            payload_type: parameters.payload_type,
            clock_rate: parameters.clock_rate,
            arrival,
            track: clock.add_track(parameters.clock_rate),
            sender: None,
            reorder: new_reorder(arrival),
            depacketiser,
            decode_times: DecodeTimes::default(),
            format: None,
            sequence: 0,
            after_loss: false,
            ready: VecDeque::new(),
            packets_received: 0,
            packets_lost: 0,
            packets_refused: 0,
            discontinuities: 0,
        })
    }

    /// Takes one RTP packet as received. Packets of other payload types and nonsense are counted and skipped.
    pub fn on_packet(&mut self, clock: &mut SessionClock, bytes: &[u8], now: Mono) {
        let packet = match Packet::parse(bytes) {
            Ok(packet) if packet.payload_type == self.payload_type => packet,
            _ => {
                self.packets_refused += 1;
                return;
            }
        };
        if !self.is_sender(clock, &packet) {
            self.packets_refused += 1;
            return;
        }
        self.packets_received += 1;
        if let Some(sender) = &mut self.sender {
            sender.statistics.on_packet(packet.sequence, packet.timestamp, now);
        }
        if let Admission::Next { lost, restarted } = self.reorder.on_packet(packet.sequence, bytes, now) {
            if restarted {
                clock.restart(self.track);
                self.decode_times.restart();
            }
            self.take(clock, &packet, lost, now);
        }
        self.take_held(clock, now);
    }

    /// Whether the packet comes from the sender that is listened to. Another one takes its place once two of its
    /// packets follow each other.
    fn is_sender(&mut self, clock: &mut SessionClock, packet: &Packet<'_>) -> bool {
        match &mut self.sender {
            Some(sender) if sender.ssrc == packet.ssrc => {
                sender.rival = None;
                return true;
            }
            Some(sender) if sender.rival != Some((packet.ssrc, packet.sequence)) => {
                sender.rival = Some((packet.ssrc, packet.sequence.wrapping_add(1)));
                return false;
            }
            Some(_) => {
                self.depacketiser.flush();
                self.reorder = new_reorder(self.arrival);
                clock.restart(self.track);
                self.decode_times.restart();
                self.after_loss = true;
            }
            None => {}
        }
        let statistics = Statistics::new(self.clock_rate, packet.sequence);
        self.sender = Some(Sender { ssrc: packet.ssrc, statistics, rival: None });
        true
    }

    fn take_held(&mut self, clock: &mut SessionClock, now: Mono) {
        while let Some(held) = self.reorder.poll(now) {
            if let Ok(packet) = Packet::parse(&held.bytes) {
                self.take(clock, &packet, held.lost, held.received);
            }
        }
    }

    fn take(&mut self, clock: &mut SessionClock, packet: &Packet<'_>, lost: u32, received: Mono) {
        self.packets_lost += u64::from(lost);
        self.depacketiser.on_packet(packet, lost);
        self.take_units(clock, received);
    }

    fn take_units(&mut self, clock: &mut SessionClock, received: Mono) {
        while let Some(unit) = self.depacketiser.poll() {
            if let Some(format) = unit.format {
                if let Some(depth) = reorder_depth(&format) {
                    self.decode_times.set_depth(depth);
                }
                let format = Arc::new(format);
                self.format = Some(format.clone());
                self.ready.push_back(Output::Format(format));
            }
            let stamp = clock.on_unit(self.track, unit.rtp_time, received);
            if stamp.discontinuity {
                self.discontinuities += 1;
                self.decode_times.restart();
            }
            let (time, decode_time) = self.decode_times.on_picture(stamp.time);
            let mut flags = unit.flags;
            flags.after_loss |= std::mem::take(&mut self.after_loss);
            let missed = u64::from(unit.dropped_before).max(u64::from(flags.after_loss));
            self.sequence += missed;
            self.ready.push_back(Output::Unit(AccessUnit {
                sequence: self.sequence,
                time,
                decode_time,
                received,
                camera_time: stamp.camera_time,
                flags,
                data: unit.data,
            }));
            self.sequence += 1;
        }
    }

    /// Takes what came on the track's RTCP channel (compound or not). Nonsense is counted and skipped.
    pub fn on_rtcp(&mut self, clock: &mut SessionClock, bytes: &[u8], now: Mono) {
        for packet in rtcp::parse(bytes) {
            match packet {
                Ok(RtcpPacket::SenderReport { report, .. }) => {
                    // Before the first packet any sender will do; the clock sorts out what does not fit.
                    if self.sender.as_ref().is_some_and(|sender| sender.ssrc != report.ssrc) {
                        continue;
                    }
                    if let Some(sender) = &mut self.sender {
                        sender.statistics.on_sender_report(report.ntp, now);
                    }
                    clock.on_sender_report(self.track, report.ntp, report.rtp_timestamp);
                }
                Ok(_) => {}
                Err(_) => self.packets_refused += 1,
            }
        }
    }

    /// Call when [`Self::deadline`] has come: gives up on packets that are too late.
    pub fn on_time(&mut self, clock: &mut SessionClock, now: Mono) {
        self.take_held(clock, now);
    }

    /// The stream ended: what is open may be whole.
    pub fn finish(&mut self, clock: &mut SessionClock, now: Mono) {
        self.depacketiser.flush();
        self.take_units(clock, now);
    }

    /// When [`Self::on_time`] is due; `None` while nothing is held (always so when ordered).
    pub fn deadline(&self) -> Option<Mono> {
        self.reorder.deadline()
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }

    /// Appends the receiver report (RR and SDES) to send to the camera, about every 5 s. Before the first packet it
    /// reports no sender, which some cameras take as a sign of life.
    pub fn write_report(&mut self, now: Mono, out: &mut Vec<u8>) {
        let block = self.sender.as_mut().map(|sender| sender.statistics.report(sender.ssrc, now));
        rtcp::write_receiver_report(out, self.ssrc, block.as_slice());
        rtcp::write_source_description(out, self.ssrc, CANONICAL_NAME);
    }

    /// The configuration as last given.
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.format.as_ref()
    }

    /// The track's place in the session's clock.
    pub fn track(&self) -> TrackId {
        self.track
    }

    pub fn packets_received(&self) -> u64 {
        self.packets_received
    }

    /// Packets that were missing when they were needed.
    pub fn packets_lost(&self) -> u64 {
        self.packets_lost
    }

    /// Packets that were no RTP, of another payload type or of another sender.
    pub fn packets_refused(&self) -> u64 {
        self.packets_refused
    }

    /// How often the camera's media clock jumped, so that the track had to be placed in time anew.
    pub fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// The SSRC that the camera sends with, once known.
    pub fn sender_ssrc(&self) -> Option<u32> {
        self.sender.as_ref().map(|sender| sender.ssrc)
    }
}

fn new_reorder(arrival: Arrival) -> Reorder {
    match arrival {
        Arrival::Ordered => Reorder::ordered(),
        Arrival::Unordered => Reorder::unordered(REORDER_PACKETS_MAX, REORDER_HOLD),
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
