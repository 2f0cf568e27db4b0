//! Storages that fill up, are read-only at the start, or are not there. Needs root, for file systems of its own.
//!
//! Errors of the disk below an open file (EIO, a flush that fails) are media-store's own tests, on a disk that can fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use varde_units::Utc;

use super::pictures::{self, Schedule, apart, span};
use crate::stack::Stack;

const MIB: u64 = 1 << 20;
/// Bytes that the storages are to leave free.
const FREE_MIN: u64 = 16 * MIB;
const NEAR: Duration = Duration::from_secs(1);

/// A mount that is gone when this is dropped.
#[derive(Debug)]
struct Mount(PathBuf);

impl Mount {
    /// A small file system of its own; `None` where we may not mount.
    fn memory(place: &Path) -> Option<Self> {
        std::fs::create_dir_all(place).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "none"]).arg(place).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(place.to_owned()))
    }

    /// Another folder, which stays when it is unmounted.
    fn folder(backing: &Path, place: &Path) -> Self {
        std::fs::create_dir_all(backing).unwrap();
        std::fs::create_dir_all(place).unwrap();
        mount(&["--bind", backing.to_str().unwrap(), place.to_str().unwrap()]);
        Self(place.to_owned())
    }

    fn make(&self, access: &str) {
        mount(&["-o", &format!("remount,bind,{access}"), self.0.to_str().unwrap()]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn mount(arguments: &[&str]) {
    let done = Command::new("mount").args(arguments).output().unwrap();
    assert!(done.status.success(), "mount {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn add_storage(stack: &Stack, path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let body = json!({ "name": name, "path": path, "free_min_bytes": FREE_MIN });
    let added = stack.api.call(Method::POST, "/storages", Some(body)).await.unwrap();
    added["id"].as_str().unwrap().to_owned()
}

async fn becomes(stack: &Stack, storage: &str, states: &[&str]) {
    let path = format!("/storages/{storage}");
    let among = |it: &Value| states.contains(&it["state"].as_str().unwrap());
    stack.api.until(&path, &format!("becomes {states:?}"), among).await;
}

/// Waits until something is durable that came well after this call.
async fn goes_on(stack: &Stack, camera: &str) {
    let now = varde_ambient::utc_now().plus(NEAR);
    let durable = |camera: &Value| -> Option<Utc> {
        let streams = camera["streams"].as_array()?;
        streams.iter().find_map(|stream| stream["durable_until"].as_str()?.parse().ok())
    };
    let path = format!("/cameras/{camera}");
    stack.api.until(&path, "records on", |camera| durable(camera).is_some_and(|until| until > now)).await;
}

/// The states that events told of a storage.
async fn told(stack: &Stack, storage: &str) -> Vec<String> {
    let events = stack.api.get("/events?type=varde.storage.state&limit=200").await;
    let of_ours = events["items"].as_array().unwrap().iter().filter(|event| event["storage"] == storage);
    of_ours.map(|event| event["data"]["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Takes up room until so much is free, or until nothing is.
fn fill(place: &Path, free: u64) -> PathBuf {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(place).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let available: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
    let filler = place.join("filler");
    std::fs::write(&filler, vec![1; usize::try_from(available.saturating_sub(free)).unwrap()]).unwrap();
    filler
}

#[tokio::test]
async fn full_read_only_and_missing_storages_cost_no_more_than_they_must() {
    let folder = tempfile::tempdir().unwrap();
    // What is mounted here is not seen by whoever looks at the folder later: unmounted before it is removed.
    let places = tempfile::tempdir().unwrap();
    let small = places.path().join("small");
    let Some(_memory) = Mount::memory(&small) else {
        eprintln!("skipped: mounting needs root");
        return;
    };
    let (backing, place) = (places.path().join("backing"), places.path().join("place"));
    let other = Mount::folder(&backing, &place);
    let mut stack = Stack::start_in(folder, 2, &[]).await;
    let small_id = add_storage(&stack, &small).await;
    let other_id = add_storage(&stack, &place).await;
    let camera = stack.add_camera_to(0, Some(&small_id)).await;
    let moved = stack.add_camera_to(1, Some(&other_id)).await;
    let schedule = Schedule::of(&stack, 0).await;
    stack.records(&camera).await;
    stack.records(&moved).await;

    let first = fill_up(&stack, &small, &small_id, &camera, schedule).await;

    // Started with a storage that is read-only: it says so, and recording goes on when it is not any more.
    stack.server.stop_in_place();
    other.make("ro");
    stack.serve_again();
    becomes(&stack, &other_id, &["read_only"]).await;
    other.make("rw");
    becomes(&stack, &other_id, &["online"]).await;
    goes_on(&stack, &moved).await;
    assert!(told(&stack, &other_id).await.iter().any(|state| state == "read_only"), "the events say so");

    // Started with a storage whose disk is not there: nothing is written into the empty folder below.
    stack.server.stop_in_place();
    drop(other);
    stack.serve_again();
    becomes(&stack, &other_id, &["offline"]).await;
    stack.records(&moved).await;
    let below = std::fs::read_dir(&place).unwrap().count();
    assert_eq!(below, 0, "the disk below the mount is left alone");
    let other = Mount::folder(&backing, &place);
    becomes(&stack, &other_id, &["online"]).await;
    goes_on(&stack, &moved).await;

    // Every hole has its reason; the full disk's gaps are told as before.
    let timeline = stack.api.timeline(&moved).await;
    let known = |gap: &Value| gap["cause"] == "recorder_down" || gap["cause"] == "disk_error";
    assert!(timeline["gaps"].as_array().unwrap().iter().all(known), "{timeline}");
    let again = stack.api.timeline(&camera).await;
    for gap in first["gaps"].as_array().unwrap() {
        assert!(again["gaps"].as_array().unwrap().contains(gap), "{gap} is missing in {again}");
    }
    stack.server.stop_in_place();
    for storage in [&place, &stack.data().join("storage")] {
        assert!(!pictures::all(storage, &moved).is_empty(), "{}", storage.display());
    }
    drop(other);
}

/// Retention makes room, oldest first; when it can't, the timeline says so; when it can again, recording goes on.
async fn fill_up(stack: &Stack, small: &Path, storage: &str, camera: &str, schedule: Schedule) -> Value {
    // Some closed files to delete.
    for _ in 0..3 {
        goes_on(stack, camera).await;
        stack.control("/control/cameras/1/faults", json!({ "fault": "disconnect" })).await;
        goes_on(stack, camera).await;
    }
    let before = pictures::files(small, camera);
    assert!(before.len() > 3, "{before:?}");
    let filler = fill(small, FREE_MIN - 4096);
    let deadline = std::time::Instant::now() + crate::stack::PATIENCE;
    while before[0].exists() {
        assert!(std::time::Instant::now() < deadline, "nothing was deleted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    goes_on(stack, camera).await;
    let kept: Vec<bool> = before.iter().map(|file| file.exists()).collect();
    assert!(kept.is_sorted(), "oldest first: {kept:?}");
    let timeline = stack.api.timeline(camera).await;
    let expired = timeline["gaps"].as_array().unwrap().iter().find(|gap| gap["cause"] == "expired");
    assert!(expired.is_some(), "{timeline}");

    // No room at all.
    std::fs::remove_file(&filler).unwrap();
    let filled = varde_ambient::utc_now();
    let mut hogs = Vec::new();
    let path =
        format!("/cameras/{camera}/timeline?start={}&end={}", filled, filled.plus(Duration::from_secs(600)));
    let full_gap = |timeline: &Value| {
        // The last of them: what was deleted in between was taken up too late once or twice.
        timeline["gaps"].as_array().unwrap().iter().rfind(|gap| gap["cause"] == "disk_full").cloned()
    };
    for hog in 0.. {
        // What is deleted meanwhile is taken up as well.
        let place = small.join(format!("hog{hog}"));
        let _ = std::fs::write(&place, vec![1; 40 << 20]);
        hogs.push(place);
        if full_gap(&stack.api.get(&path).await).is_some() {
            break;
        }
        assert!(hog < 300, "the disk is never full");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    becomes(stack, storage, &["full"]).await;
    hogs.iter().for_each(|hog| drop(std::fs::remove_file(hog)));
    goes_on(stack, camera).await;
    assert!(told(stack, storage).await.iter().any(|state| state == "full"), "the events say so");
    // The gap lies where pictures are missing.
    let timeline = stack.api.timeline(camera).await;
    let (start, end) = span(&full_gap(&timeline).unwrap_or_else(|| panic!("{timeline}")));
    let end = end.unwrap_or_else(|| panic!("over: {timeline}"));
    let newest = pictures::files(small, camera).pop().unwrap();
    let first = schedule.shown(pictures::still_open(&newest)[0]);
    assert!(start >= filled.minus(NEAR), "{start} after {filled}");
    assert!(apart(end, first) <= NEAR, "pictures again from {first}: {timeline}");
    timeline
}
