//! A WHEP player of the tests: str0m in frame mode over a loopback socket.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

pub(crate) struct Received {
    pub(crate) mid: Mid,
    pub(crate) time: Duration,
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    pending: Option<SdpPendingOffer>,
    pub(crate) offer: String,
    pub(crate) video: Mid,
    pub(crate) audio: Mid,
    pub(crate) received: Vec<Received>,
    pub(crate) closed: bool,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_h264(true)
            .enable_h265(true)
            .enable_opus(true, false)
            .enable_pcma(true, false)
            .enable_pcmu(true, false)
            .set_crypto_provider(std::sync::Arc::new(str0m::crypto::from_feature_flags()))
            .build(Instant::now());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let mut api = rtc.sdp_api();
        let video = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let audio = api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        Self {
            rtc,
            socket,
            pending: Some(pending),
            offer: offer.to_sdp_string(),
            video,
            audio,
            received: Vec::new(),
            closed: false,
        }
    }

    pub(crate) fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending.take().unwrap(), answer).unwrap();
    }

    pub(crate) fn ask_for_key_frame(&mut self) {
        let mid = self.video;
        let mut direct = self.rtc.direct_api();
        direct.stream_rx_by_mid(mid, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
    }

    pub(crate) fn frames(&self, mid: Mid) -> impl Iterator<Item = &Received> {
        self.received.iter().filter(move |received| received.mid == mid)
    }

    /// Plays until `enough` says so. `each` runs every few milliseconds. Panics after 20 s.
    pub(crate) fn play(&mut self, mut each: impl FnMut(), enough: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        let mut buffer = [0u8; 2_000];
        while !enough(self) {
            assert!(began.elapsed() < Duration::from_secs(20), "{} frames came", self.received.len());
            each();
            let timeout = loop {
                match self.rtc.poll_output().unwrap() {
                    Output::Timeout(at) => break at,
                    Output::Transmit(datagram) => {
                        self.socket.send_to(&datagram.contents, datagram.destination).unwrap();
                    }
                    Output::Event(Event::MediaData(data)) => self.received.push(Received {
                        mid: data.mid,
                        time: data.time.into(),
                        data: data.data.to_vec(),
                    }),
                    Output::Event(Event::Closed) => {
                        self.closed = true;
                        return;
                    }
                    Output::Event(_) => {}
                }
            };
            let wait = timeout.saturating_duration_since(Instant::now()).min(Duration::from_millis(5));
            self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
            let input = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => Input::Receive(
                    Instant::now(),
                    Receive::new(Protocol::Udp, source, self.socket.local_addr().unwrap(), &buffer[..length])
                        .unwrap(),
                ),
                Err(_) => Input::Timeout(Instant::now()),
            };
            self.rtc.handle_input(input).unwrap();
        }
    }
}
