//! The driver against a small camera over real sockets: every state it can come to, and that units come whole.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::camera::{Camera, Faults, PASSWORD, USER, number};
use support::{Driving, Told, device, formats, source, stream, units};
use varde_api::codes::CameraState;
use varde_driver::{Command, Transport};

const RIGHT: Option<(&str, &str)> = Some((USER, PASSWORD));

/// Every unit whole, in order, none missing, with rising times.
fn assert_unbroken(units: &[varde_codec::AccessUnit]) {
    let first = number(&units[0].data).expect("a whole unit");
    assert!(units[0].flags.entry_point);
    for (index, unit) in units.iter().enumerate() {
        assert_eq!(number(&unit.data), Some(first + index as u32));
        assert_eq!(unit.sequence, units[0].sequence + index as u64);
    }
    assert!(units.windows(2).all(|pair| pair[0].decode_time < pair[1].decode_time));
}

#[tokio::test]
async fn units_come_whole_and_in_order_by_tcp_and_by_udp() {
    for (transport, udp_disorder) in
        [(Transport::Tcp, false), (Transport::Udp, false), (Transport::Udp, true)]
    {
        let camera = Camera::start(Faults { udp_disorder, ..Faults::default() }).await;
        let driving = Driving::start(device(RIGHT, vec![source(&camera.url("main"), transport, 7)]));
        let units = driving.notebook.wait_units(stream(7), 60).await;
        assert_unbroken(&units);
        assert_eq!(driving.notebook.states(0), [CameraState::Connecting, CameraState::Online]);
        let health = driving
            .notebook
            .wait("health", |told| {
                told.iter().find_map(|each| match each {
                    Told::Health(0, health) if health.packets_received > 0 => Some(*health),
                    _ => None,
                })
            })
            .await;
        assert_eq!(health.packets_lost, 0);
        assert_eq!(formats(&driving.notebook.all(), stream(7)).len(), 1);
        driving.stop().await;
        assert_eq!(camera.requests.lock().unwrap().last().map(String::as_str), Some("TEARDOWN"));
        assert_eq!(camera.connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn udp_that_does_not_come_through_becomes_tcp() {
    let faults =
        [Faults { udp_refused: true, ..Faults::default() }, Faults { udp_mute: true, ..Faults::default() }];
    for faults in faults {
        let camera = Camera::start(faults).await;
        let sources = vec![source(&camera.url("main"), Transport::Udp, 7)];
        let driving = Driving::start_at(device(RIGHT, sources), 2);
        assert_unbroken(&driving.notebook.wait_units(stream(7), 20).await);
        assert_eq!(driving.notebook.states(0), [CameraState::Connecting, CameraState::Online]);
        driving.stop().await;
    }
}

/// What a camera with `faults` comes to, and a parameter of that state.
async fn check(
    faults: Faults,
    path: &str,
    password: Option<(&str, &str)>,
    state: CameraState,
    parameter: &str,
) -> Driving {
    let camera = Camera::start(faults).await;
    let driving = Driving::start_at(device(password, vec![source(&camera.url(path), Transport::Tcp, 7)]), 10);
    let told = driving.notebook.wait_state(0, state).await;
    assert!(told.parameters.contains_key(parameter), "{told:?}");
    assert!(!format!("{:?}", driving.notebook.all()).contains("canary"), "{told:?}");
    driving
}

#[tokio::test]
async fn a_password_that_is_wrong_or_missing() {
    for password in [Some((USER, "wrong")), None] {
        check(Faults::default(), "main", password, CameraState::WrongPassword, "status").await.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there() {
    check(Faults::default(), "other", RIGHT, CameraState::NoSuchStream, "status").await.stop().await;
}

#[tokio::test]
async fn a_codec_that_nobody_knows() {
    let faults = Faults { unknown_codec: true, ..Faults::default() };
    check(faults, "main", RIGHT, CameraState::UnsupportedCodec, "offered").await.stop().await;
}

#[tokio::test]
async fn a_camera_that_freezes_is_silent_for_so_many_seconds() {
    let faults = Faults { freeze_after: Some(20), ..Faults::default() };
    let driving = check(faults, "main", RIGHT, CameraState::Silent, "seconds").await;
    let state = driving.notebook.wait_state(0, CameraState::Silent).await;
    assert!(state.parameters["seconds"].as_u64().unwrap() >= 10, "{state:?}");
    assert!(units(&driving.notebook.all(), stream(7)).count() >= 15);
    driving.stop().await;
}

#[tokio::test]
async fn garbage_is_told_with_its_place() {
    let faults = Faults { garbage_after: Some(20), ..Faults::default() };
    let driving = check(faults, "main", RIGHT, CameraState::BadData, "offset").await;
    let state = driving.notebook.wait_state(0, CameraState::BadData).await;
    assert!(state.parameters["offset"].as_u64().unwrap() > 20 * 6_000, "{state:?}");
    driving.stop().await;
}

#[tokio::test]
async fn a_camera_that_hangs_up_is_called_again() {
    let camera = Camera::start(Faults { close_after: Some(20), ..Faults::default() }).await;
    let driving = Driving::start(device(RIGHT, vec![source(&camera.url("main"), Transport::Tcp, 7)]));
    driving.notebook.wait_state(0, CameraState::Disconnected).await;
    *camera.faults.lock().unwrap() = Faults::default();
    let states = |told: &[Told]| -> Vec<CameraState> {
        told.iter()
            .filter_map(|each| if let Told::State(0, state) = each { Some(state.state) } else { None })
            .collect()
    };
    driving
        .notebook
        .wait("two sessions", |told| {
            states(told).ends_with(&[CameraState::Disconnected, CameraState::Online]).then_some(())
        })
        .await;
    driving.stop().await;
}

#[tokio::test]
async fn nobody_there_and_not_allowed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/main", listener.local_addr().unwrap());
    drop(listener);
    let sources = vec![
        source(&url, Transport::Tcp, 7),
        source("rtsp://169.254.169.254/latest", Transport::Tcp, 8),
        source("rtsp://[::ffff:8.8.8.8]/main", Transport::Tcp, 9),
        source("http://127.0.0.1/", Transport::Tcp, 10),
    ];
    let driving = Driving::start(device(RIGHT, sources));
    driving.notebook.wait_state(0, CameraState::Unreachable).await;
    let state = driving.notebook.wait_state(1, CameraState::AddressNotAllowed).await;
    assert_eq!(state.parameters["address"], "169.254.169.254");
    let state = driving.notebook.wait_state(2, CameraState::AddressNotAllowed).await;
    assert_eq!(state.parameters["address"], "8.8.8.8");
    driving.notebook.wait_state(3, CameraState::NoSuchStream).await;
    driving.stop().await;
}

#[tokio::test]
async fn an_update_leaves_untouched_sources_alone() {
    let camera = Camera::start(Faults::default()).await;
    let (first, second) =
        (source(&camera.url("main"), Transport::Tcp, 7), source(&camera.url("main/"), Transport::Tcp, 8));
    let driving = Driving::start(device(RIGHT, vec![first.clone(), second.clone()]));
    driving.notebook.wait_units(stream(7), 10).await;
    driving.notebook.wait_units(stream(8), 10).await;
    // The first goes, the second moves up.
    driving.tell(Command::Update(device(RIGHT, vec![second.clone()]))).await;
    driving
        .notebook
        .wait("the second as the first", |told| {
            (told.iter().filter(|each| matches!(each, Told::State(0, _))).count() == 3).then_some(())
        })
        .await;
    let before = units(&driving.notebook.all(), stream(8)).count();
    let after = driving.notebook.wait_units(stream(8), before + 30).await;
    assert_unbroken(&after);
    assert_eq!(camera.connections.load(Ordering::SeqCst), 2);
    // Another network: the session must not live on.
    let mut elsewhere = device(RIGHT, vec![second]);
    elsewhere.allowed_networks = vec!["10.0.0.0/8".to_owned().try_into().unwrap()];
    driving.tell(Command::Update(elsewhere)).await;
    driving.notebook.wait_state(0, CameraState::AddressNotAllowed).await;
    driving.stop().await;
}

#[tokio::test]
async fn a_change_of_parameter_sets_is_told_before_the_unit_that_needs_it() {
    let camera = Camera::start(Faults { other_format_after: Some(20), ..Faults::default() }).await;
    let driving = Driving::start(device(RIGHT, vec![source(&camera.url("main"), Transport::Tcp, 7)]));
    assert_unbroken(&driving.notebook.wait_units(stream(7), 40).await);
    let told = driving.notebook.all();
    let changes: Vec<usize> = told
        .iter()
        .enumerate()
        .filter(|(_, each)| matches!(each, Told::Format(..)))
        .map(|(at, _)| {
            units(&told[at..], stream(7)).next().and_then(|unit| number(&unit.data)).unwrap() as usize
        })
        .collect();
    assert_eq!(changes, [0, 20]);
    driving.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_taken() {
    let certified = rcgen::generate_simple_self_signed(vec!["camera".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let camera = Camera::start_with(Faults::default(), Some(Arc::new(config).into())).await;
    let url = camera.url("main").replace("rtsp://", "rtsps://");
    let driving = Driving::start(device(RIGHT, vec![source(&url, Transport::Tcp, 7)]));
    assert_unbroken(&driving.notebook.wait_units(stream(7), 60).await);
    driving.stop().await;
    assert_eq!(camera.requests.lock().unwrap().last().map(String::as_str), Some("TEARDOWN"));
}
