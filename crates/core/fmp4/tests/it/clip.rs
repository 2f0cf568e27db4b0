//! Clips of every codec, made by FFmpeg and read by this crate's own reader.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use varde_codec::Format;
use varde_fmp4::{progressive, scan};

pub struct Clip {
    pub format: Format,
    pub samples: Vec<(progressive::TrackSample, Bytes)>,
}

/// Runs a program and gives what it printed; anything on its error output is a failure.
pub fn run(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let output = Command::new(program).args(arguments).output().expect("FFmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program}: {}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("FFmpeg prints text")
}

/// Two seconds of a test picture at 10 frames a second, or of a tone at `rate`.
pub fn make(arguments: &[&str], audio_rate: Option<u32>) -> Clip {
    let folder = tempfile::tempdir().expect("a folder for the clip");
    let path = folder.path().join("clip.mov");
    let source = match audio_rate {
        Some(rate) => format!("sine=frequency=440:sample_rate={rate}:duration=2"),
        None => "testsrc2=size=322x242:rate=10:duration=2".to_owned(),
    };
    let before = ["-v", "fatal", "-f", "lavfi", "-i", &source, "-threads", "1"];
    let all = before.iter().chain(arguments).map(|text| OsStr::new(*text)).chain([path.as_os_str()]);
    run("ffmpeg", all);
    read(&path)
}

/// The only track of a whole MP4 file.
pub fn read(path: &Path) -> Clip {
    let file = Bytes::from(std::fs::read(path).expect("FFmpeg made the clip"));
    let movie = scan(&file, 0).map(Result::unwrap).find(|found| found.kind == *b"moov").unwrap();
    let mut tracks = progressive::read(movie.body.unwrap()).unwrap();
    assert_eq!(tracks.len(), 1, "{}", path.display());
    let progressive::Track { format, samples, .. } = tracks.remove(0);
    let data = |sample: &progressive::TrackSample| {
        file.slice(sample.offset as usize..(sample.offset + u64::from(sample.bytes)) as usize)
    };
    let samples = samples.iter().map(|sample| (*sample, data(sample))).collect();
    Clip { format, samples }
}

const X264: &[&str] = &["-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "10", "-preset", "ultrafast"];
const TIMES: &[&str] = &["-video_track_timescale", "90000"];

/// Each codec of the table that FFmpeg can make, by name.
pub fn all() -> Vec<(&'static str, Clip)> {
    let video = |arguments: &[&str]| make(&[arguments, TIMES].concat(), None);
    vec![
        ("h264", video(X264)),
        ("h264", video(&[X264, &["-bf", "2", "-b_strategy", "0"]].concat())),
        (
            "hevc",
            video(&[
                "-pix_fmt",
                "yuv420p",
                "-c:v",
                "libx265",
                "-preset",
                "ultrafast",
                "-tag:v",
                "hvc1",
                "-x265-params",
                "log-level=none:keyint=10:pools=1",
            ]),
        ),
        ("mjpeg", video(&["-pix_fmt", "yuvj420p", "-c:v", "mjpeg"])),
        ("aac", make(&["-c:a", "aac"], Some(16_000))),
        ("pcm_alaw", make(&["-c:a", "pcm_alaw"], Some(8_000))),
        ("pcm_mulaw", make(&["-c:a", "pcm_mulaw"], Some(8_000))),
        ("opus", make(&["-c:a", "libopus", "-f", "mp4"], Some(48_000))),
    ]
}
