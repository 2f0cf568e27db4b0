//! Cameras: life, conflict, scope, secrets, and what reaches the recorder.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use varde_api_internal::config::{ChannelKind, StreamRole};

use crate::stage::{As, Stage};

const CANARY: &str = "canary-7f3a-device-password";

#[tokio::test]
async fn one_url_makes_a_device_with_picture_and_sound() {
    let (stage, admin) = Stage::ready().await;
    let body = json!({
        "name": "Door", "url": format!("rtsp://root:{CANARY}@10.0.0.7/main"), "sub_url": "rtsp://10.0.0.7/sub",
        "transport": "udp", "retention_days": 30,
    });
    let camera = stage.post("/api/v1/cameras", &admin, body).await.expect(201);
    assert_eq!(camera["url"], "rtsp://10.0.0.7/main");
    assert_eq!((&camera["user"], &camera["has_password"]), (&json!("root"), &json!(true)));
    assert_eq!(camera["version"], 1);
    let config = stage.config(|config| config.hardware.len() == 1).await;
    let hardware = &config.hardware[0];
    assert_eq!((hardware.user.as_deref(), hardware.password.as_deref()), (Some("root"), Some(CANARY)));
    let [picture, sound] = hardware.channels.as_slice() else { panic!("{hardware:?}") };
    assert_eq!((picture.kind, sound.kind), (ChannelKind::Camera, ChannelKind::Microphone));
    assert_eq!(sound.related_to, Some(picture.id));
    assert_eq!(picture.streams[0].roles, [StreamRole::Live, StreamRole::Record]);
    assert_eq!(picture.streams[1].roles, [StreamRole::Sub]);
    assert_eq!(
        (sound.streams[0].url.as_str(), sound.streams[0].transport.as_str()),
        ("rtsp://10.0.0.7/main", "udp")
    );
    assert_eq!(camera["microphone"], sound.id.to_string());

    let path = format!("/api/v1/cameras/{}", camera["id"].as_str().unwrap());
    for _ in 0..500 {
        if stage.get(&path, &admin).await.expect(200)["state"] == "online" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the recorder's word never reached the camera");
}

#[tokio::test]
async fn a_change_keeps_streams_and_meets_conflicts() {
    let (stage, admin) = Stage::ready().await;
    let id = stage.camera(&admin, 1).await;
    let path = format!("/api/v1/cameras/{id}");
    let before = stage.get(&path, &admin).await.expect(200);
    let change = json!({
        "version": 1, "name": "Gate", "url": "rtsp://10.0.0.9/other", "sub_url": "rtsp://10.0.0.9/sub",
        "record": false, "retention_days": 7, "password": CANARY,
    });
    let after = stage.call("PATCH", &path, &admin, Some(change.clone())).await.expect(200);
    assert_eq!(
        (&after["name"], &after["version"], &after["record"]),
        (&json!("Gate"), &json!(2), &json!(false))
    );
    assert_eq!(after["streams"][0]["id"], before["streams"][0]["id"]);
    let refused = stage.call("PATCH", &path, &admin, Some(change)).await.refused(409, "conflict");
    assert_eq!(refused["parameters"], json!({"version_now": 2, "version_sent": 1}));
    let clear = json!({"version": 2, "sub_url": null, "retention_days": null, "password": null});
    let cleared = stage.call("PATCH", &path, &admin, Some(clear)).await.expect(200);
    assert_eq!((&cleared["retention_days"], &cleared["has_password"]), (&Value::Null, &json!(false)));
    assert_eq!(cleared["streams"].as_array().unwrap().len(), 1);
    let config = stage.config(|config| config.hardware.first().is_some_and(|it| it.name == "Gate")).await;
    assert!(
        config.hardware[0].channels.iter().all(|channel| channel.streams[0].url == "rtsp://10.0.0.9/other")
    );
}

#[tokio::test]
async fn a_retired_camera_leaves_the_list_and_the_recorder() {
    let (mut stage, admin) = Stage::ready().await;
    let id = stage.camera(&admin, 1).await;
    let path = format!("/api/v1/cameras/{id}");
    stage.config(|config| config.hardware.len() == 1).await;
    stage.call("DELETE", &path, &admin, None).await.expect(204);
    stage.call("DELETE", &path, &admin, None).await.refused(404, "not_found");
    stage.get(&path, &admin).await.refused(404, "not_found");
    assert_eq!(stage.get("/api/v1/cameras", &admin).await.expect(200)["items"], json!([]));
    stage.config(|config| config.hardware.is_empty()).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(stage.bus.next().await.unwrap().kind);
    }
    assert_eq!(kinds, ["varde.sign_in", "varde.camera.added", "varde.camera.retired"]);
}

#[tokio::test]
async fn changes_wait_for_a_recorder_that_is_away() {
    let (stage, admin) = Stage::ready().await;
    stage.recorder.away.store(true, Ordering::SeqCst);
    let id = stage.camera(&admin, 1).await;
    let camera = stage.get(&format!("/api/v1/cameras/{id}"), &admin).await.expect(200);
    assert_eq!(camera["state"], "connecting");
    stage.recorder.away.store(false, Ordering::SeqCst);
    stage.config(|config| config.hardware.len() == 1).await;
}

#[tokio::test]
async fn lists_are_paged_and_hold_what_may_be_seen() {
    let (stage, admin) = Stage::ready().await;
    let mut ids = Vec::new();
    for host in 1..=5 {
        ids.push(stage.camera(&admin, host).await);
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut path = "/api/v1/cameras?limit=2".to_owned();
    loop {
        let page = stage.get(&path, &admin).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|camera| camera["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/cameras?limit=2&cursor={next}");
    }
    seen.sort_by_key(|id| id.as_str().unwrap().to_owned());
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(seen, sorted);
    stage.get("/api/v1/cameras?cursor=nonsense", &admin).await.refused(422, "invalid_request");

    let viewer = stage.user(&admin, "anna", "viewer", json!([ids[1]])).await;
    let page = stage.get("/api/v1/cameras", &viewer).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], ids[1]);
    assert!(page["items"][0].get("url").is_none(), "addresses are for those who change cameras");
    // What lies outside answers as what is not there.
    let mut outside =
        stage.get(&format!("/api/v1/cameras/{}", ids[0]), &viewer).await.refused(404, "not_found");
    let missing = "/api/v1/cameras/01980f1e-7c3a-7cc1-a9ab-0123456789ab";
    let mut nowhere = stage.get(missing, &viewer).await.refused(404, "not_found");
    for body in [&mut outside, &mut nowhere] {
        body["request_id"] = Value::Null;
    }
    assert_eq!(outside, nowhere);
    let change = json!({"version": 1, "name": "Mine"});
    let own = format!("/api/v1/cameras/{}", ids[1]);
    stage.call("PATCH", &own, &viewer, Some(change)).await.refused(403, "forbidden");
    stage.call("DELETE", &own, &viewer, None).await.refused(403, "forbidden");
    let new = json!({"url": "rtsp://10.0.0.8/"});
    stage.post("/api/v1/cameras", &viewer, new).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_name_full_of_markup_is_data() {
    let (stage, admin) = Stage::ready().await;
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'; DROP TABLE channel; --",
        "{{7*7}} $(touch /tmp/canary) ../../etc",
        "أهلاً 👁 Größe",
    ] {
        let camera =
            stage.post("/api/v1/cameras", &admin, json!({"url": "rtsp://10.0.0.1/", "name": name})).await;
        assert_eq!(camera.headers["content-type"], "application/json");
        assert_eq!(camera.expect(201)["name"], name);
    }
    for bad in ["", "   ", "a\nb", "a\u{0}b", &"n".repeat(101)] {
        let body = json!({"url": "rtsp://10.0.0.1/", "name": bad});
        stage.post("/api/v1/cameras", &admin, body).await.refused(422, "invalid_request");
    }
    let body = json!({"url": "rtsp://127.0.0.1/"});
    stage.post("/api/v1/cameras", &admin, body).await.refused(422, "address_not_allowed");
    let body = json!({"url": "exec:touch /tmp/canary"});
    stage.post("/api/v1/cameras", &admin, body).await.refused(422, "invalid_request");
}

#[tokio::test]
async fn a_device_password_is_nowhere_in_the_clear() {
    let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::<u8>::new()));
    let writer = Log(log.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // For the whole program of the tests: what other tests log must not hold it either, and one that is set for a thread
    // alone hears nothing where another thread came first.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (stage, admin) = Stage::ready().await;
    let id = {
        let body = json!({"url": "rtsp://10.0.0.1/", "user": "root", "password": CANARY});
        let answer = stage.post("/api/v1/cameras", &admin, body).await;
        assert!(!answer.text.contains(CANARY));
        answer.expect(201)["id"].as_str().unwrap().to_owned()
    };
    let in_url = json!({"url": format!("rtsp://root:{CANARY}@[bad")});
    assert!(!stage.post("/api/v1/cameras", &admin, in_url).await.text.contains(CANARY));
    let not_text = json!({"url": "rtsp://10.0.0.1/", "password": [CANARY]});
    assert!(!stage.post("/api/v1/cameras", &admin, not_text).await.text.contains(CANARY));
    stage.config(|config| config.hardware.len() == 1).await;
    for path in ["/api/v1/cameras".to_owned(), format!("/api/v1/cameras/{id}"), "/api/v1/storages".to_owned()]
    {
        assert!(!stage.get(&path, &admin).await.text.contains(CANARY), "{path}");
    }
    stage.database.close().await;
    let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|piece| piece == CANARY.as_bytes());
    let mut files = 0;
    for folder in [stage.folder.path().to_owned(), stage.folder.path().join("keys")] {
        for entry in
            std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file())
        {
            files += 1;
            assert!(!holds(&std::fs::read(entry.path()).unwrap()), "{:?}", entry.path());
        }
    }
    assert!(files >= 3);
    let log = log.lock().unwrap();
    assert!(!log.is_empty());
    assert!(!holds(&log));
    let secret = admin.cookie.as_deref().unwrap();
    assert!(!String::from_utf8_lossy(&log).contains(secret), "a session's secret is in the log");
}

#[derive(Clone)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_administrator_by_token_sees_the_same() {
    let (stage, admin) = Stage::ready().await;
    let token = stage.post("/api/v1/tokens", &admin, json!({"name": "cli"})).await.expect(201);
    let program = As::token(token["token"].as_str().unwrap());
    let id = stage.camera(&program, 3).await;
    assert_eq!(stage.get(&format!("/api/v1/cameras/{id}"), &program).await.expect(200)["name"], "Camera 3");
}
