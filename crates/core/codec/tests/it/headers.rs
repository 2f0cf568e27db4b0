//! What real headers say.

use bytes::Bytes;
use varde_codec::{Codec, Error, Format, UnitFlags, aac, av1, h264, h265, jpeg, nal, opus};

use crate::{
    AV1_SEQUENCE_HEADER, H264_444, H264_BASELINE, H264_FIELDS, H264_HIGH, H264_HIGH_PPS, H265_MAIN10,
    H265_PPS, H265_SPS, H265_VPS, hex,
};

fn bytes(text: &str) -> Bytes {
    hex(text).into()
}

fn h264() -> Format {
    h264::format_from_parameter_sets(bytes(H264_HIGH), vec![bytes(H264_HIGH_PPS)]).unwrap()
}

fn h265() -> Format {
    h265::format_from_parameter_sets(vec![bytes(H265_VPS)], bytes(H265_SPS), vec![bytes(H265_PPS)]).unwrap()
}

#[test]
fn h264_sps_of_several_profiles() {
    let check = |text, profile, size, rate, reorder, frames_only| {
        let sps = h264::Sps::parse(&hex(text)).unwrap();
        assert_eq!((sps.profile, (sps.width, sps.height)), (profile, size), "{text}");
        assert_eq!((sps.frame_rate_milli(), sps.reorder_frames_max), (rate, reorder), "{text}");
        assert_eq!(sps.frames_only, frames_only, "{text}");
        assert_eq!(sps.is_in_order(), reorder == Some(0), "{text}");
    };
    check(H264_HIGH, 100, (1920, 1080), Some(25_000), Some(2), true);
    check(H264_BASELINE, 66, (640, 360), Some(25_000), Some(0), true);
    check(H264_FIELDS, 100, (720, 576), Some(25_000), Some(2), false);
    check(H264_444, 244, (322, 242), Some(25_000), Some(2), true);
}

#[test]
fn a_broken_vui_is_no_reason_to_refuse_the_stream() {
    let whole = hex(H264_HIGH);
    let sps = h264::Sps::parse(&whole[..12]).unwrap();
    assert_eq!((sps.width, sps.height, sps.timing, sps.reorder_frames_max), (1920, 1080, None, None));
    assert!(!sps.is_in_order());
    assert_eq!(h264::Sps::parse(&whole[..6]), Err(Error::Truncated { what: "H.264 SPS" }));
}

#[test]
fn h265_sps_of_two_profiles() {
    let sps = h265::Sps::parse(&hex(H265_SPS)).unwrap();
    assert_eq!((sps.width, sps.height, sps.bit_depth_luma, sps.profile_tier_level.level), (1280, 720, 8, 93));
    assert_eq!((sps.reorder_pictures_max, sps.is_in_order()), (2, false));
    let sps = h265::Sps::parse(&hex(H265_MAIN10)).unwrap();
    assert_eq!(
        (sps.width, sps.height, sps.bit_depth_luma, sps.profile_tier_level.profile),
        (1918, 1078, 10, 2)
    );
}

#[test]
fn codec_strings_name_profile_and_level() {
    let check = |format: &Format, expected: &str| assert_eq!(format.codec_string(), expected);
    check(&h264(), "avc1.640028");
    check(&h265(), "hvc1.1.6.L93.90");
    check(&av1::format_from_sequence_header(&hex(AV1_SEQUENCE_HEADER)).unwrap(), "av01.0.05M.08");
    check(&aac::format_from_config(bytes("1408")).unwrap(), "mp4a.40.2");
    check(&aac::format_from_config(bytes("2b920800")).unwrap(), "mp4a.40.5");
    check(&Format::Opus { channels: 1 }, "opus");
    check(&Format::Mjpeg { width: 1, height: 1 }, "mp4v.6C");
}

#[test]
fn configuration_records_come_back_as_they_went() {
    let (Format::H264 { sps, pps, .. }, format) = (h264(), h264()) else { panic!() };
    let record = h264::avcc_build(&sps, &pps).unwrap();
    assert_eq!(h264::avcc_parse(&record), Ok(format));
    let (Format::H265 { vps, sps, pps, .. }, format) = (h265(), h265()) else { panic!() };
    let record = h265::hvcc_build(&vps, &sps, &pps).unwrap();
    assert_eq!(h265::hvcc_parse(&record), Ok(format));
    let format = av1::format_from_sequence_header(&hex(AV1_SEQUENCE_HEADER)).unwrap();
    let Format::Av1 { config, width: 1280, height: 720 } = &format else { panic!("{format:?}") };
    assert_eq!(av1::av1c_parse(config.clone()), Ok(format.clone()));
    assert_eq!(opus::dops_parse(&opus::dops_build(2).unwrap()), Ok(2));
}

#[test]
fn parameter_sets_of_the_wrong_kind_are_refused() {
    let wrong = h264::format_from_parameter_sets(bytes(H264_HIGH_PPS), vec![bytes(H264_HIGH)]);
    assert_eq!(wrong, Err(Error::Malformed { what: "H.264 SPS" }));
    let none = h264::format_from_parameter_sets(bytes(H264_HIGH), Vec::new());
    assert_eq!(none, Err(Error::OutOfRange { what: "number of H.264 PPS", value: 0 }));
    let swapped =
        h265::format_from_parameter_sets(vec![bytes(H265_PPS)], bytes(H265_SPS), vec![bytes(H265_VPS)]);
    assert_eq!(swapped, Err(Error::Malformed { what: "H.265 VPS" }));
}

#[test]
fn slices_say_what_they_are() {
    let check = |text: &str, slice_type, pps_id| {
        let head = h264::slice_head(&hex(text)).unwrap();
        assert_eq!((head.first_macroblock, head.slice_type, head.pps_id), (0, slice_type, pps_id), "{text}");
    };
    check("6588840021ffd3d6", h264::SliceType::I, 0);
    check("419a226c42dfd2e2", h264::SliceType::P, 0);
    check("019e41790b7ff0e5", h264::SliceType::B, 0);
}

#[test]
fn units_are_flagged_by_their_own_headers() {
    let unit = |nals: &[&[u8]]| nal::to_length_prefixed(nals.iter().copied()).unwrap();
    let entry = UnitFlags { entry_point: true, ..UnitFlags::default() };
    let disposable = UnitFlags { disposable: true, ..UnitFlags::default() };
    let h264 = |nals: &[&[u8]], expected| assert_eq!(h264().unit_flags(&unit(nals)), expected, "{nals:?}");
    h264(&[&[0x06, 5], &[0x65, 0x88]], entry);
    h264(&[&[0x41, 0x9a]], UnitFlags::default());
    h264(&[&[0x01, 0x9e]], disposable);
    h264(&[&[0x06, 5]], UnitFlags::default());
    h264(&[], UnitFlags::default());
    let h265 = |kind: u8, expected| {
        assert_eq!(h265().unit_flags(&unit(&[&[kind << 1, 1, 0x80]])), expected, "{kind}");
    };
    (16..=21).for_each(|kind| h265(kind, entry));
    h265(0, disposable);
    h265(1, UnitFlags::default());
    h265(8, UnitFlags { skipped_after_seek: true, ..disposable });
    h265(9, UnitFlags { skipped_after_seek: true, ..UnitFlags::default() });
}

#[test]
fn aac_configurations_of_cameras() {
    let check = |text: &str, rate, channels| {
        let config = aac::AudioConfig::parse(&hex(text)).unwrap();
        assert_eq!((config.sample_rate, config.channels, config.samples_per_frame), (rate, channels, 1024));
    };
    check("1408", 16_000, 1);
    check("1190", 48_000, 2);
    check("1588", 8_000, 1);
    check("17800fa008", 8_000, 1); // The rate in words.
    assert_eq!(aac::AudioConfig::low_complexity(16_000, 1).as_deref(), Some(&hex("1408")[..]));
    assert_eq!(aac::AudioConfig::low_complexity(16_001, 1), None);
    assert_eq!(aac::AudioConfig::parse(&hex("f8")), Err(Error::Truncated { what: "AudioSpecificConfig" }));
    assert_eq!(
        aac::AudioConfig::parse(&hex("1400")).unwrap_err(),
        Error::OutOfRange { what: "channelConfiguration", value: 0 }
    );
}

#[test]
fn opus_packets_say_how_long_they_are() {
    let check =
        |packet: &[u8], samples| assert_eq!(opus::packet_samples(packet).ok(), samples, "{packet:x?}");
    check(&[0xfc], Some(960)); // CELT, 20 ms, one frame.
    check(&[0xf9, 0], Some(1920));
    check(&[0x18, 0], Some(2880)); // SILK, 60 ms.
    check(&[0xff, 3], Some(2880));
    check(&[0xff, 48], None); // 960 ms.
    check(&[0xff, 0], None);
    check(&[0xff], None);
    check(&[], None);
}

#[test]
fn jpeg_sizes_stand_in_the_frame_header() {
    let image = [
        &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2][..],
        &[0xff, 0xff, 0xc4, 0, 3, 0],
        &[0xff, 0xc0, 0, 11, 8, 0x02, 0xd0, 0x05, 0x00, 1, 1, 0x11, 0],
    ]
    .concat();
    assert_eq!(jpeg::dimensions(&image), Ok((1280, 720)));
    for cut in 0..image.len() - 8 {
        assert!(jpeg::dimensions(&image[..cut]).is_err(), "{cut}");
    }
    assert!(jpeg::dimensions(&[0xff, 0xd8, 0xff, 0xda, 0, 2]).is_err());
    assert!(jpeg::dimensions(&[0xff, 0xd8, 0xff, 0xe0, 0, 1]).is_err());
}

#[test]
fn av1_units_with_a_sequence_header_and_a_key_frame_are_entry_points() {
    let format = av1::format_from_sequence_header(&hex(AV1_SEQUENCE_HEADER)).unwrap();
    assert_eq!(format.codec(), Codec::Av1);
    let unit = |frame: &str| hex(&format!("{AV1_SEQUENCE_HEADER}{frame}"));
    assert!(format.unit_flags(&unit("32021000")).entry_point);
    assert!(!format.unit_flags(&unit("32023000")).entry_point); // An inter frame.
    assert!(!format.unit_flags(&hex("32021000")).entry_point); // No sequence header.
    assert!(!format.unit_flags(&unit("1a0190")).entry_point); // Shows an existing frame.
}
