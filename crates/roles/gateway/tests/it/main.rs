//! The gateway's routes against a recorder in memory that holds real footage. What is answered is checked by ffprobe
//! and ffmpeg, byte by byte, and by a WebRTC player.

mod exports;
mod footage;
mod live;
mod playback;
mod recorder;
mod site;
mod vision;

use std::process::Command;
use std::time::Duration;

use varde_units::Utc;

/// When the recordings begin.
pub(crate) fn start() -> Utc {
    "2026-11-23T12:00:00.000000Z".parse().unwrap()
}

/// Thirty seconds of picture and sound, a gap of twenty, and ten more seconds.
pub(crate) fn record(memory: &recorder::Memory) {
    let (video, sound) = (footage::h264_clip(), footage::aac_clip());
    for (from, length) in [(0, 30), (50, 10)] {
        let at = start().plus(Duration::from_secs(from));
        let span = Duration::from_secs(length);
        memory.record(site::CAMERA, site::MAIN, &video.format, at, &footage::looped(&video, span));
        memory.record(site::MICROPHONE, site::SOUND, &sound.format, at, &footage::looped(&sound, span));
    }
}

/// What ffprobe says of bytes, as JSON. Errors that it prints fail the test.
pub(crate) fn probe(bytes: &[u8], arguments: &[&str]) -> serde_json::Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    probe_input(arguments, file.path().to_str().unwrap())
}

pub(crate) fn probe_input(arguments: &[&str], input: &str) -> serde_json::Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json"])
        .args(arguments)
        .arg(input)
        .output()
        .expect("ffprobe is installed");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pictures that ffmpeg decodes out of an input without a complaint.
pub(crate) fn decoded_pictures(arguments: &[&str]) -> usize {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(arguments)
        .args(["-map", "0:v", "-fps_mode", "passthrough", "-f", "framecrc", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count()
}
