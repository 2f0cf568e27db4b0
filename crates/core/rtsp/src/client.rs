//! One RTSP connection as a client sees it: from OPTIONS to the flow of packets, and its keep-alive.
//!
//! Owns no socket and reads no clock: the caller hands in parsed messages and the time, writes what
//! [`ClientAction::Send`] holds, and calls [`ClientSession::poll`] again at the instant it names. Decides which tracks
//! of a presentation are taken and what an answer means; refuses to follow a redirect, to reconnect, and to know what
//! is in the packets. Follows RFC 2326, and cameras where they differ.

mod answer;
mod select;

use std::collections::VecDeque;
use std::time::Duration;

use varde_codec::Medium;
use varde_units::Mono;

use crate::auth::{Authenticator, Credentials};
use crate::message::{Request, Response, write_request, write_response};
use crate::rtp::PayloadParameters;
use crate::transport::{Lower, TransportHeader};
use crate::url::RtspUrl;

/// How long a camera may take to answer before packets flow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 2326 §12.37: the time-out of a session that names none.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub url: RtspUrl,
    pub credentials: Option<Credentials>,
    pub user_agent: String,
    pub delivery: Delivery,
    pub wanted: Wanted,
}

/// How the client asks for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Interleaved,
    Udp,
}

/// The media that somebody reads. At most one track of each is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub video: bool,
    pub audio: bool,
    pub metadata: bool,
}

/// A track that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrack {
    pub medium: Medium,
    pub payload: PayloadParameters,
    /// Its control URL, resolved.
    pub url: String,
    /// `None` until the camera has answered SETUP.
    pub transport: Option<Lower>,
    /// What the camera said that its packets' SSRC would be. Several cameras send another.
    pub ssrc: Option<u32>,
}

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAction {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Bind this many pairs of ports and answer with [`ClientSession::on_ports`].
    BindPorts { tracks: usize },
    /// Every track has its transport (see [`ClientSession::tracks`]). Packets may come from now on: several cameras
    /// send before they answer PLAY.
    Ready,
    /// The camera answered PLAY.
    Playing,
    /// Nothing to do until bytes come, at the latest until this instant.
    WaitUntil(Mono),
    /// TEARDOWN was sent; close the connection once everything is written.
    Close,
}

/// Why a session came to nothing. Each variant is another state of the camera or another next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Trying again with the same password may lock the account out.
    #[error("the camera refused user name and password (status {status})")]
    WrongPassword { status: u16 },
    #[error("the camera has no such stream (status {status})")]
    NoSuchStream { status: u16 },
    /// `offered` lists the encodings of the description.
    #[error("no usable track; the camera offers {offered}")]
    UnsupportedCodec { offered: String },
    /// UDP was refused: try again interleaved.
    #[error("the camera refused the transport")]
    TransportRefused,
    /// The caller may begin anew at `url` if it allows that address.
    #[error("the camera sends to {url}")]
    Moved { url: RtspUrl },
    #[error("the camera answered {method} with {status} {reason}")]
    Refused { method: &'static str, status: u16, reason: String },
    /// What the camera said can't be understood.
    #[error("{0}")]
    BadAnswer(String),
    #[error("no answer to {method} within {} s", ANSWER_TIMEOUT.as_secs())]
    NoAnswer { method: &'static str },
    /// The camera ended a session that was playing.
    #[error("the camera ended the session ({0})")]
    Ended(&'static str),
}

/// One connection. See the module.
#[derive(Debug)]
pub struct ClientSession {
    options: ClientOptions,
    /// Random; makes the client nonces of digest authentication.
    entropy: u64,
    step: Step,
    out: VecDeque<ClientAction>,
    cseq: u32,
    outstanding: Option<Outstanding>,
    authenticator: Option<Authenticator>,
    tracks: Vec<ClientTrack>,
    /// The ports that the caller bound, one pair a track.
    ports: Vec<(u16, u16)>,
    /// URL for PLAY, keep-alive and TEARDOWN.
    aggregate_url: String,
    session: Option<String>,
    session_timeout: Duration,
    keep_alive_by_parameter: bool,
    keep_alive_due: Mono,
    error: Option<ClientError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Options,
    Describe,
    Ports,
    SetUp { track: usize },
    Play,
    Playing,
    Over,
}

/// A request without its answer.
#[derive(Debug)]
struct Outstanding {
    cseq: u32,
    method: &'static str,
    sent: Mono,
    /// Whether a challenge to this very request was answered before.
    challenged: bool,
}

impl ClientSession {
    /// Begins a session on a connection that stands. `entropy` is random.
    pub fn new(options: ClientOptions, entropy: u64, now: Mono) -> Self {
        let aggregate_url = options.url.as_str().to_owned();
        let mut session = Self {
            options,
            entropy,
            step: Step::Options,
            out: VecDeque::new(),
            cseq: 0,
            outstanding: None,
            authenticator: None,
            tracks: Vec::new(),
            ports: Vec::new(),
            aggregate_url,
            session: None,
            session_timeout: SESSION_TIMEOUT,
            keep_alive_by_parameter: false,
            keep_alive_due: now,
            error: None,
        };
        session.ask(now, false);
        session
    }

    /// The tracks that were taken, in the order of the description; empty before it came.
    pub fn tracks(&self) -> &[ClientTrack] {
        &self.tracks
    }

    /// Takes an answer of the camera.
    ///
    /// # Errors
    /// The session is over; close the connection.
    pub fn on_response(&mut self, response: &Response<'_>, now: Mono) -> Result<(), ClientError> {
        self.watch(|session| session.take_response(response, now))
    }

    /// Takes a request of the camera: pings are answered, an end is an end.
    ///
    /// # Errors
    /// The session is over; close the connection.
    pub fn on_request(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        self.watch(|session| session.take_request(request))
    }

    /// Answers [`ClientAction::BindPorts`], one pair (RTP, RTCP) a track.
    pub fn on_ports(&mut self, ports: &[(u16, u16)], now: Mono) {
        if self.step == Step::Ports {
            debug_assert_eq!(ports.len(), self.tracks.len());
            self.ports = ports.to_vec();
            self.step = Step::SetUp { track: 0 };
            self.ask(now, false);
        }
    }

    /// What to do next.
    ///
    /// # Errors
    /// The session is over; close the connection.
    pub fn poll(&mut self, now: Mono) -> Result<ClientAction, ClientError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if let Some(action) = self.out.pop_front() {
            return Ok(action);
        }
        match self.step {
            Step::Over => Ok(ClientAction::Close),
            Step::Playing => {
                if now < self.keep_alive_due {
                    return Ok(ClientAction::WaitUntil(self.keep_alive_due));
                }
                // An answer is not insisted on: packets that flow say more, and their absence the caller notices.
                self.ask(now, false);
                self.keep_alive_due = now + self.keep_alive_interval();
                Ok(self.out.pop_front().expect("a request was just queued"))
            }
            Step::Ports => Ok(ClientAction::WaitUntil(now + ANSWER_TIMEOUT)),
            Step::Options | Step::Describe | Step::SetUp { .. } | Step::Play => {
                let outstanding = self.outstanding.as_ref().expect("these steps wait for an answer");
                let due = outstanding.sent + ANSWER_TIMEOUT;
                if now < due {
                    return Ok(ClientAction::WaitUntil(due));
                }
                let error = ClientError::NoAnswer { method: outstanding.method };
                self.error = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the session politely; poll on for what is left to send, until [`ClientAction::Close`]. Tells whether the
    /// camera has something to answer.
    pub fn tear_down(&mut self, now: Mono) -> bool {
        let known = self.session.is_some() && self.step != Step::Over;
        if known {
            self.send("TEARDOWN", self.aggregate_url.clone(), &[], now, false);
        }
        self.step = Step::Over;
        self.error = None;
        known
    }

    fn watch(&mut self, take: impl FnOnce(&mut Self) -> Result<(), ClientError>) -> Result<(), ClientError> {
        let result = match &self.error {
            Some(error) => return Err(error.clone()),
            None => take(self),
        };
        self.error = result.as_ref().err().cloned();
        result
    }

    fn keep_alive_interval(&self) -> Duration {
        (self.session_timeout / 2).clamp(Duration::from_secs(1), Duration::from_secs(300))
    }

    /// Sends the request of the present step. `challenged`: it is the second try, after a challenge.
    fn ask(&mut self, now: Mono, challenged: bool) {
        let aggregate = || self.aggregate_url.clone();
        match self.step {
            Step::Options => self.send("OPTIONS", aggregate(), &[], now, challenged),
            Step::Describe => {
                let url = self.options.url.as_str().to_owned();
                self.send("DESCRIBE", url, &[("Accept", "application/sdp")], now, challenged);
            }
            Step::SetUp { track } => {
                let channel = u8::try_from(track * 2).expect("at most three tracks");
                let transport = TransportHeader::request(match self.options.delivery {
                    Delivery::Interleaved => Lower::Interleaved { rtp: channel, rtcp: channel + 1 },
                    Delivery::Udp => Lower::Udp { client: self.ports[track], server: None },
                });
                let url = self.tracks[track].url.clone();
                self.send("SETUP", url, &[("Transport", &transport)], now, challenged);
            }
            Step::Play => self.send("PLAY", aggregate(), &[("Range", "npt=0.000-")], now, challenged),
            Step::Playing if self.keep_alive_by_parameter => {
                self.send("GET_PARAMETER", aggregate(), &[], now, challenged);
            }
            Step::Playing => self.send("OPTIONS", aggregate(), &[], now, challenged),
            Step::Ports | Step::Over => {}
        }
    }

    fn send(
        &mut self,
        method: &'static str,
        url: String,
        headers: &[(&str, &str)],
        now: Mono,
        challenged: bool,
    ) {
        self.cseq = self.cseq.wrapping_add(1);
        let answer = match (&mut self.authenticator, &self.options.credentials) {
            (Some(authenticator), Some(credentials)) => {
                let client_nonce = self.entropy.wrapping_add(u64::from(self.cseq));
                Some(authenticator.authorization(credentials, method, &url, client_nonce))
            }
            _ => None,
        };
        let mut all = Vec::with_capacity(headers.len() + 3);
        all.extend_from_slice(headers);
        all.push(("User-Agent", self.options.user_agent.as_str()));
        all.extend(self.session.as_deref().map(|session| ("Session", session)));
        all.extend(answer.as_deref().map(|answer| ("Authorization", answer)));
        let mut bytes = Vec::with_capacity(512);
        write_request(&mut bytes, method, &url, self.cseq, &all, &[]);
        self.outstanding = Some(Outstanding { cseq: self.cseq, method, sent: now, challenged });
        self.out.push_back(ClientAction::Send(bytes));
    }

    fn take_request(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        let mut bytes = Vec::with_capacity(128);
        let status = match request.method {
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" | "ANNOUNCE" => 200,
            "TEARDOWN" => return Err(ClientError::Ended("TEARDOWN")),
            "REDIRECT" => {
                return Err(match request.headers.get("Location").map(RtspUrl::parse) {
                    Some(Ok(url)) => ClientError::Moved { url },
                    _ => ClientError::Ended("REDIRECT"),
                });
            }
            _ => 501,
        };
        write_response(&mut bytes, status, request.headers.cseq(), &[], &[]);
        self.out.push_back(ClientAction::Send(bytes));
        Ok(())
    }
}
