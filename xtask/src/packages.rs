//! Debian packages: installs what is missing when it may, else prints the one line that does.

use std::process::{Command, Stdio};

use crate::process;

/// What building takes: FFmpeg's headers for `varde-vision`, clang for its bindings.
const BUILD: &[&str] = &[
    "pkg-config",
    "clang",
    "libclang-dev",
    "libavcodec-dev",
    "libavformat-dev",
    "libavutil-dev",
    "libswscale-dev",
    "libswresample-dev",
];

/// What the tests take besides: a clock that can be set, outside players, a camera that is not ours, a browser.
const TEST: &[&str] = &[
    "faketime",
    "ffmpeg",
    "chromium",
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
    "gstreamer1.0-libav",
];

/// Makes sure that building is possible.
pub fn for_build() -> Result<(), String> {
    ensure(BUILD)
}

/// Makes sure that building and testing are possible.
pub fn for_test() -> Result<(), String> {
    ensure(&[BUILD, TEST].concat())
}

fn ensure(wanted: &[&'static str]) -> Result<(), String> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends -y {}", missing.join(" "));
    let may_install =
        is_root() && Command::new("apt-get").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !may_install {
        return Err(format!("packages are missing; run this as root, then come back:\n\n  {line}\n"));
    }
    process::run(process::program("apt-get").args(["-q", "update"]))?;
    process::run(
        process::program("apt-get")
            .args(["-q", "install", "--no-install-recommends", "-y"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
