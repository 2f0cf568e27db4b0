//! Damaged and made-up bytes: errors, never a panic, and never more work than the bytes are worth.

use bytes::Bytes;
use proptest::prelude::*;
use varde_codec::Format;
use varde_fmp4::{
    FragmentBuilder, ReadError, SampleFlags, TrackInit, box_head, init_segment, progressive, read_fragment,
    read_init, scan,
};
use varde_units::Utc;

fn read_everything(bytes: &[u8]) {
    let _ = read_init(bytes);
    let _ = read_fragment(bytes);
    let _ = progressive::read(bytes);
    for found in scan(bytes, u64::MAX - 3) {
        if let Ok(found) = found
            && let Some(body) = found.body
        {
            let _ = progressive::read(body);
        }
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

#[test]
fn boxes_that_lie_about_their_size_are_refused() {
    assert_eq!(
        box_head(&[0, 0, 0, 7, b'f', b'r', b'e', b'e']),
        Err(ReadError::Malformed { what: "size of a box" })
    );
    assert_eq!(box_head(&[0, 0, 0, 1, b'f', b'r', b'e', b'e', 0]), Ok(None));
    let large = [&[0, 0, 0, 1][..], b"mdat", &u64::MAX.to_be_bytes()].concat();
    assert!(scan(&large, 0).next().unwrap().unwrap().body.is_none());
    assert_eq!(scan(&large, 0).count(), 1);
    read_everything(&large);
}

#[test]
fn counts_without_bytes_behind_them_are_refused() {
    let run = boxed(b"trun", &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    let header = boxed(b"tfhd", &[0, 2, 0, 0, 0, 0, 0, 1]);
    let time = boxed(b"tfdt", &[0; 8]);
    let track = boxed(b"traf", &[header, time, run].concat());
    let moof = boxed(b"moof", &[boxed(b"mfhd", &[0; 8]), track].concat());
    let whole = [moof, boxed(b"mdat", &[])].concat();
    assert_eq!(read_fragment(&whole), Err(ReadError::TooMany { what: "samples in a fragment" }));
}

fn fragment_strategy() -> impl Strategy<Value = (u64, Vec<(u16, u32, i32, u8)>)> {
    let sample = (1..2000u16, 0..=u32::MAX, any::<i32>(), 0..8u8);
    (0..=u64::MAX / 2, proptest::collection::vec(sample, 0..40))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fragments_come_back_as_they_went((time, samples) in fragment_strategy()) {
        let mut builder = FragmentBuilder::new(time);
        let flags = |bits: u8| SampleFlags { sync: bits & 1 != 0, leading: bits & 2 != 0, disposable: bits & 4 != 0 };
        for &(bytes, duration, offset, bits) in &samples {
            builder.push(vec![7; usize::from(bytes)].into(), duration, offset, flags(bits)).unwrap();
        }
        let fragment = builder.finish(3, None).unwrap();
        let read = read_fragment(&fragment.head).unwrap();
        prop_assert_eq!((read.sequence, read.decode_time, read.duration), (3, time, fragment.duration));
        prop_assert_eq!(read.samples.len(), samples.len());
        for (found, &(bytes, duration, offset, bits)) in read.samples.iter().zip(&samples) {
            prop_assert_eq!(found.bytes, u32::from(bytes));
            prop_assert_eq!((found.duration, found.composition_offset, found.flags), (duration, offset, flags(bits)));
        }
    }

    #[test]
    fn any_damage_is_survived(at in 0usize..2000, with in any::<u8>(), cut in 0usize..2000) {
        let format = Format::Aac { config: Bytes::from_static(&[0x14, 0x08]), sample_rate: 16_000, channels: 1 };
        let init = init_segment(&TrackInit { format: &format, creation: Utc::EPOCH, user: None }).unwrap();
        let mut builder = FragmentBuilder::new(0);
        for number in 0..20 {
            builder.push(Bytes::from_static(b"sound"), 1024 + number, 0, SampleFlags::SYNC).unwrap();
        }
        let fragment = builder.finish(1, None).unwrap();
        for whole in [init, fragment.head] {
            let mut bytes = whole.to_vec();
            let length = bytes.len();
            bytes[at % length] = with;
            read_everything(&bytes);
            read_everything(&bytes[..cut % length]);
        }
    }

    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_everything(&bytes);
        read_everything(&boxed(b"moov", &bytes));
    }
}
