//! One RTSP connection as a server sees it: requests in, answers and things to do out.
//!
//! Decides what a request may do in which state, who may ask, and when a session is over. Refuses to know what is
//! served: it asks the caller for a description, for ports, for a start, and goes on when the answer comes. A session
//! ends with its connection. Follows RFC 2326.

mod request;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use varde_units::Mono;

use crate::auth::Verifier;
use crate::message::{Request, write_response};
use crate::transport::{Lower, TransportHeader};

/// Tracks of one session.
const TRACKS_MAX: usize = 8;

/// What all connections of a server have in common.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The `Server` header.
    pub name: String,
    /// A session without a sign of life for this long is over; also how long a connection may say nothing.
    pub session_timeout: Duration,
    /// `None`: anyone may come in.
    pub verifier: Option<Verifier>,
}

/// What the caller does next. Actions that ask are answered before the next request is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Answer with [`ServerSession::described`]. `path` begins with `/` and keeps its query.
    Describe { path: String },
    /// Answer with [`ServerSession::set_up`]. For [`Lower::Udp`] bind a pair of ports; send to the connection's peer
    /// address and to no other.
    SetUp { path: String, track: usize, transport: Lower },
    /// Answer with [`ServerSession::started`], then send packets.
    Start { path: String, tracks: Vec<(usize, Lower)> },
    /// Send no more packets until the next `Start`.
    Pause,
    /// The session is over: send no more, give the ports back. A new one may begin on the same connection.
    Stop,
    /// Nothing to do until a request comes, at the latest until this instant.
    WaitUntil(Mono),
    /// Close the connection once everything is written.
    Close,
}

/// Why the caller does not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotFound,
    UnsupportedTransport,
    NotEnoughBandwidth,
    Unavailable,
}

impl Refusal {
    const fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::UnsupportedTransport => 461,
            Self::NotEnoughBandwidth => 453,
            Self::Unavailable => 503,
        }
    }
}

/// What the caller has made ready for a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetUpAnswer {
    /// The ports bound for RTP and RTCP; for UDP only.
    pub ports: Option<(u16, u16)>,
    pub ssrc: Option<u32>,
}

/// The first packet of a track after a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInfo {
    pub track: usize,
    pub sequence: u16,
    pub timestamp: u32,
}

/// One connection. See the module.
#[derive(Debug)]
pub struct ServerSession {
    options: Arc<ServerOptions>,
    connection: u64,
    /// The identifier of the session that is or will be.
    session_id: String,
    out: VecDeque<ServerAction>,
    session: Option<Session>,
    pending: Option<Pending>,
    heard: Mono,
    replay: crate::auth::ReplayGuard,
    closed: bool,
}

#[derive(Debug)]
struct Session {
    path: String,
    tracks: Vec<Track>,
    playing: bool,
}

#[derive(Debug)]
struct Track {
    index: usize,
    url: String,
    transport: Lower,
}

/// A question to the caller, and what its answer goes back to.
#[derive(Debug)]
struct Pending {
    cseq: Option<u32>,
    uri: String,
    question: Question,
}

#[derive(Debug)]
enum Question {
    Describe,
    SetUp { path: String, track: usize, transport: Lower },
    Start,
}

impl ServerSession {
    /// `connection` is a number that no other connection of this server has; `session_id` is random and becomes the
    /// session's identifier.
    pub fn new(options: Arc<ServerOptions>, connection: u64, session_id: u64, now: Mono) -> Self {
        Self {
            options,
            connection,
            session_id: format!("{session_id:016X}"),
            out: VecDeque::new(),
            session: None,
            pending: None,
            heard: now,
            replay: crate::auth::ReplayGuard::default(),
            closed: false,
        }
    }

    /// Takes a request. Hand in the next when [`Self::poll`] has come to `WaitUntil`.
    pub fn on_request(&mut self, request: &Request<'_>, now: Mono) {
        self.heard = now;
        self.take(request, now);
    }

    /// The client gave a sign of life other than a request: an RTCP packet, a response.
    pub fn on_activity(&mut self, now: Mono) {
        self.heard = now;
    }

    /// What to do next.
    pub fn poll(&mut self, now: Mono) -> ServerAction {
        if let Some(action) = self.out.pop_front() {
            return action;
        }
        if self.closed {
            return ServerAction::Close;
        }
        let over = self.heard + self.options.session_timeout;
        if now < over || self.kept_by_connection() {
            return ServerAction::WaitUntil(if now < over {
                over
            } else {
                now + self.options.session_timeout
            });
        }
        self.closed = true;
        match self.session.take() {
            Some(_) => ServerAction::Stop,
            None => ServerAction::Close,
        }
    }

    /// Whether packets flow within the connection, which then shows by itself that the client lives.
    fn kept_by_connection(&self) -> bool {
        self.session.as_ref().is_some_and(|session| {
            let interleaved = |track: &Track| matches!(track.transport, Lower::Interleaved { .. });
            session.playing && session.tracks.iter().all(interleaved)
        })
    }

    /// Answers [`ServerAction::Describe`] with a session description (see [`crate::sdp::DescriptionWriter`]).
    pub fn described(&mut self, answer: Result<&[u8], Refusal>) {
        let Some(pending) = self.pending.take_if(|each| matches!(each.question, Question::Describe)) else {
            return;
        };
        match answer {
            Ok(sdp) => {
                let base = format!("{}/", pending.uri.trim_end_matches('/'));
                let headers = [("Content-Type", "application/sdp"), ("Content-Base", base.as_str())];
                self.respond(200, pending.cseq, &headers, sdp);
            }
            Err(refusal) => self.respond(refusal.status(), pending.cseq, &[], &[]),
        }
    }

    /// Answers [`ServerAction::SetUp`].
    pub fn set_up(&mut self, answer: Result<SetUpAnswer, Refusal>) {
        let is_set_up = |each: &mut Pending| matches!(each.question, Question::SetUp { .. });
        let Some(pending) = self.pending.take_if(is_set_up) else { return };
        let Question::SetUp { path, track, mut transport } = pending.question else { return };
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return self.respond(refusal.status(), pending.cseq, &[], &[]),
        };
        if let Lower::Udp { server, .. } = &mut transport {
            *server = answer.ports;
        }
        let session =
            self.session.get_or_insert_with(|| Session { path, tracks: Vec::new(), playing: false });
        session.tracks.retain(|each| each.index != track);
        session.tracks.push(Track { index: track, url: pending.uri, transport });
        let transport = TransportHeader::response(transport, answer.ssrc);
        let id = self.session_header(true);
        self.respond(200, pending.cseq, &[("Transport", &transport), ("Session", &id)], &[]);
    }

    /// Answers [`ServerAction::Start`]; the answer to the client names the first packets where they are known.
    pub fn started(&mut self, answer: Result<&[RtpInfo], Refusal>) {
        let Some(pending) = self.pending.take_if(|each| matches!(each.question, Question::Start)) else {
            return;
        };
        let infos = match answer {
            Ok(infos) => infos,
            Err(refusal) => return self.respond(refusal.status(), pending.cseq, &[], &[]),
        };
        let Some(session) = &mut self.session else { return };
        session.playing = true;
        let url = |index| session.tracks.iter().find(|track| track.index == index).map(|track| &track.url);
        let infos: Vec<String> = infos
            .iter()
            .filter_map(|info| {
                let url = url(info.track)?;
                Some(format!("url={url};seq={};rtptime={}", info.sequence, info.timestamp))
            })
            .collect();
        let (infos, id) = (infos.join(","), self.session_header(false));
        let mut headers = vec![("Session", id.as_str()), ("Range", "npt=0.000-")];
        if !infos.is_empty() {
            headers.push(("RTP-Info", &infos));
        }
        self.respond(200, pending.cseq, &headers, &[]);
    }

    fn session_header(&self, with_timeout: bool) -> String {
        if with_timeout {
            format!("{};timeout={}", self.session_id, self.options.session_timeout.as_secs())
        } else {
            self.session_id.clone()
        }
    }

    fn respond(&mut self, status: u16, cseq: Option<u32>, headers: &[(&str, &str)], body: &[u8]) {
        let mut all = Vec::with_capacity(headers.len() + 1);
        all.push(("Server", self.options.name.as_str()));
        all.extend_from_slice(headers);
        let mut bytes = Vec::with_capacity(256 + body.len());
        write_response(&mut bytes, status, cseq, &all, body);
        self.out.push_back(ServerAction::Send(bytes));
    }
}
