//! The recording role against cameras that speak real RTSP, in one process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use varde_api_internal::config::{
    ChannelConfig, ChannelKind, HardwareConfig, RecorderConfig, SignedConfig, StorageConfig, StreamConfig,
    StreamRole,
};
use varde_driver::Driver;
use varde_driver_rtsp::RtspDriver;
use varde_ids::{ChannelId, HardwareId, InstallationId, ServerId, StorageId, StreamId};
use varde_recording::{Options, Recorder};
use varde_units::Utc;
use varde_virtual_cameras::VirtualCameras;

const PATIENCE: Duration = Duration::from_secs(60);

fn stream(number: u8, url: String) -> StreamConfig {
    let roles = vec![StreamRole::Live, StreamRole::Record];
    StreamConfig { id: StreamId::from_bytes([number; 16]), url, transport: "tcp".into(), roles, codec: None }
}

fn channel(number: u8, kind: ChannelKind, url: String) -> ChannelConfig {
    ChannelConfig {
        id: ChannelId::from_bytes([number; 16]),
        kind,
        name: "Front door".into(),
        priority: 1,
        record: true,
        retention_days: None,
        storage: StorageId::from_bytes([9; 16]),
        streams: vec![stream(number, url)],
        related_to: None,
    }
}

fn storage(folder: &std::path::Path, number: u8) -> StorageConfig {
    StorageConfig {
        id: StorageId::from_bytes([number; 16]),
        name: "Storage".into(),
        path: folder.join(format!("storage-{number}")).display().to_string(),
        size_max_bytes: None,
        free_min_bytes: 0,
        retention_days: None,
        encrypted: false,
    }
}

/// One camera with its microphone.
fn config(folder: &std::path::Path, revision: u64, url: String, record: bool) -> SignedConfig {
    config_on(folder, revision, url, record, &[9])
}

/// The same, recorded to the first of `storages`.
fn config_on(
    folder: &std::path::Path,
    revision: u64,
    url: String,
    record: bool,
    storages: &[u8],
) -> SignedConfig {
    let mut channels =
        vec![channel(1, ChannelKind::Camera, url.clone()), channel(2, ChannelKind::Microphone, url)];
    for channel in &mut channels {
        channel.record = record;
        channel.storage = StorageId::from_bytes([storages[0]; 16]);
    }
    let config = RecorderConfig {
        installation: InstallationId::from_bytes([7; 16]),
        server: ServerId::from_bytes([8; 16]),
        revision,
        allowed_networks: vec!["127.0.0.0/8".into()],
        hardware: vec![HardwareConfig {
            id: HardwareId::from_bytes([3; 16]),
            name: "Camera".into(),
            driver: "rtsp".into(),
            enabled: true,
            user: Some("admin".into()),
            password: Some("camera".into()),
            channels,
        }],
        storages: storages.iter().map(|number| storage(folder, *number)).collect(),
        pre_buffer_seconds: 5,
    };
    let key = SigningKey::from_bytes(&[5; 32]);
    let config = serde_json::to_string(&config).unwrap();
    SignedConfig {
        signature: STANDARD.encode(key.sign(config.as_bytes()).to_bytes()),
        key: STANDARD.encode(key.verifying_key().to_bytes()),
        config,
    }
}

async fn start(folder: &std::path::Path) -> Arc<Recorder> {
    let options = Options { folder: folder.join("recorder"), built: Utc::EPOCH };
    std::fs::create_dir_all(&options.folder).unwrap();
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(RtspDriver::new("varde-test").unwrap())];
    Recorder::start(options, drivers, tokio::runtime::Handle::current()).await.unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Seconds of video that lie durable on disk.
fn durable(recorder: &Recorder) -> bool {
    let status = recorder.status();
    status.channels.iter().all(|channel| channel.recording && channel.streams[0].durable_until.is_some())
        && !status.channels.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn picture_and_sound_are_recorded_stopped_and_found_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        varde_virtual_cameras::Options { count: 1, rtsp_port: 0, control_port: 0, ..Default::default() };
    let cameras = VirtualCameras::start(options).await.unwrap();
    let url = cameras.url("/camera/1/main");
    let recorder = start(folder.path()).await;
    recorder.configure(config(folder.path(), 1, url.clone(), true)).await.unwrap();
    until("records", || durable(&recorder)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let everything = (Utc::MIN, Utc::MAX);
    let (video, sound) = (ChannelId::from_bytes([1; 16]), ChannelId::from_bytes([2; 16]));
    let timeline = recorder.storages().timeline(video, everything.0, everything.1, 100).unwrap();
    assert_eq!(timeline.recordings.len(), 1, "{timeline:?}");
    assert!(timeline.gaps.is_empty(), "{timeline:?}");
    let heard = recorder.storages().timeline(sound, everything.0, everything.1, 100).unwrap();
    let apart = heard.recordings[0].start.signed_micros_since(timeline.recordings[0].start).abs();
    assert!(apart < 1_500_000, "sound begins {apart} µs from the picture");

    let plan = recorder
        .storages()
        .plan(StreamId::from_bytes([1; 16]), everything.0, everything.1, false, 1000)
        .unwrap();
    let file = &plan.files[0];
    assert!(file.fragments[0].entry_point);
    let opened = recorder.storages().open_file(file.storage, &file.file).unwrap();
    let head = opened.read(0, file.init_bytes).unwrap();
    assert_eq!(&head[4..8], b"ftyp");

    // Switched off by a person: the timeline says so.
    recorder.configure(config(folder.path(), 2, url.clone(), false)).await.unwrap();
    until("stops", || recorder.status().channels.iter().all(|channel| !channel.recording)).await;
    recorder.stop().await;

    let again = start(folder.path()).await;
    let timeline = again.storages().timeline(video, everything.0, everything.1, 100).unwrap();
    assert_eq!(timeline.recordings.len(), 1, "{timeline:?}");
    assert_eq!(
        timeline.gaps.iter().map(|gap| gap.cause.as_str()).collect::<Vec<_>>(),
        ["disabled"],
        "{timeline:?}"
    );
    again.configure(config(folder.path(), 3, url, true)).await.unwrap();
    until("records again", || durable(&again)).await;
    again.stop().await;
    cameras.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_gets_another_storage_moves_there_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        varde_virtual_cameras::Options { count: 1, rtsp_port: 0, control_port: 0, ..Default::default() };
    let cameras = VirtualCameras::start(options).await.unwrap();
    let url = cameras.url("/camera/1/main");
    let recorder = start(folder.path()).await;
    let configure = async |revision, storages: &[u8]| {
        let config = config_on(folder.path(), revision, url.clone(), true, storages);
        recorder.configure(config).await.unwrap();
    };
    let recorded_on = |number: u8| {
        let plan =
            recorder.storages().plan(StreamId::from_bytes([1; 16]), Utc::MIN, Utc::MAX, false, 1000).unwrap();
        plan.files.iter().any(|file| file.storage == StorageId::from_bytes([number; 16]))
    };
    configure(1, &[9, 8]).await;
    until("records on the first", || recorded_on(9)).await;
    configure(2, &[8, 9]).await;
    until("records on the second", || recorded_on(8)).await;
    for channel in [1, 2] {
        let channel = ChannelId::from_bytes([channel; 16]);
        let timeline = || recorder.storages().timeline(channel, Utc::MIN, Utc::MAX, 100).unwrap();
        until("records sound on the second", || timeline().recordings.len() == 2).await;
        let timeline = timeline();
        assert!(timeline.gaps.is_empty(), "{timeline:?}");
        let apart = timeline.recordings[1].start.signed_micros_since(timeline.recordings[0].end).abs();
        assert!(apart < 200_000, "{apart} µs between the storages: {timeline:?}");
    }
    // Back, and the second is taken away at the same time.
    configure(3, &[9]).await;
    until("records on what is left", || durable(&recorder)).await;
    recorder.stop().await;
    // Nothing is begun any more by what came too late.
    recorder.configure(config(folder.path(), 5, url.clone(), true)).await.unwrap();
    recorder.retry_storages().await;
    assert!(recorder.status().channels.iter().all(|channel| !channel.recording));
    cameras.stop().await;
}
