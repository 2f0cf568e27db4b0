//! What goes in comes out: files, plans, timelines, gaps.

use std::time::Duration;

use varde_api::codes::GapCause;
use varde_media_store::disk::FaultDisk;

use crate::fixture::*;

#[test]
fn what_is_written_is_read_while_it_is_written_and_after() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(100);
    camera.settle();
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>());
    let timeline = store.timeline(channel(1), far_past(), far_future(), 100).unwrap();
    assert_eq!(timeline.recordings.len(), 1);
    assert_eq!(timeline.gaps, []);
    let recording = &timeline.recordings[0];
    let seconds = recording.end.since(recording.start).as_secs_f64();
    assert!((3.9..4.1).contains(&seconds), "{seconds}");

    camera.track.close();
    store.shut_down();
    drop(store);
    let store = bench.open(&disk);
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>());
    assert_eq!(
        store.timeline(channel(1), far_past(), far_future(), 100).unwrap().recordings,
        timeline.recordings
    );
}

#[test]
fn a_plan_begins_at_the_entry_point_before_the_range() {
    let mut bench = Bench::new();
    let store = bench.open(&FaultDisk::new());
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(250);
    camera.settle();
    let start = store.timeline(channel(1), far_past(), far_future(), 9).unwrap().recordings[0].start;
    let at = |seconds: f64| start.plus(Duration::from_secs_f64(seconds));
    let plan = store.plan(stream(1), at(3.7), at(5.2), false, 1000).unwrap();
    let fragments = &plan.files[0].fragments;
    assert!(fragments[0].entry_point);
    assert_eq!(fragments[0].start_ticks, 3 * 90_000);
    let last = fragments.last().unwrap();
    assert!(
        last.start_ticks < 90_000 * 52 / 10 && last.start_ticks + last.duration_ticks >= 90_000 * 52 / 10
    );
    let plan = store.plan(stream(1), at(0.0), at(9.9), true, 4).unwrap();
    assert_eq!(plan.files[0].fragments.len(), 4);
    assert!(plan.files[0].fragments.iter().all(|fragment| fragment.entry_point));
    assert_eq!(plan.next, Some(at(4.0)), "the page ends before the fifth");
    assert!(store.plan(stream(2), at(0.0), at(9.9), false, 9).unwrap().files.is_empty());
}

#[test]
fn every_gap_has_its_cause_its_start_and_its_end() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    for &cause in GapCause::ALL {
        camera.run(50);
        camera.gap(cause);
        bench.clock.advance(Duration::from_secs(5));
    }
    camera.run(50);
    camera.settle();
    let check = |store: &varde_media_store::Store| {
        let timeline = store.timeline(channel(1), far_past(), far_future(), 1000).unwrap();
        assert_eq!(timeline.recordings.len(), GapCause::ALL.len() + 1);
        let causes: Vec<_> = timeline.gaps.iter().map(|gap| gap.cause.as_str()).collect();
        let expected: Vec<_> = GapCause::ALL.iter().map(|cause| cause.code()).collect();
        assert_eq!(causes, expected);
        for (index, gap) in timeline.gaps.iter().enumerate() {
            let (before, after) = (&timeline.recordings[index], &timeline.recordings[index + 1]);
            assert!(gap.start.signed_micros_since(before.end).abs() < 100_000, "{gap:?} {before:?}");
            assert!(gap.end.unwrap().signed_micros_since(after.start).abs() < 100_000, "{gap:?} {after:?}");
        }
    };
    check(&store);
    let old = store.dump_index().unwrap();
    store.rebuild_index(|_| {}).unwrap();
    assert_eq!(store.dump_index().unwrap(), old);
    check(&store);
}

#[test]
fn a_pause_of_the_recorder_is_a_gap() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(50);
    drop(camera);
    drop(store);
    bench.clock.advance(Duration::from_secs(60));
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    let open = store.timeline(channel(1), far_past(), far_future(), 9).unwrap().gaps;
    assert_eq!((open.len(), open[0].end), (1, None));
    bench.clock.advance(Duration::from_secs(2));
    camera.run(50);
    camera.settle();
    let gaps = store.timeline(channel(1), far_past(), far_future(), 9).unwrap().gaps;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].cause, GapCause::RecorderDown.code());
    let seconds = gaps[0].end.unwrap().since(gaps[0].start).as_secs_f64();
    assert!((61.5..62.5).contains(&seconds), "{seconds}");
}
