//! Previews: seen by the recorder, recorded by nobody, gone by themselves.

use serde_json::json;
use varde_http::CameraDirectory;

use crate::stage::Stage;

#[tokio::test]
async fn a_preview_is_live_and_ends_by_itself() {
    let (stage, admin) = Stage::ready().await;
    stage.config(|_| true).await;
    let body = json!({"url": "rtsp://10.0.0.7/main", "user": "root", "password": "secret"});
    let mut made = None;
    for _ in 0..500 {
        let answer = stage.post("/api/v1/previews", &admin, body.clone()).await;
        if answer.status == 201 {
            made = Some(answer.body);
            break;
        }
        answer.refused(503, "recorder_unavailable");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let id = made.unwrap()["id"].as_str().unwrap().to_owned();
    let config = stage.config(|config| config.hardware.len() == 1).await;
    assert!(config.hardware[0].channels.iter().all(|channel| !channel.record));
    let preview = stage.get(&format!("/api/v1/previews/{id}"), &admin).await.expect(200);
    assert_eq!(preview["streams"].as_array().unwrap().len(), 1);
    assert!(stage.management.camera(id.parse().unwrap()).unwrap().preview);
    assert_eq!(stage.get("/api/v1/cameras", &admin).await.expect(200)["items"], json!([]));
    stage.pass(121);
    stage.get(&format!("/api/v1/previews/{id}"), &admin).await.refused(404, "not_found");
    assert!(stage.management.camera(id.parse().unwrap()).is_none());
    stage.config(|config| config.hardware.is_empty()).await;
}
