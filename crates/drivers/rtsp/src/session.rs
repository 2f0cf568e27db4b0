//! One connection to a camera, from the first request to its end.
//!
//! Glue between sockets, [`ClientSession`] and [`Media`]: reads into a buffer that all sessions of the thread share, hands
//! each message on where it lies, and watches that something comes.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use varde_net::CameraConnection;
use varde_rtsp::RtspUrl;
use varde_rtsp::auth::Credentials;
use varde_rtsp::client::{ClientAction, ClientError, ClientOptions, ClientSession, Delivery, Wanted};
use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_units::Mono;

use crate::datagrams::Datagrams;
use crate::failure::Failure;
use crate::media::Media;
use crate::source::Source;

/// Room for the longest message and a full read behind it.
const RECEIVE_BYTES: usize = 256 << 10;
/// Reads of one connection before the others have their turn.
const READS_MAX: usize = 4;
/// Kept allocated for an unfinished message; more is given back once it is used up.
const REST_BYTES_KEPT: usize = 16 << 10;
/// How long a session that plays may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long packets may come before the first unit: cameras that save bits send a key frame every 20 s or so.
const FIRST_UNIT_MAX: Duration = Duration::from_secs(30);
/// UDP that shows no packet for this long will show none.
const UDP_TRIAL: Duration = Duration::from_secs(5);
/// How long the answer to a goodbye is waited for.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
const HOUSEKEEPING: Duration = Duration::from_secs(1);

thread_local! {
    /// Where every read of the thread goes. What is left unfinished moves to its session.
    static RECEIVE: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECEIVE_BYTES].into_boxed_slice());
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    Stopped,
    Failed(Failure),
    /// Begin anew there, if the address is allowed.
    Moved(RtspUrl),
    /// Begin anew, interleaved.
    UseTcp,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(Failure::connection(&error))
    }
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Moved { url } => Self::Moved(url),
            ClientError::TransportRefused => Self::UseTcp,
            error => Self::Failed(Failure::session(&error)),
        }
    }
}

pub(crate) struct Session<'s> {
    source: &'s mut Source,
    connection: CameraConnection,
    protocol: ClientSession,
    media: Media,
    datagrams: Datagrams,
    /// The beginning of a message whose end has not come.
    rest: Vec<u8>,
    /// Bytes of the connection that are used up, for messages about bad ones.
    used: u64,
    playing_since: Option<Mono>,
}

impl<'s> Session<'s> {
    pub(crate) fn new(source: &'s mut Source, url: RtspUrl, connection: CameraConnection) -> Self {
        let options = ClientOptions {
            url,
            credentials: source
                .credentials
                .as_ref()
                .map(|each| Credentials { user: each.user.clone(), password: each.password.clone() }),
            user_agent: source.world.user_agent.clone(),
            delivery: source.delivery,
            wanted: Wanted {
                video: source.spec.video.is_some(),
                audio: source.spec.audio.is_some(),
                metadata: source.spec.metadata.is_some(),
            },
        };
        let entropy = source.world.surroundings.random(u64::MAX);
        let protocol = ClientSession::new(options, entropy, source.now());
        let datagrams = Datagrams::none(connection.peer().ip());
        Self {
            source,
            connection,
            protocol,
            media: Media::none(),
            datagrams,
            rest: Vec::new(),
            used: 0,
            playing_since: None,
        }
    }

    /// Until the session ends, however it does.
    pub(crate) async fn run(&mut self) -> End {
        let end = match self.work().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        self.media.finish(self.source.now(), self.source.world.outlet.as_ref());
        let lost = matches!(&end, End::Failed(failure) if !failure.worth_a_goodbye());
        if !lost {
            // Cameras have few sessions to give, and keep one by UDP until it times out.
            let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.say_goodbye()).await;
        }
        end
    }

    /// Packets received and lost, and since when units came.
    pub(crate) fn result(&self) -> ((u64, u64), Option<Mono>) {
        (self.media.packets(), self.media.first_unit)
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, End> {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.act()?;
            let deadline = self.media.deadline();
            let late = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep(deadline.since(self.source.now())).await,
                    None => std::future::pending().await,
                }
            };
            let mut control = self.source.control.clone();
            tokio::select! {
                () = self.connection.readable() => self.read()?,
                () = self.datagrams.readable() => self.receive()?,
                () = late => self.media.on_time(self.source.now(), self.source.outlet()),
                _ = housekeeping.tick() => self.keep_house()?,
                changed = control.changed() => {
                    self.source.control = control;
                    self.obey(changed.is_err())?;
                }
            }
        }
    }

    /// Does what the protocol asks for.
    fn act(&mut self) -> Result<(), End> {
        loop {
            let now = self.source.now();
            match self.protocol.poll(now)? {
                ClientAction::Send(bytes) => self.connection.write(&bytes)?,
                ClientAction::BindPorts { tracks } => {
                    let ports = self.datagrams.bind(tracks, self.connection.local().ip())?;
                    self.protocol.on_ports(&ports, now);
                }
                ClientAction::Ready => {
                    let surroundings = self.source.world.surroundings.as_ref();
                    self.media.begin(&self.source.spec, self.protocol.tracks(), surroundings)?;
                }
                ClientAction::Playing => self.playing_since = Some(now),
                // Housekeeping polls again soon enough.
                ClientAction::WaitUntil(_) => return Ok(()),
                ClientAction::Close => return Err(End::Stopped),
            }
        }
    }

    /// Reads what is there and hands it on, message by message, where it lies.
    fn read(&mut self) -> Result<(), End> {
        let now = self.source.now();
        RECEIVE.with_borrow_mut(|buffer| -> Result<(), End> {
            let mut filled = self.rest.len();
            buffer[..filled].copy_from_slice(&self.rest);
            self.rest.clear();
            self.rest.shrink_to(REST_BYTES_KEPT);
            for _ in 0..READS_MAX {
                let room = buffer.len() - filled;
                let count = match self.connection.read(&mut buffer[filled..]) {
                    Ok(0) => return Err(Failure::closed().into()),
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                filled += count;
                let used = self.take(&buffer[..filled], now)?;
                buffer.copy_within(used..filled, 0);
                filled -= used;
                if count < room {
                    break;
                }
            }
            self.rest.extend_from_slice(&buffer[..filled]);
            Ok(())
        })?;
        self.note_units();
        Ok(())
    }

    /// Takes every whole message of `bytes`; tells how much they were.
    fn take(&mut self, bytes: &[u8], now: Mono) -> Result<usize, End> {
        let limits = Limits::default();
        let mut at = 0;
        while at < bytes.len() {
            let parsed = parse(&bytes[at..], &limits).map_err(|error| Failure::message(&error, self.used))?;
            let Parsed::Complete { message, length } = parsed else { break };
            match message {
                Message::Data(data) => {
                    self.media.on_frame(data.channel, data.payload, now, self.source.world.outlet.as_ref());
                }
                Message::Response(response) => self.protocol.on_response(&response, now)?,
                Message::Request(request) => self.protocol.on_request(&request)?,
            }
            // PLAY's tracks must be ready before the packets right behind its answer are looked at.
            if !matches!(bytes[at], b'$') {
                self.act()?;
            }
            at += length;
            self.used = self.used.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        Ok(at)
    }

    fn receive(&mut self) -> Result<(), End> {
        let now = self.source.now();
        let (media, outlet) = (&mut self.media, self.source.world.outlet.as_ref());
        RECEIVE.with_borrow_mut(|buffer| {
            self.datagrams.receive(buffer, |track, port, packet| {
                media.on_packet(track, port, packet, now, outlet);
            });
        });
        self.note_units();
        Ok(())
    }

    /// The camera is online from the first unit on, not from the first answer.
    fn note_units(&mut self) {
        if self.media.first_unit.is_some() {
            self.source.enter_online();
        }
    }

    fn keep_house(&mut self) -> Result<(), End> {
        let now = self.source.now();
        let mut reports = Vec::new();
        if self.playing_since.is_some() {
            self.media.report(now, &mut reports, &self.datagrams);
            let clock_offset_ms = self
                .media
                .clock()
                .camera_time(now)
                .map(|camera| camera.signed_micros_since(self.source.world.surroundings.utc()) / 1_000);
            self.source.tell_health(self.media.packets(), self.media.drift_ppm(), clock_offset_ms);
        }
        if reports.is_empty() {
            self.connection.flush()?;
        } else {
            self.connection.write(&reports)?;
        }
        self.listen_for_silence(now)
    }

    fn listen_for_silence(&self, now: Mono) -> Result<(), End> {
        let Some(playing_since) = self.playing_since else { return Ok(()) };
        let packet_age = now.since(self.media.last_packet.unwrap_or(playing_since).max(playing_since));
        let udp = self.source.delivery == Delivery::Udp;
        if udp && self.media.last_packet.is_none() && packet_age >= UDP_TRIAL {
            return Err(End::UseTcp);
        }
        // A metadata source speaks when something happens; only the connection shows that it is there.
        if self.source.spec.video.is_none() && self.source.spec.audio.is_none() {
            return Ok(());
        }
        if packet_age >= SILENCE_MAX {
            return Err(Failure::silent(packet_age.as_secs()).into());
        }
        let (unit_age, patience) = match self.media.last_unit {
            Some(at) => (now.since(at), SILENCE_MAX),
            None => (now.since(playing_since), FIRST_UNIT_MAX),
        };
        if unit_age >= patience {
            return Err(
                Failure::bad_data("packets come, but no picture or sound can be made of them", None).into()
            );
        }
        Ok(())
    }

    /// Does what the driver wants.
    fn obey(&mut self, driver_gone: bool) -> Result<(), End> {
        if driver_gone || self.source.stopped() {
            return Err(End::Stopped);
        }
        let peer = self.connection.peer().ip();
        let networks = std::sync::Arc::clone(&self.source.control.borrow().networks);
        if !networks.iter().any(|network| network.contains(peer)) {
            return Err(Failure::no_longer_allowed(peer).into());
        }
        self.source.tell();
        Ok(())
    }

    async fn say_goodbye(&mut self) -> Result<(), End> {
        let answer_due = self.protocol.tear_down(self.source.now());
        let told = self.act();
        if !answer_due || !matches!(told, Err(End::Stopped)) {
            return told;
        }
        // Until the camera has answered or hung up: closing with bytes unread would reset the connection, and the
        // camera might never see the goodbye.
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.connection.readable().await;
            match self.connection.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) if buffer[..count].windows(5).any(|bytes| bytes == b"RTSP/") => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
