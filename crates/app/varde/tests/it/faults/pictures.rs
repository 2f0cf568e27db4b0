//! What is really in the store: the counters that the virtual cameras draw into their pictures, decoded by a player
//! that is not ours, and what the camera's control says of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use varde_units::Utc;
use varde_virtual_cameras::counter;

use crate::stack::Stack;

/// Files of a camera's picture, oldest first.
pub fn files(storage: &Path, camera: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(storage.join("media").join(camera))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|day| std::fs::read_dir(day.path()).ok())
        .flat_map(|day| day.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "mp4"))
        .collect();
    found.sort();
    found
}

/// Decodes every picture of a file. The player must find nothing wrong, and no number may be missing.
pub fn whole(file: &Path) -> Vec<u32> {
    let (numbers, complaint) = decode(file);
    assert!(complaint.is_empty(), "{}: {complaint}", file.display());
    numbers
}

/// The same of a file that is being written: its last fragment may be on its way.
pub fn still_open(file: &Path) -> Vec<u32> {
    decode(file).0
}

fn decode(file: &Path) -> (Vec<u32>, String) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(["-an", "-vf", "format=gray,crop=iw:1:0:8,scale=640:1:flags=neighbor"])
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg is installed (cargo xtask test installs it)");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {complaint}", file.display());
    let numbers: Vec<u32> = output
        .stdout
        .chunks(640)
        .enumerate()
        .map(|(place, row)| {
            counter::read_luma(640, row)
                .unwrap_or_else(|| panic!("picture {place} of {} has no counter", file.display()))
        })
        .collect();
    assert!(!numbers.is_empty(), "{} is empty", file.display());
    let hole = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!(hole, None, "{} has a hole, a copy or a swap", file.display());
    (numbers, complaint)
}

/// All pictures of a camera, file by file; between files numbers only rise.
pub fn all(storage: &Path, camera: &str) -> Vec<Vec<u32>> {
    let all: Vec<Vec<u32>> = files(storage, camera).iter().map(|file| whole(file)).collect();
    for pair in all.windows(2) {
        assert!(pair[0].last() < pair[1].first(), "{pair:?} overlap");
    }
    all
}

/// When the main stream of a virtual camera shows which number.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    zero: Utc,
    period: Duration,
}

impl Schedule {
    pub async fn of(stack: &Stack, number: usize) -> Self {
        let control = stack.cameras.says["control"].as_str().unwrap();
        let url = format!("{control}/control/cameras/{}", number + 1);
        let camera: Value = stack.api.client.get(url).send().await.unwrap().json().await.unwrap();
        let stream = &camera["streams"][0];
        assert_eq!(stream["role"], "main");
        Self {
            zero: stream["zero"]["utc"].as_str().unwrap().parse().unwrap(),
            period: Duration::from_nanos(stream["period_nanos"].as_u64().unwrap()),
        }
    }

    pub fn shown(&self, number: u32) -> Utc {
        self.zero.plus(self.period * number)
    }

    /// How long so many pictures are shown.
    pub fn span(&self, pictures: usize) -> Duration {
        self.period * u32::try_from(pictures).unwrap()
    }
}

/// Start and end of an entry of the timeline; no end: still open.
pub fn span(entry: &Value) -> (Utc, Option<Utc>) {
    let read = |key: &str| entry[key].as_str().map(|time| time.parse().unwrap());
    (read("start").unwrap(), read("end"))
}

/// Distance of two instants.
pub fn apart(one: Utc, other: Utc) -> Duration {
    Duration::from_micros(one.signed_micros_since(other).unsigned_abs())
}
