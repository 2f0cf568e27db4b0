//! A clock that tests turn, a camera that never tires, and a store around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use parking_lot::Mutex;
use serde_json::Map;
use varde_api::codes::{EventType, GapCause};
use varde_codec::{AccessUnit, Format, UnitFlags};
use varde_ids::{ChannelId, InstallationId, StorageId, StreamId, WriterId};
use varde_media_store::disk::FaultDisk;
use varde_media_store::{
    Ambient, EventSink, FlushMode, OpenError, Store, StoreEvent, StoreOptions, TrackSpec, TrackWriter,
};
use varde_units::{ByteSize, Mono, Utc};

/// How often a test tries: a sample, or the full count where `cargo xtask soak` sets it in `variable`.
pub fn tries(variable: &str, sample: u64) -> u64 {
    std::env::var(variable).map_or(sample, |text| text.parse().expect("the count is a number"))
}

/// Where random choices begin: the same in every test run, another in every soak.
pub fn seed() -> u64 {
    tries("VARDE_SOAK_SEED", 0)
}

/// 2026-11-23T19:40:00Z.
pub const START: i64 = 1_795_462_800_000_000;

#[derive(Debug)]
pub struct TestClock {
    mono: AtomicU64,
    offset_micros: AtomicI64,
    random: AtomicU64,
    pub synchronised: AtomicBool,
}

impl TestClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            mono: AtomicU64::new(1_000_000_000_000),
            offset_micros: AtomicI64::new(START - 1_000_000_000),
            random: AtomicU64::new(1),
            synchronised: AtomicBool::new(false),
        })
    }

    pub fn advance(&self, span: Duration) {
        self.mono.fetch_add(span.as_nanos() as u64, Ordering::SeqCst);
    }

    /// Turns the wall clock; the monotonic one goes on.
    pub fn step(&self, seconds: i64) {
        self.offset_micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Ambient for TestClock {
    fn mono(&self) -> Mono {
        Mono::from_nanos(self.mono.load(Ordering::SeqCst))
    }

    fn utc(&self) -> Utc {
        let micros = self.mono.load(Ordering::SeqCst) as i64 / 1000;
        Utc::from_micros(micros + self.offset_micros.load(Ordering::SeqCst))
    }

    fn synchronised(&self) -> bool {
        self.synchronised.load(Ordering::SeqCst)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            *byte = (next >> 29) as u8;
        }
    }
}

#[derive(Debug, Default)]
pub struct Events(pub Mutex<Vec<StoreEvent>>);

impl EventSink for Events {
    fn event(&self, event: StoreEvent) {
        self.0.lock().push(event);
    }
}

impl Events {
    pub fn states(&self) -> Vec<String> {
        let events = self.0.lock();
        let states = events.iter().filter(|event| event.kind == EventType::StorageState);
        states.map(|event| event.data["state"].as_str().unwrap().to_owned()).collect()
    }
}

/// Everything around a store: opening it again is another run of the recorder.
#[derive(Debug)]
pub struct Bench {
    pub clock: Arc<TestClock>,
    pub events: Arc<Events>,
    pub index: tempfile::TempDir,
    pub options: StoreOptions,
    runs: u8,
}

impl Bench {
    pub fn new() -> Self {
        let index = tempfile::tempdir().unwrap();
        let now = Utc::from_micros(START);
        let mut options = StoreOptions::new(
            "/nowhere",
            index.path(),
            InstallationId::new(now, [1; 10]),
            StorageId::new(now, [2; 10]),
            WriterId::new(now, [0; 10]),
            signing_key(),
        );
        options.create = true;
        options.free_min = ByteSize(0);
        options.flush_mode = FlushMode::EachFile;
        options.flush_interval = Duration::from_millis(5);
        Self { clock: TestClock::new(), events: Arc::default(), index, options, runs: 0 }
    }

    pub fn try_open(&mut self, disk: &FaultDisk) -> Result<Store, OpenError> {
        self.runs += 1;
        self.options.writer = WriterId::new(Utc::from_micros(START), [self.runs; 10]);
        let mut options = self.options.clone();
        options.index_folder = self.index.path().to_owned();
        Store::open_on(Arc::new(disk.clone()), options, self.clock.clone(), self.events.clone())
    }

    pub fn open(&mut self, disk: &FaultDisk) -> Store {
        self.try_open(disk).unwrap()
    }

    /// A new data folder: the index is gone.
    pub fn lose_index(&mut self) {
        self.index = tempfile::tempdir().unwrap();
    }
}

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

pub fn channel(number: u8) -> ChannelId {
    ChannelId::new(Utc::from_micros(START), [number; 10])
}

pub fn stream(number: u8) -> StreamId {
    StreamId::new(Utc::from_micros(START), [100 + number; 10])
}

pub fn spec(number: u8) -> TrackSpec {
    TrackSpec {
        channel: channel(number),
        stream: stream(number),
        priority: 5,
        retention: None,
        channel_name: format!("Camera {number}"),
        device_name: "Test".into(),
    }
}

pub fn h264() -> Arc<Format> {
    Arc::new(Format::H264 {
        sps: Bytes::from_static(&[
            0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
            0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x83, 0x19, 0x60,
        ]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0])],
        width: 1280,
        height: 720,
    })
}

/// A camera at 25 pictures a second with a key frame each second; each picture says its number.
#[derive(Debug)]
pub struct Camera {
    pub track: TrackWriter,
    clock: Arc<TestClock>,
    pub next: u64,
    pub bytes: usize,
    pub key_every: u64,
    last_sent: Utc,
}

pub const FRAME: Duration = Duration::from_millis(40);

impl Camera {
    pub fn new(store: &Store, clock: &Arc<TestClock>, number: u8) -> Self {
        Self::with(store, clock, spec(number))
    }

    pub fn with(store: &Store, clock: &Arc<TestClock>, spec: TrackSpec) -> Self {
        let mut track = store.writer(spec);
        track.format(h264());
        Self { track, clock: Arc::clone(clock), next: 0, bytes: 700, key_every: 25, last_sent: far_past() }
    }

    /// Sends pictures while the clock goes on.
    pub fn run(&mut self, frames: u64) {
        for _ in 0..frames {
            self.frame();
            self.clock.advance(FRAME);
        }
    }

    /// Sends one picture at the present instant.
    pub fn frame(&mut self) {
        let now = self.clock.mono();
        let key = self.next.is_multiple_of(self.key_every);
        self.track.append(AccessUnit {
            sequence: self.next,
            time: now,
            decode_time: now,
            received: now,
            camera_time: None,
            flags: UnitFlags { entry_point: key, ..UnitFlags::default() },
            data: picture(self.next, key, self.bytes),
        });
        self.next += 1;
        self.last_sent = self.clock.utc();
    }

    pub fn gap(&mut self, cause: GapCause) {
        let now = self.clock.mono();
        self.track.gap(cause, Map::new(), now);
        // The next picture after a gap is a key frame.
        self.next = self.next.next_multiple_of(self.key_every);
    }

    /// Waits until everything that was sent is durable. The last half second is still being collected.
    pub fn settle(&mut self) {
        let goal = self.last_sent;
        self.clock.advance(Duration::from_secs(2));
        self.track.tick(self.clock.mono());
        self.next = self.next.next_multiple_of(self.key_every);
        wait("all is durable", || self.track.durable_until().is_some_and(|until| until > goal));
    }
}

/// One NAL unit of so many bytes that says its number.
pub fn picture(number: u64, key: bool, bytes: usize) -> Bytes {
    let mut nal = vec![if key { 0x65 } else { 0x41 }];
    nal.extend_from_slice(&number.to_be_bytes());
    while nal.len() < bytes {
        nal.push((number as u8).wrapping_mul(31).wrapping_add(nal.len() as u8) | 1);
    }
    let mut data = (nal.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(&nal);
    data.into()
}

pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn far_past() -> Utc {
    Utc::EPOCH
}

pub fn far_future() -> Utc {
    Utc::from_micros(START * 3)
}

/// The numbers of all pictures of a stream that a reader gets, in order.
pub fn pictures(store: &Store, number: u8) -> Vec<u64> {
    let plan = store.plan(stream(number), far_past(), far_future(), false, 1_000_000).unwrap();
    let mut numbers = Vec::new();
    for file in plan.files {
        for fragment in &file.fragments {
            let bytes = store.read(&file.file, fragment.offset, fragment.bytes as usize).unwrap();
            assert_eq!(bytes.len() as u64, fragment.bytes);
            let info = varde_fmp4::read_fragment(&bytes).unwrap();
            assert_eq!(info.decode_time, fragment.start_ticks);
            for sample in info.samples {
                let nal = &bytes[sample.offset as usize + 4..][..sample.bytes as usize - 4];
                let picture = u64::from_be_bytes(nal[1..9].try_into().unwrap());
                assert_eq!(&self::picture(picture, nal[0] == 0x65, nal.len())[4..], nal);
                numbers.push(picture);
            }
        }
    }
    numbers
}
