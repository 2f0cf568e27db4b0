//! The server's clock is set, by hours and by decades, while it records: every instant is recorded once, in an epoch of its own,
//! and nothing is deleted. The clock is libfaketime's; the monotonic clock stays as it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use varde_units::Utc;

use super::pictures;
use crate::stack::{PATIENCE, Stack};

/// A step counts after it stood for ten seconds (design.md, "Time").
const STEPS: [(&str, &str); 4] =
    [("forward", "+1h"), ("back", "+0"), ("1970", "-20000d"), ("2038", "+4200d")];

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.is_file())
}

/// A recorded stretch and its clock epoch.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    epoch: u32,
    start: Utc,
    end: Utc,
}

/// All that is recorded of a camera, and the causes of its gaps.
async fn timeline(stack: &Stack, camera: &str) -> (Vec<Stretch>, Vec<String>) {
    let (start, end) = (Utc::from_micros(-1 << 52), Utc::from_micros(1 << 52));
    let timeline = stack.recorder().timeline(camera.parse().unwrap(), start, end, None).await.unwrap();
    let stretches =
        timeline.recordings.iter().map(|it| Stretch { epoch: it.epoch, start: it.start, end: it.end });
    (stretches.collect(), timeline.gaps.into_iter().map(|gap| gap.cause).collect())
}

fn set(clock: &Path, to: &str) {
    let fresh = clock.with_extension("new");
    std::fs::write(&fresh, format!("{to}\n")).unwrap();
    std::fs::rename(&fresh, clock).unwrap();
}

#[tokio::test]
async fn steps_of_the_clock_lose_and_delete_nothing() {
    let Some(library) = library() else {
        eprintln!(
            "skipped: libfaketime is not here (Debian package faketime); media-store's own tests set the clock"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set(&clock, "+0");
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap()),
        ("FAKETIME_CACHE_DURATION", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let stack = Stack::start_in(folder, 1, &environment).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;

    let mut epochs = 1;
    for (name, to) in STEPS {
        set(&clock, to);
        epochs += 1;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (now, _) = timeline(&stack, &camera).await;
            let mut seen: Vec<u32> = now.iter().map(|stretch| stretch.epoch).collect();
            seen.sort();
            seen.dedup();
            if seen.len() == epochs {
                break;
            }
            assert!(Instant::now() < deadline, "{name}: no epoch of its own: {now:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let (stretches, causes) = timeline(&stack, &camera).await;
    stack.server.stop();

    // Each within its own epoch; overlaps only between epochs.
    for (place, one) in stretches.iter().enumerate() {
        for other in &stretches[place + 1..] {
            let apart = one.end <= other.start || other.end <= one.start;
            assert!(apart || one.epoch != other.epoch, "{one:?} and {other:?} overlap");
        }
    }
    assert!(causes.iter().all(|cause| cause == "clock_set_forward"), "{causes:?}");
    // The pictures of all files, in the order of their numbers, are one row without a hole.
    let storage = stack.folder.path().join("data/storage");
    let mut all: Vec<Vec<u32>> =
        pictures::files(&storage, &camera).iter().map(|file| pictures::whole(file)).collect();
    all.sort_by_key(|numbers| numbers[0]);
    assert_eq!(all.len(), epochs, "one file for each epoch");
    for pair in all.windows(2) {
        assert_eq!(pair[0].last().unwrap() + 1, pair[1][0], "a step cost pictures");
    }
}
