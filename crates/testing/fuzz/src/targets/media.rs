//! Codec headers and the MP4 reader.

use bytes::Bytes;
use varde_codec::{aac, av1, h264, h265, jpeg, nal, opus};
use varde_fmp4::{
    FragmentBuilder, SampleFlags, TrackInit, init_segment, progressive, read_fragment, read_init, scan,
};
use varde_units::Utc;

use super::Target;
use super::protocol::formats;

pub(super) const NAL: Target = Target {
    name: "nal",
    words: &[&[0, 0, 0, 1], &[0, 0, 3], &[0x67, 0x64, 0], &[0x68], &[0x42, 1, 1], &[0x40, 1], &[0x44, 1]],
    seeds: || {
        let mut seeds = Vec::new();
        for format in formats() {
            match format {
                varde_codec::Format::H264 { sps, pps, .. } => {
                    seeds.extend(h264::avcc_build(&sps, &pps).map(|record| record.to_vec()));
                    seeds
                        .push(nal::to_annex_b([&sps[..], &pps[0], &[0x65, 0x88, 0x80]].into_iter()).to_vec());
                    seeds.extend([sps.to_vec(), pps[0].to_vec()]);
                }
                varde_codec::Format::H265 { vps, sps, pps, .. } => {
                    seeds.extend(h265::hvcc_build(&vps, &sps, &pps).map(|record| record.to_vec()));
                    seeds.extend([vps[0].to_vec(), sps.to_vec(), pps[0].to_vec()]);
                }
                _ => {}
            }
        }
        seeds
    },
    run: |input| {
        for unit in nal::annex_b(input).chain(nal::length_prefixed(input)).chain([input]) {
            let _ = (h264::Sps::parse(unit), h264::Pps::parse(unit), h264::slice_head(unit));
            let _ = (h265::Sps::parse(unit), h265::is_first_slice(unit));
            let bytes = Bytes::copy_from_slice(unit);
            if let Ok(format) = h264::format_from_parameter_sets(bytes.clone(), vec![bytes.clone()]) {
                assert!(format.dimensions().is_some_and(|(width, height)| width > 0 && height > 0));
                let _ = (format.codec_string(), format.is_in_order());
            }
        }
        let _ = (h264::unit_flags(input), h265::unit_flags(input));
        for format in [h264::avcc_parse(input), h265::hvcc_parse(input)].into_iter().flatten() {
            let _ = (format.codec_string(), format.is_in_order(), format.unit_flags(input));
        }
    },
};

pub(super) const AV1: Target = Target {
    name: "av1",
    words: &[&[0x0a, 0x0a], &[0x32], &[0x81]],
    seeds: || {
        let config = formats().into_iter().find_map(|format| match format {
            varde_codec::Format::Av1 { config, .. } => Some(config),
            _ => None,
        });
        let config = config.expect("one of the formats is AV1").to_vec();
        vec![config[4..].to_vec(), config]
    },
    run: |input| {
        assert!(av1::obus(input).count() <= input.len());
        let _ = av1::unit_flags(input);
        let _ = av1::SequenceHeader::parse(input);
        let formats =
            [av1::format_from_sequence_header(input), av1::av1c_parse(Bytes::copy_from_slice(input))];
        for format in formats.into_iter().flatten() {
            assert!(!format.codec_string().is_empty());
        }
    },
};

/// A baseline image as cameras send it; its scan is noise.
pub(super) fn jpeg_image() -> Vec<u8> {
    let mut image = vec![0xff, 0xd8, 0xff, 0xdb, 0, 132, 0];
    image.extend_from_slice(&[7; 64]);
    image.push(1);
    image.extend_from_slice(&[9; 64]);
    image.extend_from_slice(&[0xff, 0xdd, 0, 4, 0, 4]);
    image.extend_from_slice(&[0xff, 0xc0, 0, 17, 8, 0, 48, 0, 64, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    image.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    image.extend_from_slice(&[0x5a; 200]);
    image.extend_from_slice(&[0xff, 0xd9]);
    image
}

pub(super) const JPEG: Target = Target {
    name: "jpeg",
    words: &[&[0xff, 0xd8], &[0xff, 0xc0, 0, 17], &[0xff, 0xda], &[0xff, 0xff]],
    seeds: || vec![jpeg_image()],
    run: |input| {
        if let Ok((width, height)) = jpeg::dimensions(input) {
            assert!(width > 0 && height > 0 && width <= 65_535 && height <= 65_535);
        }
        let format = varde_codec::Format::Mjpeg { width: 64, height: 48 };
        let mut packetiser = varde_rtsp::rtp::Packetiser::new(&format, 26, 1, 0, 200);
        let _ = packetiser.packetise(input, 0, true, |_, _| {});
    },
};

pub(super) const AUDIO: Target = Target {
    name: "audio",
    words: &[&[0x11, 0x90], &[0x2b, 0x92]],
    seeds: || vec![vec![0x11, 0x90], vec![0x2b, 0x92, 0x08, 0x00], vec![0xfc, 1, 2], vec![1, 2, 0, 0]],
    run: |input| {
        if let Ok(config) = aac::AudioConfig::parse(input) {
            assert!(config.sample_rate > 0 && config.samples_per_frame > 0);
        }
        if let Ok(format) = aac::format_from_config(Bytes::copy_from_slice(input)) {
            assert!(format.timescale() > 0 && !format.codec_string().is_empty());
        }
        if let Ok(samples) = opus::packet_samples(input) {
            assert!(samples <= 5_760, "120 ms");
        }
        let _ = opus::dops_parse(input);
    },
};

pub(super) const MP4: Target = Target {
    name: "mp4",
    words: &[
        b"moov", b"trak", b"stsd", b"moof", b"traf", b"tfhd", b"tfdt", b"trun", b"mdat", b"uuid", b"avcC",
        b"stsz",
    ],
    seeds: || {
        let mut seeds = Vec::new();
        for format in formats() {
            let init = TrackInit { format: &format, creation: Utc::EPOCH, user: None };
            let Ok(init) = init_segment(&init) else { continue };
            let mut builder = FragmentBuilder::new(9_000);
            for size in [30usize, 3, 5] {
                let flags = SampleFlags { sync: size == 30, ..SampleFlags::default() };
                let pushed = builder.push(vec![0x5a; size].into(), 3_600, 40, flags);
                pushed.expect("three samples fit");
            }
            let Ok(fragment) = builder.finish(1, None) else { continue };
            let mut file = init.to_vec();
            file.extend_from_slice(&fragment.head);
            fragment.payload.iter().for_each(|sample| file.extend_from_slice(sample));
            seeds.extend([init.to_vec(), file]);
        }
        seeds
    },
    run: |input| {
        let mut boxes = 0;
        let mut at = 0;
        for top in scan(input, 0) {
            let Ok(top) = top else { break };
            boxes += 1;
            assert!(top.offset >= at, "boxes go on");
            at = top.offset;
            let start = usize::try_from(top.offset).expect("inside the input");
            match &top.kind {
                b"moov" => {
                    if let Ok(tracks) = top.body.map_or(Ok(Vec::new()), progressive::read) {
                        let samples: usize = tracks.iter().map(|track| track.samples.len()).sum();
                        assert!(samples <= 64 << 20, "{samples} samples");
                    }
                    let _ = read_init(&input[start..]);
                }
                b"moof" => {
                    if let Ok(info) = read_fragment(&input[start..]) {
                        assert!(info.samples.len() <= varde_fmp4::FRAGMENT_SAMPLES_MAX);
                    }
                }
                _ => {}
            }
        }
        assert!(boxes <= input.len() / 8 + 1);
        let _ = (read_init(input), read_fragment(input), progressive::read(input));
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read() {
        let seeds = (MP4.seeds)();
        assert_eq!(seeds.len(), 2 * formats().len());
        for seed in seeds {
            assert!(read_init(&seed).is_ok());
            let moof = scan(&seed, 0).flatten().find(|top| top.kind == *b"moof");
            if let Some(moof) = moof {
                assert_eq!(read_fragment(&seed[moof.offset as usize..]).unwrap().samples.len(), 3);
            }
        }
        assert!((NAL.seeds)().iter().any(|seed| h264::avcc_parse(seed).is_ok()));
        assert!((NAL.seeds)().iter().any(|seed| h265::hvcc_parse(seed).is_ok()));
        assert!((AV1.seeds)().iter().any(|seed| av1::format_from_sequence_header(seed).is_ok()));
        assert!(jpeg::dimensions(&jpeg_image()).is_ok());
    }
}
