//! The control endpoint, spoken to over HTTP as tests in other languages do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use varde_virtual_cameras::{Options, VirtualCameras};

use crate::client::{Came, Client};
use crate::{Running, open, running};

fn call(cameras: &VirtualCameras, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut stream = TcpStream::connect(cameras.control_address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn cameras_are_listed_with_their_clocks() {
    let Running { cameras, runtime: _runtime } = running(Options { count: 3, ..open() });
    let (status, list) = call(&cameras, "GET", "/control/cameras", None);
    assert_eq!((status, list["items"].as_array().unwrap().len()), (200, 3));
    let mut client = Client::play(&cameras, "/camera/2/main");
    client.videos(200);
    let (_, camera) = call(&cameras, "GET", "/control/cameras/2", None);
    let main = &camera["streams"][0];
    assert_eq!(
        (&main["width"], &main["viewers"], &main["period_nanos"]),
        (&json!(1280), &json!(1), &json!(5_000_000))
    );
    let number = main["next_frame"].as_u64().unwrap() - 1;
    let (status, frame) = call(&cameras, "GET", &format!("/control/cameras/2/frames/{number}"), None);
    assert_eq!(status, 200);
    let due = main["zero"]["mono_nanos"].as_u64().unwrap() + number * 5_000_000;
    assert_eq!(frame["due_mono_nanos"], json!(due));
    assert!(frame["sent"]["mono_nanos"].as_u64().unwrap() >= due);
    assert_eq!(call(&cameras, "GET", "/control/cameras/2/frames/4000000000", None).0, 404);
}

#[test]
fn faults_begin_are_seen_and_end_by_call() {
    let Running { cameras, runtime: _runtime } = running(open());
    let faults = "/control/cameras/1/faults";
    let begin = json!({"fault": "packet_loss", "percent": 5, "seconds": 600});
    let (status, active) = call(&cameras, "POST", faults, Some(begin));
    assert_eq!((status, &active["fault"]), (201, &json!("packet_loss")));
    let shown = call(&cameras, "GET", "/control/cameras/1", None).1;
    assert_eq!(shown["faults"][0]["percent"], json!(5.0));
    let one = format!("{faults}/{}", active["id"]);
    assert_eq!(call(&cameras, "DELETE", &one, None).0, 204);
    assert_eq!(call(&cameras, "DELETE", &one, None).0, 404);
    assert_eq!(call(&cameras, "DELETE", faults, None).0, 204);
    assert_eq!(call(&cameras, "GET", "/control/cameras/1", None).1["faults"], json!([]));
}

#[test]
fn nonsense_is_refused_in_words() {
    let Running { cameras, runtime: _runtime } = running(open());
    let check = |id: &str, body: Value, expected: u16| {
        let (status, answer) =
            call(&cameras, "POST", &format!("/control/cameras/{id}/faults"), Some(body.clone()));
        assert_eq!(status, expected, "{body}");
        assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    };
    check("9", json!({"fault": "freeze"}), 404);
    check("1", json!({"fault": "explode"}), 422);
    check("1", json!({"fault": "freeze", "percent": 3}), 422);
    check("1", json!({"fault": "packet_loss", "percent": 300}), 422);
    check("1", json!({"fault": "freeze", "seconds": -1}), 422);
    check("h265", json!({"fault": "b_frames"}), 422);
}

#[test]
fn the_whole_server_can_refuse_connections() {
    let Running { cameras, runtime: _runtime } = running(open());
    let mut client = Client::play(&cameras, "/camera/1/sub");
    let (status, _) = call(&cameras, "POST", "/control/server/faults", Some(json!({"fault": "refuse"})));
    assert_eq!(status, 201);
    while !matches!(client.next(), Came::End) {}
    assert_eq!(Client::connect(&cameras, "/camera/1/sub").request("OPTIONS", "", ""), 0);
    assert_eq!(call(&cameras, "DELETE", "/control/server/faults", None).0, 204);
    assert_eq!(Client::connect(&cameras, "/camera/1/sub").request("OPTIONS", "", ""), 200);
}

#[test]
fn a_client_that_does_not_read_loses_pictures_and_slows_nobody() {
    let Running { cameras, runtime: _runtime } = running(Options { bitrate: Some(60_000_000), ..open() });
    let idle = Client::play(&cameras, "/camera/1/main");
    let mut eager = Client::play(&cameras, "/camera/1/main");
    let mut last = eager.video();
    // The queue and the sockets' buffers hold some megabytes; a hundred more are plenty.
    let mut bytes = 0;
    let dropped = loop {
        for packet in eager.videos(2000) {
            assert_eq!(packet.sequence, last.sequence.wrapping_add(1));
            bytes += packet.payload.len();
            last = packet;
        }
        let camera = call(&cameras, "GET", "/control/cameras/1", None).1;
        let dropped = camera["streams"][0]["frames_dropped"].as_u64().unwrap();
        if dropped > 0 || bytes > 100_000_000 {
            break dropped;
        }
    };
    assert!(dropped > 0);
    drop(idle);
}
