//! Storages.

use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn the_first_storage_is_there_and_others_lie_elsewhere() {
    let (stage, admin) = Stage::ready().await;
    stage.config(|config| config.storages.len() == 1).await;
    let list = stage.get("/api/v1/storages", &admin).await.expect(200);
    assert_eq!(list["items"][0]["path"], "/srv/recordings");
    let body = |path: &str| json!({"name": "Archive", "path": path, "size_max_bytes": 2u64 << 30});
    for taken in ["/srv/recordings", "/srv/recordings/inner", "/srv"] {
        stage.post("/api/v1/storages", &admin, body(taken)).await.refused(409, "already_exists");
    }
    for bad in ["relative", "/srv/../etc", "/"] {
        stage.post("/api/v1/storages", &admin, body(bad)).await.refused(422, "invalid_request");
    }
    // Identifiers of one millisecond have no order, and the stage's clock stands still.
    stage.pass(1);
    let made = stage.post("/api/v1/storages", &admin, body("/mnt/archive")).await.expect(201);
    let path = format!("/api/v1/storages/{}", made["id"].as_str().unwrap());
    let change = json!({"version": 1, "name": "Cold", "retention_days": 90, "size_max_bytes": null});
    let after = stage.call("PATCH", &path, &admin, Some(change.clone())).await.expect(200);
    assert_eq!((&after["name"], &after["retention_days"]), (&json!("Cold"), &json!(90)));
    stage.call("PATCH", &path, &admin, Some(change)).await.refused(409, "conflict");
    stage.config(|config| config.storages.len() == 2 && config.storages[1].name == "Cold").await;
    let small = json!({"version": 2, "size_max_bytes": 5});
    stage.call("PATCH", &path, &admin, Some(small)).await.refused(422, "invalid_request");
    let viewer = stage.user(&admin, "anna", "viewer", json!("all")).await;
    stage.get("/api/v1/storages", &viewer).await.refused(403, "forbidden");
}
