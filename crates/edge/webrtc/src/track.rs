//! One stream on its way to viewers: cut into payloads by whoever brings the units, replayed and sent by the server's
//! thread. Whatever happens there, bringing a unit never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;
use varde_codec::{AccessUnit, Codec, Format, Medium};
use varde_units::Mono;

use crate::payload::{Payload, payloads};

/// Units of one track that may wait for the server's thread. At the limit the track drops up to its next entry point.
const UNITS_WAITING_MAX: usize = 128;

/// What is kept for viewers who begin: at most this much since the last entry point. Beyond it, a new viewer waits
/// for the next entry point.
const BACKLOG_BYTES_MAX: usize = 8 << 20;
const BACKLOG_UNITS_MAX: usize = 1_500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TrackId(pub(crate) u64);

/// A unit, cut.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) time: Mono,
    pub(crate) entry_point: bool,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) enum TrackMessage {
    Format(Arc<Format>),
    /// The counter is that of units on their way, this one among them.
    Unit(Arc<Picture>, Arc<AtomicUsize>),
    End,
}

/// A stream that viewers may be given. Ends, for all of them, when it is dropped.
#[derive(Debug)]
pub struct Track {
    pub(crate) id: TrackId,
    pub(crate) format: std::sync::Mutex<Arc<Format>>,
    media: mpsc::Sender<(TrackId, TrackMessage)>,
    control: mpsc::UnboundedSender<(TrackId, TrackMessage)>,
    waiting: Arc<AtomicUsize>,
    broken: AtomicBool,
    ended: AtomicBool,
}

impl Track {
    pub(crate) fn new(
        id: TrackId,
        format: Arc<Format>,
        media: mpsc::Sender<(TrackId, TrackMessage)>,
        control: mpsc::UnboundedSender<(TrackId, TrackMessage)>,
    ) -> Self {
        Self {
            id,
            format: std::sync::Mutex::new(format),
            media,
            control,
            waiting: Arc::default(),
            broken: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Whether WebRTC can carry this format: H.264, H.265, Opus, and G.711 at 8 kHz mono.
    pub fn carries(format: &Format) -> bool {
        match *format {
            Format::Alaw { sample_rate, channels } | Format::Ulaw { sample_rate, channels } => {
                sample_rate == 8_000 && channels == 1
            }
            ref other => matches!(other.codec(), Codec::H264 | Codec::H265 | Codec::Opus),
        }
    }

    pub fn codec(&self) -> Codec {
        self.format.lock().expect("no holder panics").codec()
    }

    /// Units are missing before the next one: nothing goes out before an entry point.
    pub fn interrupt(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether the codec has changed: nobody gets this track any more.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The stream's configuration changed. Another codec ends the track and the sessions that watch; they come back by
    /// themselves, and want a new track.
    pub fn set_format(&self, format: Arc<Format>) {
        if format.codec() != self.codec() {
            self.ended.store(true, Ordering::Relaxed);
        }
        *self.format.lock().expect("no holder panics") = format.clone();
        // A lost format would garble all that follows, so it takes the lane that never fills: formats are rare.
        let _ = self.control.send((self.id, TrackMessage::Format(format)));
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Sends a unit to all who watch. Never waits: at the limit, units are dropped up to the next entry point.
    pub fn send(&self, unit: &AccessUnit) {
        let broken = self.broken.load(Ordering::Relaxed);
        if broken && !unit.flags.entry_point {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) >= UNITS_WAITING_MAX {
            self.broken.store(true, Ordering::Relaxed);
            return;
        }
        let format = self.format.lock().expect("no holder panics").clone();
        let payloads = payloads(&format, unit);
        let bytes = payloads.iter().map(|payload| payload.data.len()).sum();
        let picture = Picture { time: unit.time, entry_point: unit.flags.entry_point, payloads, bytes };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let message = TrackMessage::Unit(Arc::new(picture), self.waiting.clone());
        let sent = self.media.try_send((self.id, message)).is_ok();
        if !sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.broken.store(!sent, Ordering::Relaxed);
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        let _ = self.control.send((self.id, TrackMessage::End));
    }
}

/// What the server's thread keeps of a track.
#[derive(Debug)]
pub(crate) struct Backlog {
    pub(crate) codec: Codec,
    pictures: Vec<Arc<Picture>>,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec, pictures: Vec::new(), bytes: 0 }
    }

    pub(crate) fn push(&mut self, picture: Arc<Picture>) {
        if self.codec.medium() != Medium::Video {
            return;
        }
        if picture.entry_point {
            self.clear();
        } else if self.pictures.is_empty() {
            return;
        }
        self.bytes += picture.bytes;
        self.pictures.push(picture);
        if self.bytes > BACKLOG_BYTES_MAX || self.pictures.len() > BACKLOG_UNITS_MAX {
            self.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.pictures.clear();
        self.bytes = 0;
    }

    /// Everything since the latest entry point, that one first; empty where there is none.
    pub(crate) fn pictures(&self) -> &[Arc<Picture>] {
        &self.pictures
    }
}
