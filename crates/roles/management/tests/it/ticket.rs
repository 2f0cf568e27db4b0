//! Tickets for media URLs.

use serde_json::json;

use crate::stage::{As, Stage};

#[tokio::test]
async fn a_ticket_opens_its_camera_and_purpose_and_ends_with_its_session() {
    let (stage, admin) = Stage::ready().await;
    let (one, two) = (stage.camera(&admin, 1).await, stage.camera(&admin, 2).await);
    let viewer = stage.user(&admin, "anna", "viewer", json!([one])).await;
    let ask = |camera: &str, purpose: &str| json!({"cameras": [camera], "purpose": purpose});
    stage.post("/api/v1/tickets", &viewer, ask(&two, "live")).await.refused(404, "not_found");
    stage.post("/api/v1/tickets", &viewer, ask(&one, "export")).await.refused(403, "forbidden");
    let made = stage.post("/api/v1/tickets", &viewer, ask(&one, "live")).await.expect(201);
    let ticket = made["ticket"].as_str().unwrap().to_owned();
    let nobody = As::default();
    let frame = |camera: &str| format!("/api/v1/cameras/{camera}/frame.jpg?ticket={ticket}");
    let answer = stage.get(&frame(&one), &nobody).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "false"), "a viewer hears nothing");
    stage.get(&frame(&two), &nobody).await.refused(404, "not_found");
    let timeline = format!("/api/v1/cameras/{one}/timeline?ticket={ticket}");
    stage.get(&timeline, &nobody).await.refused(403, "forbidden");
    for path in ["/api/v1/cameras", "/api/v1/sessions/current", "/api/v1/events"] {
        let answer = stage.get(&format!("{path}?ticket={ticket}"), &nobody).await;
        assert!(matches!(answer.status, 401 | 404), "{path}: {}", answer.status);
    }
    let whep = format!("/api/v1/cameras/{one}/live/whep?ticket={ticket}");
    stage.post(&whep, &nobody, json!({})).await.refused(401, "not_signed_in");

    stage.pass(9 * 60);
    stage.get(&frame(&one), &nobody).await.expect(200);
    stage.call("DELETE", "/api/v1/sessions/current", &viewer, None).await.expect(204);
    stage.get(&frame(&one), &nobody).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn a_ticket_rests_ten_minutes_and_falls_with_its_user() {
    let (stage, admin) = Stage::ready().await;
    let camera = stage.camera(&admin, 1).await;
    let viewer = stage.user(&admin, "anna", "viewer", json!([camera])).await;
    let body = json!({"cameras": [camera], "purpose": "live"});
    let nobody = As::default();
    let frame = async |who: &As| {
        let made = stage.post("/api/v1/tickets", who, body.clone()).await.expect(201);
        format!("/api/v1/cameras/{camera}/frame.jpg?ticket={}", made["ticket"].as_str().unwrap())
    };
    let rested = frame(&viewer).await;
    stage.pass(601);
    stage.get(&rested, &nobody).await.refused(401, "not_signed_in");

    let fallen = frame(&viewer).await;
    stage.get(&fallen, &nobody).await.expect(200);
    let users = stage.get("/api/v1/users", &admin).await.expect(200);
    let anna = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "anna").unwrap();
    let path = format!("/api/v1/users/{}", anna["id"].as_str().unwrap());
    let narrowed = json!({"version": 1, "cameras": []});
    stage.call("PATCH", &path, &admin, Some(narrowed)).await.expect(200);
    stage.get(&fallen, &nobody).await.refused(404, "not_found");
    let disabled = json!({"version": 2, "enabled": false});
    stage.call("PATCH", &path, &admin, Some(disabled)).await.expect(200);
    stage.get(&fallen, &nobody).await.refused(401, "not_signed_in");
    stage.get("/api/v1/system", &viewer).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn a_range_bounds_what_a_ticket_opens() {
    let (stage, admin) = Stage::ready().await;
    let camera = stage.camera(&admin, 1).await;
    let body = json!({
        "cameras": [camera], "purpose": "playback",
        "start": "2026-11-23T10:00:00Z", "end": "2026-11-23T11:00:00Z",
    });
    let made = stage.post("/api/v1/tickets", &admin, body).await.expect(201);
    let ticket = made["ticket"].as_str().unwrap();
    let ask = async |query: &str| {
        let path = format!("/api/v1/cameras/{camera}/timeline?{query}&ticket={ticket}");
        stage.get(&path, &As::default()).await.status
    };
    assert_eq!(ask("start=2026-11-23T10:00:00Z&end=2026-11-23T10:30:00Z").await, 200);
    assert_eq!(ask("start=2026-11-23T10:00:00Z&end=2026-11-23T11:30:00Z").await, 403);
    assert_eq!(ask("limit=5").await, 403);
    let doubled = "start=2026-11-23T10:00:00Z&end=2026-11-23T10:30:00Z&end=2026-11-24T10:30:00Z";
    assert_eq!(ask(doubled).await, 422);
}
