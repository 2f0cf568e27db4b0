//! Packetise, disturb, depacketise: what comes out is what went in, or is missing and says so. Seeds are printed.

use bytes::Bytes;
use varde_codec::{Codec, Format, UnitFlags, nal};
use varde_units::Mono;

use super::jpeg_tables::HUFFMAN_SEGMENTS;
use super::packetise::Packetiser;
use super::receiver::{Arrival, Output, Receiver};
use super::{Depacketiser, Packet, SessionClock, Unit};

/// A small generator, so that a failure can be repeated from its seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(255) as u8).collect() // Never 0xff, so that JPEG scans stay scans.
    }
}

const CODECS: [Codec; 9] = [
    Codec::H264,
    Codec::H265,
    Codec::Av1,
    Codec::Mjpeg,
    Codec::Aac,
    Codec::Alaw,
    Codec::Ulaw,
    Codec::Opus,
    Codec::Metadata,
];

pub(super) fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

pub(super) fn h264() -> Format {
    let sps = hex("6764000aacb208f60220000003002000000641e244c9");
    Format::H264 { sps, pps: vec![hex("68ebc3cb22c0")], width: 64, height: 48 }
}

pub(super) fn h265() -> Format {
    Format::H265 {
        vps: vec![hex("40010c01ffff01600000030090000003000003001e959809")],
        sps: hex("42010101600000030090000003000003001ea02083165959ae4caf016808000003000800000300c840"),
        pps: vec![hex("4401c173d089")],
        width: 64,
        height: 48,
    }
}

const AV1_SEQUENCE_HEADER: &str = "0a0a00000002aff79b5f2008";

fn format(codec: Codec) -> Format {
    match codec {
        Codec::H264 => h264(),
        Codec::H265 => h265(),
        Codec::Av1 => varde_codec::av1::format_from_sequence_header(&hex(AV1_SEQUENCE_HEADER)).unwrap(),
        Codec::Mjpeg => Format::Mjpeg { width: 64, height: 48 },
        Codec::Aac => varde_codec::aac::format_from_config(hex("1190")).unwrap(),
        Codec::Alaw => Format::Alaw { sample_rate: 8_000, channels: 1 },
        Codec::Ulaw => Format::Ulaw { sample_rate: 8_000, channels: 2 },
        Codec::Opus => Format::Opus { channels: 2 },
        Codec::Metadata => Format::Metadata,
    }
}

#[derive(Clone, Debug)]
struct Sample {
    data: Vec<u8>,
    timestamp: u32,
    flags: UnitFlags,
}

/// Units as a camera could make them; every eighth is an entry point.
fn samples(codec: Codec, random: &mut Random, count: usize) -> Vec<Sample> {
    let mut timestamp = u32::MAX - 20_000;
    (0..count)
        .map(|index| {
            let key = index % 8 == 0;
            let (data, ticks, flags) = sample(codec, random, key);
            let sample = Sample { data, timestamp, flags };
            timestamp = timestamp.wrapping_add(ticks);
            sample
        })
        .collect()
}

fn sample(codec: Codec, random: &mut Random, key: bool) -> (Vec<u8>, u32, UnitFlags) {
    let entry = UnitFlags { entry_point: key, ..UnitFlags::default() };
    let always = UnitFlags { entry_point: true, ..UnitFlags::default() };
    match codec {
        Codec::H264 | Codec::H265 => {
            let disposable = !key && random.below(3) == 0;
            let header: &[u8] = match (codec, key, disposable) {
                (Codec::H264, true, _) => &[0x65],
                (Codec::H264, _, true) => &[0x01],
                (Codec::H264, ..) => &[0x41],
                (_, true, _) => &[19 << 1, 1],
                (_, _, true) => &[0, 1],
                _ => &[1 << 1, 1],
            };
            let prefix: &[u8] = if codec == Codec::H264 { &[6] } else { &[39 << 1, 1] };
            let mut nals: Vec<Vec<u8>> = Vec::new();
            if random.below(2) == 0 {
                nals.push([prefix, &random.bytes(9)].concat());
            }
            for slice in 0..=random.below(3) {
                let first = if slice == 0 { 0x80 } else { 0x40 };
                let size = 1 + random.below(if key { 9_000 } else { 700 });
                nals.push([header, &[first], &random.bytes(size)].concat());
            }
            let lengths = nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat());
            (lengths.collect(), 3_600, UnitFlags { disposable, ..entry })
        }
        Codec::Av1 => {
            let mut data = if key { hex(AV1_SEQUENCE_HEADER).to_vec() } else { Vec::new() };
            for index in 0..=random.below(3) {
                let first = if key { 0x10 } else { 0x30 };
                let size = 1 + random.below(if key { 9_000 } else { 700 });
                let body = [&[first][..], &random.bytes(size)].concat();
                data.push(6 << 3 | 2 | (index as u8 & 1) << 2);
                data.extend((index & 1 == 1).then_some(0x20));
                let (bytes, count) = super::depacketise::av1::leb128(body.len());
                data.extend_from_slice(&bytes[..count]);
                data.extend_from_slice(&body);
            }
            (data, 3_600, entry)
        }
        Codec::Mjpeg => {
            let size = 1 + random.below(9_000);
            let scan = random.bytes(size);
            let interval = random.below(2) as u16 * 4;
            (jpeg(interval, &scan), 3_600, UnitFlags { disposable: true, ..always })
        }
        Codec::Aac => {
            let size = 1 + random.below(1_500);
            (random.bytes(size), 1_024, always)
        }
        Codec::Alaw => (random.bytes(160), 160, always),
        Codec::Ulaw => (random.bytes(2 * 700), 700, always),
        Codec::Opus => {
            let size = random.below(40);
            ([&[4][..], &random.bytes(size)].concat(), 960, always)
        }
        Codec::Metadata => {
            let text: String =
                (0..random.below(2_000)).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
            (
                format!("<?xml version=\"1.0\"?><tt:MetadataStream>{text}</tt:MetadataStream>").into(),
                3_600,
                always,
            )
        }
    }
}

/// The image as the depacketiser writes it, so that it comes back byte by byte.
fn jpeg(restart_interval: u16, scan: &[u8]) -> Vec<u8> {
    let mut image = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    image.extend_from_slice(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    image.extend_from_slice(&[0xff, 0xdb, 0, 132, 0]);
    image.extend_from_slice(&[7; 64]);
    image.push(1);
    image.extend_from_slice(&[9; 64]);
    if restart_interval > 0 {
        image.extend_from_slice(&[0xff, 0xdd, 0, 4]);
        image.extend_from_slice(&restart_interval.to_be_bytes());
    }
    image.extend_from_slice(&[0xff, 0xc0, 0, 17, 8, 0, 48, 0, 64, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    image.extend_from_slice(&HUFFMAN_SEGMENTS);
    image.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    image.extend_from_slice(scan);
    image.extend_from_slice(&[0xff, 0xd9]);
    image
}

fn packets(codec: Codec, samples: &[Sample], packet_bytes_max: usize) -> Vec<Vec<u8>> {
    let mut packetiser = Packetiser::new(&format(codec), 96, 7, 65_500, packet_bytes_max);
    let mut packets = Vec::new();
    for sample in samples {
        packetiser
            .packetise(&sample.data, sample.timestamp, sample.flags.entry_point, |head, body| {
                let packet = [head, body].concat();
                // JPEG's first packet holds tables that can't be split.
                assert!(packet.len() <= packet_bytes_max.max(64) + 300);
                assert!(codec == Codec::Mjpeg || packet.len() <= packet_bytes_max.max(64));
                packets.push(packet);
            })
            .unwrap();
    }
    assert_eq!(packetiser.packets_sent() as usize, packets.len());
    packets
}

fn depacketiser(codec: Codec) -> Depacketiser {
    let packetiser = Packetiser::new(&format(codec), 96, 7, 0, 1400);
    Depacketiser::new(&packetiser.parameters()).unwrap()
}

/// Reads packets in order, telling of the holes between their numbers.
fn depacketise<'a>(codec: Codec, packets: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<Unit> {
    let mut depacketiser = depacketiser(codec);
    let mut units = Vec::new();
    let mut next: Option<u16> = None;
    for bytes in packets {
        let packet = Packet::parse(bytes).unwrap();
        let lost = packet.sequence.wrapping_sub(next.unwrap_or(packet.sequence));
        next = Some(packet.sequence.wrapping_add(1));
        depacketiser.on_packet(&packet, u32::from(lost));
        units.extend(std::iter::from_fn(|| depacketiser.poll()));
    }
    depacketiser.flush();
    units.extend(std::iter::from_fn(|| depacketiser.poll()));
    units
}

fn is_grouped(codec: Codec) -> bool {
    matches!(codec, Codec::Alaw | Codec::Ulaw)
}

fn check_same(codec: Codec, samples: &[Sample], units: &[Unit], what: &str) {
    if is_grouped(codec) {
        let sent: Vec<u8> = samples.iter().flat_map(|sample| sample.data.clone()).collect();
        let came: Vec<u8> = units.iter().flat_map(|unit| unit.data.to_vec()).collect();
        assert!(sent == came, "{what}");
        let limit = if codec == Codec::Alaw { 320 } else { 640 };
        assert!(units.iter().all(|unit| unit.data.len() <= limit), "{what}");
        return;
    }
    assert_eq!(units.len(), samples.len(), "{what}");
    for (index, (sample, unit)) in samples.iter().zip(units).enumerate() {
        assert_eq!(unit.rtp_time as u32, sample.timestamp, "{what}, unit {index}");
        assert_eq!(unit.flags, sample.flags, "{what}, unit {index}");
        assert!(unit.data == sample.data, "{what}, unit {index}");
        assert_eq!(unit.format.is_some(), index == 0, "{what}, unit {index}");
        assert_eq!(unit.dropped_before, 0, "{what}, unit {index}");
    }
    assert_eq!(units[0].format, Some(format(codec)), "{what}");
    assert!(units.windows(2).all(|pair| pair[0].rtp_time < pair[1].rtp_time), "{what}");
}

#[test]
fn every_payload_comes_back_at_any_packet_size() {
    for codec in CODECS {
        for (seed, packet_bytes_max) in [64, 65, 71, 100, 333, 1_400, 65_535].into_iter().enumerate() {
            let what = format!("{codec:?}, seed {seed}, packets of {packet_bytes_max}");
            let samples = samples(codec, &mut Random::new(seed as u64), 20);
            let packets = packets(codec, &samples, packet_bytes_max);
            check_same(codec, &samples, &depacketise(codec, &packets), &what);
        }
    }
}

#[test]
fn without_markers_the_next_timestamp_ends_a_unit() {
    for codec in [Codec::H264, Codec::H265, Codec::Av1, Codec::Mjpeg, Codec::Metadata] {
        for seed in 0..10 {
            let samples = samples(codec, &mut Random::new(seed), 20);
            let mut packets = packets(codec, &samples, 333);
            packets.iter_mut().for_each(|packet| packet[1] &= 0x7f);
            check_same(codec, &samples, &depacketise(codec, &packets), &format!("{codec:?}, seed {seed}"));
        }
    }
}

#[test]
fn markers_behind_each_slice_tear_nothing() {
    for codec in [Codec::H264, Codec::H265] {
        for seed in 0..10 {
            let samples = samples(codec, &mut Random::new(seed), 20);
            let mut packets = packets(codec, &samples, 65_535);
            packets.iter_mut().for_each(|packet| packet[1] |= 0x80);
            // A stream that began with several slices is known from its first unit; one that began with single
            // slices lets one unit be torn off, which is dropped with its rest.
            let units = depacketise(codec, &packets);
            assert!(units.len() + 2 >= samples.len(), "{codec:?}, seed {seed}: {} units", units.len());
            let torn = units.iter().filter(|unit| !samples.iter().any(|sample| unit.data == sample.data));
            assert!(torn.count() <= 1, "{codec:?}, seed {seed}");
        }
    }
}

/// The slices of a unit, which must be whole; SEI may be lost.
fn slices(codec: Codec, data: &[u8]) -> Vec<Vec<u8>> {
    nal::length_prefixed(data)
        .filter(|nal| match codec {
            Codec::H264 => nal[0] & 0x1f != 6,
            _ => nal[0] >> 1 != 39,
        })
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn a_unit_that_lost_a_packet_is_dropped_and_told() {
    for codec in CODECS {
        for seed in 0..60 {
            let what = format!("{codec:?}, seed {seed}");
            let mut random = Random::new(seed);
            let samples = samples(codec, &mut random, 24);
            let packets = packets(codec, &samples, [71, 150, 1_400][seed as usize % 3]);
            let keep: Vec<bool> = packets.iter().map(|_| random.below(20) > 0).collect();
            let kept = packets.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(packet, _)| packet);
            let units = depacketise(codec, kept);
            let hole = keep.iter().position(|keep| !keep).is_some_and(|first| {
                keep[..first].iter().any(|keep| *keep) && keep[first..].iter().any(|keep| *keep)
            });
            if hole && codec != Codec::Metadata && units.len() > 3 && !is_grouped(codec) {
                let told = units.iter().any(|unit| unit.flags.after_loss);
                let ended = units.last().unwrap().rtp_time as u32 != samples.last().unwrap().timestamp;
                assert!(told || ended, "{what}: nothing told of the loss");
            }
            let sent: Vec<u8> = samples.iter().flat_map(|sample| sample.data.clone()).collect();
            for unit in &units {
                if is_grouped(codec) {
                    let ticks = (unit.rtp_time as u32).wrapping_sub(samples[0].timestamp) as usize;
                    let at = ticks * if codec == Codec::Alaw { 1 } else { 2 };
                    assert!(sent[at..at + unit.data.len()] == unit.data, "{what}");
                    continue;
                }
                let sample = samples.iter().find(|sample| sample.timestamp == unit.rtp_time as u32).unwrap();
                match codec {
                    Codec::H264 | Codec::H265 => {
                        assert!(slices(codec, &unit.data) == slices(codec, &sample.data), "{what}: torn")
                    }
                    _ => assert!(unit.data == sample.data, "{what}: torn"),
                }
                assert_eq!(unit.flags.entry_point, sample.flags.entry_point, "{what}");
            }
        }
    }
}

#[test]
fn disorder_and_doubles_within_the_window_change_nothing() {
    for codec in CODECS {
        for seed in 0..10 {
            let what = format!("{codec:?}, seed {seed}");
            let mut random = Random::new(seed);
            let samples = samples(codec, &mut random, 20);
            let mut packets = packets(codec, &samples, 333);
            for at in 1..packets.len() {
                let other = at + random.below(4).min(packets.len() - 1 - at);
                packets.swap(at, other);
                if random.below(10) == 0 {
                    packets.insert(at, packets[at].clone());
                }
            }
            let mut clock = SessionClock::default();
            let parameters = Packetiser::new(&format(codec), 96, 7, 0, 1400).parameters();
            let mut receiver = Receiver::new(&parameters, Arrival::Unordered, 1, &mut clock).unwrap();
            let mut data = Vec::new();
            let mut last = None;
            for (index, packet) in packets.iter().enumerate() {
                receiver.on_packet(
                    &mut clock,
                    packet,
                    Mono::from_nanos(1 << 40).offset_nanos(index as i64 * 100_000),
                );
                if index + 1 == packets.len() {
                    receiver.finish(&mut clock, Mono::from_nanos(1 << 41));
                }
                while let Some(output) = receiver.poll() {
                    let Output::Unit(unit) = output else { continue };
                    assert!(unit.decode_time <= unit.time, "{what}");
                    assert!(
                        last.is_none_or(|(sequence, decode)| (sequence + 1, true)
                            == (unit.sequence, decode < unit.decode_time)),
                        "{what}"
                    );
                    last = Some((unit.sequence, unit.decode_time));
                    assert!(!unit.flags.after_loss, "{what}");
                    data.push(unit.data);
                }
            }
            assert_eq!(receiver.packets_lost(), 0, "{what}");
            if is_grouped(codec) {
                assert!(
                    data.concat()
                        == samples.iter().flat_map(|sample| sample.data.clone()).collect::<Vec<_>>(),
                    "{what}"
                );
            } else {
                assert!(
                    data.iter().map(|data| &data[..]).eq(samples.iter().map(|sample| &sample.data[..])),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn hostile_packets_end_nothing() {
    for codec in CODECS {
        let mut depacketiser = depacketiser(codec);
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let samples = samples(codec, &mut random, 6);
            let mut given = 0;
            for mut packet in packets(codec, &samples, 150) {
                for _ in 0..random.below(4) {
                    let at = 1 + random.below(packet.len().min(40) - 1);
                    packet[at] = [0, 0xff, 0x80, random.below(256) as u8][random.below(4)];
                }
                packet.truncate(12 + random.below(packet.len()));
                let Ok(packet) = Packet::parse(&packet) else { continue };
                depacketiser.on_packet(&packet, random.below(10) as u32 / 9);
                given +=
                    std::iter::from_fn(|| depacketiser.poll()).map(|unit| unit.data.len()).sum::<usize>();
            }
            assert!(given < 1 << 20, "{codec:?}, seed {seed}: {given} bytes");
        }
        // It still works.
        let samples = samples(codec, &mut Random::new(1), 20);
        let mut came = 0;
        for packet in packets(codec, &samples, 1_400) {
            depacketiser.on_packet(&Packet::parse(&packet).unwrap(), 0);
            came += std::iter::from_fn(|| depacketiser.poll()).count();
        }
        assert!(came >= 8, "{codec:?}: {came} units");
    }
}
