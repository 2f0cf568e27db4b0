//! Streams that misbehave: recording goes on, and no picture is torn in what was recorded.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use varde_units::Utc;

use crate::codecs::{add, recorded};
use crate::media::{Live, Track, decode_bytes, take, ticket, try_decode, watch};
use crate::spine::media_files;
use crate::stack::Stack;

/// A camera each, by its name, and what it is told to do for [`SECONDS`].
const FAULTS: [(&str, &str, &str); 6] = [
    ("h264-aac", "resolution", "{}"),
    ("h264-b-frames-aac", "long_gop", "{}"),
    ("h264-opus", "packet_loss", r#"{"percent":2}"#),
    ("h264-ulaw", "garbage", r#"{"percent":5}"#),
    ("h264-alaw", "malformed_rtp", r#"{"percent":3}"#),
    ("h264", "malformed_payload", r#"{"percent":5}"#),
];

/// A header that skips a part of the payload, and bytes changed inside of coded pictures, can't be noticed without
/// decoding: up to the next entry point, such pictures are as the camera sent them.
const UNNOTICED: [&str; 2] = ["malformed_rtp", "malformed_payload"];
const SECONDS: u64 = 4;

fn sizes(tracks: &[Track]) -> Vec<(u64, u64)> {
    tracks.iter().filter(|track| track.kind == "video").map(|track| track.size).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_misbehaving_stream_leaves_is_whole() {
    let stack = Stack::start(1).await;
    let mut cameras = Vec::new();
    for (name, _, _) in FAULTS {
        cameras.push(add(&stack, &stack.cameras, name, &format!("/codec/{name}")).await);
    }
    for camera in &cameras {
        recorded(&stack, camera, 2).await;
    }
    // A viewer of the first sees both resolutions.
    let (api, path) = (stack.api.clone(), format!("/cameras/{}/live/ws", cameras[0]));
    let viewer = tokio::spawn(async move {
        let formats = |live: &Live| live.texts.iter().filter(|text| text["type"] == "format").count();
        watch(&api, &path, |live| formats(live) >= 2).await;
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    for (name, fault, more) in FAULTS {
        let mut body: Value = serde_json::from_str(more).unwrap();
        body["fault"] = json!(fault);
        body["seconds"] = json!(SECONDS);
        stack.control(&format!("/control/cameras/{name}/faults"), body).await;
    }
    let begun = varde_ambient::utc_now();
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    viewer.await.expect("the viewer is told of the new resolution");
    // All go on: with the next entry point, which a long group of pictures lets wait.
    let end = begun.plus(Duration::from_secs(SECONDS + 4));
    for (camera, (name, _, _)) in cameras.iter().zip(FAULTS) {
        let path = format!("/cameras/{camera}");
        stack
            .api
            .until(&path, &format!("goes on after the fault of {name}"), |camera| {
                let until = |stream: &Value| stream["durable_until"].as_str()?.parse::<Utc>().ok();
                let streams = camera["streams"].as_array().unwrap();
                camera["recording"] == true && streams.iter().filter_map(until).any(|until| until > end)
            })
            .await;
    }

    // What came afterwards is whole, whatever was before.
    for (camera, (name, _, _)) in cameras.iter().zip(FAULTS) {
        let start = begun.plus(Duration::from_millis(SECONDS * 1_000 + 2_500));
        let path = format!("/cameras/{camera}/recording.mp4?start={start}&end={end}");
        let file = stack.folder.path().join(format!("{name}-after.mp4"));
        decode_bytes(&file, &stack.api.bytes(&path).await);
    }
    // Both parts of what changed its size play as one.
    let range = format!("start={}&end={end}", begun.minus(Duration::from_secs(1)));
    let ticket = ticket(&stack.api, &cameras[0]).await;
    let base = format!("{}/api/v1/cameras/{}", stack.api.url, cameras[0]);
    let hls = stack.folder.path().join("both.mkv");
    take(&format!("{base}/playback.m3u8?{range}&ticket={ticket}"), &hls);
    let path = format!("/cameras/{}/recording.mp4?{range}", cameras[0]);
    let export = decode_bytes(&stack.folder.path().join("both.mp4"), &stack.api.bytes(&path).await);
    let pictures = |tracks: &[Track]| tracks.iter().find(|track| track.kind == "video").unwrap().times.len();
    assert!(pictures(&export) >= 90, "{} pictures", pictures(&export));

    let storage = stack.data().join("storage");
    stack.server.stop();
    let mut torn = Vec::new();
    for (camera, (name, fault, _)) in cameras.iter().zip(FAULTS) {
        let files: Vec<PathBuf> = media_files(&storage)
            .into_iter()
            .filter(|file| file.to_string_lossy().contains(camera.as_str()))
            .collect();
        assert!(!files.is_empty(), "{name}");
        let mut seen = Vec::new();
        for file in files {
            match try_decode(&file) {
                Ok(tracks) => seen.extend(sizes(&tracks)),
                Err(_) if UNNOTICED.contains(&fault) => {}
                Err(complaint) => torn.push(format!("{name}, {fault}: {complaint}")),
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() > 1, fault == "resolution", "{name}: {seen:?}");
    }
    assert!(torn.is_empty(), "{}", torn.join("\n"));
}
