//! Disks that fail, fill up and stall; clocks that jump; locks, leases, keys; flipped bits.

use std::io::ErrorKind;
use std::time::Duration;

use varde_api::codes::{GapCause, StorageState};
use varde_ids::LockId;
use varde_media_store::disk::{FaultDisk, Operation};
use varde_media_store::{FlushMode, Lock, MasterKey, OpenError, Problem, ReadError, maintenance, verify_on};
use varde_units::ByteSize;

use crate::fixture::*;

fn recorded(bench: &mut Bench, disk: &FaultDisk, frames: u64) {
    let store = bench.open(disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(frames);
    camera.settle();
}

fn causes(store: &varde_media_store::Store, number: u8) -> Vec<String> {
    let timeline = store.timeline(channel(number), far_past(), far_future(), 1000).unwrap();
    timeline.gaps.into_iter().map(|gap| gap.cause).collect()
}

#[test]
fn a_failed_flush_is_not_tried_again_and_nothing_is_lost() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(100);
    camera.settle();
    disk.fail(Operation::Sync, ErrorKind::Other, 1);
    camera.run(100);
    camera.settle();
    assert_eq!(pictures(&store, 1), (0..200).collect::<Vec<_>>());
    camera.run(25);
    camera.settle();
    assert!(bench.events.states().contains(&"suspect".to_owned()), "an alarm was raised");
    assert_eq!(store.state(), StorageState::Online, "and it went on");
    let syncs = disk.syncs();
    let (failed, _) = syncs.iter().find(|(_, done)| !done).unwrap();
    if failed.ends_with(".mp4") {
        assert!(
            disk.files().keys().filter(|path| path.ends_with(".mp4")).count() > 1,
            "a new file was begun"
        );
    }
    // What was promised holds after a power cut.
    drop((camera, store));
    let store = bench.open(&disk.after_power_loss(7));
    wait("the index is whole", || !store.is_rebuilding());
    assert_eq!(pictures(&store, 1), (0..225).collect::<Vec<_>>());
}

#[test]
fn an_error_anywhere_neither_panics_nor_stops_recording() {
    let operations = {
        let (mut bench, disk) = (Bench::new(), FaultDisk::new());
        recorded(&mut bench, &disk, 150);
        disk.operations()
    };
    for kind in [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        for step in 0..15 {
            let (mut bench, disk) = (Bench::new(), FaultDisk::new());
            let at = 1 + step * operations / 20;
            disk.fail_at(at, kind);
            let store = match bench.try_open(&disk) {
                Ok(store) => store,
                // A folder that can't be made is said at once, and the next try is good.
                Err(_) => bench.open(&disk),
            };
            let mut camera = Camera::new(&store, &bench.clock, 1);
            while disk.operations() <= at {
                camera.run(25);
                std::thread::sleep(Duration::from_millis(1));
            }
            wait("everything was dealt with", || store.memory() == ByteSize(0));
            // Whatever failed, the next group of pictures is recorded.
            let before = camera.next.next_multiple_of(25);
            camera.run(125);
            camera.settle();
            // The error was to be met by writing, not by the reading below.
            disk.fail_at(0, kind);
            let numbers = pictures(&store, 1);
            assert!(numbers.is_sorted(), "{kind:?} at step {step}");
            let newest: Vec<_> = numbers.into_iter().filter(|number| *number >= before).collect();
            assert_eq!(
                newest,
                (before..camera.next).take(newest.len()).collect::<Vec<_>>(),
                "{kind:?} {step}"
            );
            assert!(newest.len() >= 100, "{kind:?} at step {step}");
        }
    }
}

#[test]
fn a_full_disk_gives_up_its_oldest_footage_and_records_on() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    for _ in 0..6 {
        recorded(&mut bench, &disk, 250);
        bench.clock.advance(Duration::from_secs(10));
    }
    let used: usize = disk.files().values().map(Vec::len).sum();
    disk.set_capacity(Some(used as u64 + 50_000));
    let store = bench.open(&disk);
    let first = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().recordings[0].clone();
    let id = LockId::new(far_past(), [1; 10]);
    store.lock(Lock { id, channels: vec![channel(1)], start: first.start, end: first.end }).unwrap();
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(250);
    camera.settle();
    assert!(!causes(&store, 1).contains(&"disk_full".to_owned()), "no gap while unlocked footage is there");
    let left = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().recordings;
    assert_eq!(left[0], first, "locked footage stays");
    assert!(left.len() < 7, "the oldest unlocked went: {}", left.len());
    assert!(causes(&store, 1).contains(&"expired".to_owned()));
}

#[test]
fn a_disk_full_of_locked_footage_is_a_gap_with_a_cause() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    recorded(&mut bench, &disk, 100);
    let store = bench.open(&disk);
    let id = LockId::new(far_past(), [1; 10]);
    store.lock(Lock { id, channels: vec![channel(1)], start: far_past(), end: far_future() }).unwrap();
    let used: usize = disk.files().values().map(Vec::len).sum();
    disk.set_capacity(Some(used as u64 + 5_000));
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(50);
    wait("the storage says that it is full", || bench.events.states().contains(&"full".to_owned()));
    wait("the gap is there", || causes(&store, 1).contains(&"disk_full".to_owned()));
    // What was handed over while the disk was full is dealt with before it has room again.
    wait("memory is free", || store.memory() == ByteSize(0));
    disk.set_capacity(None);
    camera.next = camera.next.next_multiple_of(25);
    camera.run(75);
    camera.settle();
    assert_eq!(store.state(), StorageState::Online);
    let gaps = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().gaps;
    assert!(gaps.iter().all(|gap| gap.end.is_some()), "{gaps:?}");
}

#[test]
fn a_read_only_disk_is_said_and_left() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(50);
    camera.settle();
    disk.set_read_only(true);
    camera.run(50);
    wait("the state is known", || bench.events.states().contains(&"read_only".to_owned()));
    wait("memory is free", || store.memory() == ByteSize(0));
    disk.set_read_only(false);
    camera.next = camera.next.next_multiple_of(25);
    camera.run(50);
    camera.settle();
    assert_eq!(store.state(), StorageState::Online);
}

#[test]
fn a_missing_mount_is_never_written_to() {
    let mut bench = Bench::new();
    bench.options.create = false;
    let disk = FaultDisk::new();
    assert!(matches!(bench.try_open(&disk), Err(OpenError::NoStorage { .. })));
    assert!(disk.files().is_empty());
    bench.options.create = true;
    drop(bench.open(&disk));
    bench.options.create = false;
    drop(bench.open(&disk));
    let other = bench.options.clone();
    bench.options.storage = varde_ids::StorageId::new(far_past(), [9; 10]);
    assert!(matches!(bench.try_open(&disk), Err(OpenError::OtherStorage { .. })));
    bench.options = other;
    bench.options.installation = varde_ids::InstallationId::new(far_past(), [9; 10]);
    assert!(matches!(bench.try_open(&disk), Err(OpenError::OtherInstallation { .. })));
}

#[test]
fn a_disk_that_stalls_drops_whole_groups_of_the_lowest_priority() {
    let mut bench = Bench::new();
    bench.options.memory_max = ByteSize(600_000);
    // Nothing becomes durable, so nothing leaves memory.
    bench.options.flush_interval = Duration::from_secs(3600);
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut low = Camera::with(&store, &bench.clock, varde_media_store::TrackSpec { priority: 1, ..spec(1) });
    let mut high =
        Camera::with(&store, &bench.clock, varde_media_store::TrackSpec { priority: 9, ..spec(2) });
    (low.bytes, high.bytes) = (4000, 4000);
    for _ in 0..250 {
        low.frame();
        high.frame();
        bench.clock.advance(FRAME);
        assert!(store.memory() <= ByteSize(600_000));
    }
    assert!(low.track.durability().units_dropped() > 0);
    wait("the gap is there", || causes(&store, 1).contains(&GapCause::DiskSlow.code().to_owned()));
    wait("memory is free again", || {
        store.flush();
        store.memory() < ByteSize(300_000)
    });
    let dropped = low.next;
    low.next = low.next.next_multiple_of(25);
    low.run(100);
    wait("new pictures are there", || {
        store.flush();
        pictures(&store, 1).iter().any(|number| *number > dropped)
    });
    // Between gaps, whole groups: each run of pictures begins with a key frame.
    let numbers = pictures(&store, 1);
    for (before, after) in numbers.iter().zip(&numbers[1..]) {
        assert!(*after == before + 1 || after % 25 == 0, "{before} {after}");
    }
}

#[test]
fn locks_and_leases_outlive_retention() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    for _ in 0..4 {
        recorded(&mut bench, &disk, 100);
        bench.clock.advance(Duration::from_secs(3600));
    }
    let store = bench.open(&disk);
    let all = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().recordings;
    assert_eq!(all.len(), 4);
    let id = LockId::new(far_past(), [1; 10]);
    store.lock(Lock { id, channels: vec![channel(1)], start: all[0].start, end: all[0].end }).unwrap();
    let lease = store.open_lease(channel(1), all[1].start, all[1].end);
    store.set_retention(Some(Duration::from_secs(60)), None, ByteSize(0));
    let left = || store.timeline(channel(1), far_past(), far_future(), 99).unwrap().recordings;
    store.retain();
    assert_eq!(left(), all[..2], "what is locked or leased stays");
    drop(lease);
    store.retain();
    assert_eq!(left(), all[..1]);
    store.unlock(id).unwrap();
    store.retain();
    assert_eq!(left(), []);
    let gaps = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().gaps;
    assert!(gaps.iter().any(|gap| gap.cause == "expired"));
    drop(store);
    let old = bench.open(&disk).dump_index().unwrap();
    bench.lose_index();
    let store = bench.open(&disk);
    wait("the index is whole", || !store.is_rebuilding());
    assert_eq!(store.dump_index().unwrap(), old, "deletions come back from the ledger");
}

#[test]
fn a_clock_that_jumps_begins_an_epoch_and_deletes_nothing() {
    let check = |step: i64| {
        let mut bench = Bench::new();
        bench.options.retention = Some(Duration::from_secs(86_400));
        let disk = FaultDisk::new();
        let store = bench.open(&disk);
        let mut camera = Camera::new(&store, &bench.clock, 1);
        camera.run(100);
        let first = store.epoch();
        bench.clock.step(step);
        // The flush thread must look at the clock over ten seconds of its time.
        for _ in 0..15 {
            std::thread::sleep(Duration::from_millis(12));
            camera.run(25);
        }
        wait("a new epoch", || store.epoch() > first);
        camera.run(100);
        camera.settle();
        let numbers = pictures(&store, 1);
        let sorted: std::collections::BTreeSet<_> = numbers.iter().copied().collect();
        assert_eq!(
            sorted.into_iter().collect::<Vec<_>>(),
            (0..100 + 375 + 100).collect::<Vec<_>>(),
            "{step}"
        );
        let timeline = store.timeline(channel(1), far_past(), far_future(), 99).unwrap();
        assert_eq!(timeline.recordings.len(), 2, "both epochs are served");
        let (one, two) = (&timeline.recordings[0], &timeline.recordings[1]);
        assert_ne!(one.epoch, two.epoch);
        if step > 0 {
            assert_eq!(causes(&store, 1), ["clock_set_forward"]);
        }
        store.retain();
        let after = store.timeline(channel(1), far_past(), far_future(), 99).unwrap().recordings;
        assert_eq!(after.len(), 2, "retention by age stands still while the clock is in doubt");
    };
    check(3600);
    check(-3600);
    check(-(START / 1_000_000)); // 1970.
    check(2_147_483_648 - START / 1_000_000); // 2038.
}

#[test]
fn encrypted_footage_is_secret_on_disk_and_plain_to_readers() {
    let mut bench = Bench::new();
    bench.options.master_key = Some(MasterKey([7; 32]));
    bench.options.encrypt = true;
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(100);
    camera.settle();
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>(), "while it is written");
    drop((camera, store));
    let store = bench.open(&disk);
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>(), "and after");
    let plan = store.plan(stream(1), far_past(), far_future(), false, 10).unwrap();
    let name = plan.files[0].file.clone();
    // Any range of a file is the same bytes as the whole.
    let whole = store.read(&name, 0, 1 << 20).unwrap();
    for (offset, length) in
        [(0, 10), (700, 3000), (plan.files[0].init_bytes - 1, 9000), (whole.len() as u64 - 5, 99)]
    {
        let part = store.read(&name, offset, length).unwrap();
        assert_eq!(part, whole[offset as usize..][..part.len()]);
    }
    let secret = &picture(3, false, 700)[20..200];
    assert!(!disk.files().values().any(|file| file.windows(secret.len()).any(|window| window == secret)));
    drop(store);
    let mut out = Vec::new();
    maintenance::cat_on(
        std::sync::Arc::new(disk.clone()),
        &name,
        Some(MasterKey([7; 32])),
        &mut out,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(out, whole);
    let refused = |key| {
        maintenance::cat_on(std::sync::Arc::new(disk.clone()), &name, key, &mut Vec::new(), &mut |_| {})
    };
    assert!(matches!(refused(None), Err(ReadError::NoKey)));
    assert!(matches!(refused(Some(MasterKey([8; 32]))), Err(ReadError::Damaged(_))));
    bench.options.master_key = None;
    assert!(matches!(bench.try_open(&disk), Err(OpenError::NoMasterKey)));
}

#[test]
fn no_flipped_bit_escapes_verification() {
    for encrypt in [false, true] {
        let mut bench = Bench::new();
        bench.options.master_key = Some(MasterKey([7; 32]));
        bench.options.encrypt = encrypt;
        let disk = FaultDisk::new();
        for _ in 0..3 {
            recorded(&mut bench, &disk, 60);
        }
        let store = bench.open(&disk);
        let oldest = store.timeline(channel(1), far_past(), far_future(), 9).unwrap().recordings[0].clone();
        assert!(store.erase(channel(1), oldest.end) > 0);
        drop(store);
        let trusted = [signing_key().verifying_key()];
        let verify = |disk: &FaultDisk| {
            let disk = std::sync::Arc::new(disk.after_kill());
            verify_on(disk, &trusted, Some(MasterKey([7; 32])), &mut |_| {}).unwrap()
        };
        let clean = verify(&disk);
        assert!(clean.is_clean(), "{:?}", clean.findings);
        assert!(clean.fragments > 4 && clean.checkpoints >= 4);
        let files: Vec<_> = disk
            .files()
            .into_iter()
            .filter(|(path, _)| path.ends_with(".mp4") || path.ends_with(".log"))
            .collect();
        let mut seed = seed().wrapping_add(1);
        // Half of them with encryption, half without.
        for _ in 0..tries("VARDE_SOAK_BIT_FLIPS", 500) / 2 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (path, bytes) = &files[(seed >> 33) as usize % files.len()];
            let bit = (seed >> 17) as usize % (bytes.len() * 8);
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let disk = disk.after_kill();
            disk.put(path, &flipped);
            assert!(!verify(&disk).is_clean(), "{path}: bit {bit}");
        }
        // A stranger's key vouches for nothing.
        let stranger = [ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key()];
        let disk = std::sync::Arc::new(disk.after_kill());
        let report = verify_on(disk, &stranger, Some(MasterKey([7; 32])), &mut |_| {}).unwrap();
        assert!(report.findings.iter().any(|finding| finding.problem == Problem::TrailerSignature));
    }
}

#[test]
fn a_file_that_is_taken_away_is_missed() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    for _ in 0..3 {
        recorded(&mut bench, &disk, 60);
    }
    use varde_media_store::disk::Disk as _;
    let trusted = [signing_key().verifying_key()];
    let files: Vec<_> = disk.files().into_keys().filter(|path| path.ends_with(".mp4")).collect();
    for path in &files {
        let disk = disk.after_kill();
        disk.remove(path).unwrap();
        let report = verify_on(std::sync::Arc::new(disk), &trusted, None, &mut |_| {}).unwrap();
        let missed = report
            .findings
            .iter()
            .any(|finding| matches!(finding.problem, Problem::Missing { .. } | Problem::Head { .. }));
        assert!(missed, "{path}: {:?}", report.findings);
    }
}

#[test]
fn files_play_while_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new();
    bench.options.path = folder.path().join("store");
    bench.options.flush_mode = FlushMode::Automatic;
    let open = |bench: &Bench| {
        let mut options = bench.options.clone();
        options.index_folder = bench.index.path().to_owned();
        varde_media_store::Store::open(options, bench.clock.clone(), bench.events.clone()).unwrap()
    };
    let store = open(&bench);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(100);
    camera.settle();
    let plan = store.plan(stream(1), far_past(), far_future(), false, 100).unwrap();
    let path = bench.options.path.join("media").join(&plan.files[0].file);
    let packets = || {
        let output = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets"])
            .args(["-of", "csv=p=0"])
            .arg(&path)
            .output()
            .expect("ffprobe is installed (Debian: ffmpeg)");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(packets(), "h264,100", "while it is written");
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>());
    drop((camera, store));
    assert_eq!(packets(), "h264,100", "with its trailer");
    let store = open(&bench);
    assert_eq!(pictures(&store, 1), (0..100).collect::<Vec<_>>());
    let trusted = [signing_key().verifying_key()];
    drop(store);
    let report = varde_media_store::verify(&bench.options.path, &trusted, None, &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}
