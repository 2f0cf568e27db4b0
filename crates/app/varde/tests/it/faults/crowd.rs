//! A hundred cameras that can't be reached, all at once: the others record on, and each of the hundred says why not.

use std::net::TcpListener;
use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::json;

use super::pictures;
use crate::stack::Stack;

const CROWD: usize = 100;
/// Requests at a time: what a browser would do.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn a_hundred_unreachable_cameras_do_not_disturb_the_others() {
    let stack = Stack::start(1).await;
    let camera = stack.add_camera(0).await;
    stack.records(&camera).await;

    // Half of them refuse at once, half take the connection and never say a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_port = mute.local_addr().unwrap().port();
    let added: Vec<String> = stream::iter(0..CROWD)
        .map(|number| {
            let api = stack.api.clone();
            async move {
                let url = match number % 2 {
                    0 => format!("rtsp://127.0.1.{number}:9/stream"),
                    _ => format!("rtsp://127.0.0.1:{mute_port}/{number}"),
                };
                let body =
                    json!({ "name": format!("Far {number}"), "url": url, "user": "a", "password": "b" });
                let added = api.call(Method::POST, "/cameras", Some(body)).await.unwrap();
                added["id"].as_str().unwrap().to_owned()
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(added.len(), CROWD);
    stack
        .api
        .until("/cameras?limit=200", "says of each what is wrong", |list| {
            let states = list["items"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap());
            states.filter(|state| *state == "unreachable").count() == CROWD
        })
        .await;
    let recorder = stack.child("recording");
    let descriptors = std::fs::read_dir(format!("/proc/{recorder}/fd")).unwrap().count();
    assert!(descriptors < 3 * CROWD, "{descriptors} descriptors");
    stack.records(&camera).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.server.stop();
    let pictures = pictures::all(&stack.folder.path().join("data/storage"), &camera);
    assert_eq!(pictures.len(), 1, "one recording without a hole");
}
