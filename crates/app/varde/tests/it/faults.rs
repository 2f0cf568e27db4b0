//! Faults of the machine: what is recorded stays, and recording goes on.

use std::time::Duration;

use serde_json::{Value, json};
use varde_units::Utc;

use crate::stack::{Stack, signal};

fn durable_until(camera: &Value) -> Option<Utc> {
    let streams = camera["streams"].as_array()?;
    streams.iter().find_map(|stream| stream["durable_until"].as_str()?.parse().ok())
}

fn span(recording: &Value) -> (Utc, Utc) {
    let read = |key: &str| recording[key].as_str().unwrap().parse().unwrap();
    (read("start"), read("end"))
}

#[tokio::test]
async fn the_death_of_all_the_rest_costs_the_recording_nothing() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;
    let recorder = stack.child("recording");
    for _ in 0..2 {
        signal(stack.child("rest"), "KILL");
        tokio::time::sleep(Duration::from_secs(2)).await;
        stack.records(&camera).await;
    }
    assert_eq!(stack.child("recording"), recorder, "the recorder was not touched");
    let timeline = stack.api.timeline(&camera).await;
    assert_eq!(timeline["recordings"].as_array().unwrap().len(), 1, "no hole: {timeline}");
    stack.server.stop();
}

#[tokio::test]
async fn nothing_before_durable_until_is_lost_when_the_recorder_is_killed() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    for _ in 0..3 {
        stack.records(&camera).await;
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let before = durable_until(&stack.api.get(&format!("/cameras/{camera}")).await).expect("it records");
        signal(stack.child("recording"), "KILL");
        let path = format!("/cameras/{camera}");
        stack
            .api
            .until(&path, "records past the kill", |camera| {
                camera["recording"] == true && durable_until(camera).is_some_and(|until| until > before)
            })
            .await;
        let timeline = stack.api.timeline(&camera).await;
        let covered = timeline["recordings"]
            .as_array()
            .unwrap()
            .iter()
            .map(span)
            .any(|(start, end)| start < before && end.plus(Duration::from_millis(1)) >= before);
        assert!(covered, "{before} was durable: {timeline}");
    }
    let timeline = stack.api.timeline(&camera).await;
    let causes: Vec<&str> =
        timeline["gaps"].as_array().unwrap().iter().filter_map(|gap| gap["cause"].as_str()).collect();
    assert_eq!(causes, ["recorder_down"; 3], "each kill left a gap that says so: {timeline}");
    stack.server.stop();
}

/// Misbehaviour of a virtual camera, and the causes of which one must stand on the timeline.
const FAULTS: [(&str, &[&str]); 4] = [
    ("refuse", &["disconnected", "unreachable"]),
    ("wrong_password", &["wrong_password"]),
    ("not_found", &["no_such_stream"]),
    ("freeze", &["silent"]),
];

#[tokio::test]
async fn each_fault_of_a_camera_leaves_a_gap_that_says_why() {
    let stack = Stack::start(FAULTS.len() as u32).await;
    let mut cameras = Vec::new();
    for number in 0..FAULTS.len() {
        cameras.push(stack.add_camera(number).await);
    }
    for camera in &cameras {
        stack.records(camera).await;
    }
    let mut begun = Vec::new();
    for (number, (fault, _)) in FAULTS.iter().enumerate() {
        let path = format!("/control/cameras/{}/faults", number + 1);
        stack.control(&path, json!({ "fault": fault, "seconds": 20 })).await;
        begun.push(varde_ambient::utc_now());
    }
    for (camera, (fault, _)) in cameras.iter().zip(FAULTS) {
        let path = format!("/cameras/{camera}");
        stack.api.until(&path, &format!("notices {fault}"), |camera| camera["recording"] == false).await;
    }
    for (camera, (fault, _)) in cameras.iter().zip(FAULTS) {
        let path = format!("/cameras/{camera}");
        stack.api.until(&path, &format!("is over {fault}"), |camera| camera["recording"] == true).await;
    }
    for ((camera, (fault, causes)), begun) in cameras.iter().zip(FAULTS).zip(begun) {
        // The next fragment closes the gap.
        let path = format!("/cameras/{camera}");
        stack
            .api
            .until(&path, "records again", |camera| {
                durable_until(camera).is_some_and(|it| it > begun.plus(Duration::from_secs(20)))
            })
            .await;
        let timeline = stack.api.timeline(camera).await;
        let gaps = timeline["gaps"].as_array().unwrap();
        assert!(!gaps.is_empty(), "{fault}: {timeline}");
        assert!(
            gaps.iter().any(|gap| causes.contains(&gap["cause"].as_str().unwrap())),
            "{fault} is none of {causes:?}: {timeline}"
        );
        let start: Utc = gaps[0]["start"].as_str().unwrap().parse().unwrap();
        let off = start.signed_micros_since(begun).abs();
        assert!(off <= 2_000_000, "{fault}: the gap begins {off} µs from the fault: {timeline}");
    }
    stack.server.stop();
}
