//! What this crate writes opens and decodes whole in FFmpeg, for every codec of the table.

use std::path::Path;

use bytes::Bytes;
use varde_codec::{Codec, Format, Medium};
use varde_fmp4::export::Muxer;
use varde_fmp4::{
    FragmentBuilder, Sample, SampleFlags, TrackInit, UserBox, init_segment, read_fragment, read_init, scan,
};
use varde_units::Utc;

use crate::clip::{self, Clip, run};

const USER: UserBox<'static> = UserBox { kind: b"0123456789abcdef", body: b"who I am" };

/// Decodes a file whole and counts its frames.
fn frames(path: &Path) -> (String, u64) {
    let path = path.to_str().unwrap();
    run("ffmpeg", ["-v", "error", "-i", path, "-f", "null", "-"]);
    let shown = run(
        "ffprobe",
        [
            "-v",
            "error",
            "-count_packets",
            "-show_entries",
            "stream=codec_name,nb_read_packets",
            "-of",
            "csv=p=0",
            path,
        ],
    );
    let (codec, count) = shown.trim().split_once(',').unwrap();
    (codec.to_owned(), count.trim_end_matches(',').parse().unwrap())
}

/// A G.711 file of FFmpeg has a sample for each byte; packets of 20 ms are what cameras send.
fn packets(clip: &Clip) -> Vec<(Sample, Bytes)> {
    if matches!(clip.format.codec(), Codec::Alaw | Codec::Ulaw) {
        let all: Vec<u8> = clip.samples.iter().flat_map(|(_, data)| data.iter().copied()).collect();
        let packet = |data: &[u8]| {
            let bytes = data.len() as u32;
            (
                Sample { duration: bytes, composition_offset: 0, bytes, flags: SampleFlags::SYNC },
                Bytes::copy_from_slice(data),
            )
        };
        return all.chunks(160).map(packet).collect();
    }
    let flags = |data: &[u8]| SampleFlags::from(clip.format.unit_flags(data));
    clip.samples
        .iter()
        .map(|(sample, data)| {
            let Sample { duration, composition_offset, bytes, .. } = Sample {
                duration: sample.duration,
                composition_offset: sample.composition_offset,
                bytes: sample.bytes,
                flags: sample.flags,
            };
            (Sample { duration, composition_offset, bytes, flags: flags(data) }, data.clone())
        })
        .collect()
}

/// A fragmented file and the ends of its fragments.
fn fragmented(clip: &Clip) -> (Vec<u8>, Vec<usize>) {
    let creation = Utc::from_micros(1_795_462_800_000_000);
    let mut file =
        init_segment(&TrackInit { format: &clip.format, creation, user: Some(USER) }).unwrap().to_vec();
    let init = read_init(&file).unwrap();
    assert_eq!((init.bytes, &init.format), (file.len() as u64, &clip.format));
    assert_eq!((init.timescale, init.creation), (clip.format.timescale(), creation));
    assert_eq!(init.user(USER.kind).unwrap(), USER.body);
    let mut ends = vec![file.len()];
    let mut time = 0;
    for (number, samples) in packets(clip).chunks(5).enumerate() {
        let mut builder = FragmentBuilder::new(time);
        for (sample, data) in samples {
            builder.push(data.clone(), sample.duration, sample.composition_offset, sample.flags).unwrap();
        }
        time += builder.duration();
        let fragment = builder.finish(number as u32 + 1, Some(USER)).unwrap();
        let start = file.len();
        file.extend_from_slice(&fragment.head);
        fragment.payload.iter().for_each(|data| file.extend_from_slice(data));
        assert_eq!(file.len() as u64, start as u64 + fragment.bytes());

        // The media itself need not be there.
        let read = read_fragment(&fragment.head).unwrap();
        assert_eq!((read.bytes, read.head_bytes), (fragment.bytes(), fragment.head.len() as u64));
        assert_eq!((read.decode_time, read.duration), (fragment.decode_time, fragment.duration));
        assert_eq!(read.user(USER.kind).unwrap(), USER.body);
        for (found, (sample, data)) in read.samples.iter().zip(samples) {
            assert_eq!(
                (found.duration, found.composition_offset),
                (sample.duration, sample.composition_offset)
            );
            assert_eq!((found.bytes, found.flags), (sample.bytes, sample.flags));
            let at = start + found.offset as usize;
            assert_eq!(file[at..at + found.bytes as usize], data[..]);
        }
        assert_eq!(read.samples.len(), samples.len());
        ends.push(file.len());
    }
    (file, ends)
}

#[test]
fn every_codec_is_read_and_written_so_that_ffmpeg_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.mp4");
    for (name, clip) in clip::all() {
        let video = clip.format.medium() == Medium::Video;
        assert!(
            !video || clip.format.dimensions() == Some((322, 242)),
            "{name}: {:?}",
            clip.format.dimensions()
        );
        let (file, ends) = fragmented(&clip);
        std::fs::write(&path, &file).unwrap();
        let count = packets(&clip).len() as u64;
        assert_eq!(frames(&path), (name.to_owned(), count));
        // The boxes of the file, one by one, as a scan after a crash walks them.
        let found: Vec<_> = scan(&file, 0).map(|found| found.unwrap().kind).collect();
        assert_eq!(found.len(), 2 + 2 * (ends.len() - 1));
    }
}

#[test]
fn a_file_cut_at_or_behind_any_fragment_opens_as_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.mp4");
    let clip = clip::make(
        &[
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-g",
            "10",
            "-preset",
            "ultrafast",
            "-video_track_timescale",
            "90000",
        ],
        None,
    );
    let (file, ends) = fragmented(&clip);
    for (index, end) in ends.iter().enumerate().skip(1) {
        std::fs::write(&path, &file[..*end]).unwrap();
        assert_eq!(frames(&path), ("h264".to_owned(), 5 * index as u64));
        // In the media of a fragment that never came whole.
        let head_bytes = |rest: &[u8]| read_fragment(rest).unwrap().head_bytes as usize;
        if let Some(rest) = file.get(*end..).filter(|rest| !rest.is_empty()) {
            let torn = &file[..*end + head_bytes(rest) + 1];
            let whole = scan(torn, 0).map(Result::unwrap).filter(|found| found.body.is_some()).count();
            assert_eq!(whole, 2 + 2 * index + 1);
            std::fs::write(&path, torn).unwrap();
            // The cut sample itself comes out with what is there of it.
            let shown = std::process::Command::new("ffprobe")
                .args([
                    "-v",
                    "fatal",
                    "-count_packets",
                    "-show_entries",
                    "stream=nb_read_packets",
                    "-of",
                    "csv=p=0",
                ])
                .arg(&path)
                .output()
                .unwrap();
            let count: usize = String::from_utf8_lossy(&shown.stdout).trim().parse().unwrap();
            assert!((5 * index..=5 * index + 1).contains(&count), "{count}");
        }
    }
}

#[test]
fn av1_has_its_boxes() {
    let clip = clip::make(
        &[
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libaom-av1",
            "-cpu-used",
            "8",
            "-usage",
            "realtime",
            "-frames:v",
            "4",
            "-f",
            "mp4",
        ],
        None,
    );
    let Format::Av1 { width: 322, height: 242, config } = &clip.format else { panic!("{:?}", clip.format) };
    assert_eq!(clip.format.codec_string(), "av01.0.00M.08");
    let header = varde_codec::av1::format_from_sequence_header(&config[4..]).unwrap();
    assert_eq!(header, clip.format);
    assert!(clip.format.unit_flags(&clip.samples[0].1).entry_point);
    assert!(!clip.format.unit_flags(&clip.samples[1].1).entry_point);
    let (file, _) = fragmented(&clip);
    let path = tempfile::tempdir().unwrap();
    let path = path.path().join("av1.mp4");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, file).unwrap();
    assert_eq!(frames(&path), ("av1".to_owned(), 4));
}

#[test]
fn metadata_is_opened_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.mp4");
    let format = Format::Metadata;
    let init = init_segment(&TrackInit { format: &format, creation: Utc::EPOCH, user: None }).unwrap();
    assert_eq!(read_init(&init).unwrap().format, format);
    let mut builder = FragmentBuilder::new(0);
    builder.push(Bytes::from_static(b"<tt:MetadataStream/>"), 9000, 0, SampleFlags::SYNC).unwrap();
    let fragment = builder.finish(1, None).unwrap();
    let file = [init, fragment.head, fragment.payload[0].clone()].concat();
    std::fs::write(&path, file).unwrap();
    let shown = run(
        "ffprobe",
        ["-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", path.to_str().unwrap()],
    );
    assert_eq!(shown.trim(), "data");
}

#[test]
fn an_export_has_picture_and_sound_in_step_and_begins_where_it_was_asked_to() {
    let clips = clip::all();
    let by_name = |name: &str| &clips.iter().find(|(found, _)| *found == name).unwrap().1;
    let (video, audio) = (by_name("hevc"), by_name("aac"));
    let mut muxer = Muxer::new(Utc::EPOCH);
    let tracks = [video, audio].map(|clip| (muxer.track_add(clip.format.clone()).unwrap(), packets(clip)));
    let mut payload = Vec::new();
    // Half a second of one, then of the other.
    for quarter in 0..4 {
        for (track, samples) in &tracks {
            let count = samples.len().div_ceil(4);
            for (sample, data) in samples.chunks(count).nth(quarter).unwrap_or_default() {
                muxer.push(*track, *sample).unwrap();
                payload.extend_from_slice(data);
            }
        }
    }
    // The picture begins with its second image (the first is presented two images after it is decoded), and the
    // sound half a second later.
    muxer.start_set(tracks[0].0, 27_000);
    muxer.start_set(tracks[1].0, -8_000);
    let mut file = muxer.finish(Some(USER)).unwrap().to_vec();
    file.extend_from_slice(&payload);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.mp4");
    std::fs::write(&path, &file).unwrap();
    let path = path.to_str().unwrap();
    run("ffmpeg", ["-v", "error", "-i", path, "-f", "null", "-"]);
    let times = |stream: &str| {
        let entries = [
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "frame=pts_time",
            "-of",
            "csv=p=0",
            path,
        ];
        let shown = run("ffprobe", entries);
        shown.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect::<Vec<f64>>()
    };
    let (pictures, sounds) = (times("v:0"), times("a:0"));
    assert_eq!(pictures.iter().filter(|time| **time >= -1e-6).count(), 19, "{pictures:?}");
    assert!((sounds[0] - 0.5).abs() < 0.01, "{sounds:?}");
    // Our own reader sees the same samples.
    let movie = scan(&file, 0).map(Result::unwrap).find(|found| found.kind == *b"moov").unwrap();
    let read = varde_fmp4::progressive::read(movie.body.unwrap()).unwrap();
    assert_eq!(read.len(), 2);
    for (found, (_, samples)) in read.iter().zip(&tracks) {
        assert_eq!(found.samples.len(), samples.len());
        for (found, (sample, data)) in found.samples.iter().zip(samples) {
            assert_eq!((found.duration, found.flags.sync), (sample.duration, sample.flags.sync));
            let at = found.offset as usize;
            assert_eq!(file[at..at + found.bytes as usize], data[..]);
        }
    }
}
