//! Live pictures over the WebSocket: what is sent, to whom, and when it ends.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::StatusCode;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use varde_ambient::mono_now;
use varde_api_internal::link::{Message, StateMessage};
use varde_codec::AccessUnit;

use crate::footage::{Clip, aac_clip, h264_clip, h265_clip, looped};
use crate::probe;
use crate::recorder::Memory;
use crate::site::{CAMERA, MAIN, OTHER, SOUND, SUB, Server, server};

pub(crate) type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// Sends a clip live, four times as fast as it is, until the test ends.
pub(crate) fn play(memory: &Memory, stream: varde_ids::StreamId, clip: Clip) {
    let sender = memory.feed(stream);
    let units = looped(&clip, Duration::from_secs(600));
    let began = mono_now();
    tokio::spawn(async move {
        let online = StateMessage { state: "online".into(), parameters: Default::default() };
        for (number, unit) in units.into_iter().enumerate() {
            if number % 8 == 0 {
                // A link begins with these; a broadcast has no beginning.
                let _ = sender.send(Message::Format(clip.format.clone()));
                let _ = sender.send(Message::State(online.clone()));
            }
            let shift = |time: varde_units::Mono| began + Duration::from_nanos(time.as_nanos());
            let unit = AccessUnit {
                time: shift(unit.time),
                decode_time: shift(unit.decode_time),
                received: mono_now(),
                ..unit
            };
            let _ = sender.send(Message::Unit(unit));
            tokio::time::sleep(clip.unit_length / 4).await;
        }
    });
}

pub(crate) async fn connect(server: &Server, who: &str, path: &str) -> Result<Socket, StatusCode> {
    let address = server.listen().await;
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut request = format!("ws://{address}/api/v1{path}").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {who}").parse().unwrap());
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status()),
        Err(error) => panic!("{error}"),
    }
}

/// What a client of the socket collects.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) texts: Vec<serde_json::Value>,
    pub(crate) tracks: [Vec<u8>; 2],
    pub(crate) fragments: [usize; 2],
    pub(crate) closed: Option<String>,
}

pub(crate) async fn collect(socket: &mut Socket, enough: impl Fn(&Seen) -> bool) -> Seen {
    let mut seen = Seen::default();
    let reading = async {
        while !enough(&seen) {
            match socket.next().await {
                Some(Ok(Frame::Text(text))) => seen.texts.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Frame::Binary(bytes))) => {
                    let track = usize::from(bytes[0]);
                    let time = u64::from_be_bytes(bytes[1..9].try_into().unwrap());
                    assert!(
                        time.abs_diff(varde_ambient::utc_now().as_micros() as u64) < 600_000_000,
                        "{time}"
                    );
                    seen.fragments[track] += usize::from(&bytes[13..17] == b"moof");
                    seen.tracks[track].extend_from_slice(&bytes[9..]);
                }
                Some(Ok(Frame::Close(frame))) => {
                    seen.closed = Some(frame.map(|frame| frame.reason.to_string()).unwrap_or_default());
                    return;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    seen.closed.get_or_insert_default();
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it comes within 20 s");
    seen
}

pub(crate) fn live(query: &str) -> String {
    format!("/cameras/{CAMERA}/live/ws{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_carries_picture_and_sound_that_play() {
    let server = server().await;
    play(&server.recorder, MAIN, h264_clip());
    play(&server.recorder, SOUND, aac_clip());
    let mut socket = connect(&server, "all", &live("")).await.unwrap();
    let seen = collect(&mut socket, |seen| seen.fragments[0] >= 40 && seen.fragments[1] >= 20).await;
    let format = seen.texts.iter().find(|text| text["type"] == "format").unwrap();
    assert_eq!(format["tracks"][0]["kind"], "video");
    assert!(format["tracks"][0]["mime"].as_str().unwrap().starts_with("video/mp4; codecs=\"avc1."));
    assert_eq!(format["tracks"][1]["mime"], "audio/mp4; codecs=\"mp4a.40.2\"");
    assert_eq!(format["tracks"][0]["transcoded"], false);
    assert!(seen.texts.iter().any(|text| text["type"] == "state" && text["state"] == "online"));
    for (track, count) in [(0, 40), (1, 20)] {
        let packets = probe(&seen.tracks[track], &["-show_entries", "packet=pts_time,flags"]);
        let packets = packets["packets"].as_array().unwrap();
        assert!(packets.len() >= count, "track {track}: {}", packets.len());
        assert!(packets[0]["flags"].as_str().unwrap().starts_with('K'), "it begins with an entry point");
    }
    // Picture and sound count from one origin.
    let first = |track: usize| -> f64 {
        let packets = probe(&seen.tracks[track], &["-show_entries", "packet=pts_time"]);
        packets["packets"][0]["pts_time"].as_str().unwrap().parse().unwrap()
    };
    assert!((first(0) - first(1)).abs() < 5.0, "{} and {}", first(0), first(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_the_right_hears_nothing() {
    let server = server().await;
    play(&server.recorder, MAIN, h264_clip());
    play(&server.recorder, SOUND, aac_clip());
    let mut socket = connect(&server, "viewer", &live("")).await.unwrap();
    let seen = collect(&mut socket, |seen| seen.fragments[0] >= 10).await;
    let format = seen.texts.iter().find(|text| text["type"] == "format").unwrap();
    assert_eq!(format["tracks"].as_array().unwrap().len(), 1);
    assert!(seen.tracks[1].is_empty());
    let other = connect(&server, "viewer", &format!("/cameras/{OTHER}/live/ws")).await;
    assert_eq!(other.err(), Some(StatusCode::NOT_FOUND));
    assert_eq!(connect(&server, "", &live("")).await.err(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_gets_the_first_stream_that_it_can_show() {
    let server = server().await;
    play(&server.recorder, MAIN, h265_clip());
    play(&server.recorder, SUB, h264_clip());
    let codec = async |query: &str| {
        let mut socket = connect(&server, "viewer", &live(query)).await.unwrap();
        let seen = collect(&mut socket, |seen| seen.fragments[0] >= 3).await;
        let format = seen.texts.into_iter().find(|text| text["type"] == "format");
        format
            .map(|format| format["tracks"][0]["codec"].as_str().unwrap().to_owned())
            .or(seen.closed)
            .unwrap()
    };
    assert_eq!(codec("?accept=avc1").await, "h264", "the sub stream stands in");
    assert_eq!(codec("?accept=avc1,hvc1").await, "h265");
    assert_eq!(codec("?stream=sub&accept=avc1,hvc1").await, "h264");
    assert_eq!(codec("?stream=live&accept=avc1").await, "codec_not_supported", "there is no worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_resume_and_nonsense() {
    let server = server().await;
    play(&server.recorder, MAIN, h264_clip());
    let mut socket = connect(&server, "viewer", &live("")).await.unwrap();
    collect(&mut socket, |seen| seen.fragments[0] >= 3).await;
    socket.send(Frame::text(r#"{"type":"pause"}"#)).await.unwrap();
    // What was on its way arrives; then nothing does.
    tokio::time::sleep(Duration::from_millis(500)).await;
    while let Ok(Some(Ok(_))) = tokio::time::timeout(Duration::from_millis(300), socket.next()).await {}
    socket.send(Frame::text(r#"{"type":"resume"}"#)).await.unwrap();
    let seen = collect(&mut socket, |seen| seen.fragments[0] >= 3).await;
    assert!(seen.closed.is_none());
    socket.send(Frame::text("hello")).await.unwrap();
    let seen = collect(&mut socket, |_| false).await;
    assert_eq!(seen.closed.as_deref(), Some("invalid_request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_viewer_is_closed_within_seconds() {
    let server = server().await;
    play(&server.recorder, MAIN, h264_clip());
    let mut socket = connect(&server, "viewer", &live("")).await.unwrap();
    collect(&mut socket, |seen| seen.fragments[0] >= 3).await;
    server.door.revoked.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let seen = collect(&mut socket, |_| false).await;
    assert_eq!(seen.closed.as_deref(), Some("not_signed_in"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_camera_tells_its_state() {
    let server = server().await;
    let unreachable = StateMessage { state: "unreachable".into(), parameters: Default::default() };
    let feed = server.recorder.feed(MAIN);
    tokio::spawn(async move {
        loop {
            let _ = feed.send(Message::State(unreachable.clone()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut socket = connect(&server, "viewer", &live("?stream=live")).await.unwrap();
    let seen =
        collect(&mut socket, |seen| seen.texts.iter().any(|text| text["state"] == "unreachable")).await;
    assert!(seen.tracks[0].is_empty());
    assert_eq!(server.gateway.viewers(MAIN), 1);
}

/// A player that takes H.265 alone or H.264 alone.
fn offer(h265: bool) -> (Rtc, std::net::UdpSocket, str0m::change::SdpPendingOffer, String) {
    let mut rtc = Rtc::builder()
        .clear_codecs()
        .enable_h264(!h265)
        .enable_h265(h265)
        .set_crypto_provider(std::sync::Arc::new(str0m::crypto::from_feature_flags()))
        .build(Instant::now());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    (rtc, socket, pending, offer.to_sdp_string())
}

/// Takes frames until there are `count`.
fn frames(mut rtc: Rtc, socket: &std::net::UdpSocket, count: usize) -> Vec<Vec<u8>> {
    let (mut frames, began, mut buffer) = (Vec::new(), Instant::now(), [0u8; 2_000]);
    while frames.len() < count {
        assert!(began.elapsed() < Duration::from_secs(20), "{} frames", frames.len());
        loop {
            match rtc.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(datagram) => {
                    socket.send_to(&datagram.contents, datagram.destination).unwrap();
                }
                Output::Event(Event::MediaData(data)) => frames.push(data.data.to_vec()),
                Output::Event(_) => {}
            }
        }
        let input = match socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                let own = socket.local_addr().unwrap();
                Input::Receive(
                    Instant::now(),
                    Receive::new(Protocol::Udp, source, own, &buffer[..length]).unwrap(),
                )
            }
            Err(_) => Input::Timeout(Instant::now()),
        };
        rtc.handle_input(input).unwrap();
    }
    frames
}

async fn whep_brings_the_cameras_own_nal_units(clip: Clip, h265: bool) {
    let server = server().await;
    let known: Vec<Bytes> = clip.units.iter().flat_map(|unit| unit.nal_units().collect::<Vec<_>>()).collect();
    play(&server.recorder, MAIN, clip);
    let (mut rtc, socket, pending, offer) = offer(h265);
    let answer = server.call("POST", &format!("/cameras/{CAMERA}/live/whep"), "application/sdp", offer).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/sdp");
    let location = answer.headers["location"].to_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned();
    let sdp = SdpAnswer::from_sdp_string(std::str::from_utf8(&answer.body).unwrap()).unwrap();
    rtc.sdp_api().accept_answer(pending, sdp).unwrap();
    let frames = tokio::task::spawn_blocking(move || frames(rtc, &socket, 20)).await.unwrap();
    for frame in &frames {
        let own = varde_codec::nal::annex_b(frame).last().unwrap();
        assert!(known.iter().any(|nal| nal == own), "a picture that the camera never sent");
    }
    // Parameter sets come with entry points.
    assert!(frames.iter().any(|frame| varde_codec::nal::annex_b(frame).count() >= 3));
    let trickled = server.call("PATCH", &location, "application/trickle-ice-sdpfrag", "a=candidate:1").await;
    assert_eq!(trickled.status, StatusCode::NO_CONTENT);
    assert_eq!(server.call("DELETE", &location, "application/sdp", "").await.status, StatusCode::NO_CONTENT);
    let mut gone = StatusCode::NO_CONTENT;
    for _ in 0..100 {
        gone = server.call("DELETE", &location, "application/sdp", "").await.status;
        if gone == StatusCode::NOT_FOUND {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gone, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn whep_brings_h264() {
    whep_brings_the_cameras_own_nal_units(h264_clip(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whep_brings_h265() {
    whep_brings_the_cameras_own_nal_units(h265_clip(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whep_refuses_with_a_reason() {
    let server = server().await;
    play(&server.recorder, MAIN, h265_clip());
    play(&server.recorder, SUB, h265_clip());
    let path = format!("/cameras/{CAMERA}/live/whep");
    let (_, _, _, sdp) = offer(false);
    let answer = server.call("POST", &path, "application/sdp", sdp.clone()).await;
    assert_eq!(
        (answer.code(), answer.json()["parameters"]["codec"].as_str()),
        ("codec_not_supported".into(), Some("h265"))
    );
    let answer = server.call("POST", &path, "application/json", sdp).await;
    assert_eq!(answer.code(), "unsupported_media_type");
    let (_, _, _, sdp) = offer(true);
    let broken = sdp.replace("a=fingerprint", "a=x");
    assert_eq!(server.call("POST", &path, "application/sdp", broken).await.code(), "invalid_request");
    assert_eq!(
        server.call("DELETE", "/whep/unknown", "application/sdp", "").await.status,
        StatusCode::NOT_FOUND
    );
}
