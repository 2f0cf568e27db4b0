//! The cameras of one server: their streams, found by path, and their misbehaviour.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use varde_ambient::{mono_now, random_bytes, random_token, utc_now};
use varde_rtsp::auth::{Credentials, Nonces, Verifier};
use varde_rtsp::server::ServerOptions;
use varde_units::{Mono, Utc};

use crate::Error;
use crate::fault::{ActiveFault, Fault, Faults, Show};
use crate::footage::{Footage, Picture, Wanted, sound};
use crate::options::{Audio, CAMERAS_MAX, Options, Video, rate_milli};
use crate::schedule::Schedule;
use crate::stream::{State, Stream};
use crate::viewer::Outlet;

/// Cameras made on request under `/codec/`.
const CODEC_CAMERAS_MAX: usize = 64;
/// What padding aims at where the bench loop is shown.
const BENCH_BITRATE: u64 = 4_000_000;
/// Padding is kept in memory.
const BITRATE_MAX: u64 = 200_000_000;
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
const NONCE_LIFE: Duration = Duration::from_secs(300);
const REALM: &str = "virtual cameras";

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    /// For connections as they should be, and for those where no password fits.
    pub(crate) open: Arc<ServerOptions>,
    pub(crate) locked: Arc<ServerOptions>,
    pub(crate) schedule: Arc<Schedule>,
    /// Misbehaviour of the whole server: `Refuse` closes each connection as it comes.
    pub(crate) faults: Mutex<Faults>,
    next_connection: AtomicU64,
    footage: Arc<Footage>,
    zero: (Mono, Utc),
    cameras: BTreeMap<u32, Arc<Camera>>,
    codec_cameras: Mutex<BTreeMap<String, Arc<Camera>>>,
}

/// One camera.
#[derive(Debug)]
pub(crate) struct Camera {
    /// `1`, or `h264-aac` for those under `/codec/`.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) faults: Arc<Mutex<Faults>>,
    pub(crate) streams: Vec<Arc<Stream>>,
    connections: Mutex<Vec<Weak<Outlet>>>,
}

impl Server {
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        if options.count > CAMERAS_MAX {
            return Err(Error::Options { what: format!("at most {CAMERAS_MAX} cameras") });
        }
        if options.bitrate.is_some_and(|bitrate| bitrate > BITRATE_MAX) {
            return Err(Error::Options { what: format!("at most {BITRATE_MAX} bits a second") });
        }
        let verifier = |password: String| {
            let account = Credentials { user: options.user.clone(), password };
            Verifier::new(REALM, vec![account], Nonces::new(random_bytes(), NONCE_LIFE), options.basic)
        };
        let rtsp = |verifier| {
            let name = "Varde virtual cameras".to_owned();
            Arc::new(ServerOptions { name, session_timeout: SESSION_TIMEOUT, verifier })
        };
        let open = rtsp((!options.password.is_empty()).then(|| verifier(options.password.clone())));
        let locked = rtsp(Some(verifier(random_token())));
        let mut server = Self {
            open,
            locked,
            schedule: Arc::default(),
            faults: Mutex::default(),
            next_connection: AtomicU64::new(1),
            footage: Arc::default(),
            zero: (mono_now(), utc_now()),
            cameras: BTreeMap::new(),
            codec_cameras: Mutex::default(),
            options,
        };
        for number in 1..=server.options.count {
            let camera = server.numbered(number)?;
            server.cameras.insert(number, Arc::new(camera));
        }
        Ok(server)
    }

    /// Whether connections are closed as they come.
    pub(crate) fn refuses(&self) -> bool {
        self.faults.lock().effects(mono_now()).refused
    }

    /// Begins a misbehaviour of the whole server.
    pub(crate) fn start_fault(&self, fault: Fault, duration: Option<Duration>) -> Result<ActiveFault, Error> {
        let active = self.faults.lock().start(fault, duration, mono_now()).ok_or_else(too_many)?;
        self.cameras().iter().for_each(|camera| camera.disconnect_all());
        Ok(active)
    }

    pub(crate) fn connection_number(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    fn numbered(&self, number: u32) -> Result<Camera, Error> {
        let index = number as usize - 1;
        let (main, sub) = match (self.options.sources.as_slice(), self.options.video) {
            ([], Video::Scenes) => (Picture::scene(index, true), Picture::scene(index, false)),
            ([], Video::H264BFrames) => (Picture::BFrames, Picture::scene(index, false)),
            ([], Video::H264LongGop) => (Picture::LongGop, Picture::scene(index, false)),
            ([], Video::H264Bench) => (Picture::Bench, Picture::scene(index, false)),
            ([], Video::H265) => (Picture::H265, Picture::scene(index, false)),
            ([], Video::Mjpeg) => (Picture::Mjpeg, Picture::scene(index, false)),
            (sources, _) => {
                let file = Picture::File(sources[index % sources.len()].clone());
                (file.clone(), file)
            }
        };
        let faults = Arc::new(Mutex::new(Faults::default()));
        let seed = self.options.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)).wrapping_mul(2);
        let bitrate = match (self.options.bitrate, self.options.video) {
            (None, Video::H264Bench) => Some(BENCH_BITRATE),
            (bitrate, _) => bitrate,
        };
        let name = main.name();
        let path = |role| format!("/camera/{number}/{role}");
        let audio = self.options.audio;
        let main = self.stream(path("main"), "main", main, audio, bitrate, &faults, seed)?;
        let sub = self.stream(path("sub"), "sub", sub, audio, None, &faults, seed + 1)?;
        let streams = vec![Arc::new(main), Arc::new(sub)];
        Ok(Camera { id: number.to_string(), name, faults, streams, connections: Mutex::default() })
    }

    #[expect(clippy::too_many_arguments, reason = "one caller for each kind of camera, and all differ")]
    fn stream(
        &self,
        path: String,
        role: &'static str,
        picture: Picture,
        audio: Audio,
        bitrate: Option<u64>,
        faults: &Arc<Mutex<Faults>>,
        seed: u64,
    ) -> Result<Stream, Error> {
        let counter = self.options.counter;
        let wanted = |picture: Picture, bitrate| Wanted { picture, counter, bitrate };
        let native = self.footage.clip(&wanted(picture.clone(), None))?.rate_milli;
        let rate = match self.options.fps {
            None => native,
            Some(fps) => rate_milli(fps)
                .ok_or_else(|| Error::Options { what: "0.1 to 240 pictures a second".to_owned() })?,
        };
        let padding = bitrate.map(|bitrate| (bitrate, rate));
        let usual = wanted(picture.clone(), padding);
        let mut choices = vec![(Show::Usual, usual.clone())];
        let other = match picture {
            Picture::Scene(index, large) => Some(Picture::Scene(index, !large)),
            Picture::BFrames | Picture::LongGop | Picture::Bench => Some(Picture::scene(0, true)),
            Picture::H265 | Picture::Mjpeg | Picture::File(_) => None,
        };
        if let Some(other) = other {
            choices.push((Show::OtherResolution, wanted(other, padding)));
            choices.push((Show::LongGop, wanted(Picture::LongGop, padding)));
            choices.push((Show::BFrames, wanted(Picture::BFrames, padding)));
        }
        let clip = self.footage.clip(&usual)?;
        let audio = sound(audio).map(Arc::new);
        let state = State::new(clip, audio.as_deref(), seed);
        // Cameras do not send at the same instant, yet their counters are never more than one apart.
        let half_period_micros = 500_000_000 / u64::from(rate);
        let phase = Duration::from_micros((seed / 2).wrapping_mul(7_919_317) % half_period_micros.max(1));
        Ok(Stream {
            path,
            role,
            rate_milli: rate,
            zero: self.zero.0 - phase,
            zero_utc: self.zero.1.minus(phase),
            faults: faults.clone(),
            choices,
            delivery: self.options.delivery,
            footage: self.footage.clone(),
            audio,
            state: Mutex::new(state),
        })
    }

    /// A camera under `/codec/`, made when it is first asked for.
    fn codec_camera(&self, name: &str) -> Option<Arc<Camera>> {
        if let Some(camera) = self.codec_cameras.lock().get(name) {
            return Some(camera.clone());
        }
        let (picture, audio) = codec_name(name)?;
        let faults = Arc::new(Mutex::new(Faults::default()));
        let bitrate = (picture == Picture::Bench).then_some(BENCH_BITRATE);
        let seed = self.options.seed.wrapping_add(name.bytes().map(u64::from).sum::<u64>() * 31);
        let stream = self
            .stream(format!("/codec/{name}"), "main", picture, audio, bitrate, &faults, seed)
            .inspect_err(|error| tracing::warn!(name, %error, "the footage can't be shown"))
            .ok()?;
        let camera = Camera {
            id: name.to_owned(),
            name: name.to_owned(),
            faults,
            streams: vec![Arc::new(stream)],
            connections: Mutex::default(),
        };
        let mut cameras = self.codec_cameras.lock();
        if cameras.len() >= CODEC_CAMERAS_MAX {
            return None;
        }
        Some(cameras.entry(name.to_owned()).or_insert_with(|| Arc::new(camera)).clone())
    }

    pub(crate) fn camera(&self, id: &str) -> Option<Arc<Camera>> {
        match id.parse::<u32>() {
            Ok(number) => self.cameras.get(&number).cloned(),
            Err(_) => self.codec_camera(id),
        }
    }

    pub(crate) fn cameras(&self) -> Vec<Arc<Camera>> {
        self.cameras.values().cloned().chain(self.codec_cameras.lock().values().cloned()).collect()
    }

    /// The camera and stream behind `/camera/{n}/{role}` or `/codec/{name}`. Without a role: main.
    pub(crate) fn find(&self, path: &str) -> Option<(Arc<Camera>, Arc<Stream>)> {
        let path = path.split('?').next().unwrap_or(path);
        let mut parts = path.trim_matches('/').split('/');
        let camera = match (parts.next()?, parts.next()?) {
            ("camera", number) => self.cameras.get(&number.parse().ok()?)?.clone(),
            ("codec", name) => self.codec_camera(name)?,
            _ => return None,
        };
        let role = parts.next().unwrap_or("main");
        let stream = camera.streams.iter().find(|stream| stream.role == role)?.clone();
        Some((camera, stream))
    }
}

/// `h264`, `h264-aac`, `h264-b-frames-opus` …
fn codec_name(name: &str) -> Option<(Picture, Audio)> {
    let video = |name: &str| {
        Some(match name {
            "h264" => Picture::scene(0, false),
            "h264-b-frames" => Picture::BFrames,
            "h264-long-gop" => Picture::LongGop,
            "h264-1080" => Picture::Bench,
            "h265" => Picture::H265,
            "mjpeg" => Picture::Mjpeg,
            _ => return None,
        })
    };
    if let Some(picture) = video(name) {
        return Some((picture, Audio::None));
    }
    let (before, last) = name.rsplit_once('-')?;
    let audio = match last {
        "aac" => Audio::Aac,
        "opus" => Audio::Opus,
        "alaw" => Audio::Alaw,
        "ulaw" => Audio::Ulaw,
        _ => return None,
    };
    Some((video(before)?, audio))
}

impl Camera {
    /// Remembers a connection that asked for this camera.
    pub(crate) fn register(&self, outlet: &Arc<Outlet>) {
        let mut connections = self.connections.lock();
        connections.retain(|each| each.strong_count() > 0);
        if !connections.iter().any(|each| each.as_ptr() == Arc::as_ptr(outlet)) {
            connections.push(Arc::downgrade(outlet));
        }
    }

    /// Begins a misbehaviour.
    pub(crate) fn start_fault(&self, fault: Fault, duration: Option<Duration>) -> Result<ActiveFault, Error> {
        if let Some(what) = fault.objection() {
            return Err(Error::Options { what: what.to_owned() });
        }
        let show = match fault {
            Fault::Resolution => Some(Show::OtherResolution),
            Fault::LongGop => Some(Show::LongGop),
            Fault::BFrames => Some(Show::BFrames),
            _ => None,
        };
        if let Some(show) = show {
            // Made here, so that the schedule need not.
            for stream in &self.streams {
                let Some((_, wanted)) = stream.choices.iter().find(|(each, _)| *each == show) else {
                    return Err(Error::Options { what: format!("{} has only one loop", stream.path) });
                };
                stream.footage.clip(wanted)?;
            }
        }
        let disconnects = fault.disconnects();
        let active = self.faults.lock().start(fault, duration, mono_now()).ok_or_else(too_many)?;
        if disconnects {
            self.disconnect_all();
        }
        Ok(active)
    }

    /// Closes every connection that asked for this camera.
    fn disconnect_all(&self) {
        self.streams.iter().for_each(|stream| stream.disconnect_all());
        self.connections.lock().drain(..).filter_map(|each| each.upgrade()).for_each(|each| each.close());
    }
}

fn too_many() -> Error {
    Error::Options { what: "too many misbehaviours at once".to_owned() }
}
