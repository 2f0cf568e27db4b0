//! `varde virtual-cameras`: real footage over RTSP, for trying, testing and measuring.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use varde_virtual_cameras::{Audio, Delivery, Options, Video, VirtualCameras};

use super::Failure;

#[derive(Debug, Args)]
pub struct Arguments {
    /// How many cameras
    #[arg(long, default_value_t = 4)]
    count: u32,
    /// Pictures a second; as the footage was made by default
    #[arg(long)]
    fps: Option<f64>,
    /// Address at which RTSP is served
    #[arg(long, default_value = "127.0.0.1")]
    listen: std::net::IpAddr,
    /// 0 picks a free port
    #[arg(long, default_value_t = 8554)]
    rtsp_port: u16,
    /// Port on loopback that makes cameras misbehave; 0 picks a free one
    #[arg(long, default_value_t = 8555)]
    control_port: u16,
    #[arg(long, default_value = "admin")]
    user: String,
    #[arg(long, default_value = "camera")]
    password: String,
    /// Offer basic authentication beside digest
    #[arg(long)]
    basic: bool,
    /// Show a frame counter in each picture
    #[arg(long)]
    counter: bool,
    #[arg(long, value_enum, default_value = "scenes")]
    video: VideoKind,
    #[arg(long, value_enum, default_value = "aac")]
    audio: AudioKind,
    /// Bits a second of each main stream; smaller footage is padded
    #[arg(long)]
    bitrate: Option<u64>,
    /// Send this many packets a write, 300 µs apart, instead of a picture at once
    #[arg(long)]
    paced: Option<u16>,
    /// MP4 file to show instead of the bundled footage; may be given several times
    #[arg(long = "source")]
    sources: Vec<PathBuf>,
    /// Print `{"cameras":[{"name","main","sub"}],"user","password","control"}` once they answer
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum VideoKind {
    Scenes,
    H264BFrames,
    H264LongGop,
    H264Bench,
    H265,
    Mjpeg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AudioKind {
    Aac,
    Opus,
    Alaw,
    Ulaw,
    None,
}

const PACE_MICROS: u32 = 300;

impl Arguments {
    fn options(&self) -> Options {
        Options {
            count: self.count,
            fps: self.fps,
            listen: self.listen,
            rtsp_port: self.rtsp_port,
            control_port: self.control_port,
            user: self.user.clone(),
            password: self.password.clone(),
            basic: self.basic,
            counter: self.counter,
            video: match self.video {
                VideoKind::Scenes => Video::Scenes,
                VideoKind::H264BFrames => Video::H264BFrames,
                VideoKind::H264LongGop => Video::H264LongGop,
                VideoKind::H264Bench => Video::H264Bench,
                VideoKind::H265 => Video::H265,
                VideoKind::Mjpeg => Video::Mjpeg,
            },
            audio: match self.audio {
                AudioKind::Aac => Audio::Aac,
                AudioKind::Opus => Audio::Opus,
                AudioKind::Alaw => Audio::Alaw,
                AudioKind::Ulaw => Audio::Ulaw,
                AudioKind::None => Audio::None,
            },
            bitrate: self.bitrate,
            delivery: match self.paced {
                Some(packets) => Delivery::Paced { packets, micros: PACE_MICROS },
                None => Delivery::Burst,
            },
            sources: self.sources.clone(),
            ..Options::default()
        }
    }
}

/// Names for a demo: places that a viewer knows at a glance.
const PLACES: [&str; 16] = [
    "Front door",
    "Car park",
    "Reception",
    "Loading dock",
    "Corridor",
    "Stairs",
    "Bicycle stand",
    "Courtyard",
    "Side gate",
    "Workshop",
    "Canteen",
    "Warehouse",
    "Roof",
    "Till 1",
    "Till 2",
    "Back door",
];

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    varde_ambient::log_init(varde_ambient::LogFormat::Text);
    let failed = |error: varde_virtual_cameras::Error| Failure::Failed(error.to_string());
    let cameras = VirtualCameras::start(arguments.options()).await.map_err(failed)?;
    let list: Vec<Value> = (1..=arguments.count)
        .map(|number| {
            let (main, sub) = (format!("/camera/{number}/main"), format!("/camera/{number}/sub"));
            json!({ "name": name(number), "main": cameras.url(&main), "sub": cameras.url(&sub) })
        })
        .collect();
    let control = format!("http://{}", cameras.control_address());
    if arguments.json {
        println!(
            "{}",
            json!({ "cameras": list, "user": arguments.user, "password": arguments.password, "control": control })
        );
    } else {
        println!("{} cameras, user {}, password {}", arguments.count, arguments.user, arguments.password);
        for camera in &list {
            println!("  {:16} {}", super::camera::text(camera, "name"), super::camera::text(camera, "main"));
        }
        println!("Make them misbehave at {control}/control/cameras. Ctrl-C ends them.");
    }
    crate::serve::told_to_stop().await;
    cameras.stop().await;
    Ok(())
}

fn name(number: u32) -> String {
    let place = PLACES[(number as usize - 1) % PLACES.len()];
    match (number as usize - 1) / PLACES.len() {
        0 => place.to_owned(),
        round => format!("{place} {}", round + 1),
    }
}
