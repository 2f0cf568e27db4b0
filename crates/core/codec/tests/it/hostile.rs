//! Any bytes: a value or an error, never a panic.

use bytes::Bytes;
use proptest::prelude::*;
use varde_codec::{Format, aac, av1, h264, h265, jpeg, nal, opus};

use crate::{AV1_SEQUENCE_HEADER, H264_444, H264_HIGH, H265_MAIN10, H265_SPS, H265_VPS, hex};

fn read_everything(bytes: &[u8]) {
    let shared = Bytes::copy_from_slice(bytes);
    let _ = h264::Sps::parse(bytes).map(|sps| (sps.frame_rate_milli(), sps.is_in_order()));
    let _ = h264::Pps::parse(bytes);
    let _ = h264::slice_head(bytes);
    let _ = h264::avcc_parse(bytes);
    let _ = h264::avcc_build(bytes, std::slice::from_ref(&shared));
    let _ = h265::Sps::parse(bytes);
    let _ = h265::hvcc_parse(bytes);
    let _ = h265::hvcc_build(&[hex(H265_VPS).into()], bytes, std::slice::from_ref(&shared));
    let _ = h265::is_first_slice(bytes);
    let _ = av1::SequenceHeader::parse(bytes);
    let _ = av1::format_from_sequence_header(bytes);
    let _ = av1::av1c_parse(shared.clone());
    let _ = aac::AudioConfig::parse(bytes);
    let _ = opus::packet_samples(bytes);
    let _ = opus::dops_parse(bytes);
    let _ = jpeg::dimensions(bytes);
    for format in [
        Format::H264 { sps: shared.clone(), pps: vec![shared.clone()], width: 1, height: 1 },
        Format::H265 { vps: Vec::new(), sps: shared.clone(), pps: Vec::new(), width: 1, height: 1 },
        Format::Av1 { config: shared.clone(), width: 1, height: 1 },
        Format::Aac { config: shared.clone(), sample_rate: 8_000, channels: 1 },
    ] {
        let _ = (format.codec_string(), format.is_in_order(), format.unit_flags(bytes));
    }
    assert!(nal::annex_b(bytes).map(<[u8]>::len).sum::<usize>() <= bytes.len());
    assert!(nal::length_prefixed(bytes).map(<[u8]>::len).sum::<usize>() <= bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
        // Behind the first byte of each structure, so that the reading goes deeper.
        for first in [&[0x67][..], &[0x68], &[0x65], &[0x42, 1], &[1], &[0x81], &[0x0a], &[0xff, 0xd8, 0xff]] {
            read_everything(&[first, &bytes].concat());
        }
    }

    #[test]
    fn damaged_headers_are_survived(which in 0usize..5, at in any::<usize>(), with in any::<u8>(), cut in any::<usize>()) {
        let mut bytes = hex([H264_HIGH, H264_444, H265_SPS, H265_MAIN10, AV1_SEQUENCE_HEADER][which]);
        let length = bytes.len();
        bytes[at % length] = with;
        read_everything(&bytes);
        read_everything(&bytes[..cut % length]);
    }

    #[test]
    fn start_codes_and_lengths_hold_the_same_units(
        units in proptest::collection::vec(proptest::collection::vec(1u8..=255, 1..50), 0..8),
    ) {
        let units: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
        let prefixed = nal::to_length_prefixed(units.iter().copied()).unwrap();
        prop_assert_eq!(nal::length_prefixed(&prefixed).collect::<Vec<_>>(), units.clone());
        let stream = nal::to_annex_b(units.iter().copied());
        prop_assert_eq!(nal::annex_b(&stream).collect::<Vec<_>>(), units);
    }
}
