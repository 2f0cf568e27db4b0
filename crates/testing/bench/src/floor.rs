//! The floor: the least that recording RTSP over TCP can cost. One thread, epoll, RTP framing stripped, writes of
//! 1 MiB, and nothing else: no files that play, no index, no hashes, no flush.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::epoll;
use varde_rtsp::RtspUrl;
use varde_rtsp::client::{ClientAction, ClientOptions, ClientSession, Delivery, Wanted};
use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_units::Mono;

const WRITE_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 256 << 10;

struct Camera {
    socket: TcpStream,
    file: File,
    /// Stripped payload that waits for its write.
    media: Vec<u8>,
    /// An interleaved frame that is not whole yet.
    rest: Vec<u8>,
}

/// Records all streams until it is killed.
pub fn run(urls: &[String], user: &str, password: &str, folder: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
    let mut cameras = Vec::new();
    for (number, url) in urls.iter().enumerate() {
        let (socket, rest) = play(url, user, password)?;
        socket.set_nonblocking(true).map_err(text)?;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, socket.as_fd(), data, epoll::EventFlags::IN).map_err(|error| error.to_string())?;
        let file = File::create(folder.join(format!("{number}.raw"))).map_err(text)?;
        cameras.push(Camera { socket, file, media: Vec::with_capacity(2 * WRITE_BYTES), rest });
    }
    println!("{}", serde_json::json!({ "streams": cameras.len() }));
    let mut buffer = vec![0; READ_BYTES];
    let mut events = Vec::with_capacity(cameras.len());
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)
            .map_err(|error| error.to_string())?;
        for event in &events {
            let camera = &mut cameras[event.data.u64() as usize];
            match camera.socket.read(&mut buffer) {
                Ok(0) => return Err("a camera ended its stream".into()),
                Ok(count) => camera.take(&buffer[..count]).map_err(text)?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Camera {
    fn take(&mut self, mut input: &[u8]) -> std::io::Result<()> {
        // Completes the frame that the last read cut, then goes on in place.
        while !self.rest.is_empty() && !input.is_empty() {
            let missing = match self.rest.len() {
                0..4 => 4 - self.rest.len(),
                have => 4 + frame_length(&self.rest) - have,
            };
            let (head, tail) = input.split_at(missing.min(input.len()));
            self.rest.extend_from_slice(head);
            input = tail;
            if self.rest.len() >= 4 && self.rest.len() == 4 + frame_length(&self.rest) {
                let whole = std::mem::take(&mut self.rest);
                self.frame(&whole);
                self.rest = whole;
                self.rest.clear();
            }
        }
        while input.len() >= 4 {
            let length = 4 + frame_length(input);
            if input.len() < length {
                break;
            }
            self.frame(&input[..length]);
            input = &input[length..];
        }
        self.rest.extend_from_slice(input);
        if self.media.len() >= WRITE_BYTES {
            self.file.write_all(&self.media)?;
            self.media.clear();
        }
        Ok(())
    }

    /// Strips four bytes of framing and twelve of RTP header; only RTP channels carry media.
    fn frame(&mut self, frame: &[u8]) {
        if frame[0] == b'$' && frame[1].is_multiple_of(2) && frame.len() > 16 {
            self.media.extend_from_slice(&frame[16..]);
        }
    }
}

fn frame_length(frame: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([frame[2], frame[3]]))
}

/// Brings a session to PLAY. Gives the socket and what was read beyond the last answer.
fn play(url: &str, user: &str, password: &str) -> Result<(TcpStream, Vec<u8>), String> {
    let url = RtspUrl::parse(url).map_err(|error| error.to_string())?;
    let authority = url.as_str().trim_start_matches("rtsp://").split('/').next().unwrap_or_default();
    let mut socket = TcpStream::connect(authority).map_err(|error| format!("{authority}: {error}"))?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
    let options = ClientOptions {
        url,
        credentials: Some(varde_rtsp::auth::Credentials { user: user.into(), password: password.into() }),
        user_agent: "varde-bench".into(),
        delivery: Delivery::Interleaved,
        wanted: Wanted { video: true, audio: false, metadata: false },
    };
    let now = || varde_ambient::mono_now();
    let mut session = ClientSession::new(options, varde_ambient::random_below_or_equal(u64::MAX), now());
    let mut input = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match session.poll(now()).map_err(|error| error.to_string())? {
            ClientAction::Send(bytes) => socket.write_all(&bytes).map_err(|error| error.to_string())?,
            ClientAction::Playing => return Ok((socket, input)),
            ClientAction::Ready => {}
            ClientAction::BindPorts { .. } | ClientAction::Close => {
                return Err("the session went astray".into());
            }
            ClientAction::WaitUntil(_) => {
                let count = socket.read(&mut buffer).map_err(|error| error.to_string())?;
                if count == 0 {
                    return Err("the camera closed the connection".into());
                }
                input.extend_from_slice(&buffer[..count]);
                answers(&mut session, &mut input, now())?;
            }
        }
    }
}

/// Hands over every whole answer; stops before media.
fn answers(session: &mut ClientSession, input: &mut Vec<u8>, now: Mono) -> Result<(), String> {
    while !input.is_empty() {
        let used = match parse(input, &Limits::default()).map_err(|error| error.to_string())? {
            Parsed::Incomplete { .. } => return Ok(()),
            Parsed::Complete { message: Message::Response(response), length } => {
                session.on_response(&response, now).map_err(|error| error.to_string())?;
                length
            }
            Parsed::Complete { message: Message::Data(_), .. } => return Ok(()),
            Parsed::Complete { length, .. } => length,
        };
        input.drain(..used);
    }
    Ok(())
}
