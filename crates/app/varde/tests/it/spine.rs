//! The thinnest honest path: a camera over RTSP, recorded, on the timeline, out again as pictures and files.

use std::path::PathBuf;
use std::time::Duration;

use varde_units::Utc;

use crate::stack::{Stack, probe};

fn instant(value: &serde_json::Value) -> Utc {
    value.as_str().unwrap_or_else(|| panic!("{value} is no time")).parse().unwrap()
}

pub fn media_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(media_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "mp4") {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn what_a_camera_shows_comes_back_as_timeline_still_and_file() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;
    tokio::time::sleep(Duration::from_secs(6)).await;

    let timeline = stack.api.timeline(&camera).await;
    let recordings = timeline["recordings"].as_array().unwrap();
    assert_eq!(recordings.len(), 1, "one recording without a hole: {timeline}");
    let (start, end) = (instant(&recordings[0]["start"]), instant(&recordings[0]["end"]));
    assert!(end.since(start) >= Duration::from_secs(4), "{timeline}");

    let middle = start.plus(Duration::from_secs(2));
    let still = stack.api.bytes(&format!("/cameras/{camera}/frame.jpg?time={middle}")).await;
    assert_eq!(still[..2], [0xff, 0xd8], "a JPEG begins with SOI");

    let export_end = start.plus(Duration::from_secs(4));
    let path = format!("/cameras/{camera}/recording.mp4?start={start}&end={export_end}");
    let file = stack.folder.path().join("export.mp4");
    std::fs::write(&file, stack.api.bytes(&path).await).unwrap();
    let probed = probe(&file);
    let video = probed["streams"].as_array().unwrap().iter().find(|it| it["codec_type"] == "video").unwrap();
    let frames: u32 = video["nb_read_frames"].as_str().unwrap().parse().unwrap();
    assert!(frames >= 30, "four seconds of pictures: {video}");

    // The store itself, while it is written to, plays in a player that is not ours.
    let files = media_files(&stack.data().join("storage"));
    assert!(!files.is_empty());
    for file in files {
        probe(&file);
    }
    stack.server.stop();
}
