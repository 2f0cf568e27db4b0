//! The server's thread: sockets, viewers and tracks, and the one loop that serves them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use str0m::media::MediaKind;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, Rtc, RtcConfig};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use varde_codec::Format;

use crate::outbox::Outbox;
use crate::session::{Sending, Viewer};
use crate::track::{Backlog, Track, TrackId, TrackMessage};
use crate::{interfaces, offer};

/// Longest datagram that is read; more is cut and then refused.
const DATAGRAM_BYTES_MAX: usize = 2_000;
/// Datagrams and messages taken in one turn, so that neither starves the other.
const TURN_MAX: usize = 256;
const MEDIA_WAITING_MAX: usize = 8_192;
/// Addresses from which one viewer may have sent.
const ADDRESSES_PER_VIEWER_MAX: usize = 16;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of this machine that viewers are offered; empty: all that are found at the start.
    pub addresses: Vec<IpAddr>,
    /// One UDP port for all; 0 lets the kernel choose.
    pub port: u16,
    pub sessions_max: usize,
    pub offer_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { addresses: Vec::new(), port: 0, sessions_max: 512, offer_bytes_max: 64 << 10 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The offer is not one; the sentence says why.
    #[error("the offer can't be read: {0}")]
    BadOffer(String),
    /// No payload type of the offer fits the stream.
    #[error("the offer has no codec that fits this stream")]
    NoCodec,
    #[error("all {0} sessions are in use")]
    TooMany(usize),
    #[error("the WebRTC server has stopped")]
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

/// An opened session. Dropping it ends nothing: call [`Server::close`].
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    /// The SDP answer.
    pub answer: String,
    /// Whether the viewer gets sound: the offer may have no room for it.
    pub has_audio: bool,
    /// Resolves when the session has ended, whoever ended it.
    pub ended: oneshot::Receiver<()>,
}

enum Control {
    Open {
        offer: String,
        video: Option<(TrackId, Arc<Format>)>,
        audio: Option<(TrackId, Arc<Format>)>,
        reply: oneshot::Sender<Result<Session, Error>>,
    },
    Close(SessionId),
    NewTrack(TrackId, Arc<Format>),
}

#[derive(Debug, Default)]
struct Counters {
    sessions: AtomicU64,
    packets_sent: AtomicU64,
    packets_dropped: AtomicU64,
}

/// Counts since the start; `sessions` is of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub sessions: u64,
    pub packets_sent: u64,
    pub packets_dropped: u64,
}

/// Handle to the WebRTC server. The thread ends when the last handle and track are gone.
#[derive(Clone)]
pub struct Server {
    control: mpsc::UnboundedSender<Control>,
    media: mpsc::Sender<(TrackId, TrackMessage)>,
    track_control: mpsc::UnboundedSender<(TrackId, TrackMessage)>,
    next_track: Arc<AtomicU64>,
    addresses: Arc<[SocketAddr]>,
    offer_bytes_max: usize,
    counters: Arc<Counters>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the sockets and starts the thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let addresses =
            if settings.addresses.is_empty() { interfaces::discover()? } else { settings.addresses.clone() };
        let sockets = interfaces::bind(&addresses, settings.port)?;
        let addresses: Arc<[SocketAddr]> =
            sockets.iter().map(std::net::UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let (control, control_in) = mpsc::unbounded_channel();
        let (media, media_in) = mpsc::channel(MEDIA_WAITING_MAX);
        let (track_control, track_in) = mpsc::unbounded_channel();
        let counters = Arc::<Counters>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (locals, own_counters) = (addresses.clone(), counters.clone());
        std::thread::Builder::new().name("webrtc".into()).spawn(move || {
            runtime.block_on(async move {
                let sockets = sockets.into_iter().map(UdpSocket::from_std).collect::<io::Result<Vec<_>>>();
                match sockets {
                    Ok(sockets) => {
                        let outboxes = sockets.iter().map(|_| Outbox::default()).collect();
                        Loop {
                            sockets,
                            outboxes,
                            locals,
                            sessions_max: settings.sessions_max,
                            config: Rtc::builder()
                                .set_ice_lite(true)
                                .set_rtp_mode(true)
                                .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags())),
                            viewers: HashMap::new(),
                            by_address: HashMap::new(),
                            by_ufrag: HashMap::new(),
                            backlogs: HashMap::new(),
                            next_viewer: 0,
                            counters: own_counters,
                        }
                        .run(control_in, media_in, track_in)
                        .await;
                    }
                    Err(error) => tracing::error!(%error, "WebRTC sockets failed"),
                }
            });
        })?;
        Ok(Self {
            control,
            media,
            track_control,
            next_track: Arc::default(),
            addresses,
            offer_bytes_max: settings.offer_bytes_max,
            counters,
        })
    }

    /// Where viewers are told to send.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.counters.sessions.load(Ordering::Relaxed),
            packets_sent: self.counters.packets_sent.load(Ordering::Relaxed),
            packets_dropped: self.counters.packets_dropped.load(Ordering::Relaxed),
        }
    }

    /// A stream that viewers may be given. `format` must be one that [`Track::carries`].
    pub fn track(&self, format: Arc<Format>) -> Track {
        let id = TrackId(self.next_track.fetch_add(1, Ordering::Relaxed));
        let track = Track::new(id, format.clone(), self.media.clone(), self.track_control.clone());
        let _ = self.control.send(Control::NewTrack(id, format));
        track
    }

    /// Answers a WHEP offer. The viewer gets the video, and the sound if the offer has room for it.
    pub async fn open(
        &self,
        offer: &str,
        video: Option<&Track>,
        audio: Option<&Track>,
    ) -> Result<Session, Error> {
        if offer.len() > self.offer_bytes_max {
            return Err(Error::BadOffer(format!("it is longer than {} bytes", self.offer_bytes_max)));
        }
        let side = |track: Option<&Track>| {
            track.map(|track| (track.id, track.format.lock().expect("no holder panics").clone()))
        };
        let (reply, answer) = oneshot::channel();
        let open = Control::Open { offer: offer.to_owned(), video: side(video), audio: side(audio), reply };
        self.control.send(open).map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Ends a session; one that has ended already stays so.
    pub fn close(&self, session: SessionId) {
        let _ = self.control.send(Control::Close(session));
    }
}

struct Loop {
    sockets: Vec<UdpSocket>,
    outboxes: Vec<Outbox>,
    locals: Arc<[SocketAddr]>,
    sessions_max: usize,
    config: RtcConfig,
    viewers: HashMap<u64, Viewer>,
    by_address: HashMap<SocketAddr, u64>,
    by_ufrag: HashMap<String, u64>,
    backlogs: HashMap<TrackId, Backlog>,
    next_viewer: u64,
    counters: Arc<Counters>,
}

impl Loop {
    async fn run(
        mut self,
        mut control: mpsc::UnboundedReceiver<Control>,
        mut media: mpsc::Receiver<(TrackId, TrackMessage)>,
        mut track_control: mpsc::UnboundedReceiver<(TrackId, TrackMessage)>,
    ) {
        let mut touched: Vec<u64> = Vec::new();
        loop {
            let now = Instant::now();
            let due = self.viewers.iter().filter(|(_, viewer)| viewer.timeout <= now).map(|(&key, _)| key);
            touched.extend(due);
            touched.sort_unstable();
            touched.dedup();
            for key in touched.drain(..) {
                self.poll_viewer(key, now);
            }
            self.flush();
            let deadline = self.viewers.values().map(|viewer| viewer.timeout).min();
            let deadline = deadline.unwrap_or(now + Duration::from_secs(3600)).max(now);
            tokio::select! {
                // A track is made known before its units come.
                biased;
                message = control.recv() => {
                    let Some(message) = message else { return };
                    self.on_control(message, &mut touched);
                }
                Some((track, message)) = track_control.recv() => self.on_track(track, message, &mut touched),
                () = self.ready() => self.on_datagrams(&mut touched),
                Some((track, message)) = media.recv() => {
                    self.on_track(track, message, &mut touched);
                    for _ in 0..TURN_MAX {
                        while let Ok(message) = control.try_recv() {
                            self.on_control(message, &mut touched);
                        }
                        let Ok((track, message)) = media.try_recv() else { break };
                        self.on_track(track, message, &mut touched);
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }

    /// Resolves when a socket has something to read, or room again for what waits.
    async fn ready(&self) {
        std::future::poll_fn(|context| {
            for (socket, outbox) in self.sockets.iter().zip(&self.outboxes) {
                if socket.poll_recv_ready(context).is_ready()
                    || (!outbox.is_empty() && socket.poll_send_ready(context).is_ready())
                {
                    return std::task::Poll::Ready(());
                }
            }
            std::task::Poll::Pending
        })
        .await;
    }

    fn flush(&mut self) {
        let (mut sent, mut dropped) = (0, 0);
        for (socket, outbox) in self.sockets.iter().zip(&mut self.outboxes) {
            let viewers = &mut self.viewers;
            outbox.flush(socket, |viewer, bytes| {
                if let Some(viewer) = viewers.get_mut(&viewer) {
                    viewer.queued_bytes -= bytes;
                }
            });
            sent += outbox.sent;
            dropped += outbox.dropped;
        }
        self.counters.packets_sent.store(sent, Ordering::Relaxed);
        self.counters.packets_dropped.store(dropped, Ordering::Relaxed);
    }

    fn on_control(&mut self, message: Control, touched: &mut Vec<u64>) {
        match message {
            Control::Open { offer, video, audio, reply } => {
                let opened = self.open(&offer, video, audio);
                let key = opened.as_ref().ok().map(|session| session.id);
                if let Err(Ok(session)) = reply.send(opened) {
                    self.remove(session.id.0);
                } else if let Some(SessionId(key)) = key {
                    touched.push(key);
                }
            }
            Control::Close(SessionId(key)) => self.remove(key),
            Control::NewTrack(track, format) => {
                self.backlogs.insert(track, Backlog::new(format.codec()));
            }
        }
    }

    fn on_track(&mut self, track: TrackId, message: TrackMessage, touched: &mut Vec<u64>) {
        if let TrackMessage::Unit(_, waiting) = &message {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(backlog) = self.backlogs.get_mut(&track) else { return };
        let watching =
            |(_, viewer): &(&u64, &mut Viewer)| viewer.sendings.iter().any(|sending| sending.track == track);
        match message {
            TrackMessage::Unit(picture, _) => {
                let now = Instant::now();
                backlog.push(picture.clone());
                for (&key, viewer) in self.viewers.iter_mut().filter(watching) {
                    if viewer.is_connected() {
                        viewer.unit(now, track, &picture);
                        touched.push(key);
                    }
                }
            }
            TrackMessage::Format(format) if format.codec() == backlog.codec => {
                backlog.clear();
                self.viewers.iter_mut().filter(watching).for_each(|(_, v)| v.wait_for_entry_point(track));
            }
            TrackMessage::Format(_) | TrackMessage::End => {
                self.backlogs.remove(&track);
                let keys: Vec<u64> = self.viewers.iter_mut().filter(watching).map(|(&key, _)| key).collect();
                keys.into_iter().for_each(|key| self.remove(key));
            }
        }
    }

    fn open(
        &mut self,
        text: &str,
        video: Option<(TrackId, Arc<Format>)>,
        audio: Option<(TrackId, Arc<Format>)>,
    ) -> Result<Session, Error> {
        if self.viewers.len() >= self.sessions_max {
            return Err(Error::TooMany(self.sessions_max));
        }
        let parsed = offer::parse(text).map_err(Error::BadOffer)?;
        let now = Instant::now();
        let side = |side: &Option<(TrackId, Arc<Format>)>| side.as_ref().map(|(_, format)| format.clone());
        let config = offer::configure(self.config.clone(), side(&video).as_deref(), side(&audio).as_deref());
        let mut rtc = config.build(now);
        for &local in self.locals.iter() {
            let candidate =
                Candidate::host(local, "udp").map_err(|error| Error::BadOffer(error.to_string()))?;
            rtc.add_local_candidate(candidate);
        }
        let answer =
            rtc.sdp_api().accept_offer(parsed).map_err(|error| Error::BadOffer(error.to_string()))?;
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        let answer = answer.to_sdp_string();
        let mids = sections(&answer);
        let mut sendings = Vec::new();
        for (track, format) in video.iter().chain(&audio) {
            let Some((mid, pt)) = offer::choose(&rtc, &mids, format) else { continue };
            let random = *rtc.direct_api().new_ssrc();
            let medium = format.medium();
            // RFC 7587 §4.1: Opus counts at 48 kHz; the others at their own rate, which is the file's too.
            sendings.push(Sending::new(*track, medium, mid, pt, format.timescale(), random, now));
        }
        let has = |of: &Option<(TrackId, Arc<Format>)>| {
            of.as_ref().is_some_and(|(track, _)| sendings.iter().any(|sending| sending.track == *track))
        };
        if sendings.is_empty() || (video.is_some() && !has(&video)) {
            return Err(Error::NoCodec);
        }
        let has_audio = has(&audio);
        let (ended, on_end) = oneshot::channel();
        let key = self.next_viewer;
        self.next_viewer += 1;
        self.by_ufrag.insert(ufrag.clone(), key);
        self.viewers.insert(key, Viewer::new(rtc, sendings, ufrag, now, ended));
        self.counters.sessions.store(self.viewers.len() as u64, Ordering::Relaxed);
        Ok(Session { id: SessionId(key), answer, has_audio, ended: on_end })
    }

    fn remove(&mut self, key: u64) {
        let Some(mut viewer) = self.viewers.remove(&key) else { return };
        self.by_ufrag.remove(&viewer.ufrag);
        viewer.addresses.iter().for_each(|address| {
            self.by_address.remove(address);
        });
        self.counters.sessions.store(self.viewers.len() as u64, Ordering::Relaxed);
        if let Some(ended) = viewer.ended.take() {
            let _ = ended.send(());
        }
    }

    fn poll_viewer(&mut self, key: u64, now: Instant) {
        let Some(viewer) = self.viewers.get_mut(&key) else { return };
        let (locals, outboxes) = (&self.locals, &mut self.outboxes);
        let mut transmit = |queued: &mut usize, datagram: str0m::net::Transmit| {
            let Some(socket) = locals.iter().position(|local| *local == datagram.source) else { return };
            *queued += outboxes[socket].push(key, datagram.destination, datagram.contents.into());
        };
        let mut alive = viewer.poll(now, &mut transmit);
        if alive && viewer.catch_up(now, |track| self.backlogs.get(&track)) {
            alive = viewer.poll(now, &mut transmit);
            // The second poll forgot when the next piece is due.
            viewer.catch_up(now, |track| self.backlogs.get(&track));
        }
        if !alive {
            self.remove(key);
        }
    }

    fn on_datagrams(&mut self, touched: &mut Vec<u64>) {
        let mut buffer = [0u8; DATAGRAM_BYTES_MAX];
        for index in 0..self.sockets.len() {
            for _ in 0..TURN_MAX {
                let Ok((length, source)) = self.sockets[index].try_recv_from(&mut buffer) else { break };
                if let Some(key) = self.on_datagram(index, source, &buffer[..length]) {
                    touched.push(key);
                }
            }
        }
    }

    /// A known address names its viewer. From an unknown one, only a connectivity check counts, which names the viewer
    /// by its ufrag and proves it by the password (RFC 8445 §7.3).
    fn on_datagram(&mut self, socket: usize, source: SocketAddr, bytes: &[u8]) -> Option<u64> {
        let now = Instant::now();
        let receive = Receive::new(Protocol::Udp, source, self.locals[socket], bytes).ok()?;
        if let Some(&key) = self.by_address.get(&source) {
            let viewer = self.viewers.get_mut(&key)?;
            let input = Input::Receive(now, receive);
            if viewer.accepts(&input) {
                if let Input::Receive(_, receive) = input {
                    viewer.receive(now, receive);
                }
                return Some(key);
            }
            // The address has a new owner: the check below says who.
        }
        let message = str0m::ice::StunMessage::parse(bytes).ok()?;
        let (ufrag, _) = message.split_username()?;
        let key = *self.by_ufrag.get(ufrag)?;
        let viewer = self.viewers.get_mut(&key)?;
        let receive = Receive::new(Protocol::Udp, source, self.locals[socket], bytes).ok()?;
        let input = Input::Receive(now, receive);
        if !viewer.accepts(&input) || viewer.addresses.len() >= ADDRESSES_PER_VIEWER_MAX {
            return None;
        }
        if let Some(former) = self.by_address.insert(source, key)
            && former != key
            && let Some(former) = self.viewers.get_mut(&former)
        {
            former.addresses.retain(|address| *address != source);
        }
        let viewer = self.viewers.get_mut(&key)?;
        if !viewer.addresses.contains(&source) {
            viewer.addresses.push(source);
        }
        if let Input::Receive(_, receive) = input {
            viewer.receive(now, receive);
        }
        Some(key)
    }
}

/// The media sections of our own answer that are not refused: their ids and kinds, in order.
fn sections(answer: &str) -> Vec<(str0m::media::Mid, MediaKind)> {
    let mut list = Vec::new();
    let mut kind = None;
    for line in answer.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            kind = match media.split(' ').next() {
                Some("video") => Some(MediaKind::Video),
                Some("audio") => Some(MediaKind::Audio),
                _ => None,
            };
        } else if let (Some(of), Some(mid)) = (kind, line.strip_prefix("a=mid:")) {
            list.push((mid.trim().into(), of));
        }
    }
    list
}
