//! A plain RTSP client over TCP without authentication. It shows what comes, packet by packet.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use varde_rtsp::message::{Limits, Message, Parsed, parse};
use varde_rtsp::rtp::Packet;
use varde_virtual_cameras::VirtualCameras;

pub(crate) const VIDEO: u8 = 0;
pub(crate) const VIDEO_RTCP: u8 = 1;

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    url: String,
    cseq: u32,
    session: String,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Came {
    Frame {
        channel: u8,
        payload: Vec<u8>,
    },
    Answer(u16),
    /// Bytes that are no RTSP.
    Nonsense,
    End,
}

/// An RTP packet that was taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Rtp {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(cameras: &VirtualCameras, path: &str) -> Self {
        let stream = TcpStream::connect(cameras.rtsp_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, buffer: Vec::new(), url: cameras.url(path), cseq: 0, session: String::new() }
    }

    /// Plays the video track.
    pub(crate) fn play(cameras: &VirtualCameras, path: &str) -> Self {
        let mut client = Self::connect(cameras, path);
        assert_eq!(client.request("DESCRIBE", "", ""), 200);
        assert_eq!(client.request("SETUP", "/trackID=0", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n"), 200);
        assert_eq!(client.request("PLAY", "/", "Range: npt=0-\r\n"), 200);
        client
    }

    /// The answer's status; zero when the connection ended first.
    pub(crate) fn request(&mut self, method: &str, suffix: &str, headers: &str) -> u16 {
        self.cseq += 1;
        let session =
            if self.session.is_empty() { String::new() } else { format!("Session: {}\r\n", self.session) };
        let text = format!(
            "{method} {}{suffix} RTSP/1.0\r\nCSeq: {}\r\n{session}{headers}\r\n",
            self.url, self.cseq
        );
        if self.stream.write_all(text.as_bytes()).is_err() {
            return 0;
        }
        loop {
            match self.next() {
                Came::Answer(status) => return status,
                Came::End => return 0,
                _ => {}
            }
        }
    }

    pub(crate) fn next(&mut self) -> Came {
        loop {
            match parse(&self.buffer, &Limits::default()) {
                Err(_) => {
                    self.buffer.clear();
                    return Came::Nonsense;
                }
                Ok(Parsed::Complete { message, length }) => {
                    let came = match message {
                        Message::Data(data) => {
                            Came::Frame { channel: data.channel, payload: data.payload.to_vec() }
                        }
                        Message::Response(response) => {
                            if let Some(session) = response.headers.get("Session") {
                                self.session = session.split(';').next().unwrap().to_owned();
                            }
                            Came::Answer(response.status)
                        }
                        Message::Request(_) => Came::Nonsense,
                    };
                    self.buffer.drain(..length);
                    return came;
                }
                Ok(Parsed::Incomplete { .. }) => {}
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Came::End,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Came::End,
                Err(error) => panic!("nothing came for half a minute: {error}"),
            }
        }
    }

    /// The next well-formed video packet.
    pub(crate) fn video(&mut self) -> Rtp {
        loop {
            match self.next() {
                Came::Frame { channel: VIDEO, payload } => {
                    if let Ok(Packet { sequence, timestamp, payload, .. }) = Packet::parse(&payload) {
                        return Rtp { sequence, timestamp, payload: payload.to_vec() };
                    }
                }
                Came::End => panic!("the connection ended"),
                _ => {}
            }
        }
    }

    pub(crate) fn videos(&mut self, count: usize) -> Vec<Rtp> {
        (0..count).map(|_| self.video()).collect()
    }
}
