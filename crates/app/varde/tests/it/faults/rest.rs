//! Whatever happens to all the rest (killed, stopped, starved, flooded, its database gone), the recorder records on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::pictures;
use crate::stack::{Stack, signal};

const CAMERAS: usize = 2;
/// Viewers that never read what they asked for.
const UNREAD: usize = 20;
/// What they may cost the other child, all together: far less than what was sent to them.
const UNREAD_BYTES_MAX: u64 = 96 << 20;
const MARKUP: &str = r#"<script>alert('1')</script> & "Tür" <img src=x onerror=alert(2)>"#;

/// Asks for live pictures over a WebSocket (RFC 6455) and reads the head of the answer, no more.
fn watch(stack: &Stack, camera: &str) -> TcpStream {
    let host = stack.api.url.strip_prefix("http://").expect("loopback speaks plain HTTP");
    let mut socket = TcpStream::connect(host).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        socket,
        "GET /api/v1/cameras/{camera}/live/ws?stream=live HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {}\r\n\r\n",
        stack.api.token
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    socket
}

fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn limit(process: u32, what: &str) {
    let done = Command::new("prlimit").args(["--pid", &process.to_string(), what]).status();
    assert!(done.expect("prlimit is part of util-linux").success(), "prlimit {what}");
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test]
async fn nothing_that_happens_to_the_rest_costs_a_picture() {
    let mut stack = Stack::start(CAMERAS as u32).await;
    let mut cameras = Vec::new();
    for number in 0..CAMERAS {
        cameras.push(stack.add_camera(number).await);
    }
    for camera in &cameras {
        stack.records(camera).await;
    }
    let recorder = stack.child("recording");

    names_are_text(&stack, &cameras[1]).await;
    ten_years_are_a_short_answer(&stack, &cameras[0]).await;
    unread_viewers_are_closed(&stack, &cameras).await;

    signal(stack.child("rest"), "STOP");
    seconds(4).await;
    signal(stack.child("rest"), "CONT");
    stack.records(&cameras[0]).await;

    // Out of descriptors: what is asked fails, and works again when there are some.
    let rest = stack.child("rest");
    limit(rest, "--nofile=8:");
    for _ in 0..20 {
        let _ = stack.api.call(Method::GET, "/cameras", None).await;
        let _ = TcpStream::connect(stack.api.url.strip_prefix("http://").unwrap());
    }
    seconds(2).await;
    limit(rest, "--nofile=1024:");
    stack.records(&cameras[0]).await;
    assert_eq!(stack.child("rest"), rest, "it outlives a time without descriptors");

    // Out of memory: it may die of that, and is started again.
    limit(rest, "--as=4096:");
    for _ in 0..20 {
        let path = format!("/cameras/{}/frame.jpg", cameras[0]);
        let _ =
            tokio::time::timeout(Duration::from_millis(200), stack.api.call(Method::GET, &path, None)).await;
    }
    if stack.child_now("rest") == Some(rest) {
        limit(rest, "--as=unlimited:");
    }
    stack.records(&cameras[0]).await;

    signal(stack.child("rest"), "KILL");
    stack.records(&cameras[0]).await;

    // The database goes while it is used.
    let management = stack.data().join("management");
    for name in ["varde.db", "varde.db-wal", "varde.db-shm"] {
        let _ = std::fs::remove_file(management.join(name));
    }
    seconds(2).await;
    assert_eq!(stack.child("recording"), recorder, "the recorder was never touched");
    let storage = stack.data().join("storage");
    for camera in &cameras {
        let files = pictures::files(&storage, camera);
        assert_eq!(files.len(), 1, "one recording without a hole: {files:?}");
    }
    let status = stack.recorder().status().await.unwrap();
    assert!(status.channels.iter().flat_map(|it| &it.streams).all(|it| it.units_dropped == 0));

    // A start without the database, and one with a broken one: the recorder goes by its snapshot.
    stack.server.stop_in_place();
    stack.serve_again();
    assert!(stack.server.says["setup_code"].is_string(), "a new database: {}", stack.server.says);
    recorder_records(&stack, &cameras).await;
    stack.server.stop_in_place();
    for name in ["varde.db-wal", "varde.db-shm"] {
        let _ = std::fs::remove_file(management.join(name));
    }
    std::fs::write(management.join("varde.db"), b"this was a database once").unwrap();
    stack.serve_again_silently();
    recorder_records(&stack, &cameras).await;
    // Still so when the rest has failed a few times.
    seconds(3).await;
    recorder_records(&stack, &cameras).await;
    stack.server.stop_in_place();

    for camera in &cameras {
        let pictures = pictures::all(&storage, camera);
        assert_eq!(pictures.len(), 3, "one recording for each run: {pictures:?}");
    }
}

/// By the recorder's own word, which needs nothing of the rest.
async fn recorder_records(stack: &Stack, cameras: &[String]) {
    let deadline = std::time::Instant::now() + crate::stack::PATIENCE;
    loop {
        let status = stack.recorder().status().await;
        let records = status.as_ref().is_ok_and(|status| {
            cameras.iter().all(|camera| {
                let channel = status.channels.iter().find(|it| it.channel.to_string() == *camera);
                channel.is_some_and(|it| {
                    it.recording && it.streams.iter().any(|stream| stream.durable_until.is_some())
                })
            })
        });
        if records {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "the recorder does not record: {status:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn names_are_text(stack: &Stack, camera: &str) {
    let path = format!("/cameras/{camera}");
    let version = stack.api.get(&path).await["version"].clone();
    let body = json!({ "name": MARKUP, "version": version });
    stack.api.call(Method::PATCH, &path, Some(body)).await.unwrap();
    assert_eq!(stack.api.get(&path).await["name"], MARKUP);
    let list = stack.api.get("/cameras").await;
    assert!(list["items"].as_array().unwrap().iter().any(|it| it["name"] == MARKUP), "{list}");
}

async fn ten_years_are_a_short_answer(stack: &Stack, camera: &str) {
    let range = "start=2019-01-01T00:00:00Z&end=2029-01-01T00:00:00Z";
    let timeline = stack.api.get(&format!("/cameras/{camera}/timeline?{range}")).await;
    assert_eq!(timeline["recordings"].as_array().unwrap().len(), 1, "{timeline}");
    for path in ["playback", "playback.m3u8", "recording.mp4", "entry-points.mp4"] {
        let url = format!("{}/api/v1/cameras/{camera}/{path}?{range}", stack.api.url);
        let answer = stack.api.client.get(url).bearer_auth(&stack.api.token).send().await.unwrap();
        let status = answer.status();
        // An endless file would be one that follows the recording; the end lies in the future.
        let read = tokio::time::timeout(Duration::from_secs(20), answer.bytes()).await;
        let body = read.unwrap_or_else(|_| panic!("{path} over ten years does not end")).unwrap();
        if !status.is_success() {
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["code"], "limit_reached", "{path}: {problem}");
        }
    }
}

async fn unread_viewers_are_closed(stack: &Stack, cameras: &[String]) {
    let rest = stack.child("rest");
    let before = resident_bytes(rest);
    let unread: Vec<TcpStream> =
        (0..UNREAD).map(|number| watch(stack, &cameras[number % cameras.len()])).collect();
    // One that reads, beside them.
    let read = Arc::new(AtomicU64::new(0));
    let (mut reader, count) = (watch(stack, &cameras[0]), Arc::clone(&read));
    std::thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            count.fetch_add(length as u64, Ordering::Relaxed);
        }
    });
    let mut last = 0;
    for _ in 0..4 {
        seconds(3).await;
        let now = read.load(Ordering::Relaxed);
        assert!(now > last, "the one that reads gets no more after {now} bytes");
        last = now;
        let grown = resident_bytes(rest).saturating_sub(before);
        assert!(grown < UNREAD_BYTES_MAX, "unread viewers cost {grown} bytes");
    }
    drop(unread);
}
