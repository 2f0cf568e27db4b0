//! Clips whose pictures are plain grey, brighter from one to the next, so that a picture tells its own number.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use varde_codec::{AccessUnit, Format};
use varde_fmp4::{FragmentBuilder, SampleFlags, TrackInit, init_segment, progressive, scan};
use varde_units::{Mono, Utc};

pub const FRAMES: usize = 20;
/// Of pictures: 10 a second.
pub const STEP: Duration = Duration::from_millis(100);
/// Time of the first picture or sound.
pub const START: Mono = Mono::from_nanos(5_000_000_000);

pub struct Clip {
    pub format: Format,
    pub units: Vec<AccessUnit>,
}

/// When picture `number` is shown.
pub fn time(number: usize) -> Mono {
    START + STEP * number as u32
}

/// The luma of picture `number`.
fn luma(number: usize) -> i32 {
    30 + 10 * number as i32
}

pub fn pictures(encoder: &[&str]) -> Clip {
    let source = "color=size=320x180:rate=10:duration=2,format=yuv420p,geq=lum='30+10*N':cb=128:cr=128";
    make(source, &[encoder, &["-video_track_timescale", "90000"]].concat())
}

/// Two seconds of 440 Hz.
pub fn tone(rate: u32, encoder: &[&str]) -> Clip {
    make(&format!("sine=frequency=440:sample_rate={rate}:duration=2"), encoder)
}

pub const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-bf", "0"];
pub const H264_B: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-g", "20", "-bf", "2", "-b_strategy", "0"];
pub const H265: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-tag:v",
    "hvc1",
    "-x265-params",
    "log-level=none:keyint=20:pools=1",
];
pub const MJPEG: &[&str] = &["-c:v", "mjpeg", "-q:v", "2"];
pub const AV1: &[&str] = &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "20"];

fn make(source: &str, encoder: &[&str]) -> Clip {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    let path =
        if encoder.iter().any(|word| word.starts_with("pcm")) { path.with_extension("mov") } else { path };
    let status = Command::new("ffmpeg")
        .args(["-v", "fatal", "-f", "lavfi", "-i", source])
        .args(encoder)
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    let file = Bytes::from(std::fs::read(&path).unwrap());
    let movie = scan(&file, 0).map(Result::unwrap).find(|found| found.kind == *b"moov").unwrap();
    let track = progressive::read(movie.body.unwrap()).unwrap().remove(0);
    // The first picture is shown at zero, whatever the offsets of the encoder.
    let shown = |sample: &progressive::TrackSample| {
        sample.decode_time.checked_add_signed(i64::from(sample.composition_offset)).unwrap()
    };
    let first = track.samples.iter().map(shown).min().unwrap();
    let nanos = |ticks: u64| ticks * 1_000_000_000 / u64::from(track.timescale);
    let mut units = Vec::new();
    for sample in &track.samples {
        let data = file.slice(sample.offset as usize..(sample.offset + u64::from(sample.bytes)) as usize);
        let time = START.offset_nanos(nanos(shown(sample) - first) as i64);
        let decode_time = START.offset_nanos(nanos(sample.decode_time) as i64 - nanos(first) as i64);
        units.push(AccessUnit {
            sequence: units.len() as u64,
            time,
            decode_time,
            received: time,
            camera_time: None,
            flags: track.format.unit_flags(&data),
            data,
        });
    }
    Clip { format: track.format, units }
}

/// Joins the one-byte samples of a G.711 file to packets of 20 ms.
pub fn joined(clip: Clip) -> Clip {
    let units = clip.units.chunks(160).map(|bytes| {
        let data: Vec<u8> = bytes.iter().flat_map(|unit| unit.data.iter().copied()).collect();
        AccessUnit { data: data.into(), ..bytes[0].clone() }
    });
    Clip { units: units.collect(), ..clip }
}

/// What FFmpeg decodes from `input`, as raw bytes.
pub fn decoded(input: &[u8], arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::File::create(&path).unwrap().write_all(input).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(arguments)
        .arg("-")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    output.stdout
}

/// The numbers of the pictures in a file or image, by their luma.
pub fn numbers(input: &[u8], width: usize, height: usize) -> Vec<usize> {
    // Not stretched to full range, so that luma is what the encoder was given.
    let raw = decoded(
        input,
        &[
            "-vf",
            "scale=in_range=auto:out_range=tv,format=yuv420p,extractplanes=y",
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
        ],
    );
    let pictures = raw.chunks(width * height).map(|picture| {
        let mean = picture.iter().map(|&byte| i64::from(byte)).sum::<i64>() / picture.len() as i64;
        (0..FRAMES).min_by_key(|&number| (i64::from(luma(number)) - mean).abs()).unwrap()
    });
    pictures.collect()
}

/// A fragmented file of these units.
pub fn file(format: &Format, units: &[AccessUnit]) -> Vec<u8> {
    let mut out = init_segment(&TrackInit { format, creation: Utc::EPOCH, user: None }).unwrap().to_vec();
    let ticks = |time: Mono| time.as_nanos() * u64::from(format.timescale()) / 1_000_000_000;
    let mut builder = FragmentBuilder::new(0);
    for (index, unit) in units.iter().enumerate() {
        let next = units.get(index + 1).map_or(unit.decode_time + STEP, |next| next.decode_time);
        let offset = ticks(unit.time) as i64 - ticks(unit.decode_time) as i64;
        let duration = (ticks(next) - ticks(unit.decode_time)) as u32;
        builder.push(unit.data.clone(), duration, offset as i32, SampleFlags::from(unit.flags)).unwrap();
    }
    let fragment = builder.finish(1, None).unwrap();
    out.extend_from_slice(&fragment.head);
    fragment.payload.iter().for_each(|data| out.extend_from_slice(data));
    out
}
