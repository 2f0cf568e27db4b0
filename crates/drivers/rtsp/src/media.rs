//! The tracks of a session: from packets to the outlet.
//!
//! Whether the camera lives is seen by its leading track: a microphone that goes on does not hide a picture that froze.

use std::time::Duration;

use varde_codec::Medium;
use varde_driver::{Outlet, SourceSpec, Surroundings};
use varde_ids::StreamId;
use varde_rtsp::Lower;
use varde_rtsp::client::ClientTrack;
use varde_rtsp::rtp::{Arrival, Output, Receiver, SessionClock};
use varde_units::Mono;

use crate::datagrams::{Datagrams, Port};
use crate::failure::Failure;
use crate::source::printable;

/// Time between two receiver reports of a track (RFC 3550 §6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Media {
    clock: SessionClock,
    tracks: Vec<Track>,
    report_due: Mono,
    /// Packets and units of the leading track: the picture, else the sound.
    pub(crate) last_packet: Option<Mono>,
    pub(crate) last_unit: Option<Mono>,
    pub(crate) first_unit: Option<Mono>,
}

#[derive(Debug)]
struct Track {
    stream: StreamId,
    medium: Medium,
    transport: Lower,
    /// `None`: the description promised what its parameters can't keep; the packets are thrown away.
    receiver: Option<Receiver>,
    /// Whether the camera is seen to live by this track.
    leads: bool,
}

impl Media {
    pub(crate) fn none() -> Self {
        Self {
            clock: SessionClock::default(),
            tracks: Vec::new(),
            report_due: Mono::ZERO,
            last_packet: None,
            last_unit: None,
            first_unit: None,
        }
    }

    /// Makes ready for the packets of `tracks`.
    pub(crate) fn begin(
        &mut self,
        spec: &SourceSpec,
        tracks: &[ClientTrack],
        surroundings: &dyn Surroundings,
    ) -> Result<(), Failure> {
        self.tracks.clear();
        for track in tracks {
            let stream = match track.medium {
                Medium::Video => spec.video,
                Medium::Audio => spec.audio,
                Medium::Metadata => spec.metadata,
            };
            let (Some(stream), Some(transport)) = (stream, track.transport) else { continue };
            let arrival = match transport {
                Lower::Interleaved { .. } => Arrival::Ordered,
                Lower::Udp { .. } => Arrival::Unordered,
            };
            let ssrc = u32::try_from(surroundings.random(u64::from(u32::MAX))).unwrap_or(1);
            let receiver = match Receiver::new(&track.payload, arrival, ssrc, &mut self.clock) {
                Ok(receiver) => Some(receiver),
                Err(error) if track.medium == Medium::Video => {
                    return Err(Failure::unsupported(error.to_string()));
                }
                Err(error) => {
                    tracing::warn!(url = printable(&spec.url), %error, "a track of the camera is left out");
                    None
                }
            };
            self.tracks.push(Track { stream, medium: track.medium, transport, receiver, leads: false });
        }
        let usable =
            |medium| self.tracks.iter().any(|track| track.medium == medium && track.receiver.is_some());
        let leading = [Medium::Video, Medium::Audio].into_iter().find(|medium| usable(*medium));
        for track in &mut self.tracks {
            track.leads = leading.is_none_or(|leading| track.medium == leading);
        }
        Ok(())
    }

    /// Takes a frame of the RTSP connection. Frames of channels that nobody asked for are passed over.
    pub(crate) fn on_frame(&mut self, channel: u8, payload: &[u8], now: Mono, outlet: &dyn Outlet) {
        let found = self.tracks.iter().enumerate().find_map(|(index, track)| match track.transport {
            Lower::Interleaved { rtp, .. } if rtp == channel => Some((index, Port::Rtp)),
            Lower::Interleaved { rtcp, .. } if rtcp == channel => Some((index, Port::Rtcp)),
            _ => None,
        });
        if let Some((track, port)) = found {
            self.on_packet(track, port, payload, now, outlet);
        }
    }

    /// Takes a packet of a track.
    pub(crate) fn on_packet(
        &mut self,
        track: usize,
        port: Port,
        packet: &[u8],
        now: Mono,
        outlet: &dyn Outlet,
    ) {
        let Some(Track { receiver: Some(receiver), leads, .. }) = self.tracks.get_mut(track) else { return };
        match port {
            Port::Rtp => {
                receiver.on_packet(&mut self.clock, packet, now);
                if *leads {
                    self.last_packet = Some(now);
                }
            }
            Port::Rtcp => receiver.on_rtcp(&mut self.clock, packet, now),
        }
        self.hand_on(track, now, outlet);
    }

    /// When a packet that is waited for counts as lost.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.receivers().filter_map(Receiver::deadline).min()
    }

    pub(crate) fn on_time(&mut self, now: Mono, outlet: &dyn Outlet) {
        for track in 0..self.tracks.len() {
            if let Some(receiver) = &mut self.tracks[track].receiver
                && receiver.deadline().is_some_and(|deadline| deadline <= now)
            {
                receiver.on_time(&mut self.clock, now);
                self.hand_on(track, now, outlet);
            }
        }
    }

    /// Writes the reports that are due: framed into `interleaved`, or as datagrams.
    pub(crate) fn report(&mut self, now: Mono, interleaved: &mut Vec<u8>, datagrams: &Datagrams) {
        if now < self.report_due {
            return;
        }
        self.report_due = now + REPORT_INTERVAL;
        let mut report = Vec::with_capacity(128);
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let Some(receiver) = &mut track.receiver else { continue };
            report.clear();
            receiver.write_report(now, &mut report);
            if report.is_empty() {
                continue;
            }
            match track.transport {
                Lower::Interleaved { rtcp, .. } => {
                    if let Some(header) = varde_rtsp::message::data_header(rtcp, report.len()) {
                        interleaved.extend_from_slice(&header);
                        interleaved.extend_from_slice(&report);
                    }
                }
                Lower::Udp { server: Some((_, rtcp)), .. } => datagrams.send_report(index, rtcp, &report),
                Lower::Udp { server: None, .. } => {}
            }
        }
    }

    pub(crate) const fn clock(&self) -> &SessionClock {
        &self.clock
    }

    /// How fast the media clock of the first track runs, where it was watched for long enough; else 0.
    pub(crate) fn drift_ppm(&self) -> f64 {
        let first = self.receivers().next();
        first.and_then(|receiver| self.clock.drift_ppm(receiver.track())).unwrap_or(0.0)
    }

    /// The session is over: hands on the units that lie complete but for a sign that they are.
    pub(crate) fn finish(&mut self, now: Mono, outlet: &dyn Outlet) {
        for track in 0..self.tracks.len() {
            if let Some(receiver) = &mut self.tracks[track].receiver {
                receiver.finish(&mut self.clock, now);
                self.hand_on(track, now, outlet);
            }
        }
    }

    /// Packets received and lost since the session began.
    pub(crate) fn packets(&self) -> (u64, u64) {
        self.receivers().fold((0, 0), |(received, lost), receiver| {
            (received + receiver.packets_received(), lost + receiver.packets_lost())
        })
    }

    fn receivers(&self) -> impl Iterator<Item = &Receiver> {
        self.tracks.iter().filter_map(|track| track.receiver.as_ref())
    }

    fn hand_on(&mut self, track: usize, now: Mono, outlet: &dyn Outlet) {
        let track = &mut self.tracks[track];
        let Some(receiver) = &mut track.receiver else { return };
        while let Some(output) = receiver.poll() {
            match output {
                Output::Format(format) => outlet.format(track.stream, format),
                Output::Unit(unit) => {
                    outlet.unit(track.stream, unit);
                    if track.leads {
                        self.last_unit = Some(now);
                        self.first_unit.get_or_insert(now);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use varde_codec::{AccessUnit, Format};
    use varde_driver::{SourceHealth, SourceState, Transport};
    use varde_rtsp::rtp::{Packetiser, PayloadParameters};
    use varde_units::Utc;

    use super::*;

    struct Zero;

    impl Surroundings for Zero {
        fn mono(&self) -> Mono {
            Mono::ZERO
        }
        fn utc(&self) -> Utc {
            Utc::EPOCH
        }
        fn random(&self, _: u64) -> u64 {
            0
        }
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Outlet for Count {
        fn format(&self, _: StreamId, _: Arc<Format>) {}
        fn unit(&self, _: StreamId, _: AccessUnit) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn state(&self, _: usize, _: SourceState, _: Mono) {}
        fn health(&self, _: usize, _: SourceHealth) {}
    }

    /// Sound on channel 2 for a second, with or without a picture beside it; gives whether the camera is seen to live.
    fn lives_by_sound(with_picture: bool) -> bool {
        let track = |medium, payload, rtp| ClientTrack {
            medium,
            payload,
            url: String::new(),
            transport: Some(Lower::Interleaved { rtp, rtcp: rtp + 1 }),
            ssrc: None,
        };
        let payload = |number, rtpmap| PayloadParameters::from_sdp(number, rtpmap, None).unwrap();
        let mut tracks = vec![track(Medium::Audio, payload(0, None), 2)];
        if with_picture {
            tracks.push(track(Medium::Video, payload(96, Some("H264/90000")), 0));
        }
        let stream = |number| Some(StreamId::from_bytes([number; 16]));
        let spec = SourceSpec {
            url: String::new(),
            transport: Transport::Tcp,
            video: stream(1),
            audio: stream(2),
            metadata: None,
        };
        let mut media = Media::none();
        media.begin(&spec, &tracks, &Zero).unwrap();
        let count = Count::default();
        let mut sound = Packetiser::new(&Format::Ulaw { sample_rate: 8_000, channels: 1 }, 0, 7, 1, 1400);
        for packet in 0..50_u32 {
            let mut bytes = Vec::new();
            let send = |head: &[u8], body: &[u8]| bytes = [head, body].concat();
            sound.packetise(&[0x55; 160], packet * 160, true, send).unwrap();
            media.on_frame(2, &bytes, Mono::ZERO + Duration::from_millis(20) * packet, &count);
        }
        assert!(count.0.load(Ordering::Relaxed) > 0, "the sound itself is handed on");
        assert_eq!(media.last_packet.is_some(), media.last_unit.is_some());
        media.last_unit.is_some()
    }

    #[test]
    fn sound_does_not_hide_a_picture_that_never_comes() {
        assert!(lives_by_sound(false));
        assert!(!lives_by_sound(true));
    }
}
