//! Tables: what packets written by hand become, by payload format.

use varde_codec::{Format, UnitFlags, nal};

use super::round_trip_tests::{h264, h265, hex};
use super::{Depacketiser, Header, Packet, PayloadParameters, Unit};

/// One packet: timestamp, marker, payload in hexadecimal; `lost` before it.
struct Given {
    timestamp: u32,
    marker: bool,
    lost: u32,
    payload: String,
}

fn given(timestamp: u32, marker: bool, payload: &str) -> Given {
    Given { timestamp, marker, lost: 0, payload: payload.replace(' ', "") }
}

fn after_loss(timestamp: u32, marker: bool, payload: &str) -> Given {
    Given { lost: 1, ..given(timestamp, marker, payload) }
}

fn read(parameters: &PayloadParameters, packets: &[Given]) -> Vec<Unit> {
    let mut depacketiser = Depacketiser::new(parameters).unwrap();
    let mut units = Vec::new();
    for (index, given) in packets.iter().enumerate() {
        let header = Header {
            marker: given.marker,
            payload_type: 96,
            sequence: index as u16,
            timestamp: given.timestamp,
            ssrc: 1,
        };
        let bytes = [&header.write()[..], &hex(&given.payload)].concat();
        depacketiser.on_packet(&Packet::parse(&bytes).unwrap(), given.lost);
        units.extend(std::iter::from_fn(|| depacketiser.poll()));
    }
    depacketiser.flush();
    units.extend(std::iter::from_fn(|| depacketiser.poll()));
    units
}

fn sdp(rtpmap: &str, fmtp: &str) -> PayloadParameters {
    PayloadParameters::from_sdp(96, Some(rtpmap), Some(fmtp)).unwrap()
}

/// `timestamp:nal,nal` of each unit, with `!` for an entry point, `~` for RASL, `-` for disposable, `?` for after loss.
fn told(units: &[Unit]) -> Vec<String> {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let tell = |unit: &Unit| {
        let nals: Vec<String> = nal::length_prefixed(&unit.data).map(text).collect();
        let UnitFlags { entry_point, skipped_after_seek, disposable, after_loss } = unit.flags;
        let marks = [(entry_point, "!"), (skipped_after_seek, "~"), (disposable, "-"), (after_loss, "?")];
        let marks: String = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark).collect();
        format!("{}{marks}:{}", unit.rtp_time, nals.join(","))
    };
    units.iter().map(tell).collect()
}

fn known(format: &Format) -> PayloadParameters {
    PayloadParameters::for_format(format, 96)
}

const SPS: &str = "6764000aacb208f60220000003002000000641e244c9";
const PPS: &str = "68ebc3cb22c0";

#[test]
fn h264_packets() {
    let check = |packets: &[Given], expected: &[&str]| {
        assert_eq!(told(&read(&known(&h264()), packets)), expected);
    };
    // Delimiter, parameter sets and filler are taken out; SEI stays.
    check(
        &[
            given(1, false, "09f0"),
            given(1, false, SPS),
            given(1, false, PPS),
            given(1, false, "0611"),
            given(1, false, "0cffff80"),
            given(1, true, "6588aa"),
        ],
        &["1!:0611,6588aa"],
    );
    // STAP-A, with the sets inside.
    let stap = format!("78 0016 {SPS} 0006 {PPS} 0003 6588aa 0003 65 4411");
    check(&[given(1, true, &stap)], &["1!:6588aa,654411"]);
    // A STAP-A that is cut, an empty FU-A, modes that nobody may send: the unit is dropped.
    check(&[given(1, true, "78 0005 6588"), given(2, true, "4188")], &["2?:4188"]);
    check(&[given(1, true, "7c85"), given(2, true, "4188")], &["2?:4188"]);
    check(&[given(1, true, "7a 0001 00"), given(2, true, "4188")], &["2?:4188"]);
    // FU-A in two; without its begin; without its end; with another NAL unit in its middle.
    check(&[given(1, false, "7c85 88aa"), given(1, true, "7c45 bb")], &["1!:6588aabb"]);
    check(&[given(1, true, "7c45 bb"), given(2, true, "4188")], &["2?:4188"]);
    check(&[given(1, false, "7c85 88aa"), given(2, true, "4188")], &["2?:4188"]);
    check(&[given(1, false, "7c85 88aa"), given(1, true, "6588"), given(2, true, "4188")], &["2?:4188"]);
    // Disposable by nal_ref_idc; a later slice that is referred to makes the unit needed.
    check(
        &[given(1, false, "0188"), given(1, true, "0144"), given(2, true, "0188")],
        &["1-:0188,0144", "2-:0188"],
    );
    check(&[given(1, false, "0188"), given(1, true, "4144")], &["1:0188,4144"]);
    // Sets and SEI with a timestamp of their own belong to the next picture.
    check(&[given(1, true, SPS), given(1, true, "0611"), given(2, true, "6588")], &["2!:0611,6588"]);
    // Joined in the middle of a picture.
    check(&[given(1, true, "4144"), given(2, true, "4188")], &["2?:4188"]);
}

#[test]
fn loss_in_h264() {
    let check = |packets: &[Given], expected: &[&str]| {
        assert_eq!(told(&read(&known(&h264()), packets)), expected);
    };
    // Between the slices, before the first slice, and before a picture that is whole.
    check(&[given(1, false, "6588"), after_loss(1, true, "6544"), given(2, true, "4188")], &["2?:4188"]);
    check(
        &[
            given(1, true, "6588"),
            given(2, true, "4188"),
            given(3, true, "4188"),
            after_loss(4, true, "4144"),
        ],
        &["1!:6588", "2:4188", "3:4188"],
    );
    check(
        &[
            given(1, true, "6588"),
            given(2, true, "4188"),
            given(3, true, "4188"),
            after_loss(4, true, "4188"),
        ],
        &["1!:6588", "2:4188", "3:4188", "4?:4188"],
    );
    // Before SEI that stands before the picture.
    check(&[given(1, true, "6588"), after_loss(2, false, "0611"), given(2, true, "4188")], &["2?:0611,4188"]);
}

#[test]
fn markers_are_believed_once_they_agree() {
    // No marker tells of the end of the last unit here, so it must be a marker behind a believed camera's slice.
    let parameters = known(&h264());
    let mut depacketiser = Depacketiser::new(&parameters).unwrap();
    let mut count = 0;
    let mut feed = |sequence: u16, timestamp: u32, marker: bool, nal: &[u8]| {
        let header = Header { marker, payload_type: 96, sequence, timestamp, ssrc: 1 };
        let bytes = [&header.write()[..], nal].concat();
        depacketiser.on_packet(&Packet::parse(&bytes).unwrap(), 0);
        count += std::iter::from_fn(|| depacketiser.poll()).count();
        count
    };
    assert_eq!(feed(0, 1, true, &[0x65, 0x88]), 0);
    assert_eq!(feed(1, 2, true, &[0x41, 0x88]), 1);
    assert_eq!(feed(2, 3, true, &[0x41, 0x88]), 3, "the third ends at once");
    assert_eq!(feed(3, 4, true, &[0x41, 0x88]), 4);
    // The picture goes on behind its marker: from now on timestamps count.
    assert_eq!(feed(4, 4, true, &[0x41, 0x44]), 4);
    assert_eq!(feed(5, 5, true, &[0x41, 0x88]), 4, "the torn rest is dropped");
    assert_eq!(feed(6, 5, true, &[0x41, 0x44]), 4);
    assert_eq!(feed(7, 6, true, &[0x41, 0x88]), 5);
}

#[test]
fn a_format_comes_with_the_unit_that_needs_it() {
    // In band only; no format, no unit.
    let bare = sdp("H264/90000", "packetization-mode=1");
    let units = read(
        &bare,
        &[
            given(1, true, "4188"),
            given(2, false, SPS),
            given(2, false, PPS),
            given(2, true, "6588"),
            given(3, true, "4188"),
        ],
    );
    assert_eq!(told(&units), ["2!:6588", "3:4188"]);
    assert_eq!((units[0].format.clone(), units[0].dropped_before), (Some(h264()), 1));
    assert_eq!(units[1].format, None);
    // Another picture size in mid-stream, by FU-A even; the same sets again change nothing.
    let other = "6742c00ad90a3f3e7c05a808080a0000030002000003006478 91 30".replace(' ', "");
    let changed = varde_codec::h264::format_from_parameter_sets(hex(&other), vec![hex("68cb83cb20")]);
    if let Ok(changed) = changed {
        let (head, tail) = other[2..].split_at(20);
        let units = read(
            &known(&h264()),
            &[
                given(1, false, SPS),
                given(1, false, PPS),
                given(1, true, "6588"),
                given(2, false, &format!("7c87{head}")),
                given(2, false, &format!("7c47{tail}")),
                given(2, false, "68cb83cb20"),
                given(2, true, "6588"),
                given(3, true, "4188"),
            ],
        );
        assert_eq!(told(&units), ["1!:6588", "2!:6588", "3:4188"]);
        let formats: Vec<_> = units.into_iter().map(|unit| unit.format).collect();
        assert_eq!(formats, [Some(h264()), Some(changed), None]);
    } else {
        panic!("the other SPS is not read: {changed:?}");
    }
}

#[test]
fn h265_packets() {
    let check = |packets: &[Given], expected: &[&str]| {
        assert_eq!(told(&read(&known(&h265()), packets)), expected);
    };
    // IDR, trailing, CRA with its leading pictures (RASL 8 and 9, RADL 6), sub-layer non-reference 0.
    check(
        &[
            given(1, false, "460150"),
            given(1, false, "4e0111"),
            given(1, true, "2601af"),
            given(2, true, "0201d0"),
            given(3, true, "2a01af"),
            given(4, true, "1201d0"),
            given(5, true, "1001d0"),
            given(6, true, "0c01d0"),
            given(7, true, "0001d0"),
        ],
        &["1!:4e0111,2601af", "2:0201d0", "3!:2a01af", "4~:1201d0", "5~-:1001d0", "6-:0c01d0", "7-:0001d0"],
    );
    // Aggregation, fragments, and a layer that nobody decodes.
    check(&[given(1, true, "6001 0003 2601af 0003 26012f 0003 2609af")], &["1!:2601af,26012f"]);
    check(&[given(1, false, "6201 93 af11"), given(1, true, "6201 53 22")], &["1!:2601af1122"]);
    check(&[given(1, true, "6001 0009 2601af"), given(2, true, "0201d0")], &["2?:0201d0"]);
    check(&[given(1, true, "6401 00"), given(2, true, "0201d0")], &["2?:0201d0"]);
}

#[test]
fn av1_packets() {
    let header = "0a0a00000002aff79b5f2008";
    let check = |packets: &[Given], expected: &[(&str, bool)]| {
        let units = read(&sdp("AV1/90000", ""), packets);
        let came: Vec<_> = units.iter().map(|unit| (unit.data.clone(), unit.flags.entry_point)).collect();
        let expected: Vec<_> = expected.iter().map(|(data, entry)| (hex(data), *entry)).collect();
        assert_eq!(came, expected);
    };
    let bare_header = "080000 0002aff79b5f2008".replace(' ', "");
    // Two elements, counted; the same with lengths; sizes that should not be there; a delimiter.
    let whole = format!("{header}32031011 22").replace(' ', "");
    check(&[given(1, true, &format!("28 0b {bare_header} 30101122"))], &[(&whole, true)]);
    check(&[given(1, true, &format!("08 0b {bare_header} 04 30101122"))], &[(&whole, true)]);
    check(&[given(1, true, &format!("38 02 1200 0c {header} 32 03 101122"))], &[(&whole, true)]);
    // A frame over three packets.
    check(
        &[
            given(1, false, &format!("68 0b {bare_header} 3010")),
            given(1, false, "d0 11"),
            given(1, true, "90 22"),
            given(2, true, "10 303355"),
        ],
        &[(&whole, true), ("32023355", false)],
    );
    // The middle is lost; a continuation without a begin; a count that does not fit; a length over the end.
    check(&[given(1, false, "50 3010"), after_loss(1, true, "90 22")], &[]);
    check(&[given(1, true, "90 22")], &[]);
    check(&[given(1, true, "38 01 30")], &[]);
    check(&[given(1, true, "00 7f 30")], &[]);
}

#[test]
fn aac_packets() {
    let parameters = sdp(
        "mpeg4-generic/48000/2",
        "mode=AAC-hbr; sizeLength=13; indexLength=3; indexDeltaLength=3; config=1190",
    );
    let check = |packets: &[Given], expected: &[(i64, &str, bool)]| {
        let units = read(&parameters, packets);
        let came: Vec<_> =
            units.iter().map(|unit| (unit.rtp_time, unit.data.clone(), unit.flags.after_loss)).collect();
        let expected: Vec<_> = expected.iter().map(|(time, data, lost)| (*time, hex(data), *lost)).collect();
        assert_eq!(came, expected);
        assert!(units.iter().all(|unit| unit.flags.entry_point));
    };
    // Three frames in a packet, a frame apart.
    check(
        &[given(10, true, "0030 0008 0010 0008 aa bbbb cc")],
        &[(10, "aa", false), (1034, "bbbb", false), (2058, "cc", false)],
    );
    // A frame in two fragments; one that lost its second; a list that is longer than the packet.
    check(&[given(1, false, "0010 0020 aabb"), given(1, true, "0010 0020 ccdd")], &[(1, "aabbccdd", false)]);
    check(&[given(1, false, "0010 0020 aabb"), after_loss(2, true, "0010 0008 ee")], &[(2, "ee", true)]);
    check(&[given(1, true, "0030 0008 0010"), given(2, true, "0010 0008 ee")], &[(2, "ee", true)]);
    check(&[given(1, true, "0000"), given(2, true, "0010 0008 ee")], &[(2, "ee", true)]);
    for refused in
        ["mode=CELP-vbr;config=1190", "mode=AAC-hbr;config=zz", "mode=AAC-hbr;sizelength=99;config=1190"]
    {
        assert!(Depacketiser::new(&sdp("mpeg4-generic/48000/2", refused)).is_err(), "{refused}");
    }
}

#[test]
fn jpeg_packets() {
    let parameters = sdp("JPEG/90000", "");
    let images = |packets: &[Given]| -> Vec<bool> {
        read(&parameters, packets)
            .iter()
            .map(|unit| {
                assert_eq!(varde_codec::jpeg::dimensions(&unit.data).unwrap(), (64, 48));
                assert!(unit.data.ends_with(&[0xff, 0xd9]));
                unit.data.windows(2).any(|pair| pair == [0xff, 0xdd])
            })
            .collect()
    };
    let q75 = "00 000000 01 4b 08 06 1122";
    assert_eq!(images(&[given(1, false, q75), given(1, true, "00 000002 01 4b 08 06 33")]), [false]);
    // Restart markers.
    assert_eq!(images(&[given(1, true, "00 000000 41 4b 08 06 0004ffff 1122")]), [true]);
    // Tables once for Q 200, then none; none at all before; a fragment that does not continue; reserved Q and type.
    let tables = format!("00 000000 01 c8 08 06 00000080 {} 1122", "07".repeat(128));
    let no_tables = "00 000000 01 c8 08 06 00000000 1122";
    assert_eq!(images(&[given(1, true, &tables), given(2, true, no_tables)]), [false, false]);
    assert_eq!(images(&[given(2, true, no_tables)]), []);
    assert_eq!(images(&[given(1, false, q75), given(1, true, "00 000003 01 4b 08 06 33")]), []);
    assert_eq!(images(&[given(1, true, "00 000000 01 00 08 06 1122")]), []);
    assert_eq!(images(&[given(1, true, "00 000000 02 4b 08 06 1122")]), []);
    assert_eq!(images(&[given(1, true, "00 000000 01 4b 00 06 1122")]), []);
}

#[test]
fn a_unit_without_end_is_dropped_at_16_mib() {
    let mut depacketiser = Depacketiser::new(&known(&h264())).unwrap();
    let mut feed = |sequence: u16, timestamp: u32, payload: &[u8]| {
        let header = Header { marker: timestamp > 1, payload_type: 96, sequence, timestamp, ssrc: 1 };
        let bytes = [&header.write()[..], payload].concat();
        depacketiser.on_packet(&Packet::parse(&bytes).unwrap(), 0);
        depacketiser.poll()
    };
    let body = vec![0x55; 60_000];
    assert_eq!(feed(0, 1, &[0x7c, 0x85, 0x88]), None);
    for sequence in 1..400 {
        assert_eq!(feed(sequence, 1, &[&[0x7c, 0x05][..], &body].concat()), None);
    }
    assert_eq!(feed(400, 1, &[0x7c, 0x45, 1]), None);
    assert_eq!(feed(401, 2, &[0x65, 0x88]), None);
    let unit = feed(402, 3, &[0x41, 0x88]).unwrap();
    assert_eq!((unit.rtp_time, unit.flags.after_loss, unit.dropped_before), (2, true, 1));
}

#[test]
fn what_is_not_supported_is_refused() {
    for (rtpmap, fmtp) in [("G726-32/8000", ""), ("H264/90000", "packetization-mode=2"), ("VP8/90000", "")] {
        assert!(Depacketiser::new(&sdp(rtpmap, fmtp)).is_err(), "{rtpmap}");
    }
}
