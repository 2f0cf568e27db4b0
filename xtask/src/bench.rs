//! `cargo xtask bench`: what recording costs, with a peer and the floor in the same run.
//!
//! Windows of the peers alternate, so that a machine whose speed drifts is fair to all. Processor time is the kernel's
//! own account: of the peer's processes, and of the whole machine less the cameras.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::demo::{Farm, Stack, StackOptions};
use crate::measure::{Guard, machine_cpu_ms, tree_anonymous_bytes, tree_cpu_ms};
use crate::{figures, packages, process};

/// Time for sessions to begin and buffers to fill before a window.
const WARM_UP: Duration = Duration::from_secs(6);

#[derive(Debug)]
pub struct Options {
    streams: u32,
    windows: usize,
    seconds: u64,
    data: PathBuf,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options =
            Self { streams: 16, windows: 5, seconds: 15, data: process::root().join("target/bench") };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or(format!("{name} needs a value"))?;
            let number =
                || value.parse().map_err(|_| format!("{name} needs a number, and {value:?} was given"));
            match name.as_str() {
                "--streams" => options.streams = number()? as u32,
                "--windows" => options.windows = number()? as usize,
                "--seconds" => options.seconds = number()?,
                "--data" => options.data = PathBuf::from(value),
                other => return Err(format!("bench has no option {other:?}")),
            }
        }
        Ok(options)
    }
}

/// One window of one peer.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Milliseconds of processor time a second of one stream.
    process_ms: f64,
    machine_ms: f64,
    anonymous_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Varde,
    Floor,
    Ffmpeg,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Varde, Self::Floor, Self::Ffmpeg];

    const fn name(self) -> &'static str {
        match self {
            Self::Varde => "Varde",
            Self::Floor => "floor",
            Self::Ffmpeg => "ffmpeg -c copy",
        }
    }
}

pub fn run(options: &Options) -> Result<(), String> {
    packages::for_test()?;
    crate::web::build()?;
    process::run(process::cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "varde",
        "-p",
        "varde-vision",
        "-p",
        "varde-bench",
    ]))?;
    let mut report = String::new();
    for (title, arguments) in
        [("whole-frame bursts", &[][..]), ("paced, 4 packets a write 300 µs apart", &["--paced", "4"][..])]
    {
        let _ = writeln!(report, "\n{} streams of 1080p25 at 4 Mbit/s, {title}:\n", options.streams);
        report.push_str(&recording(options, arguments)?);
    }
    println!("{report}");
    figures::append(&format!(
        "Recording, {} windows of {} s each, alternating.\n{report}",
        options.windows, options.seconds
    ))
}

fn recording(options: &Options, delivery: &[&str]) -> Result<String, String> {
    let binaries = process::root().join("target/release");
    let mut arguments = vec!["--video", "h264-bench", "--audio", "none"];
    arguments.extend(delivery);
    let mut farm = Farm::start(&binaries, options.streams, &arguments)?;
    let mut windows: Vec<(Peer, Window)> = Vec::new();
    for number in 0..options.windows {
        for peer in Peer::ALL {
            eprintln!("── window {} of {}: {}", number + 1, options.windows, peer.name());
            let folder = options.data.join("run");
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let window;
            (window, farm) = match peer {
                Peer::Varde => varde(options, &binaries, &folder, farm)?,
                Peer::Floor => (floor(options, &binaries, &folder, &farm)?, farm),
                Peer::Ffmpeg => (ffmpeg(options, &folder, &farm)?, farm),
            };
            eprintln!("   {:.2} ms per stream-second, machine {:.2}", window.process_ms, window.machine_ms);
            windows.push((peer, window));
        }
    }
    let _ = fs::remove_dir_all(options.data.join("run"));
    Ok(table(&windows))
}

fn varde(options: &Options, binaries: &Path, folder: &Path, farm: Farm) -> Result<(Window, Farm), String> {
    let stack = Stack::start(
        farm,
        &StackOptions {
            binaries: binaries.to_path_buf(),
            port: 0,
            data: folder.join("data"),
            sub_streams: false,
        },
    )?;
    let counts = |stack: &Stack| -> Result<Vec<(u64, u64)>, String> {
        let count = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
        Ok(stack
            .cameras()?
            .iter()
            .map(|camera| {
                let stream = &camera["streams"][0];
                (
                    count(&stream["units_received"]),
                    count(&stream["packets_lost"]) + count(&stream["units_dropped"]),
                )
            })
            .collect())
    };
    std::thread::sleep(WARM_UP);
    let (before, started) = (counts(&stack)?, Instant::now());
    let window = measure(options, stack.process(), stack.farm.process());
    let (after, elapsed) = (counts(&stack)?, started.elapsed());
    for (stream, (before, after)) in before.iter().zip(&after).enumerate() {
        if after.1 > 0 {
            return Err(format!("stream {stream} lost {} packets or frames", after.1));
        }
        let frames = after.0.saturating_sub(before.0) as f64;
        let wanted = elapsed.as_secs_f64() * 25.0;
        if after.0 > 0 && (frames - wanted).abs() > 25.0 {
            return Err(format!("stream {stream} received {frames} frames where {wanted:.0} were sent"));
        }
    }
    Ok((window, stack.into_farm()))
}

fn floor(options: &Options, binaries: &Path, folder: &Path, farm: &Farm) -> Result<Window, String> {
    let child = Command::new(binaries.join("varde-bench"))
        .args(["floor", "--user", &farm.user, "--password", &farm.password, "--folder"])
        .arg(folder)
        .args(farm.cameras.iter().map(|camera| &camera.main))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("the floor did not start: {error}"))?;
    let mut peer = Guard(child);
    std::thread::sleep(WARM_UP);
    let window = measure(options, peer.0.id(), farm.process());
    match peer.0.try_wait() {
        Ok(None) => Ok(window),
        _ => Err("the floor ended by itself".into()),
    }
}

fn ffmpeg(options: &Options, folder: &Path, farm: &Farm) -> Result<Window, String> {
    // All under one shell-less parent would need a program more; the bench itself is the parent, and the processes'
    // times are added up.
    let mut peers = Vec::new();
    for (number, camera) in farm.cameras.iter().enumerate() {
        let url = camera.main.replacen("rtsp://", &format!("rtsp://{}:{}@", farm.user, farm.password), 1);
        let child = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-nostdin",
                "-rtsp_transport",
                "tcp",
                "-i",
                &url,
                "-c",
                "copy",
                "-f",
                "mp4",
            ])
            .args(["-movflags", "frag_keyframe+empty_moov+default_base_moof"])
            .arg(folder.join(format!("{number}.mp4")))
            .spawn()
            .map_err(|error| format!("ffmpeg did not start: {error}"))?;
        peers.push(Guard(child));
    }
    std::thread::sleep(WARM_UP);
    let ids: Vec<u32> = peers.iter().map(|peer| peer.0.id()).collect();
    let window = measure_all(options, &ids, farm.process());
    for peer in &mut peers {
        if !matches!(peer.0.try_wait(), Ok(None)) {
            return Err("an ffmpeg ended by itself".into());
        }
    }
    Ok(window)
}

fn measure(options: &Options, peer: u32, cameras: u32) -> Window {
    measure_all(options, &[peer], cameras)
}

fn measure_all(options: &Options, peers: &[u32], cameras: u32) -> Window {
    let look = || {
        let own: f64 = peers.iter().map(|&peer| tree_cpu_ms(peer)).sum();
        (own, machine_cpu_ms() - tree_cpu_ms(cameras), Instant::now())
    };
    let (own_before, machine_before, started) = look();
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (own_after, machine_after, ended) = look();
    let stream_seconds = f64::from(options.streams) * (ended - started).as_secs_f64();
    Window {
        process_ms: (own_after - own_before) / stream_seconds,
        machine_ms: (machine_after - machine_before) / stream_seconds,
        anonymous_bytes: peers.iter().map(|&peer| tree_anonymous_bytes(peer)).sum::<u64>()
            / u64::from(options.streams),
    }
}

/// Medians with their ranges, and the ratios to Varde.
fn table(windows: &[(Peer, Window)]) -> String {
    let of = |peer: Peer, value: fn(&Window) -> f64| -> (f64, f64, f64) {
        let mut values: Vec<f64> =
            windows.iter().filter(|(it, _)| *it == peer).map(|(_, it)| value(it)).collect();
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[0], values[values.len() - 1])
    };
    let mut text = String::from(
        "| recorder | CPU ms per stream-second, median (range) | machine less cameras | anonymous memory per stream | Varde's CPU as a ratio |\n|---|---|---|---|---|\n",
    );
    let ours = of(Peer::Varde, |window| window.process_ms).0;
    for peer in Peer::ALL {
        let (own, own_low, own_high) = of(peer, |window| window.process_ms);
        let (machine, machine_low, machine_high) = of(peer, |window| window.machine_ms);
        let (memory, ..) = of(peer, |window| window.anonymous_bytes as f64);
        let _ = writeln!(
            text,
            "| {} | {own:.2} ({own_low:.2}–{own_high:.2}) | {machine:.2} ({machine_low:.2}–{machine_high:.2}) | {:.1} MB | {:.2} |",
            peer.name(),
            memory / 1e6,
            ours / own,
        );
    }
    text
}
