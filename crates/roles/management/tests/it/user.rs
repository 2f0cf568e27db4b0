//! Accounts, and what nobody may do to them.

use serde_json::{Value, json};

use crate::stage::{ADMIN, As, PASSWORD, Stage};

async fn id_of(stage: &Stage, admin: &As, name: &str) -> String {
    let users = stage.get("/api/v1/users", admin).await.expect(200);
    let user = users["items"].as_array().unwrap().iter().find(|user| user["name"] == name).unwrap();
    user["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (stage, admin) = Stage::ready().await;
    let path = format!("/api/v1/users/{}", id_of(&stage, &admin, ADMIN).await);
    stage.call("DELETE", &path, &admin, None).await.refused(409, "last_administrator");
    for change in [json!({"version": 1, "role": "viewer"}), json!({"version": 1, "enabled": false})] {
        stage.call("PATCH", &path, &admin, Some(change)).await.refused(409, "last_administrator");
    }
    let body = json!({"name": "Second", "password": PASSWORD, "role": "administrator"});
    stage.post("/api/v1/users", &admin, body).await.expect(201);
    stage.call("DELETE", &path, &admin, None).await.expect(204);
    stage.get("/api/v1/users", &admin).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn nobody_raises_himself() {
    let (stage, admin) = Stage::ready().await;
    for (name, role) in [("otto", "operator"), ("anna", "viewer")] {
        let person = stage.user(&admin, name, role, json!("all")).await;
        let own = format!("/api/v1/users/{}", id_of(&stage, &admin, name).await);
        let raise = json!({"version": 1, "role": "administrator"});
        stage.call("PATCH", &own, &person, Some(raise)).await.refused(403, "forbidden");
        stage.get("/api/v1/users", &person).await.refused(403, "forbidden");
        let new = json!({"name": "x", "password": PASSWORD, "role": "administrator"});
        stage.post("/api/v1/users", &person, new).await.refused(403, "forbidden");
        let first = format!("/api/v1/users/{}", id_of(&stage, &admin, ADMIN).await);
        stage.call("DELETE", &first, &person, None).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    let (stage, admin) = Stage::ready().await;
    let anna = stage.user(&admin, "anna", "viewer", json!("all")).await;
    let path = format!("/api/v1/users/{}", id_of(&stage, &admin, "anna").await);
    let weak = json!({"version": 1, "password": "12345678"});
    stage.call("PATCH", &path, &admin, Some(weak)).await.refused(422, "password_refused");
    let made = stage.post("/api/v1/tokens", &anna, json!({"name": "left behind"})).await.expect(201);
    let token = As::token(made["token"].as_str().unwrap());
    stage.get("/api/v1/system", &token).await.expect(200);
    let change = json!({"version": 1, "password": "another heron by the weir"});
    let user = stage.call("PATCH", &path, &admin, Some(change)).await;
    assert!(!user.text.contains("heron") && !user.text.contains("argon"));
    user.expect(200);
    stage.get("/api/v1/system", &anna).await.refused(401, "not_signed_in");
    stage.get("/api/v1/system", &token).await.refused(401, "not_signed_in");
    stage.sign_in("anna", PASSWORD).await.refused(401, "wrong_credentials");
    stage.sign_in("anna", "another heron by the weir").await.expect(201);
}

#[tokio::test]
async fn names_are_unique_and_scopes_name_cameras_that_exist() {
    let (stage, admin) = Stage::ready().await;
    let body = |name: &str, cameras: Value| json!({"name": name, "password": PASSWORD, "role": "viewer", "cameras": cameras});
    stage.post("/api/v1/users", &admin, body("Anna", json!("all"))).await.expect(201);
    stage.post("/api/v1/users", &admin, body("ANNA", json!("all"))).await.refused(409, "already_exists");
    let missing = json!(["01980f1e-7c3a-7cc1-a9ab-0123456789ab"]);
    stage.post("/api/v1/users", &admin, body("Bert", missing)).await.refused(422, "invalid_request");
    stage.post("/api/v1/users", &admin, body("Bert", json!("some"))).await.refused(422, "invalid_request");
    let camera = stage.camera(&admin, 1).await;
    let made = stage.post("/api/v1/users", &admin, body("Bert", json!([camera]))).await.expect(201);
    assert_eq!(made["cameras"], json!([camera]));
}
