//! A small camera for the tests: an RTSP server that sends numbered H.264 units and misbehaves as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use varde_codec::Format;
use varde_rtsp::Lower;
use varde_rtsp::auth::{Credentials, Nonces, Verifier};
use varde_rtsp::message::{Limits, Message, Parsed, data_header, parse};
use varde_rtsp::rtp::Packetiser;
use varde_rtsp::sdp::DescriptionWriter;
use varde_rtsp::server::{Refusal, ServerAction, ServerOptions, ServerSession, SetUpAnswer};

pub const USER: &str = "admin";
pub const PASSWORD: &str = "canary \"word\"";
const FRAME_INTERVAL: Duration = Duration::from_millis(10);
const ENTRY_POINT_EVERY: u32 = 5;

/// What goes wrong. Counts are units sent in one connection.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub udp_refused: bool,
    pub udp_mute: bool,
    pub freeze_after: Option<u32>,
    pub close_after: Option<u32>,
    pub garbage_after: Option<u32>,
    pub other_format_after: Option<u32>,
    pub unknown_codec: bool,
    /// Each packet of UDP is swapped with the one behind it.
    pub udp_disorder: bool,
}

#[derive(Clone)]
pub struct Camera {
    pub address: SocketAddr,
    pub faults: Arc<Mutex<Faults>>,
    pub connections: Arc<AtomicUsize>,
    pub requests: Arc<Mutex<Vec<String>>>,
    options: Arc<ServerOptions>,
}

impl Camera {
    pub async fn start(faults: Faults) -> Self {
        Self::start_with(faults, None).await
    }

    pub async fn start_with(faults: Faults, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let account = Credentials { user: USER.into(), password: PASSWORD.into() };
        let nonces = Nonces::new([5; 32], Duration::from_secs(60));
        let camera = Self {
            address: listener.local_addr().unwrap(),
            faults: Arc::new(Mutex::new(faults)),
            connections: Arc::default(),
            requests: Arc::default(),
            options: Arc::new(ServerOptions {
                name: "test camera".into(),
                session_timeout: Duration::from_secs(60),
                verifier: Some(Verifier::new("test", vec![account], nonces, false)),
            }),
        };
        let answering = camera.clone();
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let (camera, tls) = (answering.clone(), tls.clone());
                camera.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    match tls {
                        None => camera.answer(stream, peer).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => camera.answer(stream, peer).await,
                            Err(error) => panic!("{error}"),
                        },
                    }
                });
            }
        });
        camera
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{}/{path}", self.address)
    }

    async fn answer(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let mut connection = Connection {
            session: ServerSession::new(
                Arc::clone(&self.options),
                self.connections.load(Ordering::SeqCst) as u64,
                varde_ambient::random_below_or_equal(u64::MAX),
                varde_ambient::mono_now(),
            ),
            camera: self,
            peer,
            sender: None,
            udp: None,
            playing: false,
            out: Vec::new(),
        };
        let mut input = Vec::new();
        let mut frames = tokio::time::interval(FRAME_INTERVAL);
        loop {
            tokio::select! {
                read = stream.read_buf(&mut input) => {
                    if read.unwrap_or(0) == 0 {
                        return;
                    }
                    connection.take(&mut input).await;
                }
                _ = frames.tick(), if connection.playing => {
                    if connection.frame().await.is_none() {
                        return;
                    }
                }
            }
            if stream.write_all(&connection.out).await.is_err() {
                return;
            }
            connection.out.clear();
        }
    }
}

struct Connection {
    camera: Camera,
    peer: SocketAddr,
    session: ServerSession,
    sender: Option<(Packetiser, Lower, u32)>,
    udp: Option<UdpSocket>,
    playing: bool,
    out: Vec<u8>,
}

impl Connection {
    async fn take(&mut self, input: &mut Vec<u8>) {
        loop {
            let length = match parse(input, &Limits::default()) {
                Ok(Parsed::Complete { message, length }) => {
                    if let Message::Request(request) = message {
                        self.camera.requests.lock().unwrap().push(request.method.to_owned());
                        self.session.on_request(&request, varde_ambient::mono_now());
                    }
                    length
                }
                Ok(Parsed::Incomplete { .. }) => return,
                Err(error) => panic!("the driver wrote {error}: {:?}", String::from_utf8_lossy(input)),
            };
            input.drain(..length);
            self.act().await;
        }
    }

    async fn act(&mut self) {
        loop {
            let faults = self.camera.faults.lock().unwrap().clone();
            match self.session.poll(varde_ambient::mono_now()) {
                ServerAction::Send(bytes) => self.out.extend_from_slice(&bytes),
                ServerAction::Describe { path } if path.starts_with("/main") => {
                    let mut writer = DescriptionWriter::new(1, "test");
                    let mut parameters = Packetiser::new(&format(false), 96, 7, 1, 1400).parameters();
                    if faults.unknown_codec {
                        parameters.encoding = "theora".into();
                    }
                    writer.media(&parameters, None);
                    self.session.described(Ok(&writer.finish()));
                }
                ServerAction::Describe { .. } => self.session.described(Err(Refusal::NotFound)),
                ServerAction::SetUp { transport, .. } => {
                    let mut answer = Ok(SetUpAnswer::default());
                    if let Lower::Udp { .. } = transport {
                        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                        let port = socket.local_addr().unwrap().port();
                        answer = Ok(SetUpAnswer { ports: Some((port, port)), ssrc: None });
                        self.udp = Some(socket);
                        if faults.udp_refused {
                            answer = Err(Refusal::UnsupportedTransport);
                        }
                    }
                    let packetiser = Packetiser::new(&format(false), 96, 7, 65_530, 1400);
                    self.sender = Some((packetiser, transport, 0));
                    self.session.set_up(answer);
                }
                ServerAction::Start { .. } => {
                    self.playing = true;
                    self.session.started(Ok(&[]));
                }
                ServerAction::Pause | ServerAction::Stop => self.playing = false,
                ServerAction::WaitUntil(_) | ServerAction::Close => return,
            }
        }
    }

    /// Sends the next unit; `None` hangs up.
    async fn frame(&mut self) -> Option<()> {
        let faults = self.camera.faults.lock().unwrap().clone();
        let (packetiser, transport, count) = self.sender.as_mut()?;
        let after = |limit: Option<u32>| limit.is_some_and(|limit| *count >= limit);
        if after(faults.close_after) {
            return None;
        }
        if after(faults.garbage_after) {
            self.out.extend_from_slice(b"\x00\x01garbage");
            return Some(());
        }
        if after(faults.freeze_after) || faults.udp_mute && self.udp.is_some() {
            return Some(());
        }
        if faults.other_format_after == Some(*count) {
            packetiser.set_format(&format(true));
        }
        let entry_point = count.is_multiple_of(ENTRY_POINT_EVERY);
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let send = |head: &[u8], body: &[u8]| packets.push([head, body].concat());
        packetiser.packetise(&unit(*count), *count * 900, entry_point, send).unwrap();
        *count += 1;
        match *transport {
            Lower::Interleaved { rtp, .. } => {
                for packet in packets {
                    self.out.extend_from_slice(&data_header(rtp, packet.len()).unwrap());
                    self.out.extend_from_slice(&packet);
                }
            }
            Lower::Udp { client, .. } => {
                if faults.udp_disorder && *count > 1 {
                    packets.chunks_exact_mut(2).for_each(<[_]>::reverse);
                }
                for packet in packets {
                    let to = SocketAddr::new(self.peer.ip(), client.0);
                    let _ = self.udp.as_ref()?.send_to(&packet, to).await;
                }
            }
        }
        Some(())
    }
}

/// A unit that knows its number and is larger than a packet. No byte is zero, so that nothing needs escaping.
pub fn unit(number: u32) -> Vec<u8> {
    let kind = if number.is_multiple_of(ENTRY_POINT_EVERY) { 0x65 } else { 0x41 };
    let digits = format!("{number:08}");
    let nal = [&[kind, 0x88], digits.as_bytes(), &[0x55; 6_000]].concat();
    [&u32::try_from(nal.len()).unwrap().to_be_bytes()[..], &nal].concat()
}

/// The number in a unit, and whether it is whole.
pub fn number(data: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(data.get(6..14)?).ok()?.parse().ok()?;
    (data == unit(number)).then_some(number)
}

fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Two formats that differ in the picture parameter set alone.
fn format(other: bool) -> Format {
    let sps = hex("6764000aacb208f60220000003002000000641e244c9");
    let pps = if other { "68ebc3cb22c1c0" } else { "68ebc3cb22c0" };
    Format::H264 { sps, pps: vec![hex(pps)], width: 64, height: 48 }
}
