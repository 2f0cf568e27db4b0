//! What every test needs: the role, a clock to move, a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;
use varde_access::Action;
use varde_api_internal::config::{RecorderConfig, SignedConfig};
use varde_api_internal::recorder::{ChannelStatus, EventPage, RecorderStatus, StorageStatus, StreamStatus};
use varde_bus::{Subscriber, bus};
use varde_database::Database;
use varde_http::{Authenticate, Permission, Permit, Routes, Site, SiteOptions};
use varde_ids::WriterId;
use varde_management::{Management, ManagementOptions};
use varde_recorder_link::{Error, RecorderLink};
use varde_units::Utc;

pub const ADMIN: &str = "admin";
pub const PASSWORD: &str = "heron over the weir";

/// Takes configurations as a recorder does, and says that every camera is online.
#[derive(Debug, Default)]
pub struct FakeRecorder {
    pub taken: std::sync::Mutex<Vec<SignedConfig>>,
    pub away: std::sync::atomic::AtomicBool,
}

impl FakeRecorder {
    pub fn newest(&self) -> Option<RecorderConfig> {
        let taken = self.taken.lock().unwrap();
        taken.last().map(|signed| serde_json::from_str(&signed.config).unwrap())
    }
}

#[async_trait]
impl RecorderLink for FakeRecorder {
    async fn put_config(&self, config: &SignedConfig) -> Result<(), Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("away".into()));
        }
        let new: RecorderConfig = serde_json::from_str(&config.config).unwrap();
        if self.newest().is_some_and(|old| new.revision <= old.revision) {
            return Err(Error::Refused { status: 409, detail: "older".into() });
        }
        self.taken.lock().unwrap().push(config.clone());
        Ok(())
    }

    async fn status(&self) -> Result<RecorderStatus, Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("away".into()));
        }
        let config = self.newest();
        let channels = config.iter().flat_map(|config| &config.hardware).flat_map(|hardware| {
            hardware.channels.iter().map(|channel| ChannelStatus {
                channel: channel.id,
                hardware: hardware.id,
                state: "online".into(),
                parameters: serde_json::Map::new(),
                state_since: Utc::EPOCH,
                recording: channel.record,
                streams: channel
                    .streams
                    .iter()
                    .map(|stream| StreamStatus {
                        stream: stream.id,
                        state: "online".into(),
                        codec: None,
                        width: Some(1920),
                        height: Some(1080),
                        codec_string: Some("avc1.64001f".into()),
                        bitrate_bps: 4_000_000,
                        frames_per_second: 25.0,
                        durable_until: None,
                        units_received: 1,
                        units_dropped: 0,
                        packets_lost: 0,
                        clock_drift_ppm: 0.0,
                        clock_offset_ms: None,
                        ring_bytes: 0,
                        viewers: 0,
                    })
                    .collect(),
            })
        });
        let storages = config.iter().flat_map(|config| &config.storages).map(|storage| StorageStatus {
            storage: storage.id,
            state: "online".into(),
            path: storage.path.clone(),
            used_bytes: 10 << 30,
            free_bytes: 105 << 30,
            capacity_bytes: 200 << 30,
            size_max_bytes: storage.size_max_bytes,
            oldest: Some(Utc::EPOCH),
            newest: Some(Utc::from_micros(86_400_000_000)),
            bytes_per_day: 10 << 30,
            channels: vec![],
        });
        Ok(RecorderStatus {
            writer: WriterId::from_bytes([1; 16]),
            started: Utc::EPOCH,
            revision: config.as_ref().map_or(0, |config| config.revision),
            channels: channels.collect(),
            storages: storages.collect(),
        })
    }

    async fn events(&self, after: u64, wait: Duration) -> Result<EventPage, Error> {
        tokio::time::sleep(wait).await;
        Ok(EventPage { events: vec![], next: after })
    }
}

pub struct Stage {
    pub management: Arc<Management>,
    pub router: Router,
    pub table: Vec<varde_http::RouteEntry>,
    pub recorder: Arc<FakeRecorder>,
    pub database: Database,
    pub folder: tempfile::TempDir,
    pub bus: Subscriber,
    clock: Arc<AtomicI64>,
    _stop: watch::Sender<bool>,
}

/// Who makes a request.
#[derive(Clone, Default)]
pub struct As {
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    pub bearer: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub text: String,
    pub headers: http::HeaderMap,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["request_id"].as_str().map(str::len), Some(36));
        assert_eq!(self.body["status"], status);
        self.body
    }
}

/// A stand-in for the gateway's media routes, so that tickets have something to open.
fn media() -> Routes {
    let answer = |permit: Permit| async move { permit.with_audio().to_string() };
    Routes::new()
        .route(Method::GET, "/api/v1/cameras/{id}/timeline", Permission::Camera(Action::PlaybackView), answer)
        .route(Method::GET, "/api/v1/cameras/{id}/frame.jpg", Permission::Camera(Action::LiveView), answer)
        .route(Method::POST, "/api/v1/cameras/{id}/live/whep", Permission::Camera(Action::LiveView), answer)
}

impl Stage {
    /// Before set-up.
    pub async fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("varde.db")).await.unwrap();
        let recorder = Arc::new(FakeRecorder::default());
        let clock = Arc::new(AtomicI64::new(1_795_462_800_000_000));
        let mut options = ManagementOptions::new(folder.path().join("keys"), "/srv/recordings".into());
        let now = clock.clone();
        options.clock = Arc::new(move || Utc::from_micros(now.load(Ordering::SeqCst)));
        let (publisher, subscriber) = bus();
        let management =
            Management::start(options, database.clone(), recorder.clone(), publisher).await.unwrap();
        let routes = varde_management::routes(management.clone()).merge(media());
        let table = routes.table().to_vec();
        let authority: Arc<dyn Authenticate> = management.clone();
        let router = Site::new(routes, authority, SiteOptions::default()).into_router();
        let (stop, stopped) = watch::channel(false);
        let running = management.clone();
        tokio::spawn(async move { running.run(stopped).await });
        Self { management, router, table, recorder, database, folder, bus: subscriber, clock, _stop: stop }
    }

    /// With an administrator, who is signed in.
    pub async fn ready() -> (Self, As) {
        let stage = Self::bare().await;
        let code = stage.management.setup_code().unwrap();
        let body = json!({"code": code, "user": ADMIN, "password": PASSWORD});
        let answer = stage.call("POST", "/api/v1/setup", &As::default(), Some(body)).await;
        let admin = As::signed_in(&answer);
        answer.expect(201);
        (stage, admin)
    }

    pub fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub async fn call(&self, method: &str, path: &str, who: &As, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
        if let Some(cookie) = &who.cookie {
            request = request.header("cookie", format!("varde={cookie}"));
        }
        if let Some(csrf) = &who.csrf {
            request = request.header("x-varde-csrf", csrf);
        }
        if let Some(bearer) = &who.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), text, headers }
    }

    pub async fn get(&self, path: &str, who: &As) -> Answer {
        self.call("GET", path, who, None).await
    }

    pub async fn post(&self, path: &str, who: &As, body: Value) -> Answer {
        self.call("POST", path, who, Some(body)).await
    }

    pub async fn sign_in(&self, user: &str, password: &str) -> Answer {
        self.post("/api/v1/sessions", &As::default(), json!({"user": user, "password": password})).await
    }

    /// A camera; gives its id.
    pub async fn camera(&self, admin: &As, host: u8) -> String {
        let body = json!({"url": format!("rtsp://10.0.0.{host}/main"), "name": format!("Camera {host}")});
        let camera = self.post("/api/v1/cameras", admin, body).await.expect(201);
        camera["id"].as_str().unwrap().to_owned()
    }

    /// A user with this role on these cameras, signed in.
    pub async fn user(&self, admin: &As, name: &str, role: &str, cameras: Value) -> As {
        let body = json!({"name": name, "password": PASSWORD, "role": role, "cameras": cameras});
        self.post("/api/v1/users", admin, body).await.expect(201);
        As::signed_in(&self.sign_in(name, PASSWORD).await)
    }

    /// Waits until the recorder has what it should.
    pub async fn config(&self, mut good: impl FnMut(&RecorderConfig) -> bool) -> RecorderConfig {
        for _ in 0..1000 {
            if let Some(config) = self.recorder.newest().filter(|config| good(config)) {
                return config;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the recorder never got that configuration");
    }
}

impl As {
    #[track_caller]
    pub fn signed_in(answer: &Answer) -> Self {
        let cookie = answer.headers.get("set-cookie").unwrap_or_else(|| panic!("{}", answer.text));
        let cookie = cookie.to_str().unwrap();
        let secret = cookie.strip_prefix("varde=").unwrap().split(';').next().unwrap();
        Self {
            cookie: Some(secret.to_owned()),
            csrf: answer.body["csrf"].as_str().map(str::to_owned),
            bearer: None,
        }
    }

    pub fn token(text: &str) -> Self {
        Self { bearer: Some(text.to_owned()), ..Self::default() }
    }
}
