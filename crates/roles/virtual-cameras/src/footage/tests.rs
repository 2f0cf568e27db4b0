//! Every bundled loop, with and without counter, decoded by FFmpeg.

use std::process::Command;

use varde_codec::AccessUnit;

use super::*;
use crate::counter::read_luma;

/// The loop `times` over as a stream that FFmpeg reads, with counters that go on.
fn elementary(clip: &Clip, times: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut nal = |nal: &[u8]| {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal);
    };
    match &clip.format {
        Format::H264 { sps, pps, .. } => [sps].into_iter().chain(pps).for_each(|each| nal(each)),
        Format::H265 { vps, sps, pps, .. } => {
            vps.iter().chain([sps]).chain(pps).for_each(|each| nal(each));
        }
        _ => {}
    }
    for round in 0..times {
        for frame in &clip.frames {
            let data = frame.data(round * clip.frames.len() as u32 + frame.display);
            if matches!(clip.format, Format::Mjpeg { .. }) {
                out.extend_from_slice(&data);
                continue;
            }
            let unit = AccessUnit {
                sequence: 0,
                time: varde_units::Mono::ZERO,
                decode_time: varde_units::Mono::ZERO,
                received: varde_units::Mono::ZERO,
                camera_time: None,
                flags: varde_codec::UnitFlags::default(),
                data,
            };
            for nal in unit.nal_units() {
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(&nal);
            }
        }
    }
    out
}

/// Luma of all pictures, as FFmpeg decodes them.
fn decode(clip: &Clip, times: u32) -> Vec<Vec<u8>> {
    let demuxer = match clip.format {
        Format::H264 { .. } => "h264",
        Format::H265 { .. } => "hevc",
        _ => "mjpeg",
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream");
    std::fs::write(&path, elementary(clip, times)).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-threads", "1", "-f", demuxer, "-i"])
        .arg(&path)
        .args([
            "-fps_mode",
            "passthrough",
            "-vf",
            "extractplanes=y",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-",
        ])
        .output()
        .expect("ffmpeg is installed");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let (width, height) = clip.format.dimensions().unwrap();
    output.stdout.chunks_exact((width * height) as usize).map(<[u8]>::to_vec).collect()
}

fn wanted(picture: &Picture, counter: bool) -> Wanted {
    Wanted { picture: picture.clone(), counter, bitrate: None }
}

fn loops() -> Vec<Picture> {
    let scenes =
        (0..SCENES.len()).flat_map(|index| [Picture::Scene(index, true), Picture::Scene(index, false)]);
    scenes.chain([Picture::BFrames, Picture::LongGop, Picture::Bench, Picture::Mjpeg]).collect()
}

#[test]
fn counters_count_and_leave_the_rest_of_the_picture_alone() {
    let footage = Footage::default();
    for picture in loops() {
        let (plain, counted) =
            (footage.clip(&wanted(&picture, false)).unwrap(), footage.clip(&wanted(&picture, true)).unwrap());
        let width = counted.format.dimensions().unwrap().0 as usize;
        let (plain, counted) = (decode(&plain, 1), decode(&counted, 1));
        assert_eq!(counted.len(), plain.len(), "{picture:?}");
        for (index, shown) in counted.iter().enumerate() {
            for row in [3, 8, 12] {
                let read = read_luma(width, &shown[row * width..(row + 1) * width]);
                assert_eq!(read, Some(index as u32), "{picture:?}");
            }
            // With a counter, H.264 pictures stand lower by the strip and the guard; a JPEG loses its first row.
            let (from, to) =
                if picture == Picture::Mjpeg { (16 * width, 16 * width) } else { (0, 48 * width) };
            let original = &plain[index];
            let same = original.len() - to;
            let equal = original[from..same.max(from)] == shown[to..to + same.max(from) - from];
            assert!(equal, "{picture:?}: picture {index} differs");
        }
    }
}

#[test]
fn h265_decodes_at_its_size() {
    let clip = Footage::default().clip(&wanted(&Picture::H265, false)).unwrap();
    assert_eq!(decode(&clip, 2).len(), clip.frames.len() * 2);
}

#[test]
fn padding_reaches_the_wanted_rate_and_still_decodes() {
    let footage = Footage::default();
    let cases = [
        (Picture::Bench, 25_000, true),
        (Picture::Scene(0, false), 15_000, false),
        (Picture::Scene(1, false), 15_000, true),
        (Picture::H265, 15_000, false),
    ];
    for (picture, rate, counter) in cases {
        let mut wanted = wanted(&picture, counter);
        wanted.bitrate = Some((8_000_000, rate));
        let clip = footage.clip(&wanted).unwrap();
        let bytes: usize = clip.frames.iter().map(|frame| frame.data(0).len()).sum();
        let bitrate = bytes as f64 * 8.0 / clip.frames.len() as f64 * f64::from(rate) / 1000.0;
        assert!((7.8e6..8.2e6).contains(&bitrate), "{picture:?}: {bitrate}");
        assert_eq!(decode(&clip, 1).len(), clip.frames.len());
    }
}

#[test]
fn every_sound_has_frames_of_eight_seconds() {
    for audio in [Audio::Aac, Audio::Opus, Audio::Alaw, Audio::Ulaw] {
        let clip = sound(audio).unwrap();
        let seconds =
            clip.frames.len() as f64 * f64::from(clip.frame_ticks) / f64::from(clip.format.timescale());
        assert!((8.0..8.4).contains(&seconds), "{audio:?}: {seconds}");
    }
    assert!(sound(Audio::None).is_none());
}
