//! The gateway behind the real door, with three callers: `all`, `viewer` (camera one, no sound), `revoked`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;
use varde_access::{Bounds, CameraScope, Footage, Purpose, Role, Subject};
use varde_api::camera::StreamPurpose;
use varde_gateway::{Gateway, GatewayOptions, Limits, Vision};
use varde_http::{
    Authenticate, CameraDirectory, CameraEntry, Credential, Identity, Presented, Problem, Site, SiteOptions,
    StreamEntry,
};
use varde_ids::{ChannelId, StreamId, TokenId, UserId};

use crate::recorder::Memory;

pub(crate) const CAMERA: ChannelId = ChannelId::from_bytes([1; 16]);
pub(crate) const OTHER: ChannelId = ChannelId::from_bytes([2; 16]);
pub(crate) const MICROPHONE: ChannelId = ChannelId::from_bytes([3; 16]);
pub(crate) const MAIN: StreamId = StreamId::from_bytes([11; 16]);
pub(crate) const SUB: StreamId = StreamId::from_bytes([12; 16]);
pub(crate) const SOUND: StreamId = StreamId::from_bytes([13; 16]);

#[derive(Debug, Default)]
pub(crate) struct Door {
    pub(crate) revoked: AtomicBool,
}

#[async_trait]
impl Authenticate for Door {
    async fn authenticate(&self, presented: &Presented, _: IpAddr) -> Result<Identity, Problem> {
        let one = CameraScope::Set(BTreeSet::from([CAMERA]));
        let user = |number: u8, role, cameras| Subject::new(UserId::from_bytes([number; 16]), role, cameras);
        let token = Credential::Token { id: TokenId::from_bytes([9; 16]) };
        let (subject, credential) = match presented {
            Presented::Token(name) if name == "all" => (user(1, Role::Operator, CameraScope::All), token),
            Presented::Token(name) if name == "viewer" => (user(2, Role::Viewer, one), token),
            Presented::Ticket(text) if text == "minute" => {
                let mut subject = user(1, Role::Operator, CameraScope::All);
                subject.bounds = Some(Bounds {
                    cameras: BTreeSet::from([CAMERA]),
                    purpose: Purpose::Playback,
                    footage: Footage::new(
                        crate::start(),
                        crate::start().plus(std::time::Duration::from_secs(10)),
                    ),
                });
                (subject, Credential::Ticket { text: text.clone() })
            }
            _ => return Err(Problem::not_signed_in()),
        };
        Ok(Identity { subject, name: "test".into(), credential })
    }

    async fn recheck(&self, identity: &Identity, _: bool) -> Result<Identity, Problem> {
        if self.revoked.load(Ordering::Relaxed) {
            Err(Problem::not_signed_in())
        } else {
            Ok(identity.clone())
        }
    }
}

#[derive(Debug)]
struct Directory;

impl CameraDirectory for Directory {
    fn camera(&self, id: ChannelId) -> Option<Arc<CameraEntry>> {
        let stream = |id, role| StreamEntry { id, roles: vec![role] };
        let known = id == CAMERA || id == OTHER;
        known.then(|| {
            Arc::new(CameraEntry {
                id,
                name: "Gate".into(),
                enabled: true,
                retired: false,
                preview: false,
                streams: vec![stream(MAIN, StreamPurpose::Live), stream(SUB, StreamPurpose::Sub)],
                microphone: Some((MICROPHONE, vec![stream(SOUND, StreamPurpose::Live)])),
            })
        })
    }
}

pub(crate) struct Server {
    pub(crate) recorder: Arc<Memory>,
    pub(crate) door: Arc<Door>,
    pub(crate) gateway: Gateway,
    pub(crate) router: Router,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    server_in(folder, Arc::default(), None).await
}

/// With a worker.
pub(crate) async fn server_with(vision: Arc<dyn Vision>) -> Server {
    server_in(tempfile::tempdir().unwrap(), Arc::default(), Some(vision)).await
}

pub(crate) async fn server_in(
    folder: tempfile::TempDir,
    recorder: Arc<Memory>,
    vision: Option<Arc<dyn Vision>>,
) -> Server {
    let addresses = vec!["127.0.0.1".parse().unwrap()];
    let webrtc =
        varde_webrtc::Server::start(varde_webrtc::Settings { addresses, ..Default::default() }).unwrap();
    let gateway = Gateway::start(GatewayOptions {
        recorder: recorder.clone(),
        directory: Arc::new(Directory),
        vision,
        webrtc: Some(webrtc),
        exports_folder: folder.path().join("exports"),
        limits: Limits { exports_per_user_max: 3, transcode_streams_max: 1, ..Limits::default() },
    })
    .await
    .unwrap();
    let door = Arc::<Door>::default();
    let router = Site::new(gateway.routes(), door.clone(), SiteOptions::default()).into_router();
    Server { recorder, door, gateway, router, folder }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 256 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get_as(&self, who: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("/api/v1{path}")).header("host", "localhost");
        if !who.is_empty() {
            request = request.header("authorization", format!("Bearer {who}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as("all", path, &[]).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("host", "localhost")
            .header("authorization", "Bearer all")
            .header("content-type", kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Serves over TCP on loopback.
    pub(crate) async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

/// `start=…&end=…` in milliseconds from the first recorded instant.
pub(crate) fn range(from: i64, to: i64) -> String {
    let at = |millis: i64| crate::start().offset_micros(millis * 1_000);
    format!("start={}&end={}", at(from), at(to))
}
