//! The database against real SQLite files: rows come back as they went, versions conflict, damage is told.

use serde_json::Map;
use varde_access::{CameraScope, Role};
use varde_api_internal::config::{ChannelKind, StreamRole};
use varde_api_internal::recorder::Event;
use varde_ids::{
    ChannelId, EventId, HardwareId, InstallationId, ServerId, SiteId, StorageId, StreamId, UserId, WriterId,
};
use varde_units::Utc;

use super::*;

async fn fresh() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("varde.db")).await.unwrap();
    let server = ServerRow {
        installation: InstallationId::from_bytes([1; 16]),
        site: SiteId::from_bytes([2; 16]),
        server: ServerId::from_bytes([3; 16]),
        name: "box".into(),
        revision: 0,
    };
    database.installation_create(&server, &storage(1), Utc::EPOCH).await.unwrap();
    (folder, database)
}

fn server() -> ServerId {
    ServerId::from_bytes([3; 16])
}

fn storage(number: u8) -> StorageRow {
    StorageRow {
        id: StorageId::from_bytes([number; 16]),
        name: "Disk".into(),
        path: format!("/data/{number}"),
        size_max_bytes: None,
        free_min_bytes: 5,
        retention_days: Some(30),
        encrypted: false,
        version: 1,
    }
}

fn camera(number: u8) -> CameraRows {
    let hardware = HardwareId::from_bytes([number; 16]);
    let channel = ChannelId::from_bytes([number; 16]);
    CameraRows {
        hardware: HardwareRow {
            id: hardware,
            name: "Door".into(),
            driver: "rtsp".into(),
            enabled: true,
            login: Some("admin".into()),
            password_sealed: Some(vec![1, 2, 3]),
            created_at: Utc::EPOCH,
            retired_at: None,
        },
        channels: vec![ChannelRow {
            id: channel,
            hardware,
            kind: ChannelKind::Camera,
            name: "Door".into(),
            priority: 1,
            record: true,
            retention_days: None,
            storage: StorageId::from_bytes([1; 16]),
            related_to: None,
            version: 1,
            retired_at: None,
            streams: vec![StreamRow {
                id: StreamId::from_bytes([number; 16]),
                channel,
                position: 0,
                url: "rtsp://10.0.0.1/a".into(),
                transport: "tcp".into(),
                roles: vec![StreamRole::Live, StreamRole::Record],
            }],
        }],
    }
}

fn user(number: u8, role: Role, cameras: CameraScope) -> UserRow {
    UserRow {
        id: UserId::from_bytes([number; 16]),
        name: format!("User {number}"),
        password_hash: "hash".into(),
        role,
        cameras,
        enabled: true,
        created_at: Utc::EPOCH,
        version: 1,
    }
}

fn event(number: u8, time: i64, channel: Option<u8>) -> Event {
    Event {
        id: EventId::from_bytes([number; 16]),
        kind: "varde.camera.state".into(),
        time: Utc::from_micros(time),
        recordedat: Utc::from_micros(time),
        origin: WriterId::from_bytes([9; 16]),
        originseq: u64::from(number),
        phase: "pulse".into(),
        correlation: None,
        severity: "info".into(),
        channel: channel.map(|number| ChannelId::from_bytes([number; 16])),
        storage: None,
        data: Map::new(),
    }
}

#[tokio::test]
async fn what_is_written_is_read_also_after_opening_again() {
    let (folder, database) = fresh().await;
    database.camera_create(server(), &camera(1)).await.unwrap();
    let scope = CameraScope::Set([ChannelId::from_bytes([1; 16])].into());
    database.user_create_first(&user(1, Role::Administrator, CameraScope::All)).await.unwrap();
    database.user_create(&user(2, Role::Viewer, scope)).await.unwrap();
    let before = database.configuration_get().await.unwrap();
    assert_eq!(before.cameras, [camera(1)]);
    database.close().await;
    let again = Database::open(&folder.path().join("varde.db")).await.unwrap();
    assert_eq!(again.configuration_get().await.unwrap(), before);
}

#[tokio::test]
async fn the_installation_is_made_once() {
    let (_folder, database) = fresh().await;
    let other = ServerRow { server: ServerId::from_bytes([8; 16]), ..database.server_get().await.unwrap() };
    database.installation_create(&other, &storage(2), Utc::EPOCH).await.unwrap();
    assert_eq!(database.server_get().await.unwrap().server, server());
    assert_eq!(database.storage_list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_on_an_old_version_is_a_conflict() {
    let (_folder, database) = fresh().await;
    let mut rows = camera(1);
    database.camera_create(server(), &rows).await.unwrap();
    let id = rows.channels[0].id;
    rows.channels[0].name = "Gate".into();
    database.camera_update(&rows, id, 1).await.unwrap();
    assert!(matches!(database.camera_update(&rows, id, 1).await, Err(Error::Conflict { now: 2 })));
    let missing = ChannelId::from_bytes([7; 16]);
    assert!(matches!(database.camera_update(&rows, missing, 1).await, Err(Error::NotFound)));
    assert_eq!(database.camera_list().await.unwrap()[0].channels[0].name, "Gate");
    database.camera_retire(rows.hardware.id, Utc::EPOCH).await.unwrap();
    assert!(matches!(database.camera_retire(rows.hardware.id, Utc::EPOCH).await, Err(Error::NotFound)));
    assert_eq!(database.camera_list().await.unwrap()[0].hardware.password_sealed, None);

    database.storage_update(&storage(1)).await.unwrap();
    assert!(matches!(database.storage_update(&storage(1)).await, Err(Error::Conflict { now: 2 })));
    let twin = StorageRow { id: StorageId::from_bytes([5; 16]), ..storage(1) };
    assert!(matches!(database.storage_create(server(), &twin).await, Err(Error::AlreadyExists(_))));
}

#[tokio::test]
async fn names_are_taken_whatever_their_case_and_somebody_administers() {
    let (_folder, database) = fresh().await;
    let first = user(1, Role::Administrator, CameraScope::All);
    database.user_create_first(&first).await.unwrap();
    assert!(matches!(
        database.user_create_first(&user(2, Role::Administrator, CameraScope::All)).await,
        Err(Error::AlreadyExists(_))
    ));
    let twin = UserRow { name: "USER 1".into(), ..user(3, Role::Viewer, CameraScope::All) };
    assert!(matches!(database.user_create(&twin).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(database.user_delete(first.id).await, Err(Error::Reference)));
    let demoted = UserRow { role: Role::Viewer, ..first.clone() };
    assert!(matches!(database.user_update(&demoted).await, Err(Error::Reference)));
    assert_eq!(database.user_list().await.unwrap(), [first], "a refused change leaves nothing behind");
}

#[tokio::test]
async fn events_come_once_newest_first_and_by_scope() {
    let (_folder, database) = fresh().await;
    for number in [1, 2] {
        database.camera_create(server(), &camera(number)).await.unwrap();
    }
    let scope = CameraScope::Set([ChannelId::from_bytes([1; 16])].into());
    let viewer = user(2, Role::Viewer, scope);
    database.user_create(&viewer).await.unwrap();
    let events =
        vec![event(1, 10, Some(1)), event(2, 20, Some(2)), event(3, 20, None), event(4, 30, Some(1))];
    assert_eq!(database.event_insert(events.clone()).await.unwrap().len(), 4);
    assert!(database.event_insert(events).await.unwrap().is_empty());
    let filter = EventFilter {
        scope: EventScope::All,
        channel: None,
        kind: None,
        hidden: None,
        start: None,
        end: None,
        before: None,
        limit: 10,
    };
    let numbers = async |filter: EventFilter| -> Vec<u64> {
        database.event_list(&filter).await.unwrap().iter().map(|event| event.originseq).collect()
    };
    assert_eq!(numbers(filter.clone()).await, [4, 3, 2, 1]);
    let page =
        EventFilter { before: Some((Utc::from_micros(20), EventId::from_bytes([3; 16]))), ..filter.clone() };
    assert_eq!(numbers(page).await, [2, 1]);
    assert_eq!(
        numbers(EventFilter { scope: EventScope::CamerasOf(viewer.id), ..filter.clone() }).await,
        [4, 1]
    );
    let range =
        EventFilter { start: Some(Utc::from_micros(20)), end: Some(Utc::from_micros(30)), ..filter.clone() };
    assert_eq!(numbers(range).await, [3, 2]);
    assert_eq!(database.event_prune(3, 100).await.unwrap(), 1);
    assert_eq!(numbers(filter).await, [4, 3, 2]);
}

#[tokio::test]
async fn a_revision_rises_above_what_the_recorder_has() {
    let (_folder, database) = fresh().await;
    assert_eq!(database.server_revision_raise(server(), 0).await.unwrap(), 1);
    assert_eq!(database.server_revision_raise(server(), 40).await.unwrap(), 41);
    assert_eq!(database.server_revision_raise(server(), 7).await.unwrap(), 42);
}
