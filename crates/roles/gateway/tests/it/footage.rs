//! Real footage as access units: the virtual cameras' loops.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use varde_codec::{AccessUnit, Format, aac, h264, h265, nal};
use varde_units::Mono;

/// A clip: its format, and units that begin at `Mono` zero.
pub(crate) struct Clip {
    pub(crate) format: Format,
    pub(crate) units: Vec<AccessUnit>,
    pub(crate) unit_length: Duration,
}

fn load(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../virtual-cameras/footage").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unit(format: &Format, number: usize, length: Duration, data: Bytes) -> AccessUnit {
    let time = Mono::ZERO + length * number as u32;
    AccessUnit {
        sequence: number as u64,
        time,
        decode_time: time,
        received: time,
        camera_time: None,
        flags: format.unit_flags(&data),
        data,
    }
}

fn clip(format: Format, unit_length: Duration, data: Vec<Bytes>) -> Clip {
    let units =
        data.into_iter().enumerate().map(|(number, data)| unit(&format, number, unit_length, data)).collect();
    Clip { format, units, unit_length }
}

/// Fifteen pictures a second, one slice each, an entry point each second.
pub(crate) fn h264_clip() -> Clip {
    let stream = load("cyclist-360.h264");
    let nals: Vec<&[u8]> = nal::annex_b(&stream).collect();
    let of = |kind: u8| {
        nals.iter().find(|nal| nal[0] & 31 == kind).map(|nal| Bytes::copy_from_slice(nal)).unwrap()
    };
    let format = h264::format_from_parameter_sets(of(7), vec![of(8)]).unwrap();
    let slices = nals.iter().filter(|nal| matches!(nal[0] & 31, 1 | 5));
    let data = slices.map(|nal| nal::to_length_prefixed(std::iter::once(*nal)).unwrap()).collect();
    clip(format, Duration::from_nanos(66_666_667), data)
}

pub(crate) fn h265_clip() -> Clip {
    let stream = load("street-360.h265");
    let nals: Vec<&[u8]> = nal::annex_b(&stream).collect();
    let kind = |nal: &[u8]| nal[0] >> 1 & 63;
    let of = |wanted: u8| {
        nals.iter().find(|nal| kind(nal) == wanted).map(|nal| Bytes::copy_from_slice(nal)).unwrap()
    };
    let format = h265::format_from_parameter_sets(vec![of(32)], of(33), vec![of(34)]).unwrap();
    let slices = nals.iter().filter(|nal| kind(nal) < 32);
    let data = slices.map(|nal| nal::to_length_prefixed(std::iter::once(*nal)).unwrap()).collect();
    clip(format, Duration::from_nanos(66_666_667), data)
}

/// AAC-LC, 16 kHz, mono: 64 ms a frame.
pub(crate) fn aac_clip() -> Clip {
    let stream = load("sound.aac");
    let mut rest = &stream[..];
    let mut data = Vec::new();
    while rest.len() > 7 && rest[0] == 0xff {
        let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5]) >> 5;
        let head = if rest[1] & 1 == 1 { 7 } else { 9 };
        data.push(Bytes::copy_from_slice(&rest[head..length]));
        rest = &rest[length..];
    }
    let format = aac::format_from_config(aac::AudioConfig::low_complexity(16_000, 1).unwrap()).unwrap();
    clip(format, Duration::from_millis(64), data)
}

/// The clip again and again, for `span`.
pub(crate) fn looped(clip: &Clip, span: Duration) -> Vec<AccessUnit> {
    let count = (span.as_nanos() / clip.unit_length.as_nanos()) as usize;
    (0..count)
        .map(|number| {
            let data = clip.units[number % clip.units.len()].data.clone();
            unit(&clip.format, number, clip.unit_length, data)
        })
        .collect()
}
