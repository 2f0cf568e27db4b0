//! Cuts access units into RTP payloads: RFC 6184 (H.264, packetization mode 1), RFC 7798 (H.265), RFC 7587 (Opus),
//! RFC 3551 (G.711). A unit is cut once and the payloads are shared by all viewers.

use std::sync::Arc;

use bytes::Bytes;
use varde_codec::{AccessUnit, Format};

/// The longest payload. With RTP header, extensions, SRTP tag, UDP and IPv6 it stays under 1,280 bytes, which every
/// path carries.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1_160;

/// Samples in one G.711 packet at most: 60 ms.
const G711_BYTES_MAX: usize = 480;

const H264_STAP_A: u8 = 24;
const H264_FU_A: u8 = 28;
const H265_AP: u8 = 48;
const H265_FU: u8 = 49;

/// One RTP payload of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) data: Arc<[u8]>,
    /// Ticks of the RTP clock after the unit's own time.
    pub(crate) offset_ticks: u32,
    pub(crate) marker: bool,
}

/// The payloads of `unit`; none for a format that RTP here does not carry.
pub(crate) fn payloads(format: &Format, unit: &AccessUnit) -> Vec<Payload> {
    let mut list = Vec::with_capacity(unit.data.len() / PAYLOAD_BYTES_MAX + 2);
    match format {
        Format::H264 { sps, pps, .. } => {
            if unit.flags.entry_point {
                let sets: Vec<&Bytes> = std::iter::once(sps).chain(pps).collect();
                h264_sets(&sets, &mut list);
            }
            unit.nal_units().for_each(|nal| h264_nal(&nal, &mut list));
        }
        Format::H265 { vps, sps, pps, .. } => {
            if unit.flags.entry_point {
                let sets: Vec<&Bytes> = vps.iter().chain([sps]).chain(pps).collect();
                h265_sets(&sets, &mut list);
            }
            unit.nal_units().for_each(|nal| h265_nal(&nal, &mut list));
        }
        Format::Opus { .. } if !unit.data.is_empty() => push(&mut list, unit.data[..].into()),
        Format::Alaw { .. } | Format::Ulaw { .. } => {
            for (index, samples) in unit.data.chunks(G711_BYTES_MAX).enumerate() {
                list.push(Payload {
                    data: samples.into(),
                    offset_ticks: (index * G711_BYTES_MAX) as u32,
                    marker: false,
                });
            }
            return list;
        }
        _ => {}
    }
    if format.medium() == varde_codec::Medium::Video
        && let Some(last) = list.last_mut()
    {
        last.marker = true;
    }
    list
}

fn push(list: &mut Vec<Payload>, data: Arc<[u8]>) {
    list.push(Payload { data, offset_ticks: 0, marker: false });
}

/// Parameter sets travel together where they fit, so that the loss of one packet loses all or none.
fn h264_sets(sets: &[&Bytes], list: &mut Vec<Payload>) {
    let total: usize = 1 + sets.iter().map(|set| 2 + set.len()).sum::<usize>();
    if total > PAYLOAD_BYTES_MAX || sets.iter().any(|set| set.is_empty()) {
        sets.iter().for_each(|set| h264_nal(set, list));
        return;
    }
    let reference = sets.iter().map(|set| set[0] & 0x60).max().unwrap_or(0);
    let mut data = Vec::with_capacity(total);
    data.push(reference | H264_STAP_A);
    append_sized(&mut data, sets);
    push(list, data.into());
}

fn h265_sets(sets: &[&Bytes], list: &mut Vec<Payload>) {
    let total: usize = 2 + sets.iter().map(|set| 2 + set.len()).sum::<usize>();
    if total > PAYLOAD_BYTES_MAX || sets.iter().any(|set| set.len() < 2) {
        sets.iter().for_each(|set| h265_nal(set, list));
        return;
    }
    let mut data = Vec::with_capacity(total);
    // Layer 0, temporal id 0 (written as 1).
    data.extend_from_slice(&[H265_AP << 1, 1]);
    append_sized(&mut data, sets);
    push(list, data.into());
}

fn append_sized(data: &mut Vec<u8>, sets: &[&Bytes]) {
    for set in sets {
        data.extend_from_slice(&(set.len() as u16).to_be_bytes());
        data.extend_from_slice(set);
    }
}

fn h264_nal(nal: &[u8], list: &mut Vec<Payload>) {
    let Some((&header, body)) = nal.split_first() else { return };
    if nal.len() <= PAYLOAD_BYTES_MAX {
        return push(list, nal.into());
    }
    let indicator = header & 0xe0 | H264_FU_A;
    fragments(body, PAYLOAD_BYTES_MAX - 2, |position, piece| {
        let head = [indicator, position | header & 0x1f];
        push(list, [&head, piece].concat().into());
    });
}

fn h265_nal(nal: &[u8], list: &mut Vec<Payload>) {
    let Some((header, body)) = nal.split_first_chunk::<2>() else { return };
    if nal.len() <= PAYLOAD_BYTES_MAX {
        return push(list, nal.into());
    }
    let kind = header[0] >> 1 & 0x3f;
    fragments(body, PAYLOAD_BYTES_MAX - 3, |position, piece| {
        let head = [header[0] & 0x81 | H265_FU << 1, header[1], position | kind];
        push(list, [&head, piece].concat().into());
    });
}

/// Calls `each` with the start and end bits (RFC 6184 §5.8) and the bytes of every piece.
fn fragments(body: &[u8], piece_bytes_max: usize, mut each: impl FnMut(u8, &[u8])) {
    let count = body.len().div_ceil(piece_bytes_max);
    for (index, piece) in body.chunks(piece_bytes_max).enumerate() {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index + 1 == count { 0x40 } else { 0 };
        each(start | end, piece);
    }
}

#[cfg(test)]
mod tests {
    use varde_codec::UnitFlags;
    use varde_units::Mono;

    use super::*;

    fn unit(entry_point: bool, nals: &[Vec<u8>]) -> AccessUnit {
        let mut data = Vec::new();
        for nal in nals {
            data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            data.extend_from_slice(nal);
        }
        AccessUnit {
            sequence: 0,
            time: Mono::ZERO,
            decode_time: Mono::ZERO,
            received: Mono::ZERO,
            camera_time: None,
            flags: UnitFlags { entry_point, ..UnitFlags::default() },
            data: data.into(),
        }
    }

    fn h264() -> Format {
        Format::H264 {
            sps: Bytes::from_static(&[0x67, 1, 2]),
            pps: vec![Bytes::from_static(&[0x68, 3])],
            width: 16,
            height: 16,
        }
    }

    #[test]
    fn an_entry_point_brings_its_parameter_sets_in_one_packet() {
        let list = payloads(&h264(), &unit(true, &[vec![0x65, 9, 9]]));
        assert_eq!(&list[0].data[..], [0x60 | 24, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
        assert_eq!(&list[1].data[..], [0x65, 9, 9]);
        assert_eq!(list.iter().map(|p| p.marker).collect::<Vec<_>>(), [false, true]);
        assert_eq!(payloads(&h264(), &unit(false, &[vec![0x41, 9]])).len(), 1);
    }

    #[test]
    fn fragments_join_to_the_unit_that_was_cut() {
        for length in [PAYLOAD_BYTES_MAX + 1, PAYLOAD_BYTES_MAX * 3, 70_001] {
            let mut nal: Vec<u8> = (0..length).map(|i| i as u8).collect();
            nal[0] = 0x65;
            let list = payloads(&h264(), &unit(false, &[nal.clone()]));
            let mut joined = vec![list[0].data[0] & 0xe0 | list[0].data[1] & 0x1f];
            list.iter().for_each(|p| joined.extend_from_slice(&p.data[2..]));
            assert!(joined == nal, "H.264 of {length} bytes");
            assert!(list.iter().all(|p| p.data.len() <= PAYLOAD_BYTES_MAX));
            assert_eq!((list[0].data[1] & 0xc0, list.last().unwrap().data[1] & 0xc0), (0x80, 0x40));

            nal[..2].copy_from_slice(&[19 << 1, 1]);
            let format = Format::H265 { vps: vec![], sps: Bytes::new(), pps: vec![], width: 0, height: 0 };
            let list = payloads(&format, &unit(false, &[nal.clone()]));
            let mut joined = vec![list[0].data[0] & 0x81 | (list[0].data[2] & 0x3f) << 1, list[0].data[1]];
            list.iter().for_each(|p| joined.extend_from_slice(&p.data[3..]));
            assert!(joined == nal, "H.265 of {length} bytes");
        }
    }

    #[test]
    fn hostile_units_give_no_packet_or_their_own_bytes() {
        assert!(payloads(&h264(), &unit(false, &[vec![]])).is_empty());
        let mut torn = unit(false, &[vec![0x41, 1]]);
        torn.data = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1]);
        assert!(payloads(&h264(), &torn).is_empty());
    }

    #[test]
    fn long_sound_is_cut_at_sixty_milliseconds() {
        let mut sound = unit(true, &[]);
        sound.data = vec![0u8; 1000].into();
        let list = payloads(&Format::Alaw { sample_rate: 8000, channels: 1 }, &sound);
        assert_eq!(list.iter().map(|p| p.offset_ticks).collect::<Vec<_>>(), [0, 480, 960]);
    }
}
