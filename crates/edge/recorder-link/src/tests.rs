//! The client against a recorder of the test's own on a real Unix socket.

use std::time::Duration;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt;
use tokio::net::UnixListener;
use varde_api_internal::config::SignedConfig;
use varde_api_internal::link::{self, Message};
use varde_api_internal::recorder::{EventPage, RecorderStatus, Timeline};
use varde_codec::{AccessUnit, UnitFlags};
use varde_ids::{ChannelId, StorageId, StreamId, WriterId};
use varde_units::{Mono, Utc};

use crate::{Error, LiveFrom, RecorderClient};

fn serve(router: Router) -> (tempfile::TempDir, RecorderClient) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("recorder.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().nest("/internal/v1", router)).await });
    (folder, RecorderClient::new(socket))
}

fn unit(sequence: u64) -> AccessUnit {
    AccessUnit {
        sequence,
        time: Mono::from_nanos(sequence),
        decode_time: Mono::from_nanos(sequence),
        received: Mono::from_nanos(sequence),
        camera_time: None,
        flags: UnitFlags { entry_point: true, ..UnitFlags::default() },
        data: Bytes::from(vec![7; 100_000]),
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let client = RecorderClient::new(folder.path().join("nothing"));
    assert!(client.status().await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_refusal_keeps_its_sentence() {
    let refuse =
        || async { (StatusCode::CONFLICT, Json(serde_json::json!({"detail": "revision 3 is older"}))) };
    let (_folder, client) = serve(Router::new().route("/config", put(refuse)));
    let config = SignedConfig { config: "{}".into(), signature: String::new(), key: String::new() };
    let Err(Error::Refused { status: 409, detail }) = client.put_config(&config).await else {
        panic!("taken")
    };
    assert_eq!(detail, "revision 3 is older");
    assert!(matches!(client.status().await, Err(Error::NotFound)));
}

#[tokio::test]
async fn answers_are_read_and_nonsense_is_named() {
    let status = RecorderStatus {
        writer: WriterId::from_bytes([1; 16]),
        started: Utc::EPOCH,
        revision: 5,
        channels: vec![],
        storages: vec![],
    };
    let router = Router::new()
        .route("/status", get(|| async move { Json(status) }))
        .route("/timeline", get(|| async { "nonsense" }))
        .route(
            "/events",
            get(|RawQuery(query): RawQuery| async move {
                assert_eq!(query.as_deref(), Some("after=7&wait_ms=1500"));
                Json(EventPage { events: vec![], next: 7 })
            }),
        );
    let (_folder, client) = serve(router);
    assert_eq!(client.status().await.unwrap().revision, 5);
    assert_eq!(client.events(7, Duration::from_millis(1500)).await.unwrap().next, 7);
    let timeline: Result<Timeline, Error> =
        client.timeline(ChannelId::from_bytes([1; 16]), Utc::EPOCH, Utc::MAX, Some(3)).await;
    assert!(matches!(timeline, Err(Error::Malformed(_))));
}

#[tokio::test]
async fn the_link_gives_messages_until_it_ends() {
    let live = |RawQuery(query): RawQuery| async move {
        assert_eq!(query.as_deref(), Some("from=entry"));
        let units = (0..20).map(|sequence| Ok::<_, Error>(link::encode(&Message::Unit(unit(sequence)))));
        Body::from_stream(futures::stream::iter(units))
    };
    let (_folder, client) = serve(Router::new().route("/streams/{stream}/live", get(live)));
    let mut link = client.live(StreamId::from_bytes([2; 16]), LiveFrom::Entry).await.unwrap();
    for expected in 0..20 {
        let Some(Message::Unit(unit)) = link.next().await.unwrap() else { panic!("ended at {expected}") };
        assert_eq!((unit.sequence, unit.data.len()), (expected, 100_000));
    }
    assert!(link.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_arrives_in_pieces_with_its_length() {
    let file = || async {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_RANGE, "bytes 10-99/5000".parse().unwrap());
        (StatusCode::PARTIAL_CONTENT, headers, vec![9u8; 90]).into_response()
    };
    let (_folder, client) = serve(Router::new().route("/files/{*file}", get(file)));
    let storage = StorageId::from_bytes([3; 16]);
    let name = format!("{}/2026-11-23/a.mp4", ChannelId::from_bytes([1; 16]));
    let mut answer = client.file(storage, &name, 10, 90).await.unwrap();
    assert_eq!((answer.length, answer.total), (Some(90), Some(5000)));
    let mut bytes = Vec::new();
    while let Some(piece) = answer.body.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(bytes, vec![9; 90]);
    assert!(matches!(client.file(storage, "../x", 0, 1).await, Err(Error::NotFound)));
}
