//! Every route of the table, with no, wrong, expired and another user's credential.

use serde_json::json;
use varde_access::Action;
use varde_http::{Permission, RouteEntry, document, document_gaps};

use crate::stage::{ADMIN, As, PASSWORD, Stage};

/// The whole list of what anybody may call. A new line here needs a reason.
const PUBLIC: &[&str] = &[
    "GET /api/v1/health",
    "GET /api/v1/setup",
    "POST /api/v1/setup",
    "POST /api/v1/sessions",
    "POST /api/v1/tokens", // With user and password.
];

fn is_public(entry: &RouteEntry) -> bool {
    matches!(entry.permission, Permission::Public | Permission::Optional)
}

#[tokio::test]
async fn no_route_answers_a_credential_that_is_none() {
    let (stage, admin) = Stage::ready().await;
    let camera = stage.camera(&admin, 1).await;
    let expired = {
        let body = json!({"user": ADMIN, "password": PASSWORD, "expires_in_days": 1});
        let made = stage.post("/api/v1/tokens", &As::default(), body).await.expect(201);
        let session = As::signed_in(&stage.sign_in(ADMIN, PASSWORD).await);
        stage.pass(2 * 86_400);
        [As::token(made["token"].as_str().unwrap()), session]
    };
    let garbage = [
        As::default(),
        As::token("varde_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        As::token("constructor"),
        As { cookie: Some("A".repeat(43)), csrf: Some("A".repeat(43)), bearer: None },
    ];
    let mut walked = 0;
    for entry in stage.table.iter().filter(|entry| !is_public(entry)) {
        let path = entry.path.replace("{id}", &camera);
        for who in garbage.iter().chain(&expired) {
            for path in [path.clone(), format!("{path}?ticket=AAAA")] {
                let answer = stage.call(entry.method.as_str(), &path, who, Some(json!({}))).await;
                assert_eq!(answer.status, 401, "{} {path}: {}", entry.method, answer.text);
                answer.refused(401, "not_signed_in");
                walked += 1;
            }
        }
    }
    assert!(walked > 200, "{walked}");
}

#[tokio::test]
async fn another_users_credential_opens_what_its_role_and_cameras_allow() {
    let (stage, admin) = Stage::ready().await;
    let (own, other) = (stage.camera(&admin, 1).await, stage.camera(&admin, 2).await);
    for (name, role) in [("anna", "viewer"), ("otto", "operator")] {
        let person = stage.user(&admin, name, role, json!([own])).await;
        let role = if role == "viewer" { varde_access::Role::Viewer } else { varde_access::Role::Operator };
        for entry in stage.table.iter().filter(|entry| !is_public(entry)) {
            // Signing out ends the walk.
            if entry.path.ends_with("/sessions/current") {
                continue;
            }
            let path = entry.path.replace("{id}", &other);
            let answer = stage.call(entry.method.as_str(), &path, &person, Some(json!({}))).await;
            let at = format!("{name}: {} {path}: {}", entry.method, answer.text);
            match entry.permission {
                Permission::Camera(action) if role.holds(action) => assert_eq!(answer.status, 404, "{at}"),
                Permission::Camera(action) | Permission::Of(action) | Permission::Media(action)
                    if !role.holds(action) =>
                {
                    assert_eq!(answer.status, 403, "{at}");
                }
                _ => assert!(!matches!(answer.status, 401 | 403 | 500..), "{at}"),
            }
        }
        let frame = format!("/api/v1/cameras/{own}/frame.jpg");
        assert_eq!(stage.get(&frame, &person).await.text, role.holds(Action::AudioListen).to_string());
    }
}

#[tokio::test]
async fn the_public_routes_are_these() {
    let stage = Stage::bare().await;
    let public: Vec<String> = stage
        .table
        .iter()
        .filter(|entry| is_public(entry))
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    assert_eq!(public, PUBLIC);
}

#[tokio::test]
async fn every_route_is_described() {
    let stage = Stage::bare().await;
    let routes = varde_management::routes(stage.management.clone());
    let document = document(vec![varde_management::openapi()], routes.table());
    assert_eq!(document_gaps(&document, routes.table()), Vec::<String>::new());
    let text = document.to_pretty_json().unwrap();
    assert!(text.contains("\"openapi\": \"3.1.0\""));
    for name in ["camera_list", "problem+json", "__Host-varde", "\"bearer\""] {
        assert!(text.contains(name), "{name}");
    }
}
