//! Each misbehaviour can be seen from outside.

use std::time::{Duration, Instant};

use varde_virtual_cameras::{Audio, Delivery, Fault, Options};

use crate::client::{Came, Client, Rtp, VIDEO_RTCP};
use crate::{Running, open, running};

const PATH: &str = "/camera/1/sub";

/// Packets of one camera before and while it misbehaves.
fn watch(fault: Fault) -> (Vec<Rtp>, Vec<Rtp>) {
    let Running { cameras, runtime: _runtime } = running(open());
    let mut client = Client::play(&cameras, PATH);
    let before = client.videos(100);
    cameras.start_fault("1", fault, None).unwrap();
    let during = client.videos(400);
    (before, during)
}

fn gaps(packets: &[Rtp]) -> usize {
    packets.windows(2).filter(|pair| pair[1].sequence != pair[0].sequence.wrapping_add(1)).count()
}

fn parameter_sets(packets: &[Rtp]) -> Vec<Vec<u8>> {
    let is_set = |packet: &&Rtp| packet.payload.first().is_some_and(|header| header & 0x1f == 7);
    let mut sets: Vec<_> = packets.iter().filter(is_set).map(|packet| packet.payload.clone()).collect();
    sets.dedup();
    sets
}

#[test]
fn a_camera_that_behaves_has_neither_gaps_nor_other_parameter_sets() {
    let (before, during) = watch(Fault::SlowAnswers { millis: 1 });
    assert_eq!((gaps(&before), gaps(&during)), (0, 0));
    assert_eq!(parameter_sets(&during).len(), 1);
}

#[test]
fn time_rises_evenly_from_the_first_picture_wherever_a_loop_begins() {
    for seed in 1..8 {
        let options = Options { seed, audio: Audio::None, ..open() };
        let Running { cameras, runtime: _runtime } = running(options);
        let mut packets = Client::play(&cameras, PATH).videos(200);
        packets.dedup_by_key(|packet| packet.timestamp);
        let even = |pair: &[Rtp]| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 450;
        assert!(packets.windows(2).all(even), "seed {seed}");
    }
}

#[test]
fn lost_swapped_and_doubled_packets_show_in_their_numbers() {
    assert!(gaps(&watch(Fault::PacketLoss { percent: 20.0 }).1) > 20);
    let (_, swapped) = watch(Fault::Reorder { percent: 50.0 });
    assert!(swapped.windows(2).any(|pair| pair[1].sequence.wrapping_add(1) == pair[0].sequence));
    let (_, doubled) = watch(Fault::Duplicate { percent: 50.0 });
    assert!(doubled.windows(2).any(|pair| pair[1].sequence == pair[0].sequence));
}

#[test]
fn a_clock_jumps_and_comes_back() {
    let Running { cameras, runtime: _runtime } = running(open());
    let mut client = Client::play(&cameras, PATH);
    let seconds =
        |from: &Rtp, to: &Rtp| f64::from(to.timestamp.wrapping_sub(from.timestamp) as i32) / 90_000.0;
    let before = client.video();
    cameras.start_fault("1", Fault::ClockJump { seconds_jumped: -3600.0 }, None).unwrap();
    let during = client.videos(50).pop().unwrap();
    assert!((-3600.0..-3500.0).contains(&seconds(&before, &during)));
    cameras.end_faults("1").unwrap();
    let after = client.videos(50).pop().unwrap();
    assert!((0.0..100.0).contains(&seconds(&before, &after)));
}

#[test]
fn a_fast_clock_gains() {
    let (_, during) = watch(Fault::Drift { ppm: 100_000.0 });
    let steps: Vec<u32> =
        during.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp)).collect();
    assert!(steps.contains(&495), "{steps:?}");
}

#[test]
fn another_resolution_brings_other_parameter_sets_and_ends_with_its_time() {
    let Running { cameras, runtime: _runtime } = running(open());
    let mut client = Client::play(&cameras, PATH);
    let usual = parameter_sets(&client.videos(100));
    cameras.start_fault("1", Fault::Resolution, Some(Duration::from_millis(500))).unwrap();
    let mut seen = usual.clone();
    // There and back again.
    while seen.len() < 3 {
        seen.extend(parameter_sets(&[client.video()]));
        seen.dedup();
    }
    assert_eq!(seen[0], seen[2]);
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn long_groups_have_no_key_frame_and_b_frames_come_out_of_order() {
    let key_frames = |packets: &[Rtp]| {
        packets
            .iter()
            .filter(|packet| packet.payload.first().is_some_and(|header| header & 0x1f == 7))
            .count()
    };
    let (_, during) = watch(Fault::LongGop);
    assert!(key_frames(&during[during.len() / 2..]) == 0);
    let (_, during) = watch(Fault::BFrames);
    let back = during.windows(2).any(|pair| (pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) < 0);
    assert!(back);
}

#[test]
fn a_frozen_camera_is_silent_and_a_stalled_one_makes_up_for_it() {
    for (fault, loses) in [(Fault::Freeze, true), (Fault::Stall, false)] {
        let Running { cameras, runtime: _runtime } = running(open());
        let mut client = Client::play(&cameras, PATH);
        let mut packets = client.videos(20);
        let span = Duration::from_millis(700);
        cameras.start_fault("1", fault, Some(span)).unwrap();
        packets.extend(client.videos(400));
        // Frozen: the sequence goes on, the time stamps leap. Stalled: neither.
        assert_eq!(gaps(&packets), 0);
        let leap =
            packets.windows(2).any(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) > 90_000 / 2);
        assert_eq!(leap, loses);
    }
}

#[test]
fn garbage_and_malformed_packets_come_through() {
    let check = |fault: Fault, seen: fn(&Came) -> bool| {
        let Running { cameras, runtime: _runtime } = running(open());
        let mut client = Client::play(&cameras, PATH);
        cameras.start_fault("1", fault, None).unwrap();
        assert!((0..2000).any(|_| seen(&client.next())));
    };
    check(Fault::Garbage { percent: 30.0 }, |came| matches!(came, Came::Nonsense));
    check(
        Fault::MalformedRtp { percent: 50.0 },
        |came| matches!(came, Came::Frame { channel: 0, payload } if varde_rtsp::rtp::Packet::parse(payload).is_err()),
    );
    check(
        Fault::MalformedPayload { percent: 50.0 },
        |came| matches!(came, Came::Frame { channel: 0, payload } if payload.len() == 12),
    );
}

#[test]
fn connections_end_are_refused_or_answered_wrongly() {
    let Running { cameras, runtime: _runtime } = running(open());
    let describe = || Client::connect(&cameras, PATH).request("DESCRIBE", "", "");
    let check = |fault: Fault, status: u16| {
        let mut client = Client::play(&cameras, PATH);
        cameras.start_fault("1", fault.clone(), None).unwrap();
        while !matches!(client.next(), Came::End) {}
        assert_eq!(describe(), status, "{fault:?}");
        cameras.end_faults("1").unwrap();
        assert_eq!(describe(), 200, "{fault:?} is over");
    };
    check(Fault::Disconnect, 200);
    check(Fault::Refuse, 0);
    check(Fault::NotFound, 404);
    check(Fault::WrongPassword, 401);
}

#[test]
fn answers_can_be_slow() {
    let Running { cameras, runtime: _runtime } = running(open());
    cameras.start_fault("1", Fault::SlowAnswers { millis: 300 }, None).unwrap();
    let started = Instant::now();
    assert_eq!(Client::connect(&cameras, PATH).request("DESCRIBE", "", ""), 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn pictures_in_batches_and_paced_packets_all_arrive() {
    for fault in [
        Fault::Batches { pictures: 10 },
        Fault::Deliver { delivery: Delivery::Paced { packets: 1, micros: 300 } },
    ] {
        let (_, during) = watch(fault);
        assert_eq!(gaps(&during), 0);
    }
}

#[test]
fn sender_reports_tell_the_media_clock() {
    use varde_rtsp::rtp::rtcp::{RtcpPacket, parse};
    let Running { cameras, runtime: _runtime } = running(Options { audio: Audio::None, ..open() });
    let mut client = Client::play(&cameras, PATH);
    let mut last = client.video();
    loop {
        match client.next() {
            Came::Frame { channel: VIDEO_RTCP, payload } => {
                let Some(Ok(RtcpPacket::SenderReport { report, .. })) = parse(&payload).next() else {
                    panic!("no sender report")
                };
                let apart = report.rtp_timestamp.wrapping_sub(last.timestamp) as i32;
                // Within ten seconds of the last picture, and a time of this century.
                assert!(apart.abs() < 900_000, "{apart}");
                assert!(report.ntp >> 32 > 3_900_000_000 && report.packets > 0);
                break;
            }
            Came::Frame { .. } => last = client.video(),
            other => panic!("{other:?}"),
        }
    }
}
