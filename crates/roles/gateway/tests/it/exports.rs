//! Exports: made, fetched by their owner, bounded, and failed in words.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::site::{CAMERA, Server, server, server_in};
use crate::{probe, record, start};

async fn create(server: &Server, seconds: u64, name: &str) -> crate::site::Answer {
    let end = start().plus(Duration::from_secs(seconds));
    let wish = json!({"camera": CAMERA, "start": start(), "end": end, "name": name});
    server.call("POST", "/exports", "application/json", wish.to_string()).await
}

async fn ended(server: &Server, id: &str) -> Value {
    for _ in 0..500 {
        let export = server.get(&format!("/exports/{id}")).await.json();
        if export["state"] != "running" {
            return export;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the export runs for ever");
}

#[tokio::test]
async fn an_export_is_made_fetched_by_its_owner_and_deleted() {
    let server = server().await;
    record(&server.recorder);
    let created = create(&server, 10, "Break-in \"north\"").await;
    assert_eq!(created.status, StatusCode::CREATED);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(created.headers["location"], format!("/api/v1/exports/{id}"));
    let export = ended(&server, &id).await;
    assert_eq!((&export["state"], &export["progress"]), (&json!("done"), &json!(1.0)), "{export}");
    assert_eq!(export["file_name"], "Break-in__north_.mp4");
    let file = server.get(&format!("/exports/{id}/file")).await;
    assert_eq!(file.body.len() as u64, export["bytes"].as_u64().unwrap());
    assert!(file.headers["content-disposition"].to_str().unwrap().contains("Break-in__north_.mp4"));
    let streams = probe(&file.body, &["-count_frames", "-show_streams"]);
    assert_eq!(streams["streams"][0]["nb_read_frames"], "150");
    let piece = server.get_as("all", &format!("/exports/{id}/file"), &[("range", "bytes=4-7")]).await;
    assert_eq!((piece.status, &piece.body[..]), (StatusCode::PARTIAL_CONTENT, &b"ftyp"[..]));
    for path in [format!("/exports/{id}"), format!("/exports/{id}/file")] {
        let other = server.get_as("viewer", &path, &[]).await.status;
        assert!(matches!(other, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), "{path}: {other}");
    }
    assert_eq!(server.get("/exports").await.json()["items"].as_array().unwrap().len(), 1);
    let deleted = server.call("DELETE", &format!("/exports/{id}"), "application/json", "").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(&format!("/exports/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        std::fs::read_dir(server.folder.path().join("exports")).unwrap().count(),
        0,
        "nothing stays behind"
    );
}

#[tokio::test]
async fn exports_are_bounded_and_paged() {
    let server = server().await;
    record(&server.recorder);
    for number in 0..3 {
        assert_eq!(create(&server, 5, &format!("n{number}")).await.status, StatusCode::CREATED);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let fourth = create(&server, 5, "n3").await;
    assert_eq!(fourth.code(), "limit_reached");
    let first = server.get("/exports?limit=2").await.json();
    assert_eq!(first["items"][0]["file_name"], "n2.mp4", "newest first");
    let rest =
        server.get(&format!("/exports?limit=2&cursor={}", first["next"].as_str().unwrap())).await.json();
    assert_eq!((rest["items"][0]["file_name"].as_str(), &rest["next"]), (Some("n0.mp4"), &Value::Null));
    assert_eq!(create(&server, 90_000, "long").await.code(), "limit_reached");
}

#[tokio::test]
async fn an_export_of_nothing_fails_and_one_that_a_stop_cut_short_has_failed() {
    let server = server().await;
    let id = create(&server, 5, "empty").await.json()["id"].as_str().unwrap().to_owned();
    let export = ended(&server, &id).await;
    assert_eq!((&export["state"], &export["error"]), (&json!("failed"), &json!("no_recording")));
    assert_eq!(server.get(&format!("/exports/{id}/file")).await.status, StatusCode::NOT_FOUND);
    let path = server.folder.path().join("exports").join(format!("{id}.json"));
    let text = std::fs::read_to_string(&path).unwrap().replace("\"failed\"", "\"running\"");
    std::fs::write(&path, text).unwrap();
    std::fs::write(path.with_extension("part"), "half").unwrap();
    let Server { folder, recorder, .. } = server;
    let again = server_in(folder, recorder, None).await;
    let export = again.get(&format!("/exports/{id}")).await.json();
    assert_eq!((&export["state"], &export["error"]), (&json!("failed"), &json!("interrupted")));
    assert!(!path.with_extension("part").exists());
}
