//! A receiving track as a driver uses it: order, senders, formats, reports.

use varde_codec::Codec;
use varde_units::Utc;

use super::*;
use crate::rtp::clock::ntp_time;
use crate::rtp::packet::Header;
use crate::rtp::round_trip_tests::h264;

const SPS: &[u8] = &[0x67];

struct Track {
    clock: SessionClock,
    receiver: Receiver,
    now: Mono,
}

impl Track {
    fn new(arrival: Arrival) -> Self {
        let mut clock = SessionClock::default();
        let parameters = PayloadParameters::for_format(&h264(), 96);
        let receiver = Receiver::new(&parameters, arrival, 0xabcd, &mut clock).unwrap();
        Self { clock, receiver, now: Mono::from_nanos(1 << 40) }
    }

    /// One picture in one packet, 40 ms after the one before; gives the sequence numbers of the units that came.
    fn picture(&mut self, ssrc: u32, sequence: u16) -> Vec<u64> {
        self.packet(ssrc, sequence, u32::from(sequence) * 3_600, &[0x41, 0x88, 1])
    }

    fn packet(&mut self, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u64> {
        self.now += Duration::from_millis(40);
        let header = Header { marker: true, payload_type: 96, sequence, timestamp, ssrc };
        let bytes = [&header.write()[..], payload].concat();
        self.receiver.on_packet(&mut self.clock, &bytes, self.now);
        self.units().iter().map(|unit| unit.sequence).collect()
    }

    fn units(&mut self) -> Vec<AccessUnit> {
        let outputs = std::iter::from_fn(|| self.receiver.poll());
        outputs
            .filter_map(|output| match output {
                Output::Unit(unit) => Some(unit),
                Output::Format(format) => {
                    assert_eq!(format.codec(), Codec::H264);
                    None
                }
            })
            .collect()
    }
}

#[test]
fn units_are_counted_and_a_jump_means_loss() {
    let mut track = Track::new(Arrival::Ordered);
    assert_eq!(track.picture(1, 10), []);
    assert_eq!(track.picture(1, 11), [0]);
    assert_eq!(track.picture(1, 12), [1, 2]); // The marker is believed from here on.
    assert_eq!(track.picture(1, 13), [3]);
    assert_eq!(track.picture(1, 16), [5]);
    assert_eq!(track.receiver.packets_lost(), 2);
    assert_eq!((track.receiver.packets_received(), track.receiver.sender_ssrc()), (5, Some(1)));
}

#[test]
fn the_format_comes_first_and_once() {
    let mut track = Track::new(Arrival::Ordered);
    for sequence in 0..3 {
        let header =
            Header { marker: true, payload_type: 96, sequence, timestamp: u32::from(sequence), ssrc: 1 };
        let bytes = [&header.write()[..], &[0x65, 0x88]].concat();
        track.receiver.on_packet(&mut track.clock, &bytes, track.now);
    }
    let kinds: Vec<bool> = std::iter::from_fn(|| track.receiver.poll())
        .map(|output| matches!(output, Output::Format(_)))
        .collect();
    assert_eq!(kinds, [true, false, false, false]);
    assert_eq!(track.receiver.format().map(|format| (**format).clone()), Some(h264()));
}

#[test]
fn another_sender_takes_over_with_its_second_packet() {
    let mut track = Track::new(Arrival::Ordered);
    for sequence in 0..4 {
        track.picture(1, sequence);
    }
    assert_eq!(track.picture(2, 700), []);
    assert_eq!(track.picture(1, 4), [4], "a stray packet changes nothing");
    assert_eq!(track.picture(2, 701), []);
    let last = track.now;
    assert_eq!(track.picture(2, 702).len() + track.picture(2, 703).len() + track.picture(2, 704).len(), 3);
    assert_eq!(track.receiver.sender_ssrc(), Some(2));
    assert!(track.now > last);
    assert_eq!(track.receiver.packets_refused(), 2);
}

#[test]
fn foreign_payload_types_and_nonsense_are_skipped() {
    let mut track = Track::new(Arrival::Ordered);
    track.receiver.on_packet(&mut track.clock, b"nonsense", track.now);
    track.receiver.on_packet(&mut track.clock, &[0x80; 40], track.now);
    track.receiver.on_rtcp(&mut track.clock, b"nonsense", track.now);
    assert_eq!((track.receiver.packets_refused(), track.receiver.packets_received()), (3, 0));
    assert!(track.receiver.poll().is_none());
}

#[test]
fn a_missing_datagram_is_waited_for_and_then_given_up() {
    let mut track = Track::new(Arrival::Unordered);
    for sequence in 0..4 {
        track.picture(1, sequence);
    }
    assert_eq!(track.receiver.deadline(), None);
    assert_eq!(track.picture(1, 5), []);
    let due = track.receiver.deadline().unwrap();
    assert_eq!(due.since(track.now), REORDER_HOLD);
    track.receiver.on_time(&mut track.clock, due);
    let units = track.units();
    assert_eq!(
        units.iter().map(|unit| (unit.sequence, unit.flags.after_loss)).collect::<Vec<_>>(),
        [(5, true)]
    );
    assert_eq!(track.receiver.deadline(), None);
}

#[test]
fn reports_are_exchanged() {
    let wall: Utc = "2026-11-23T20:00:00Z".parse().unwrap();
    let mut track = Track::new(Arrival::Ordered);
    let mut report = Vec::new();
    track.receiver.write_report(track.now, &mut report);
    let first = rtcp::parse(&report).next().unwrap().unwrap();
    assert_eq!(first, RtcpPacket::ReceiverReport { ssrc: 0xabcd, blocks: vec![] });
    track.packet(1, 0, 0, SPS);
    track.picture(1, 0);
    let sender =
        rtcp::SenderReport { ssrc: 1, ntp: ntp_time(wall), rtp_timestamp: 3_600, packets: 1, octets: 3 };
    let mut bytes = Vec::new();
    rtcp::write_sender_report(&mut bytes, &sender, &[]);
    track.receiver.on_rtcp(&mut track.clock, &bytes, track.now);
    let mut told = None;
    for sequence in 1..5 {
        track.now += Duration::from_millis(40);
        let header = Header {
            marker: true,
            payload_type: 96,
            sequence,
            timestamp: u32::from(sequence) * 3_600,
            ssrc: 1,
        };
        let packet = [&header.write()[..], &[0x41, 0x88]].concat();
        track.receiver.on_packet(&mut track.clock, &packet, track.now);
        told = told.or_else(|| track.units().iter().find_map(|unit| unit.camera_time));
    }
    assert!(told.is_some_and(|told| told.signed_micros_since(wall).abs() <= 40_001), "{told:?}");
    report.clear();
    track.receiver.write_report(track.now + Duration::from_secs(1), &mut report);
    let Some(Ok(RtcpPacket::ReceiverReport { blocks, .. })) = rtcp::parse(&report).next() else { panic!() };
    assert_eq!((blocks[0].ssrc, blocks[0].highest_sequence, blocks[0].last_report != 0), (1, 4, true));
}
