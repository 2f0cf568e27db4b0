//! The client against what cameras answer (`testdata/`): which tracks it takes, and what it asks for in which words.

use varde_codec::Codec;
use varde_rtsp::RtspUrl;
use varde_rtsp::auth::Credentials;
use varde_rtsp::client::{ClientAction, ClientError, ClientOptions, ClientSession, Delivery, Wanted};
use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_units::Mono;

const NOW: Mono = Mono::from_nanos(5_000_000_000);

fn options(url: &str) -> ClientOptions {
    ClientOptions {
        url: RtspUrl::parse(url).unwrap(),
        credentials: Some(Credentials { user: "admin".into(), password: "canary".into() }),
        user_agent: "Varde/test".into(),
        delivery: Delivery::Interleaved,
        wanted: Wanted { video: true, audio: true, metadata: false },
    }
}

/// What a session did until it had no more answers.
struct Played {
    requests: Vec<String>,
    codecs: Vec<Codec>,
    playing: bool,
    error: Option<ClientError>,
}

fn answers(transcript: &str) -> Vec<Vec<u8>> {
    let fill = |block: &str| {
        let block = block.strip_prefix('\n').unwrap_or(block);
        let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
        let body = body.replace('\n', "\r\n");
        let head = head.replace('@', &body.len().to_string()).replace('\n', "\r\n");
        format!("{head}\r\n\r\n{body}").into_bytes()
    };
    transcript.split("----").map(fill).collect()
}

fn play(options: ClientOptions, answers: &[Vec<u8>]) -> Played {
    let mut session = ClientSession::new(options, 42, NOW);
    let mut played = Played { requests: Vec::new(), codecs: Vec::new(), playing: false, error: None };
    let mut answers = answers.iter();
    let error = loop {
        match session.poll(NOW) {
            Ok(ClientAction::Send(bytes)) => played.requests.push(String::from_utf8(bytes).unwrap()),
            Ok(ClientAction::Playing) => played.playing = true,
            Ok(ClientAction::BindPorts { tracks }) => session.on_ports(&vec![(5_000, 5_001); tracks], NOW),
            Ok(ClientAction::Ready | ClientAction::Close) => {}
            Ok(ClientAction::WaitUntil(_)) => {
                let Some(answer) = answers.next() else { break None };
                let Ok(Parsed::Complete { message: Message::Response(response), length }) =
                    parse(answer, &Limits::default())
                else {
                    panic!("{:?}", parse(answer, &Limits::default()));
                };
                assert_eq!(length, answer.len());
                if let Err(error) = session.on_response(&response, NOW) {
                    break Some(error);
                }
            }
            Err(error) => break Some(error),
        }
    };
    played.error = error;
    played.codecs = session.tracks().iter().map(|track| track.payload.codec().unwrap()).collect();
    played
}

fn first_lines(played: &Played) -> Vec<&str> {
    played.requests.iter().map(|request| request.split(" RTSP/1.0").next().unwrap()).collect()
}

fn check(url: &str, transcript: &str, codecs: &[Codec], requests: &[&str]) {
    let played = play(options(url), &answers(transcript));
    assert_eq!(played.error, None, "{url}");
    assert!(played.playing, "{url}: {:?}", first_lines(&played));
    assert_eq!(played.codecs, codecs, "{url}");
    assert_eq!(first_lines(&played), requests);
    assert!(played.requests.iter().all(|request| !request.contains("canary")));
}

#[test]
fn hikvision() {
    check(
        "rtsp://10.0.0.7/Streaming/Channels/101",
        include_str!("../testdata/hikvision.txt"),
        &[Codec::H265, Codec::Alaw],
        &[
            "OPTIONS rtsp://10.0.0.7/Streaming/Channels/101",
            "OPTIONS rtsp://10.0.0.7/Streaming/Channels/101",
            "DESCRIBE rtsp://10.0.0.7/Streaming/Channels/101",
            "SETUP rtsp://10.0.0.7:554/Streaming/Channels/101/trackID=1",
            "SETUP rtsp://10.0.0.7:554/Streaming/Channels/101/trackID=2",
            "PLAY rtsp://10.0.0.7:554/Streaming/Channels/101/",
        ],
    );
}

#[test]
fn dahua() {
    check(
        "rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0",
        include_str!("../testdata/dahua.txt"),
        &[Codec::H264, Codec::Aac],
        &[
            "OPTIONS rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0",
            "DESCRIBE rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0",
            "DESCRIBE rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0",
            "SETUP rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0/trackID=0",
            "SETUP rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0/trackID=1",
            "PLAY rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0/",
        ],
    );
}

#[test]
fn axis() {
    check(
        "rtsp://10.0.0.7/axis-media/media.amp?videocodec=h264",
        include_str!("../testdata/axis.txt"),
        &[Codec::H264, Codec::Opus],
        &[
            "OPTIONS rtsp://10.0.0.7/axis-media/media.amp?videocodec=h264",
            "DESCRIBE rtsp://10.0.0.7/axis-media/media.amp?videocodec=h264",
            "DESCRIBE rtsp://10.0.0.7/axis-media/media.amp?videocodec=h264",
            "SETUP rtsp://10.0.0.7/axis-media/media.amp/stream=0?videocodec=h264",
            "SETUP rtsp://10.0.0.7/axis-media/media.amp/stream=1?videocodec=h264",
            "PLAY rtsp://10.0.0.7/axis-media/media.amp?videocodec=h264",
        ],
    );
}

#[test]
fn live555() {
    check(
        "rtsp://192.168.1.10:8554/stream",
        include_str!("../testdata/live555.txt"),
        &[Codec::Mjpeg, Codec::Ulaw],
        &[
            "OPTIONS rtsp://192.168.1.10:8554/stream",
            "DESCRIBE rtsp://192.168.1.10:8554/stream",
            "SETUP rtsp://192.168.1.10:8554/stream/track1",
            "SETUP rtsp://192.168.1.10:8554/stream/track2",
            "PLAY rtsp://192.168.1.10:8554/stream/",
        ],
    );
}

#[test]
fn gstreamer() {
    check(
        "rtsp://127.0.0.1:8554/test",
        include_str!("../testdata/gstreamer.txt"),
        &[Codec::H264],
        &[
            "OPTIONS rtsp://127.0.0.1:8554/test",
            "DESCRIBE rtsp://127.0.0.1:8554/test",
            "SETUP rtsp://127.0.0.1:8554/test/stream=0",
            "PLAY rtsp://127.0.0.1:8554/test/",
        ],
    );
}

/// Answers of one line each, and the error that they lead to.
fn check_error(delivery: Delivery, lines: &[&str], expected: &ClientError) {
    let end = |line: &str| if line.contains("\r\n\r\n") { "" } else { "\r\n\r\n" };
    let answers: Vec<_> =
        lines.iter().map(|line| format!("RTSP/1.0 {line}{}", end(line)).into_bytes()).collect();
    let played = play(ClientOptions { delivery, ..options("rtsp://10.0.0.7/x") }, &answers);
    assert_eq!(played.error.as_ref(), Some(expected), "{lines:?}");
}

#[test]
fn a_refusal_says_what_is_wrong() {
    const CHALLENGE: &str = "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"";
    const SDP: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
    let described = |sdp: &str| format!("200 OK\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    let tcp = |lines: &[&str], expected: ClientError| check_error(Delivery::Interleaved, lines, &expected);
    tcp(&[CHALLENGE, CHALLENGE], ClientError::WrongPassword { status: 401 });
    tcp(&["200 OK", CHALLENGE, CHALLENGE], ClientError::WrongPassword { status: 401 });
    tcp(&["200 OK", "403 Forbidden"], ClientError::WrongPassword { status: 403 });
    tcp(&["404 Not Found"], ClientError::NoSuchStream { status: 404 });
    tcp(&["501 No", "454 Session"], ClientError::NoSuchStream { status: 454 });
    tcp(
        &["200 OK", "503 Busy"],
        ClientError::Refused { method: "DESCRIBE", status: 503, reason: "Busy".into() },
    );
    tcp(
        &["200 OK", "302 Moved\r\nLocation: rtsp://10.0.0.8/y"],
        ClientError::Moved { url: RtspUrl::parse("rtsp://10.0.0.8/y").unwrap() },
    );
    tcp(
        &["200 OK", "302 Moved\r\nLocation: file:///etc/passwd"],
        ClientError::BadAnswer("status 302 without a usable Location".into()),
    );
    tcp(&["200 OK", "200 OK"], ClientError::UnsupportedCodec { offered: "nothing".into() });
    let theora = described("m=video 0 RTP/AVP 98\na=rtpmap:98 theora/90000\nm=audio 0 RTP/AVP 0\n");
    tcp(
        &["200 OK", &theora],
        ClientError::UnsupportedCodec { offered: "video theora, audio payload type 0".into() },
    );
    let garbage = described("v=0\n\u{1}\u{2}\n");
    tcp(
        &["200 OK", &garbage],
        ClientError::BadAnswer(
            "a line does not have the form x=value (at byte 4 of the session description)".into(),
        ),
    );
    let multicast = "200 OK\r\nTransport: RTP/AVP/TCP;multicast;interleaved=0-1";
    tcp(
        &["200 OK", &described(SDP), multicast],
        ClientError::BadAnswer("SETUP was answered with multicast, which was not asked for".into()),
    );
    let udp = [String::from("200 OK"), described(SDP), "461 Unsupported transport".into()];
    check_error(Delivery::Udp, &udp.each_ref().map(String::as_str), &ClientError::TransportRefused);
}
