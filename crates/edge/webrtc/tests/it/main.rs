//! The server against a real WHEP player over UDP on loopback: what arrives is what was sent.

mod client;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Client;
use varde_codec::{AccessUnit, Format, UnitFlags};
use varde_units::Mono;
use varde_webrtc::{Error, Server, Settings, Track};

fn server(sessions_max: usize) -> Server {
    let addresses = vec!["127.0.0.1".parse().unwrap()];
    Server::start(Settings { addresses, sessions_max, ..Settings::default() }).unwrap()
}

fn h264() -> Format {
    Format::H264 {
        sps: Bytes::from_static(&[0x67, 0x64, 0, 0x1f, 1, 2, 3]),
        pps: vec![Bytes::from_static(&[0x68, 0xee, 1])],
        width: 640,
        height: 360,
    }
}

fn h265() -> Format {
    Format::H265 {
        vps: vec![Bytes::from_static(&[0x40, 1, 0x0c])],
        sps: Bytes::from_static(&[0x42, 1, 1, 1, 0x60]),
        pps: vec![Bytes::from_static(&[0x44, 1, 0xc1])],
        width: 640,
        height: 360,
    }
}

/// Units of 25 a second whose bytes say which they are; every tenth is an entry point of 30 kB.
fn unit(format: &Format, number: u64) -> AccessUnit {
    let entry_point = number.is_multiple_of(10);
    let length = if entry_point { 30_000 } else { 700 + number as usize };
    let mut nal: Vec<u8> = (0..length).map(|i| 0x80 | (i as u64 * 31 + number) as u8).collect();
    match format {
        Format::H265 { .. } => nal[..2].copy_from_slice(&[if entry_point { 19 << 1 } else { 1 << 1 }, 1]),
        _ => nal[0] = if entry_point { 0x65 } else { 0x41 },
    }
    let mut data = (nal.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(&nal);
    let time = Mono::from_nanos(1_000_000_000_000) + Duration::from_millis(40) * number as u32;
    AccessUnit {
        sequence: number,
        time,
        decode_time: time,
        received: time,
        camera_time: None,
        flags: UnitFlags { entry_point, ..UnitFlags::default() },
        data: data.into(),
    }
}

/// What the player gives for a unit: parameter sets before entry points, and start codes.
fn annex_b(format: &Format, unit: &AccessUnit) -> Vec<Bytes> {
    let sets: Vec<Bytes> = match format {
        Format::H264 { sps, pps, .. } => [sps].into_iter().chain(pps).cloned().collect(),
        Format::H265 { vps, sps, pps, .. } => vps.iter().chain([sps]).chain(pps).cloned().collect(),
        _ => Vec::new(),
    };
    let sets = sets.into_iter().filter(|_| unit.flags.entry_point);
    sets.chain(unit.nal_units()).collect()
}

fn split_annex_b(data: &[u8]) -> Vec<Bytes> {
    let mut nals = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(3).position(|w| w == [0, 0, 1]) {
        let mut nal = &rest[..at];
        nal = nal.strip_suffix(&[0]).unwrap_or(nal);
        if !nal.is_empty() {
            nals.push(Bytes::copy_from_slice(nal));
        }
        rest = &rest[at + 3..];
    }
    nals.push(Bytes::copy_from_slice(rest));
    nals
}

async fn connect(
    server: &Server,
    video: Option<&Track>,
    audio: Option<&Track>,
) -> (Client, varde_webrtc::Session) {
    let mut client = Client::new();
    let session = server.open(&client.offer, video, audio).await.unwrap();
    client.accept(&session.answer);
    (client, session)
}

/// Sends a unit every 10 ms from `first` on.
fn feeder<'a>(track: &'a Track, format: &'a Format, first: u64) -> impl FnMut() + 'a {
    let (mut next, mut last) = (first, std::time::Instant::now());
    move || {
        if last.elapsed() >= Duration::from_millis(10) {
            last = std::time::Instant::now();
            track.send(&unit(format, next));
            next += 1;
        }
    }
}

async fn units_arrive_whole_from_the_latest_entry_point(format: Format) {
    let server = server(4);
    let track = server.track(Arc::new(format.clone()));
    for number in 0..7 {
        track.send(&unit(&format, number));
    }
    let (mut client, session) = connect(&server, Some(&track), None).await;
    assert!(session.answer.contains("a=sendonly"), "{}", session.answer);
    let sets = annex_b(&format, &unit(&format, 0)).len();
    // What is sent before the player has the keys is lost to it, as in life; then it begins with the next.
    let begin = |client: &Client| {
        client.frames(client.video).position(|frame| split_annex_b(&frame.data).len() == sets)
    };
    let enough = |client: &Client| {
        begin(client).is_some_and(|begin| client.frames(client.video).count() >= begin + 25)
    };
    client.play(feeder(&track, &format, 7), enough);
    let begin = begin(&client).unwrap();
    let frames: Vec<_> = client.frames(client.video).skip(begin).collect();
    // It begins with a whole group of pictures, and has every picture of it.
    let first_nals = split_annex_b(&frames[0].data);
    let first = (0..400)
        .find(|&number| annex_b(&format, &unit(&format, number)) == first_nals)
        .expect("the first frame is one of those sent");
    assert_eq!(first % 10, 0, "it is an entry point");
    for (frame, number) in frames.iter().zip(first..) {
        assert_eq!(split_annex_b(&frame.data), annex_b(&format, &unit(&format, number)), "unit {number}");
    }
    assert!(frames.windows(2).all(|pair| pair[0].time < pair[1].time));
    // What came live keeps the camera's own pace.
    let last = frames.len() - 1;
    assert_eq!(frames[last].time - frames[last - 3].time, Duration::from_millis(120));
}

#[tokio::test]
async fn h264_arrives_whole_from_the_latest_entry_point() {
    units_arrive_whole_from_the_latest_entry_point(h264()).await;
}

#[tokio::test]
async fn h265_arrives_whole_from_the_latest_entry_point() {
    units_arrive_whole_from_the_latest_entry_point(h265()).await;
}

#[tokio::test]
async fn sound_travels_beside_the_picture() {
    let server = server(4);
    let video = server.track(Arc::new(h264()));
    let audio = server.track(Arc::new(Format::Alaw { sample_rate: 8000, channels: 1 }));
    let (mut client, session) = connect(&server, Some(&video), Some(&audio)).await;
    assert!(session.has_audio);
    let format = h264();
    let mut picture = feeder(&video, &format, 0);
    let mut sounds = 0u64;
    let sound =
        |number: u64| AccessUnit { data: vec![number as u8; 160].into(), ..unit(&h264(), number * 10) };
    client.play(
        || {
            picture();
            audio.send(&sound(sounds));
            sounds += 1;
        },
        |client| client.frames(client.video).count() >= 5 && client.frames(client.audio).count() >= 5,
    );
    let first = client.frames(client.audio).next().unwrap();
    assert!(first.data.len() == 160 && first.data.iter().all(|&byte| byte == first.data[0]));
}

#[tokio::test]
async fn a_plea_for_a_key_frame_is_answered_out_of_the_backlog() {
    let format = h264();
    let server = server(4);
    let track = server.track(Arc::new(format.clone()));
    let (mut client, _session) = connect(&server, Some(&track), None).await;
    let entry_points = |client: &Client| {
        client.frames(client.video).filter(|frame| split_annex_b(&frame.data).len() == 3).count()
    };
    track.send(&unit(&format, 0));
    // Only unit 0 is an entry point.
    let (mut next, mut last) = (1, std::time::Instant::now());
    let mut feed = || {
        if last.elapsed() >= Duration::from_millis(10) {
            last = std::time::Instant::now();
            track.send(&unit(&format, next));
            next += if next % 10 == 9 { 2 } else { 1 };
        }
    };
    client.play(&mut feed, |client| entry_points(client) == 1);
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.ask_for_key_frame();
    client.play(&mut feed, |client| entry_points(client) >= 2);
}

#[tokio::test]
async fn a_closed_session_ends_on_both_sides() {
    let format = h264();
    let server = server(1);
    let track = server.track(Arc::new(format.clone()));
    let (mut client, session) = connect(&server, Some(&track), None).await;
    client.play(feeder(&track, &format, 0), |client| !client.received.is_empty());
    let more = server.open(&Client::new().offer, Some(&track), None).await;
    assert!(matches!(more, Err(Error::TooMany(1))), "{more:?}");
    server.close(session.id);
    session.ended.await.unwrap();
    assert_eq!(server.counts().sessions, 0);
    // There is room again, and a track that goes takes its viewers along.
    let session = server.open(&Client::new().offer, Some(&track), None).await.unwrap();
    drop(track);
    session.ended.await.unwrap();
}

#[tokio::test]
async fn offers_that_do_not_fit_are_refused_with_a_reason() {
    let server = server(4);
    let track = server.track(Arc::new(h264()));
    for offer in ["", "v=0\r\n", "<script>", &"a=x\r\n".repeat(50_000)] {
        let refused = server.open(offer, Some(&track), None).await;
        assert!(matches!(refused, Err(Error::BadOffer(_))), "{refused:?}");
    }
    let sending = Client::new().offer.replace("a=recvonly", "a=sendonly");
    assert!(matches!(server.open(&sending, Some(&track), None).await, Err(Error::BadOffer(_))));
    let without: String = Client::new().offer.replace("H264/", "H263/").replace("H265/", "H263/");
    let refused = server.open(&without, Some(&track), None).await;
    assert!(matches!(refused, Err(Error::NoCodec)), "{refused:?}");
    assert_eq!(server.counts().sessions, 0);
}
