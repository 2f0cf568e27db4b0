//! What a set of virtual cameras is to be.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the cameras show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Video {
    /// Street scenes in H.264: main 1280×720, sub 640×360.
    #[default]
    Scenes,
    /// H.264 with pictures that are shown in another order than they are decoded.
    H264BFrames,
    /// H.264 with 20 s from key frame to key frame (at 15 pictures a second).
    H264LongGop,
    /// H.264 1920×1080 at 25 pictures a second and 4 Mbit/s: what the benchmarks record.
    H264Bench,
    H265,
    Mjpeg,
}

/// What they sound like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audio {
    #[default]
    Aac,
    Opus,
    Alaw,
    Ulaw,
    None,
}

/// How packets leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Delivery {
    /// A picture at once, in one write.
    #[default]
    Burst,
    /// `packets` a write, `micros` apart.
    Paced { packets: u16, micros: u32 },
}

/// A set of virtual cameras. `..Options::default()` fills in what does not matter.
#[derive(Clone, Debug)]
pub struct Options {
    pub count: u32,
    /// Pictures a second; `None` plays each loop as it was made (15, the bench loop 25).
    pub fps: Option<f64>,
    /// Where RTSP is served. The control endpoint is always on loopback.
    pub listen: IpAddr,
    /// 0 picks a free one.
    pub rtsp_port: u16,
    /// 0 picks a free one.
    pub control_port: u16,
    pub user: String,
    /// Empty: anyone may watch.
    pub password: String,
    /// Offer basic authentication beside digest.
    pub basic: bool,
    /// Show a frame counter in each picture (see [`crate::counter`]); H.264 and MJPEG.
    pub counter: bool,
    pub video: Video,
    pub audio: Audio,
    /// Bits a second of each main stream; smaller loops are padded up to it, larger ones stay as they are.
    pub bitrate: Option<u64>,
    pub delivery: Delivery,
    /// MP4 files to show in place of the bundled scenes, in turn.
    pub sources: Vec<PathBuf>,
    /// Seeds what is random in misbehaviour and in phases.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            count: 4,
            fps: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            rtsp_port: 8554,
            control_port: 8555,
            user: "admin".to_owned(),
            password: "camera".to_owned(),
            basic: false,
            counter: false,
            video: Video::default(),
            audio: Audio::default(),
            bitrate: None,
            delivery: Delivery::default(),
            sources: Vec::new(),
            seed: 1,
        }
    }
}

/// The largest number of cameras of one server.
pub const CAMERAS_MAX: u32 = 1000;

/// Pictures a second in thousandths: what the arithmetic of time uses. `None` outside 0.1 to 240.
pub(crate) fn rate_milli(fps: f64) -> Option<u32> {
    (0.1..=240.0).contains(&fps).then(|| (fps * 1000.0).round() as u32)
}
