//! Each job on each codec: the right pictures and sounds come out.

use varde_codec::{AccessUnit, Codec, Format, jpeg, opus};
use varde_units::Mono;
use varde_vision_link::{StreamItem, TranscodeOptions, VisionInput, VisionOptions, VisionOutput, VisionPool};

use crate::clip::{self, Clip, FRAMES, START, time};

pub fn pool() -> VisionPool {
    VisionPool::new(VisionOptions::new(env!("CARGO_BIN_EXE_varde-vision").into()))
}

#[tokio::test]
async fn a_still_is_the_picture_shown_at_the_instant() {
    let pool = pool();
    for encoder in [clip::H264, clip::H264_B, clip::H265, clip::MJPEG, clip::AV1] {
        let Clip { format, units } = clip::pictures(encoder);
        let instants =
            [(time(7), 7), (time(8).offset_nanos(-1), 7), (Mono::ZERO, 0), (time(FRAMES + 50), FRAMES - 1)];
        // All of them where pictures are reordered; the others have less to get wrong.
        let count = if encoder == clip::H264_B { instants.len() } else { 1 };
        for (at, expected) in instants.into_iter().take(count) {
            let image = pool.still(format.clone(), units.clone(), at, Some(160)).await.unwrap();
            assert_eq!((image.width, image.height), (160, 90));
            assert_eq!(jpeg::dimensions(&image.jpeg), Ok((160, 90)));
            assert_eq!(clip::numbers(&image.jpeg, 160, 90), [expected], "{encoder:?} at {at:?}");
        }
    }
}

/// Sends all units and collects what comes back.
async fn through(
    (mut input, mut output): (VisionInput, VisionOutput),
    clip: Clip,
) -> (Vec<Format>, Vec<AccessUnit>) {
    let send = async move {
        input.format(clip.format);
        for unit in clip.units {
            input.send(unit).await.unwrap();
        }
    };
    let receive = async {
        let (mut formats, mut units) = (Vec::new(), Vec::new());
        while let Some(item) = output.next().await {
            match item.unwrap() {
                StreamItem::Format(format) => formats.push(format),
                StreamItem::Unit(unit) => units.push(unit),
            }
        }
        (formats, units)
    };
    tokio::join!(send, receive).1
}

#[tokio::test]
async fn pictures_become_plain_h264_with_every_picture_at_its_time() {
    let pool = pool();
    for encoder in [clip::H265, clip::H264_B, clip::AV1, clip::MJPEG] {
        let clip = clip::pictures(encoder);
        let options = TranscodeOptions { height_max: 90, ..TranscodeOptions::default() };
        let (formats, units) = through(pool.transcode(options).unwrap(), clip).await;
        let [format] = formats.as_slice() else { panic!("{encoder:?}: {formats:?}") };
        assert_eq!((format.codec(), format.dimensions()), (Codec::H264, Some((160, 90))));
        assert!(format.is_in_order());
        assert!(format.codec_string().starts_with("avc1.42"), "{}", format.codec_string());
        assert!(units[0].flags.entry_point);
        let times: Vec<_> = units.iter().map(|unit| unit.time.since(START).as_millis()).collect();
        assert_eq!(times, (0..FRAMES).map(|number| number as u128 * 100).collect::<Vec<_>>(), "{encoder:?}");
        let numbers = clip::numbers(&clip::file(format, &units), 160, 90);
        assert_eq!(numbers, (0..FRAMES).collect::<Vec<_>>(), "{encoder:?}");
    }
}

#[tokio::test]
async fn a_live_picture_comes_out_before_the_next_goes_in() {
    let clip = clip::pictures(
        &[clip::H265, &["-x265-params", "log-level=none:keyint=20:bframes=0:pools=1"]].concat(),
    );
    let (mut input, mut output) = pool().transcode(TranscodeOptions::default()).unwrap();
    input.format(clip.format);
    for unit in clip.units {
        let sent = unit.time;
        input.send(unit).await.unwrap();
        loop {
            match output.next().await.unwrap().unwrap() {
                StreamItem::Format(_) => {}
                StreamItem::Unit(unit) => break assert_eq!(unit.time.since(sent).as_micros(), 0),
            }
        }
    }
    drop(input);
    assert!(output.next().await.is_none());
}

#[tokio::test]
async fn sound_becomes_opus_of_20_ms() {
    let pool = pool();
    let clips = [
        clip::tone(16_000, &["-c:a", "aac", "-b:a", "32k"]),
        clip::tone(44_100, &["-c:a", "aac", "-ac", "2"]),
        clip::joined(clip::tone(8_000, &["-c:a", "pcm_alaw"])),
        clip::joined(clip::tone(8_000, &["-c:a", "pcm_mulaw"])),
    ];
    for clip in clips {
        let name = format!("{:?}", clip.format);
        let channels = if name.contains("channels: 2") { 2 } else { 1 };
        let (formats, units) = through(pool.audio().unwrap(), clip).await;
        assert_eq!(formats, [Format::Opus { channels }], "{name}");
        assert!((95..=106).contains(&units.len()), "{name}: {}", units.len());
        assert!(units.iter().all(|unit| opus::packet_samples(&unit.data) == Ok(960)), "{name}");
        let steps = units.windows(2).map(|pair| pair[1].time.since(pair[0].time).as_millis());
        assert!(steps.into_iter().all(|step| step == 20), "{name}");
        // A tone of 440 Hz crosses zero 880 times a second.
        let raw =
            clip::decoded(&clip::file(&formats[0], &units), &["-ac", "1", "-ar", "48000", "-f", "s16le"]);
        let samples: Vec<i16> = raw.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
        let middle = &samples[24_000..72_000];
        let crossings = middle.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        assert!((870..=890).contains(&crossings), "{name}: {crossings}");
        assert!(middle.iter().any(|&sample| sample > 2000), "{name}");
    }
}

#[tokio::test]
async fn an_exact_head_begins_with_the_asked_picture_and_keeps_its_codec() {
    let pool = pool();
    for (encoder, codec) in [
        (clip::H264, Codec::H264),
        (clip::H264_B, Codec::H264),
        (clip::H265, Codec::H265),
        (clip::MJPEG, Codec::Mjpeg),
    ] {
        let Clip { format, units } = clip::pictures(encoder);
        let head = pool.exact_head(format, units, time(7).offset_nanos(-50_000_000)).await.unwrap();
        assert_eq!((head.format.codec(), head.format.dimensions()), (codec, Some((320, 180))));
        assert!(head.units[0].flags.entry_point);
        assert_eq!(head.units[0].time, time(7));
        let numbers = clip::numbers(&clip::file(&head.format, &head.units), 320, 180);
        assert_eq!(numbers, (7..FRAMES).collect::<Vec<_>>(), "{encoder:?}");
    }
}
