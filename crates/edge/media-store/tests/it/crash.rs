//! Kills, power cuts, torn files, and an index that lies: nothing durable is lost, and everything is readable.

use std::time::Duration;

use varde_api::codes::GapCause;
use varde_ids::LockId;
use varde_media_store::disk::FaultDisk;
use varde_media_store::{Lock, Store};
use varde_units::Utc;

use crate::fixture::*;

/// Records two cameras until the power goes, and gives what each was told is durable.
fn session(bench: &mut Bench, disk: &FaultDisk) -> [Option<Utc>; 2] {
    let Ok(store) = bench.try_open(disk) else { return [None, None] };
    let mut cameras = [1, 2].map(|number| Camera::new(&store, &bench.clock, number));
    cameras[1].key_every = 5;
    for second in 0..5 {
        for _ in 0..25 {
            cameras.iter_mut().for_each(Camera::frame);
            bench.clock.advance(FRAME);
        }
        if second == 2 {
            // Closes a file in the middle; the pictures go on in the next.
            let clock = &bench.clock;
            cameras.iter_mut().for_each(|camera| {
                use varde_media_store::Ambient as _;
                camera.track.gap(GapCause::Silent, serde_json::Map::new(), clock.mono());
                camera.next = camera.next.next_multiple_of(camera.key_every);
            });
        }
        // Lets the store's own threads come to their turn between the seconds.
        std::thread::sleep(Duration::from_millis(3));
        store.flush();
    }
    drop(store);
    cameras.map(|camera| camera.track.durable_until())
}

/// Whatever came before `durable` is there; what is there behind it has no copy and no swap. Bytes that no flush
/// covered may be kept in any order by a power cut, so there may be a hole behind it.
fn check_kept(store: &Store, durable: [Option<Utc>; 2], what: &str) {
    for (camera, durable) in [1, 2].into_iter().zip(durable) {
        let numbers = pictures(store, camera);
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{what}: camera {camera}: {numbers:?}");
        let Some(durable) = durable else { continue };
        let whole = numbers.iter().zip(0..).take_while(|(number, at)| *number == at).count();
        let kept = Utc::from_micros(START).plus(FRAME * whole as u32);
        assert!(kept >= durable, "{what}: camera {camera} was durable until {durable}, has {kept}");
    }
}

fn operations_of_a_session() -> u64 {
    let disk = FaultDisk::new();
    session(&mut Bench::new(), &disk);
    disk.operations()
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_durable() {
    let operations = operations_of_a_session();
    let states = tries("VARDE_SOAK_POWER_CUTS", 200);
    for state in 0..states {
        let mut bench = Bench::new();
        let disk = FaultDisk::new();
        disk.set_own_file_system(state % 2 == 0);
        bench.options.flush_mode = varde_media_store::FlushMode::Automatic;
        disk.power_off_at(1 + state * operations / states);
        let durable = session(&mut bench, &disk);
        let disk = disk.after_power_loss(seed().wrapping_add(state));
        if state % 3 == 0 {
            bench.lose_index();
        }
        let store = bench.open(&disk);
        wait("the index is whole", || !store.is_rebuilding());
        check_kept(&store, durable, &format!("state {state}"));
        // Recording goes on where it ended.
        let before = pictures(&store, 1).len();
        let mut camera = Camera::new(&store, &bench.clock, 1);
        camera.run(25);
        camera.settle();
        assert_eq!(pictures(&store, 1).len(), before + 25, "state {state}");
    }
}

#[test]
fn a_kill_loses_only_what_was_still_collected() {
    let operations = operations_of_a_session();
    for state in 0..40 {
        let mut bench = Bench::new();
        let disk = FaultDisk::new();
        disk.power_off_at(1 + state * operations / 40);
        let durable = session(&mut bench, &disk);
        let store = bench.open(&disk.after_kill());
        wait("the index is whole", || !store.is_rebuilding());
        check_kept(&store, durable, &format!("state {state}"));
    }
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_fragments() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(100);
    camera.settle();
    let killed = disk.after_kill();
    drop((camera, store));
    let (path, whole) = killed.files().into_iter().find(|(path, _)| path.ends_with(".mp4")).unwrap();
    let mut most = 0;
    for cut in (0..=whole.len()).rev().step_by(whole.len() / 40) {
        let disk = killed.after_kill();
        disk.put(&path, &whole[..cut]);
        bench.lose_index();
        let store = bench.open(&disk);
        wait("the index is whole", || !store.is_rebuilding());
        let numbers = pictures(&store, 1);
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        most = most.max(numbers.len());
    }
    assert_eq!(most, 100);
}

/// A store with something of everything.
fn full_store(bench: &mut Bench) -> FaultDisk {
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut cameras: Vec<_> = (1..=3).map(|number| Camera::new(&store, &bench.clock, number)).collect();
    for &cause in GapCause::ALL {
        for _ in 0..40 {
            cameras.iter_mut().for_each(Camera::frame);
            bench.clock.advance(FRAME);
        }
        cameras.iter_mut().for_each(|camera| camera.gap(cause));
        bench.clock.advance(Duration::from_secs(3));
    }
    cameras.iter_mut().for_each(Camera::settle);
    let recordings = store.timeline(channel(1), far_past(), far_future(), 100).unwrap().recordings;
    let locked = &recordings[2];
    let id = LockId::new(far_past(), [1; 10]);
    store.lock(Lock { id, channels: vec![channel(1)], start: locked.start, end: locked.end }).unwrap();
    store.erase(channel(1), recordings[5].end);
    assert_eq!(store.locks().len(), 1);
    disk
}

#[test]
fn a_rebuilt_index_is_the_old_one_row_by_row() {
    let mut bench = Bench::new();
    let disk = full_store(&mut bench);
    let killed = disk.after_kill();
    let store = bench.open(&killed);
    wait("the index is whole", || !store.is_rebuilding());
    let old = store.dump_index().unwrap();
    assert!(old.len() > 3 * GapCause::ALL.len(), "{}", old.len());
    assert!(old.iter().any(|row| row.contains("erased")), "deleted footage is a gap");
    drop(store);
    let clean = killed.after_kill();
    bench.lose_index();
    let store = bench.open(&clean);
    wait("the index is whole", || !store.is_rebuilding());
    assert_eq!(store.dump_index().unwrap(), old);
    assert_eq!(store.locks().len(), 1);
}

#[test]
fn an_index_that_is_damaged_anywhere_is_made_anew() {
    let mut bench = Bench::new();
    let disk = full_store(&mut bench);
    // Once more without a crash, so that the index and the ledger agree.
    drop(bench.open(&disk.after_kill()));
    let store = bench.open(&disk);
    wait("the index is whole", || !store.is_rebuilding());
    let expected = store.dump_index().unwrap();
    drop(store);
    let name = format!("{}.sqlite", bench.options.storage);
    let path = bench.index.path().join(&name);
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.len() > 8192);
    let check = |bench: &mut Bench, bytes: &[u8], what: &str| {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(bench.index.path().join(format!("{name}{suffix}")));
        }
        std::fs::write(bench.index.path().join(&name), bytes).unwrap();
        let store = bench.open(&disk.after_kill());
        wait("the index is whole", || !store.is_rebuilding());
        assert_eq!(store.dump_index().unwrap(), expected, "{what}");
    };
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        check(&mut bench, &flipped, &format!("byte {at} flipped"));
    }
    for cut in (0..whole.len()).step_by(whole.len() / 10) {
        check(&mut bench, &whole[..cut], &format!("cut at {cut}"));
    }
    check(&mut bench, &whole, "untouched");
    check(&mut bench, b"SQLite format 3\0 and then something else entirely", "not a database");
}

#[test]
fn a_torn_ledger_ends_at_its_last_whole_record() {
    let mut bench = Bench::new();
    let disk = full_store(&mut bench);
    let logs: Vec<_> = disk.files().into_iter().filter(|(path, _)| path.starts_with("ledger/")).collect();
    let (path, whole) = logs.last().unwrap();
    for cut in (0..whole.len()).step_by(whole.len() / 25) {
        let disk = disk.after_kill();
        disk.put(path, &whole[..cut]);
        bench.lose_index();
        let store = bench.open(&disk);
        wait("the index is whole", || !store.is_rebuilding());
        // Footage never depends on the ledger; what it alone knew ends with it.
        assert!(!pictures(&store, 2).is_empty(), "cut at {cut}");
        let mut camera = Camera::new(&store, &bench.clock, 1);
        camera.run(25);
        camera.settle();
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let mut bench = Bench::new();
    let disk = FaultDisk::new();
    let store = bench.open(&disk);
    let mut camera = Camera::new(&store, &bench.clock, 1);
    camera.run(50);
    camera.settle();
    drop((camera, store));
    let folder = disk.files().into_keys().find(|path| path.ends_with(".mp4")).unwrap();
    let folder = folder.rsplit_once('/').unwrap().0.to_owned();
    let strangers = [
        "media/notes.txt".to_owned(),
        format!("{folder}/holiday.mp4"),
        format!("{folder}/.hidden"),
        "ledger/readme".to_owned(),
        "lost+found".to_owned(),
    ];
    for path in &strangers {
        disk.put(path, b"mine");
    }
    bench.lose_index();
    bench.options.retention = Some(Duration::from_secs(1));
    bench.clock.advance(Duration::from_secs(60 * 86_400));
    let store = bench.open(&disk);
    wait("the index is whole", || !store.is_rebuilding());
    store.confirm_clock();
    store.retain();
    assert!(pictures(&store, 1).is_empty(), "retention took the footage");
    let files = disk.files();
    for path in &strangers {
        assert_eq!(files.get(path).map(Vec::as_slice), Some(&b"mine"[..]), "{path}");
    }
}
