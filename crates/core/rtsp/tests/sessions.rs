//! The client against the server, in memory: every byte that one writes, the other reads.

use std::sync::Arc;
use std::time::Duration;

use varde_rtsp::auth::{Credentials, Nonces, Verifier};
use varde_rtsp::client::{ClientAction, ClientError, ClientOptions, ClientSession, Delivery, Wanted};
use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_rtsp::rtp::PayloadParameters;
use varde_rtsp::sdp::DescriptionWriter;
use varde_rtsp::server::{Refusal, RtpInfo, ServerAction, ServerOptions, ServerSession, SetUpAnswer};
use varde_rtsp::{Lower, RtspUrl};
use varde_units::Mono;

const START: Mono = Mono::from_nanos(1_000_000_000_000);

fn credentials(password: &str) -> Credentials {
    Credentials { user: "admin".into(), password: password.into() }
}

fn server_options(verifier: bool) -> Arc<ServerOptions> {
    let nonces = Nonces::new([3; 32], Duration::from_secs(300));
    Arc::new(ServerOptions {
        name: "test".into(),
        session_timeout: Duration::from_secs(60),
        verifier: verifier.then(|| Verifier::new("realm", vec![credentials("right")], nonces, false)),
    })
}

fn client_options(url: &str, password: Option<&str>, delivery: Delivery) -> ClientOptions {
    ClientOptions {
        url: RtspUrl::parse(url).unwrap(),
        credentials: password.map(credentials),
        user_agent: "Varde/test".into(),
        delivery,
        wanted: Wanted { video: true, audio: true, metadata: true },
    }
}

fn description() -> Vec<u8> {
    let payload = |number, rtpmap| PayloadParameters::from_sdp(number, Some(rtpmap), None).unwrap();
    let mut writer = DescriptionWriter::new(1, "virtual");
    writer.media(&payload(26, "JPEG/90000"), Some(25.0)).media(&payload(8, "PCMA/8000"), None);
    writer.finish()
}

/// Both ends and what happened between them.
struct Wire {
    client: ClientSession,
    server: ServerSession,
    now: Mono,
    log: Vec<String>,
}

impl Wire {
    fn new(options: ClientOptions, server: Arc<ServerOptions>) -> Self {
        Self {
            client: ClientSession::new(options, 11, START),
            server: ServerSession::new(server, 1, 0xabcd, START),
            now: START,
            log: Vec::new(),
        }
    }

    /// Until both wait.
    fn run(&mut self) -> Result<(), ClientError> {
        loop {
            match self.client.poll(self.now)? {
                ClientAction::Send(bytes) => {
                    let Ok(Parsed::Complete { message: Message::Request(request), length }) =
                        parse(&bytes, &Limits::default())
                    else {
                        panic!("{:?}", String::from_utf8_lossy(&bytes));
                    };
                    assert_eq!(length, bytes.len());
                    self.log.push(request.method.to_owned());
                    self.server.on_request(&request, self.now);
                    self.serve()?;
                }
                ClientAction::BindPorts { tracks } => {
                    let ports: Vec<_> =
                        (0..tracks as u16).map(|index| (7_000 + index * 2, 7_001 + index * 2)).collect();
                    self.client.on_ports(&ports, self.now);
                }
                ClientAction::Ready => self.log.push("ready".into()),
                ClientAction::Playing => self.log.push("playing".into()),
                ClientAction::WaitUntil(_) => return Ok(()),
                ClientAction::Close => {
                    self.log.push("close".into());
                    return Ok(());
                }
            }
        }
    }

    fn serve(&mut self) -> Result<(), ClientError> {
        loop {
            match self.server.poll(self.now) {
                ServerAction::Send(bytes) => {
                    let Ok(Parsed::Complete { message: Message::Response(response), length }) =
                        parse(&bytes, &Limits::default())
                    else {
                        panic!("{:?}", String::from_utf8_lossy(&bytes));
                    };
                    assert_eq!(length, bytes.len());
                    self.client.on_response(&response, self.now)?;
                }
                ServerAction::Describe { path } => {
                    let sdp = description();
                    self.server.described(if path == "/main" { Ok(&sdp) } else { Err(Refusal::NotFound) });
                }
                ServerAction::SetUp { path, track, transport } => {
                    assert_eq!(path, "/main");
                    let ports =
                        matches!(transport, Lower::Udp { .. }).then_some((9_000 + track as u16 * 2, 9_001));
                    self.server.set_up(Ok(SetUpAnswer { ports, ssrc: Some(77) }));
                }
                ServerAction::Start { path, tracks } => {
                    self.log.push(format!("start {path} {}", tracks.len()));
                    self.server.started(Ok(&[RtpInfo { track: 0, sequence: 5, timestamp: 6 }]));
                }
                ServerAction::Pause => self.log.push("pause".into()),
                ServerAction::Stop => self.log.push("stop".into()),
                ServerAction::WaitUntil(_) => return Ok(()),
                ServerAction::Close => {
                    self.log.push("server closes".into());
                    return Ok(());
                }
            }
        }
    }
}

#[test]
fn a_session_plays_is_kept_alive_and_ends() {
    let options = client_options("rtsp://10.0.0.7/main", Some("right"), Delivery::Interleaved);
    let mut wire = Wire::new(options, server_options(true));
    wire.run().unwrap();
    assert_eq!(
        wire.log,
        ["OPTIONS", "DESCRIBE", "DESCRIBE", "SETUP", "SETUP", "ready", "PLAY", "start /main 2", "playing"]
    );
    let transports: Vec<_> = wire.client.tracks().iter().map(|track| track.transport).collect();
    let interleaved = |rtp| Some(Lower::Interleaved { rtp, rtcp: rtp + 1 });
    assert_eq!(transports, [interleaved(0), interleaved(2)]);
    assert_eq!(wire.client.tracks()[0].ssrc, Some(77));
    // Half the server's time-out passes, ten times. The nonce grows old meanwhile and is replaced.
    wire.log.clear();
    for _ in 0..20 {
        wire.now += Duration::from_secs(30);
        wire.run().unwrap();
    }
    assert!(wire.log.iter().all(|entry| entry == "GET_PARAMETER"), "{:?}", wire.log);
    assert_eq!(wire.log.len(), 21, "one is challenged and sent again");
    wire.log.clear();
    assert!(wire.client.tear_down(wire.now));
    wire.run().unwrap();
    assert_eq!(wire.log, ["TEARDOWN", "stop", "close"]);
}

#[test]
fn datagrams_go_to_the_ports_of_both() {
    let options = client_options("rtsp://10.0.0.7/main", None, Delivery::Udp);
    let mut wire = Wire::new(options, server_options(false));
    wire.run().unwrap();
    assert_eq!(wire.log.last().map(String::as_str), Some("playing"));
    let expected = Some(Lower::Udp { client: (7_002, 7_003), server: Some((9_002, 9_001)) });
    assert_eq!(wire.client.tracks()[1].transport, expected);
    // Without a sign of life the server ends the session.
    wire.log.clear();
    wire.now += Duration::from_secs(61);
    wire.serve().unwrap();
    assert_eq!(wire.log, ["stop", "server closes"]);
}

#[test]
fn what_is_wrong_reaches_the_client() {
    let check = |url: &str, password: Option<&str>, expected: ClientError| {
        let mut wire = Wire::new(client_options(url, password, Delivery::Interleaved), server_options(true));
        assert_eq!(wire.run(), Err(expected));
        assert!(wire.log.len() <= 3, "no second try with the same password: {:?}", wire.log);
    };
    check("rtsp://h/main", None, ClientError::WrongPassword { status: 401 });
    check("rtsp://h/main", Some("wrong"), ClientError::WrongPassword { status: 401 });
    check("rtsp://h/none", Some("right"), ClientError::NoSuchStream { status: 404 });
}

#[test]
fn a_camera_that_does_not_answer_is_given_up() {
    let options = client_options("rtsp://h/main", None, Delivery::Interleaved);
    let mut client = ClientSession::new(options, 1, START);
    assert!(matches!(client.poll(START), Ok(ClientAction::Send(_))));
    let Ok(ClientAction::WaitUntil(due)) = client.poll(START) else { panic!() };
    assert_eq!(client.poll(due), Err(ClientError::NoAnswer { method: "OPTIONS" }));
    assert_eq!(client.poll(due), Err(ClientError::NoAnswer { method: "OPTIONS" }), "and stays so");
}

/// Requests by hand: what a stranger may try.
fn answer(server: &mut ServerSession, text: &str) -> (u16, String) {
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    let Ok(Parsed::Complete { message: Message::Request(request), .. }) =
        parse(text.as_bytes(), &Limits::default())
    else {
        panic!("{text}");
    };
    server.on_request(&request, START);
    loop {
        match server.poll(START) {
            ServerAction::Send(bytes) => {
                let text = String::from_utf8(bytes).unwrap();
                return (text[9..12].parse().unwrap(), text);
            }
            ServerAction::Describe { .. } => server.described(Ok(&description())),
            ServerAction::SetUp { transport, .. } => {
                server.set_up(if matches!(transport, Lower::Udp { .. }) {
                    Err(Refusal::UnsupportedTransport)
                } else {
                    Ok(SetUpAnswer::default())
                })
            }
            ServerAction::Start { .. } => server.started(Ok(&[])),
            ServerAction::Pause | ServerAction::Stop => {}
            ServerAction::WaitUntil(_) | ServerAction::Close => panic!("no answer to {text}"),
        }
    }
}

#[test]
fn each_method_has_its_state() {
    let mut server = ServerSession::new(server_options(false), 1, 0x1234, START);
    let mut check = |text: &str, status: u16, part: &str| {
        let (given, answer) = answer(&mut server, text);
        assert_eq!(given, status, "{text}: {answer}");
        assert!(answer.contains(part), "{text}: {answer}");
    };
    const ID: &str = "0000000000001234";
    let with_id = |line: &str| format!("{line} RTSP/1.0\nCSeq: 9\nSession: {ID}");
    check("OPTIONS * RTSP/1.0\nCSeq: 1", 200, "CSeq: 1\r\n");
    check("OPTIONS * RTSP/1.0", 400, "Server: test");
    check("DESCRIBE rtsp://h/main RTSP/1.0\nCSeq: 2", 200, "Content-Base: rtsp://h/main/\r\n");
    check(
        "DESCRIBE rtsp://h/main RTSP/1.0\nCSeq: 2\nRequire: onvif-replay",
        551,
        "Unsupported: onvif-replay",
    );
    check("PLAY rtsp://h/main RTSP/1.0\nCSeq: 3", 454, "");
    check("SETUP rtsp://h/main/trackID=0 RTSP/1.0\nCSeq: 4", 461, "");
    check("SETUP rtsp://h/main/trackID=0 RTSP/1.0\nCSeq: 4\nTransport: RTP/AVP;multicast", 461, "");
    check("SETUP rtsp://h/main/trackID=0 RTSP/1.0\nCSeq: 4\nTransport: RTP/AVP;client_port=1-2", 461, "");
    check("SETUP rtsp://h/main/trackID=0 RTSP/1.0\nCSeq: 4\nTransport: RTP/AVP/TCP;interleaved=4-5", 200, ID);
    check(
        &with_id("SETUP rtsp://h/main/trackID=1")
            .replace("CSeq", "Transport: RTP/AVP/TCP;interleaved=4-5\nCSeq"),
        200,
        "interleaved=0-1",
    );
    check(
        &with_id("SETUP rtsp://h/other/trackID=1")
            .replace("CSeq", "Transport: RTP/AVP/TCP;interleaved=6-7\nCSeq"),
        459,
        "",
    );
    check("PLAY rtsp://h/main RTSP/1.0\nCSeq: 5\nSession: 666", 454, "");
    check(&with_id("PLAY rtsp://h/main/"), 200, "Range: npt=0.000-");
    check(&with_id("PLAY rtsp://h/main/"), 200, "Range: npt=now-");
    check(&with_id("SETUP rtsp://h/main/trackID=0"), 455, "");
    check(&with_id("GET_PARAMETER rtsp://h/main"), 200, ID);
    check(&with_id("PAUSE rtsp://h/main"), 200, "");
    check(&with_id("RECORD rtsp://h/main"), 501, "Public: ");
    check(&with_id("TEARDOWN rtsp://h/main"), 200, "");
    check(&with_id("PLAY rtsp://h/main/"), 454, "");
}

#[test]
fn a_stranger_gets_no_further_than_options() {
    let mut server = ServerSession::new(server_options(true), 1, 2, START);
    for method in
        ["DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN", "RECORD", "X"]
    {
        let (status, text) = answer(&mut server, &format!("{method} rtsp://h/main RTSP/1.0\nCSeq: 1"));
        assert_eq!(status, 401, "{method}");
        assert_eq!(text.matches("WWW-Authenticate: Digest").count(), 2);
    }
    assert_eq!(answer(&mut server, "OPTIONS * RTSP/1.0\nCSeq: 1").0, 200);
}
