//! Host, origin, CSRF, bodies, headers.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::stage::{As, Stage};

#[tokio::test]
async fn a_change_needs_the_csrf_value_and_no_foreign_page() {
    let (stage, admin) = Stage::ready().await;
    let body = json!({"cameras": [], "purpose": "live"});
    let without = As { csrf: None, ..admin.clone() };
    stage.post("/api/v1/tickets", &without, body.clone()).await.refused(403, "foreign_origin");
    let wrong = As { csrf: Some("x".repeat(43)), ..admin.clone() };
    stage.post("/api/v1/tickets", &wrong, body.clone()).await.refused(403, "foreign_origin");
    // A token by session is a change as well.
    stage.post("/api/v1/tokens", &without, json!({"name": "a"})).await.refused(403, "foreign_origin");
    stage.post("/api/v1/tokens", &admin, json!({"name": "a"})).await.expect(201);

    let request = |name: &str, value: &str| {
        Request::get("/api/v1/cameras")
            .header("host", "localhost:8080")
            .header("cookie", format!("varde={}", admin.cookie.as_deref().unwrap()))
            .header(name, value)
            .body(Body::empty())
            .unwrap()
    };
    stage.send(request("origin", "http://localhost:8080")).await.expect(200);
    stage.send(request("origin", "https://evil.example")).await.refused(403, "foreign_origin");
    stage.send(request("sec-fetch-site", "cross-site")).await.refused(403, "foreign_origin");
    stage.send(request("upgrade", "websocket")).await.refused(403, "foreign_origin");
}

#[tokio::test]
async fn foreign_names_are_misdirected() {
    let (stage, _) = Stage::ready().await;
    for host in ["evil.example", "localhost.evil.example:8080", ""] {
        let request = Request::get("/api/v1/health").header("host", host).body(Body::empty()).unwrap();
        stage.send(request).await.refused(421, "unknown_host");
    }
    let twice = Request::get("/api/v1/health")
        .header("host", "localhost")
        .header("host", "evil.example")
        .body(Body::empty())
        .unwrap();
    stage.send(twice).await.refused(421, "unknown_host");
}

#[tokio::test]
async fn bodies_are_json_strict_and_bounded() {
    let (stage, admin) = Stage::ready().await;
    let post = |kind: &str, body: String| {
        Request::post("/api/v1/cameras")
            .header("host", "localhost")
            .header("cookie", format!("varde={}", admin.cookie.as_deref().unwrap()))
            .header("x-varde-csrf", admin.csrf.as_deref().unwrap())
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap()
    };
    let good = json!({"url": "rtsp://10.0.0.1/"}).to_string();
    stage.send(post("text/plain", good)).await.refused(415, "unsupported_media_type");
    stage.send(post("application/json", "{".into())).await.refused(422, "invalid_request");
    let unknown = json!({"url": "rtsp://10.0.0.1/", "role": "administrator"}).to_string();
    stage.send(post("application/json", unknown)).await.refused(422, "invalid_request");
    let long = json!({"url": "a".repeat(2 << 20)}).to_string();
    stage.send(post("application/json", long)).await.refused(413, "too_large");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    stage.send(post("application/json", deep)).await.refused(422, "invalid_request");
}

#[tokio::test]
async fn answers_carry_their_headers_and_unknown_paths_are_problems() {
    let (stage, admin) = Stage::ready().await;
    let answer = stage.get("/api/v1/health", &As::default()).await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self';"));
    assert!(!answer.headers.contains_key("strict-transport-security"), "not without TLS");
    assert_eq!(answer.expect(200), json!({"status": "ok"}));
    stage.get("/api/v1/nothing", &admin).await.refused(404, "not_found");
    stage.call("PUT", "/api/v1/cameras", &admin, None).await.refused(405, "method_not_allowed");
}
