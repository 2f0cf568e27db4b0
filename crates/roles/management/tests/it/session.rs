//! Set-up, sign-in, rate limits, ends of sessions.

use serde_json::json;
use varde_http::{Authenticate, Presented};

use crate::stage::{ADMIN, As, PASSWORD, Stage};

#[tokio::test]
async fn nobody_exists_before_set_up_and_the_code_works_once() {
    let stage = Stage::bare().await;
    let nobody = As::default();
    assert_eq!(stage.get("/api/v1/setup", &nobody).await.expect(200)["needed"], true);
    stage.sign_in(ADMIN, "admin").await.refused(409, "setup_needed");
    let attempt = |code: &str, password: &str| json!({"code": code, "user": ADMIN, "password": password});
    stage
        .post("/api/v1/setup", &nobody, attempt("AAAA-BBBB-CCCC", PASSWORD))
        .await
        .refused(401, "wrong_setup_code");
    let code = stage.management.setup_code().unwrap();
    stage.post("/api/v1/setup", &nobody, attempt(&code, "password1")).await.refused(422, "password_refused");
    stage.post("/api/v1/setup", &nobody, attempt(&code, PASSWORD)).await.expect(201);
    assert!(stage.management.setup_code().is_none());
    stage.post("/api/v1/setup", &nobody, attempt(&code, PASSWORD)).await.refused(409, "setup_done");
    assert_eq!(stage.get("/api/v1/setup", &nobody).await.expect(200)["needed"], false);
}

#[tokio::test]
async fn a_session_lives_by_its_cookie_and_ends_everywhere_at_once() {
    let (stage, _) = Stage::ready().await;
    let answer = stage.sign_in(" Admin ", PASSWORD).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let session = As::signed_in(&answer);
    let body = answer.expect(201);
    assert_eq!(body["user"]["name"], ADMIN);
    assert_eq!(stage.get("/api/v1/sessions/current", &session).await.expect(200), body);
    stage.call("DELETE", "/api/v1/sessions/current", &session, None).await.expect(204);
    stage.get("/api/v1/sessions/current", &session).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn unknown_users_and_wrong_passwords_get_the_same_answer() {
    let (stage, _) = Stage::ready().await;
    let mut wrong = stage.sign_in(ADMIN, "wrong password").await.refused(401, "wrong_credentials");
    let mut unknown = stage.sign_in("nobody", "wrong password").await.refused(401, "wrong_credentials");
    for body in [&mut wrong, &mut unknown] {
        body["request_id"] = json!(null);
    }
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_ends_with_time() {
    let (stage, _) = Stage::ready().await;
    for _ in 0..5 {
        stage.sign_in(ADMIN, "wrong password").await.refused(401, "wrong_credentials");
    }
    let answer = stage.sign_in(ADMIN, PASSWORD).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(429, "too_many_requests");
    stage.pass(3);
    stage.sign_in(ADMIN, PASSWORD).await.expect(201);
}

#[tokio::test]
async fn sessions_end_by_rest_and_by_age() {
    let (stage, admin) = Stage::ready().await;
    stage.pass(29 * 60);
    stage.get("/api/v1/sessions/current", &admin).await.expect(200);
    stage.pass(31 * 60);
    stage.get("/api/v1/sessions/current", &admin).await.refused(401, "not_signed_in");
    let second = As::signed_in(&stage.sign_in(ADMIN, PASSWORD).await);
    for _ in 0..12 * 3 - 1 {
        stage.pass(20 * 60);
        stage.get("/api/v1/system", &second).await.expect(200);
    }
    stage.pass(20 * 60);
    stage.get("/api/v1/system", &second).await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn watching_is_use_of_a_session_and_a_page_left_open_is_not() {
    let (stage, admin) = Stage::ready().await;
    let shown = Presented::Session(admin.cookie.clone().unwrap());
    let identity = stage.management.authenticate(&shown, [127, 0, 0, 1].into()).await.unwrap();
    for _ in 0..4 {
        stage.pass(20 * 60);
        stage.management.recheck(&identity, true).await.unwrap();
    }
    stage.pass(20 * 60);
    stage.management.recheck(&identity, false).await.unwrap();
    stage.pass(20 * 60);
    stage.management.recheck(&identity, true).await.unwrap_err();
}

#[tokio::test]
async fn sign_ins_are_events_and_sessions_outlive_the_database() {
    let (mut stage, admin) = Stage::ready().await;
    stage.sign_in("<script>", "wrong password").await.refused(401, "wrong_credentials");
    let first = stage.bus.next().await.unwrap();
    let second = stage.bus.next().await.unwrap();
    assert_eq!((first.kind.as_str(), second.kind.as_str()), ("varde.sign_in", "varde.sign_in.refused"));
    assert_eq!(second.data["user"], "<script>");

    stage.database.close().await;
    stage.get("/api/v1/cameras", &admin).await.expect(200);
    stage.sign_in(ADMIN, PASSWORD).await.refused(503, "database_unavailable");
    let camera = json!({"url": "rtsp://10.0.0.1/"});
    stage.post("/api/v1/cameras", &admin, camera).await.refused(503, "database_unavailable");
}
