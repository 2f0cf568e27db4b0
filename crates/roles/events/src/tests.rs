//! Events from the recorder and from the bus: taken once, listed by right, told over a WebSocket.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;
use varde_access::{CameraScope, Role, Subject};
use varde_api::codes::EventType;
use varde_api_internal::config::SignedConfig;
use varde_api_internal::recorder::{EventPage, RecorderStatus};
use varde_bus::{Draft, bus};
use varde_database::{ServerRow, StorageRow};
use varde_http::{
    Authenticate, Credential, HostNames, Identity, Listener, Presented, Problem, Server, ServerOptions, Site,
    SiteOptions, TlsMode, document, document_gaps,
};
use varde_ids::{ChannelId, EventId, InstallationId, ServerId, StorageId, TokenId, UserId, WriterId};
use varde_recorder_link as link;
use varde_units::Utc;

use super::*;

/// A recorder that has the same five events for ever, and hands out two at a time.
#[derive(Debug)]
struct Five;

fn event(number: u8) -> recorder::Event {
    recorder::Event {
        id: EventId::from_bytes([number; 16]),
        kind: "varde.camera.state".into(),
        time: Utc::from_micros(i64::from(number)),
        recordedat: Utc::from_micros(i64::from(number)),
        origin: WriterId::from_bytes([1; 16]),
        originseq: u64::from(number),
        phase: "pulse".into(),
        correlation: None,
        severity: "info".into(),
        channel: Some(ChannelId::from_bytes([number % 2; 16])),
        storage: None,
        data: Map::new(),
    }
}

#[async_trait]
impl RecorderLink for Five {
    async fn put_config(&self, _: &SignedConfig) -> Result<(), link::Error> {
        Ok(())
    }

    async fn status(&self) -> Result<RecorderStatus, link::Error> {
        let writer = WriterId::from_bytes([1; 16]);
        Ok(RecorderStatus { writer, started: Utc::EPOCH, revision: 0, channels: vec![], storages: vec![] })
    }

    async fn events(&self, after: u64, _: Duration) -> Result<EventPage, link::Error> {
        let events: Vec<_> = (1..=5).filter(|&number| u64::from(number) > after).take(2).map(event).collect();
        match events.last() {
            Some(last) => Ok(EventPage { next: last.originseq, events }),
            None => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(EventPage { events, next: after })
            }
        }
    }
}

/// `all` sees everything, `one` the camera 1; both until they are ended.
#[derive(Debug, Default)]
struct Two {
    ended: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Authenticate for Two {
    async fn authenticate(&self, presented: &Presented, _: IpAddr) -> Result<Identity, Problem> {
        let (role, cameras) = match presented {
            Presented::Token(token) if token == "administrator" => (Role::Administrator, CameraScope::All),
            Presented::Token(token) if token == "all" => (Role::Viewer, CameraScope::All),
            Presented::Token(token) if token == "one" => {
                (Role::Viewer, CameraScope::Set(BTreeSet::from([ChannelId::from_bytes([1; 16])])))
            }
            _ => return Err(Problem::not_signed_in()),
        };
        let subject = Subject::new(UserId::from_bytes([7; 16]), role, cameras);
        let credential = Credential::Token { id: TokenId::from_bytes([1; 16]) };
        Ok(Identity { subject, name: "name".into(), credential })
    }

    async fn recheck(&self, identity: &Identity, _: bool) -> Result<Identity, Problem> {
        match self.ended.load(std::sync::atomic::Ordering::SeqCst) {
            false => Ok(identity.clone()),
            true => Err(Problem::not_signed_in()),
        }
    }
}

async fn start() -> (tempfile::TempDir, Arc<Events>) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("varde.db")).await.unwrap();
    let server = ServerRow {
        installation: InstallationId::from_bytes([1; 16]),
        site: SiteId::from_bytes([2; 16]),
        server: ServerId::from_bytes([3; 16]),
        name: "box".into(),
        revision: 0,
    };
    let storage = StorageRow {
        id: StorageId::from_bytes([4; 16]),
        name: "Disk".into(),
        path: "/data".into(),
        size_max_bytes: None,
        free_min_bytes: 0,
        retention_days: None,
        encrypted: false,
        version: 1,
    };
    database.installation_create(&server, &storage, Utc::EPOCH).await.unwrap();
    (folder, Events::start(database, Arc::new(Five)).await.unwrap())
}

fn site(events: &Arc<Events>) -> axum::Router {
    Site::new(routes(events.clone()), Arc::new(Two::default()), SiteOptions::default()).into_router()
}

async fn get(router: &axum::Router, path: &str, token: &str) -> (u16, Value) {
    let request = ::http::Request::get(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn sequences(answer: &Value) -> Vec<u64> {
    answer["items"].as_array().unwrap().iter().map(|item| item["originseq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn events_of_recorder_and_roles_are_kept_once_and_shown() {
    let (_folder, events) = start().await;
    let (publisher, subscriber) = bus();
    let mut arrivals = events.arrivals.subscribe();
    let (stop, stopped) = watch::channel(false);
    let running = {
        let events = events.clone();
        tokio::spawn(async move { events.run(subscriber, stopped).await })
    };
    publisher.publish(Draft::new(EventType::SignIn).data("user", "<b>anna</b>"));
    for _ in 0..6 {
        tokio::time::timeout(Duration::from_secs(20), arrivals.recv()).await.unwrap().unwrap();
    }
    stop.send(true).unwrap();
    running.await.unwrap();

    // A second run reads everything again from the recorder, and keeps nothing twice.
    let (_publisher, subscriber) = bus();
    let (_stop, stopped) = watch::channel(false);
    let again = events.clone();
    let running = tokio::spawn(async move { again.run(subscriber, stopped).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.abort();

    let router = site(&events);
    let (_, answer) = get(&router, "/api/v1/events", "all").await;
    assert_eq!(sequences(&answer), [5, 4, 3, 2, 1], "who signs in is not for everybody");
    let (status, answer) = get(&router, "/api/v1/events", "administrator").await;
    assert_eq!(status, 200);
    assert_eq!(answer["items"].as_array().unwrap().len(), 6);
    assert_eq!(answer["items"][0]["type"], "varde.sign_in");
    assert_eq!(answer["items"][0]["data"]["user"], "<b>anna</b>");
    assert_eq!(answer["items"][0]["specversion"], "1.0");
    assert_eq!(sequences(&answer)[1..], [5, 4, 3, 2, 1]);
    let camera = ChannelId::from_bytes([1; 16]);
    assert_eq!(answer["items"][1]["source"], json!(format!("/sites/{}/cameras/{camera}", events.site)));
}

#[tokio::test]
async fn lists_are_filtered_paged_and_scoped() {
    let (_folder, events) = start().await;
    events.database.event_insert((1..=5).map(event).collect()).await.unwrap();
    let router = site(&events);
    let one = ChannelId::from_bytes([1; 16]);
    let zero = ChannelId::from_bytes([0; 16]);

    let mut seen = Vec::new();
    let mut path = "/api/v1/events?limit=2".to_owned();
    loop {
        let (_, answer) = get(&router, &path, "all").await;
        seen.extend(sequences(&answer));
        let Some(next) = answer["next"].as_str() else { break };
        path = format!("/api/v1/events?limit=2&cursor={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);

    let (_, answer) = get(&router, &format!("/api/v1/events?camera={one}"), "one").await;
    assert_eq!(sequences(&answer), [5, 3, 1]);
    let (status, _) = get(&router, &format!("/api/v1/events?camera={zero}"), "one").await;
    assert_eq!(status, 404);
    // Without a row in `user_camera`, the list is empty rather than whole.
    let (_, answer) = get(&router, "/api/v1/events", "one").await;
    assert_eq!(sequences(&answer), Vec::<u64>::new());
    let range = "start=1970-01-01T00:00:00.000002Z&end=1970-01-01T00:00:00.000004Z";
    let (_, answer) = get(&router, &format!("/api/v1/events?{range}"), "all").await;
    assert_eq!(sequences(&answer), [3, 2]);
    for bad in ["limit=0", "limit=x", "cursor=x", "start=now", "camera=x", "nonsense=1", "type=a&type=b"] {
        let (status, answer) = get(&router, &format!("/api/v1/events?{bad}"), "all").await;
        assert_eq!((status, &answer["code"]), (422, &json!("invalid_request")), "{bad}: {answer}");
    }
    assert_eq!(get(&router, "/api/v1/events", "nobody").await.0, 401);
}

#[test]
fn every_route_is_described() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_folder, events) = runtime.block_on(start());
    let routes = routes(events);
    let document = document(vec![openapi()], routes.table());
    assert_eq!(document_gaps(&document, routes.table()), Vec::<String>::new());
}

/// A text or close frame of a server, whose frames are never masked.
async fn frame(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    socket.read_exact(&mut head).await.unwrap();
    let length = match head[1] {
        126 => socket.read_u16().await.unwrap() as usize,
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await.unwrap();
    (head[0] & 0x0f, payload)
}

#[tokio::test]
async fn a_socket_hears_its_own_cameras_and_ends_with_its_credential() {
    let (_folder, events) = start().await;
    let authority = Arc::new(Two::default());
    let site = Site::new(routes(events.clone()), authority.clone(), SiteOptions::default()).into_router();
    let listener = Listener { address: ([127, 0, 0, 1], 0).into(), tls: TlsMode::Automatic };
    let options = ServerOptions {
        listeners: vec![listener],
        tls_folder: "unused".into(),
        host_names: HostNames::default(),
    };
    let server = Server::bind(&options).await.unwrap();
    let address = server.addresses()[0];
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(server.serve(site, stopped));

    let connect = async |extra: &str| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/v1/events/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap(), socket)
    };
    let refused =
        |head: &str, status: &str| assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    refused(&connect("X: y").await.0, "401");
    refused(&connect("Authorization: Bearer nobody").await.0, "401");
    refused(&connect("Authorization: Bearer one\r\nOrigin: https://evil.example").await.0, "403");

    let (head, mut socket) = connect("Authorization: Bearer one").await;
    refused(&head, "101");
    while events.arrivals.receiver_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for number in [2, 3] {
        events.arrivals.send(Arc::new(events.public(event(number)))).unwrap();
    }
    let (kind, payload) = frame(&mut socket).await;
    let shown: Event = serde_json::from_slice(&payload).unwrap();
    assert_eq!((kind, shown.originseq), (1, 3), "camera 0 is not for this user");
    authority.ended.store(true, std::sync::atomic::Ordering::SeqCst);
    let closed = tokio::time::timeout(Duration::from_secs(30), frame(&mut socket)).await.unwrap();
    assert_eq!((closed.0, &closed.1[..2]), (8, &1008u16.to_be_bytes()[..]));
}
