//! One RTSP connection: drives [`ServerSession`] with a socket, and hands playing clients to their stream.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use varde_ambient::{mono_now, random_bytes};
use varde_rtsp::Lower;
use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_rtsp::sdp::DescriptionWriter;
use varde_rtsp::server::{Refusal, RtpInfo, ServerAction, ServerSession, SetUpAnswer};
use varde_units::Mono;

use crate::fault::Effects;
use crate::server::Server;
use crate::stream::{Stream, VIEWERS_MAX};
use crate::viewer::{Outlet, Target, Viewer};

/// What a client may send; it has no reason for bodies.
const LIMITS: Limits = Limits { header_bytes: 8 << 10, body_bytes: 4 << 10, headers: 64 };

/// Serves a connection until it ends.
pub(crate) async fn serve(server: Arc<Server>, socket: TcpStream, peer: SocketAddr) {
    if socket.set_nodelay(true).is_err() {
        return;
    }
    let outlet = Arc::new(Outlet::new(socket));
    let mut connection = Connection {
        number: server.connection_number(),
        session: None,
        locked: false,
        effects: Effects::default(),
        targets: [None, None],
        playing: None,
        buffer: Vec::new(),
        outlet,
        server,
        peer,
    };
    if let Err(error) = connection.run().await {
        tracing::debug!(%peer, %error, "a connection ended");
    }
    connection.stop();
    connection.outlet.close();
}

struct Connection {
    server: Arc<Server>,
    outlet: Arc<Outlet>,
    peer: SocketAddr,
    number: u64,
    session: Option<ServerSession>,
    /// Whether the session is one where no password fits.
    locked: bool,
    /// Of the camera that was asked for last.
    effects: Effects,
    targets: [Option<Target>; 2],
    playing: Option<Arc<Stream>>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let mut wake_at = mono_now() + Duration::from_secs(30);
        while !self.outlet.is_closing() {
            let outlet = self.outlet.clone();
            tokio::select! {
                () = outlet.wake.notified() => {}
                ready = outlet.socket().readable() => {
                    ready?;
                    if !self.read()? {
                        return Ok(());
                    }
                    while self.take_message().await? {}
                }
                ready = outlet.socket().writable(), if outlet.has_queued() => {
                    ready?;
                    outlet.flush()?;
                }
                () = tokio::time::sleep(wake_at.since(mono_now())) => {
                    if self.session.is_none() {
                        return Ok(());
                    }
                }
            }
            match self.act() {
                Some(at) => wake_at = at,
                None => return self.outlet.flush(),
            }
        }
        Ok(())
    }

    /// Reads what is there; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        match self.outlet.socket().try_read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(self.buffer.len() <= LIMITS.message_bytes() + chunk.len())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes one message out of the buffer; false when there is no whole one.
    async fn take_message(&mut self) -> io::Result<bool> {
        let buffer = std::mem::take(&mut self.buffer);
        let parsed =
            parse(&buffer, &LIMITS).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let Parsed::Complete { message, length } = parsed else {
            self.buffer = buffer;
            return Ok(false);
        };
        let now = mono_now();
        match message {
            Message::Request(request) => {
                self.look_at(request.uri);
                if self.effects.refused {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                if !self.effects.answer_delay.is_zero() {
                    tokio::time::sleep(self.effects.answer_delay).await;
                }
                self.session(now).on_request(&request, now);
            }
            Message::Response(_) | Message::Data(_) => self.session(now).on_activity(now),
        }
        self.buffer = buffer;
        self.buffer.drain(..length);
        // Questions are answered before the next request.
        if self.act().is_none() {
            self.outlet.flush()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(true)
    }

    /// Learns how the camera behind an address misbehaves.
    fn look_at(&mut self, uri: &str) {
        let path =
            uri.split_once("://").map_or(uri, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let path = path.split("/trackID=").next().unwrap_or(path);
        if let Some((camera, _)) = self.server.find(path) {
            camera.register(&self.outlet);
            self.effects = camera.faults.lock().effects(mono_now());
        }
        if self.locked != self.effects.wrong_password && self.playing.is_none() {
            self.locked = self.effects.wrong_password;
            self.session = None;
        }
    }

    fn session(&mut self, now: Mono) -> &mut ServerSession {
        let options = if self.locked { &self.server.locked } else { &self.server.open };
        let (options, number) = (options.clone(), self.number);
        self.session.get_or_insert_with(|| {
            ServerSession::new(options, number, u64::from_ne_bytes(random_bytes()), now)
        })
    }

    /// Does what the session wants. `None` when the connection is over, otherwise when to come back.
    fn act(&mut self) -> Option<Mono> {
        let heard = Mono::from_nanos(self.outlet.heard.swap(0, Ordering::Relaxed));
        loop {
            let now = mono_now();
            let Some(session) = &mut self.session else { return Some(now + Duration::from_secs(30)) };
            if heard != Mono::ZERO {
                session.on_activity(heard);
            }
            match session.poll(now) {
                ServerAction::Send(bytes) => {
                    if !self.outlet.send(bytes.into()) {
                        return None;
                    }
                }
                ServerAction::Describe { path } => {
                    let answer = self.describe(&path);
                    let answer = answer.as_deref().map_err(|&refusal| refusal);
                    self.session.as_mut()?.described(answer);
                }
                ServerAction::SetUp { path, track, transport } => {
                    let answer = self.set_up(&path, track, transport);
                    self.session.as_mut()?.set_up(answer);
                }
                ServerAction::Start { path, .. } => self.start(&path, now)?,
                ServerAction::Pause => self.stop(),
                ServerAction::Stop => {
                    self.stop();
                    self.targets = [None, None];
                }
                ServerAction::WaitUntil(at) => return Some(at),
                ServerAction::Close => return None,
            }
        }
    }

    fn find(&self, path: &str) -> Result<Arc<Stream>, Refusal> {
        if self.effects.not_found {
            return Err(Refusal::NotFound);
        }
        self.server.find(path).map(|(_, stream)| stream).ok_or(Refusal::NotFound)
    }

    fn describe(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        let stream = self.find(path)?;
        let mut writer = DescriptionWriter::new(self.number, &stream.path);
        for (index, payload) in stream.payloads().iter().enumerate() {
            writer.media(payload, (index == 0).then(|| f64::from(stream.rate_milli) / 1000.0));
        }
        Ok(writer.finish())
    }

    fn set_up(&mut self, path: &str, track: usize, transport: Lower) -> Result<SetUpAnswer, Refusal> {
        let stream = self.find(path)?;
        let ssrc = stream.ssrc(track).ok_or(Refusal::NotFound)?;
        let slot = self.targets.get_mut(track).ok_or(Refusal::NotFound)?;
        let mut ports = None;
        *slot = Some(match transport {
            Lower::Interleaved { rtp, rtcp } => Target::Interleaved { rtp, rtcp },
            Lower::Udp { client, .. } => {
                let (rtp, rtcp, bound) =
                    bind_pair(self.server.options.listen).map_err(|_| Refusal::Unavailable)?;
                ports = Some(bound);
                Target::Udp {
                    rtp: Arc::new(rtp),
                    rtcp: Arc::new(rtcp),
                    rtp_to: SocketAddr::new(self.peer.ip(), client.0),
                    rtcp_to: SocketAddr::new(self.peer.ip(), client.1),
                }
            }
        });
        Ok(SetUpAnswer { ports, ssrc: Some(ssrc) })
    }

    fn start(&mut self, path: &str, now: Mono) -> Option<()> {
        let session = self.session.as_mut()?;
        let stream = match self.server.find(path) {
            Some((_, stream)) if stream.figures().viewers < VIEWERS_MAX => stream,
            found => {
                let refusal = found.map_or(Refusal::NotFound, |_| Refusal::NotEnoughBandwidth);
                session.started(Err(refusal));
                return Some(());
            }
        };
        let viewer = Viewer::new(self.outlet.clone(), self.targets.clone());
        let outlet = &self.outlet;
        let targets = &self.targets;
        let was_idle = stream.start(viewer, now, |infos| {
            let infos: Vec<RtpInfo> = infos
                .iter()
                .filter(|info| targets.get(info.track).is_some_and(Option::is_some))
                .copied()
                .collect();
            session.started(Ok(&infos));
            // The answer goes before the first packet.
            if let ServerAction::Send(bytes) = session.poll(now)
                && !outlet.send(bytes.into())
            {
                outlet.close();
            }
        });
        if was_idle {
            self.server.schedule.start(&stream);
        }
        self.playing = Some(stream);
        Some(())
    }

    fn stop(&mut self) {
        if let Some(stream) = self.playing.take() {
            stream.stop(|viewer| Arc::ptr_eq(&viewer.outlet, &self.outlet));
        }
    }
}

/// Two neighbouring ports, the first even (RFC 3550 §11).
fn bind_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket, (u16, u16))> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let first = UdpSocket::bind((address, 0))?;
        let port = first.local_addr()?.port();
        let other = if port % 2 == 0 { port + 1 } else { port - 1 };
        if let Ok(second) = UdpSocket::bind((address, other)) {
            first.set_nonblocking(true)?;
            second.set_nonblocking(true)?;
            let (rtp, rtcp) = if port % 2 == 0 { (first, second) } else { (second, first) };
            return Ok((rtp, rtcp, (port & !1, port | 1)));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
