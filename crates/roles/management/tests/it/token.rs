//! API tokens.

use serde_json::json;

use crate::stage::{ADMIN, As, PASSWORD, Stage};

#[tokio::test]
async fn a_token_by_password_works_until_it_ends() {
    let (stage, admin) = Stage::ready().await;
    let body = json!({"user": ADMIN, "password": PASSWORD, "expires_in_days": 1});
    let made = stage.post("/api/v1/tokens", &As::default(), body).await.expect(201);
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("varde_"));
    let program = As::token(text);
    stage.get("/api/v1/cameras", &program).await.expect(200);
    let more = json!({"name": "outlives", "expires_in_days": 365});
    stage.post("/api/v1/tokens", &program, more).await.refused(403, "forbidden");
    let list = stage.get("/api/v1/tokens", &program).await;
    assert!(!list.text.contains(&text[6..]));
    assert_eq!(list.expect(200)["items"][0]["id"], made["id"]);
    stage.pass(86_401);
    stage.get("/api/v1/cameras", &program).await.refused(401, "not_signed_in");
    drop(admin);
}

#[tokio::test]
async fn nobody_ends_anothers_token_and_wrong_ones_open_nothing() {
    let (stage, admin) = Stage::ready().await;
    let made = stage.post("/api/v1/tokens", &admin, json!({"name": "cli"})).await.expect(201);
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let operator = stage.user(&admin, "otto", "operator", json!("all")).await;
    stage.call("DELETE", &path, &operator, None).await.refused(404, "not_found");
    let program = As::token(made["token"].as_str().unwrap());
    stage.get("/api/v1/cameras", &program).await.expect(200);
    stage.call("DELETE", &path, &admin, None).await.expect(204);
    stage.get("/api/v1/cameras", &program).await.refused(401, "not_signed_in");
    for text in ["constructor", "varde_", "__proto__", "varde_x", "null"] {
        stage.get("/api/v1/cameras", &As::token(text)).await.refused(401, "not_signed_in");
    }
    let wrong = json!({"user": ADMIN, "password": "wrong password"});
    stage.post("/api/v1/tokens", &As::default(), wrong).await.refused(401, "wrong_credentials");
    stage.post("/api/v1/tokens", &As::default(), json!({"name": "a"})).await.refused(401, "not_signed_in");
    stage.post("/api/v1/tokens", &admin, json!({"expires_in_days": 0})).await.refused(422, "invalid_request");
}
