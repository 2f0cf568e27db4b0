//! The media clock against simulated cameras: drift, jitter, bursts, stalls and jumps, seeded.

use std::time::Duration;

use varde_units::{Mono, Utc};

use super::*;

const START: u64 = 1_000 * SECOND as u64;

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// A track of a camera whose clock runs `ppm` fast.
struct Camera {
    clock_rate: i64,
    first: i64,
    interval_nanos: i64,
    ppm: i64,
}

impl Camera {
    /// True capture time of a unit, and its RTP time.
    fn unit(&self, index: i64) -> (Mono, i64) {
        let media = index * self.interval_nanos;
        let truth = media - media / 1_000_000 * self.ppm;
        let ticks = i128::from(media) * i128::from(self.clock_rate) / i128::from(SECOND);
        (Mono::from_nanos(START).offset_nanos(truth), self.first + ticks as i64)
    }
}

const VIDEO: Camera =
    Camera { clock_rate: 90_000, first: 4_294_900_000, interval_nanos: 40_000_000, ppm: 200 };

/// Delays of jittery arrival: some milliseconds, bursts, and stalls of 500 ms each 20 s.
fn delay(random: &mut Random, truth: Mono) -> Duration {
    let phase = (truth.as_nanos() / 1_000_000) % 20_000;
    let stall = 500u64.saturating_sub(phase);
    Duration::from_micros(5_000 + random.below(30_000)).max(Duration::from_millis(stall))
}

#[test]
fn error_stays_below_100_ms_and_intervals_stay_the_cameras() {
    for (seed, ppm) in [(1, 200), (2, -200), (3, 0), (4, 50)] {
        let camera = Camera { ppm, ..VIDEO };
        let mut random = Random(seed);
        let mut clock = MediaClock::new(90_000);
        let mut last: Option<Mono> = None;
        for index in 0..25 * 600 {
            let (truth, rtp_time) = camera.unit(index);
            let arrival = truth + delay(&mut random, truth);
            let stamp = clock.on_unit(rtp_time, arrival);
            assert!(!stamp.discontinuity, "seed {seed}, unit {index}");
            if index > 25 * 20 {
                let error = stamp.time.signed_nanos_since(truth);
                assert!(error.abs() <= 100_000_000, "seed {seed}, unit {index}: off by {error} ns");
                let interval = stamp.time.signed_nanos_since(last.unwrap());
                assert!((interval - 40_000_000).abs() <= 40_000, "seed {seed}, unit {index}: {interval} ns");
            }
            last = Some(stamp.time);
        }
        let drift = clock.drift_ppm().unwrap();
        assert!((drift - ppm as f64).abs() < 15.0, "seed {seed}: {drift} ppm instead of {ppm}");
    }
}

#[test]
fn a_beginning_within_a_stall_is_mended_by_slewing() {
    let mut clock = MediaClock::new(90_000);
    for index in 0..25 * 30 {
        let (truth, rtp_time) = VIDEO.unit(index);
        // The first units lie about for 500 ms.
        let arrival = truth.max(Mono::from_nanos(START) + Duration::from_millis(500));
        let stamp = clock.on_unit(rtp_time, arrival);
        assert!(!stamp.discontinuity);
        let error = stamp.time.signed_nanos_since(truth).abs();
        assert!(error <= 501_000_000 && (index < 25 * 15 || error <= 100_000_000), "unit {index}: {error}");
    }
}

#[test]
fn jumps_begin_anew_and_pauses_do_not() {
    /// Two seconds of units, then one that comes `waited` ms later with an RTP step of `step` ms, and more of these.
    fn check(step: i64, waited: u64, discontinuity: bool) {
        let mut clock = MediaClock::new(90_000);
        for index in 0..50 {
            let (truth, rtp_time) = VIDEO.unit(index);
            clock.on_unit(rtp_time, truth);
        }
        let (truth, rtp_time) = VIDEO.unit(49);
        let arrival = truth + Duration::from_millis(waited);
        let stamp = clock.on_unit(rtp_time + step * 90, arrival);
        assert_eq!(stamp.discontinuity, discontinuity, "{step} ms after {waited} ms");
        if discontinuity {
            assert_eq!(stamp.time, arrival);
        }
        let next = clock.on_unit(rtp_time + (step + 40) * 90, arrival + Duration::from_millis(40));
        assert!(!next.discontinuity);
    }
    check(40, 40, false);
    check(10_000, 10_000, false); // The camera paused.
    check(40, 8_000, false); // The network stalled.
    check(40, 30_000, false);
    check(6_000, 40, true);
    check(-6_000, 40, true);
    check(3_600_000, 40, true);
    check(-80, 40, false); // A B-frame.
}

#[test]
fn lost_time_is_noticed_in_the_end() {
    // The camera's timestamps stood still for 10 s while it went on sending.
    let mut clock = MediaClock::new(90_000);
    let mut resets = 0;
    let mut error = 0;
    for index in 0..25 * 60 {
        let (truth, rtp_time) = VIDEO.unit(index);
        let late = if index < 25 * 10 { Duration::ZERO } else { Duration::from_secs(10) };
        let stamp = clock.on_unit(rtp_time, truth + late);
        resets += u32::from(stamp.discontinuity);
        error = stamp.time.signed_nanos_since(truth + late).abs();
    }
    assert_eq!(resets, 1);
    assert!(error < 100_000_000, "{error}");
}

#[test]
fn sound_and_picture_are_aligned_by_their_sender_reports() {
    let wall: Utc = "2026-11-23T20:00:00Z".parse().unwrap();
    let audio = Camera { clock_rate: 48_000, first: 77, interval_nanos: 20_000_000, ppm: 200 };
    let mut random = Random(9);
    let mut session = SessionClock::default();
    let (video_track, audio_track) = (session.add_track(90_000), session.add_track(48_000));
    let mut apart = Vec::new();
    for index in 0..25 * 120 {
        // Pictures take 150 ms longer than sound to come.
        let (truth, rtp_time) = VIDEO.unit(index);
        let slow = Duration::from_micros(160_000 + random.below(10_000));
        let picture = session.on_unit(video_track, rtp_time, truth + slow);
        for half in 0..2 {
            let (sound_truth, sound_rtp) = audio.unit(index * 2 + half);
            let quick = Duration::from_micros(5_000 + random.below(10_000));
            let sound = session.on_unit(audio_track, sound_rtp, sound_truth + quick);
            if half == 0 && index > 25 * 40 {
                assert_eq!(sound_truth, truth);
                apart.push(picture.time.signed_nanos_since(sound.time).abs());
                let told = picture.camera_time.unwrap();
                let expected = wall.plus(truth.since(Mono::from_nanos(START)));
                assert!(told.signed_micros_since(expected).abs() < 30_000, "{told} instead of {expected}");
            }
        }
        if index % 125 == 60 {
            let ntp = ntp_time(wall.plus(truth.since(Mono::from_nanos(START))));
            session.on_sender_report(video_track, ntp, rtp_time as u32);
            session.on_sender_report(audio_track, ntp, audio.unit(index * 2).1 as u32);
        }
    }
    let most = apart.iter().max().unwrap();
    assert!(*most <= 20_000_000, "{most} ns apart");
}

#[test]
fn reports_of_another_world_are_not_believed() {
    let mut session = SessionClock::default();
    let (first, second) = (session.add_track(90_000), session.add_track(90_000));
    for index in 0..25 * 20 {
        let (truth, rtp_time) = VIDEO.unit(index);
        for track in [first, second] {
            let error = session.on_unit(track, rtp_time, truth).time.signed_nanos_since(truth);
            assert!(error.abs() < 5_000_000, "{error}");
        }
        if index % 50 == 10 {
            // The second track's wall clock is an hour off; a report's RTP time is anything.
            session.on_sender_report(
                first,
                0xe000_0000_0000_0000 + ((index as u64) << 32) / 25,
                rtp_time as u32,
            );
            session.on_sender_report(second, 0xe000_0e10_0000_0000, rtp_time as u32);
            session.on_sender_report(second, u64::MAX, (rtp_time as u32).wrapping_add(1 << 31));
            session.on_sender_report(second, 0, 0);
        }
    }
}

#[test]
fn hostile_times_do_not_overflow() {
    let mut session = SessionClock::default();
    let track = session.add_track(1);
    for rtp_time in [0, i64::MAX, i64::MIN, 1, i64::MAX / 2, -1] {
        for arrival in [0, u64::MAX, 1, u64::MAX / 2] {
            session.on_unit(track, rtp_time, Mono::from_nanos(arrival));
            session.on_sender_report(track, u64::MAX, rtp_time as u32);
            let _ = session.camera_time(Mono::from_nanos(arrival));
        }
    }
}

#[test]
fn ntp_times_go_both_ways() {
    let check = |text: &str| {
        let at: Utc = text.parse().unwrap();
        assert_eq!(unix_nanos(ntp_time(at)).map(|nanos| nanos / 1000), Some(at.as_micros()), "{text}");
    };
    check("2026-11-23T20:00:00.123456Z");
    check("1970-01-01T00:00:00Z");
    check("2040-02-29T00:00:00.999999Z");
    assert_eq!(unix_nanos(0), None);
}
