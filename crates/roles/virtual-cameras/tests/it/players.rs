//! FFmpeg as the client: every codec, both transports, authentication, loop seams and the counter.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use varde_virtual_cameras::{Audio, Options, Video, counter};

use crate::{Running, open, running};

/// Runs a program to its end, or a minute.
fn finish(mut child: Child) -> Output {
    let started = Instant::now();
    let mut stdout = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut bytes).map(|_| bytes)
    });
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut output = child.wait_with_output().unwrap();
    output.stdout = reader.join().unwrap().unwrap();
    output
}

fn start(program: &str, transport: &str, url: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(["-v", "error", "-rtsp_transport", transport, "-i", url])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed")
}

const COPY: [&str; 8] = ["-t", "2", "-c", "copy", "-f", "framecrc", "-", "-y"];

/// Lines of framecrc for each stream, and its codecs.
fn packets(output: &Output) -> (String, [usize; 2]) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |stream: &str| text.lines().filter(|line| line.starts_with(stream)).count();
    let codecs: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("#codec_id ")?.split(": ").nth(1)).collect();
    (codecs.join(" "), [count("0,"), count("1,")])
}

#[test]
fn every_codec_plays_over_both_transports() {
    let Running { cameras, runtime: _runtime } = running(Options::default());
    let table = [
        ("h264", "h264", 30, 0),
        ("h264-aac", "h264 aac", 30, 31),
        ("h264-ulaw", "h264 pcm_mulaw", 30, 100),
        ("h264-b-frames-alaw", "h264 pcm_alaw", 30, 100),
        ("h264-1080", "h264", 50, 0),
        ("h265-opus", "hevc opus", 30, 100),
        ("h265-aac", "hevc aac", 30, 31),
        ("mjpeg-alaw", "mjpeg pcm_alaw", 30, 100),
    ];
    let players: Vec<_> = table
        .iter()
        .flat_map(|row| ["tcp", "udp"].map(|transport| (row, transport)))
        .map(|(row, transport)| {
            let url = cameras.url_with_password(&format!("/codec/{}", row.0));
            (row, transport, start("ffmpeg", transport, &url, &COPY))
        })
        .collect();
    for ((name, codecs, pictures, sounds), transport, player) in players {
        let output = finish(player);
        let (found, [video, audio]) = packets(&output);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(&found, codecs, "{name} over {transport}: {told}");
        // Two seconds of media by its own time stamps, give or take where the tracks begin.
        assert!(
            (pictures * 2 / 3..=pictures * 2).contains(&video),
            "{name} over {transport}: {video} pictures; {told}"
        );
        assert!(audio >= sounds * 2 / 3, "{name} over {transport}: {audio} sounds; {told}");
    }
}

#[test]
fn long_groups_play_from_their_beginning() {
    // One client alone: another would wait up to 20 s for the next key frame.
    let Running { cameras, runtime: _runtime } = running(Options::default());
    let url = cameras.url_with_password("/codec/h264-long-gop-opus");
    let (found, [video, _]) = packets(&finish(start("ffmpeg", "tcp", &url, &COPY)));
    assert_eq!(found, "h264 opus");
    assert!(video >= 20, "{video}");
}

#[test]
fn cameras_have_main_and_sub_streams_of_the_chosen_kind() {
    let Running { cameras, runtime: _runtime } =
        running(Options { count: 2, video: Video::Mjpeg, audio: Audio::Opus, ..Options::default() });
    let check = |path: &str, expected: &str| {
        let url = cameras.url_with_password(path);
        let (found, _) = packets(&finish(start("ffmpeg", "tcp", &url, &COPY)));
        assert_eq!(found, expected, "{path}");
    };
    check("/camera/1/main", "mjpeg opus");
    check("/camera/2/sub", "h264 opus");
}

#[test]
fn only_the_right_password_opens() {
    let Running { cameras, runtime: _runtime } =
        running(Options { count: 1, basic: true, ..Options::default() });
    let check = |url: &str, opens: bool| {
        let output = finish(start("ffmpeg", "tcp", url, &COPY));
        assert_eq!(output.status.success(), opens, "{url}");
        assert_eq!(packets(&output).1[0] > 0, opens, "{url}");
    };
    let right = cameras.url_with_password("/camera/1/sub");
    check(&right, true);
    check(&right.replace("camera@", "wrong@"), false);
    check(&cameras.url("/camera/1/sub"), false);
    check(&cameras.url_with_password("/camera/2/sub"), false);
}

#[test]
fn a_thousand_pictures_count_without_a_gap() {
    const PICTURES: usize = 1000;
    let Running { cameras, runtime: _runtime } =
        running(Options { counter: true, audio: Audio::None, ..open() });
    let url = cameras.url("/camera/1/sub");
    let arguments = [
        "-frames:v",
        "1000",
        "-fps_mode",
        "passthrough",
        "-vf",
        "extractplanes=y,crop=iw:1:0:8",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ];
    let output = finish(start("ffmpeg", "tcp", &url, &arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<u32> = output
        .stdout
        .chunks_exact(640)
        .map(|row| counter::read_luma(640, row).expect("each picture has a counter"))
        .collect();
    assert_eq!(numbers.len(), PICTURES);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let sent = |number| cameras.sent_at("1", "sub", number).expect("it was sent");
    assert!(sent(numbers[0]) < sent(numbers[PICTURES - 1]));
}

#[test]
fn time_stamps_go_on_evenly_over_the_loop_seam() {
    let Running { cameras, runtime: _runtime } = running(Options { audio: Audio::None, ..open() });
    // The loop has 49 pictures.
    let arguments = ["-frames:v", "250", "-c", "copy", "-copyts", "-f", "framecrc", "-"];
    let output = finish(start("ffmpeg", "tcp", &cameras.url("/camera/1/sub"), &arguments));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: Vec<i64> = text
        .lines()
        .filter(|line| line.starts_with("0,"))
        .map(|line| line.split(',').nth(2).unwrap().trim().parse().unwrap())
        .collect();
    assert_eq!(times.len(), 250, "{text}");
    assert!(times.windows(2).skip(1).all(|pair| pair[1] - pair[0] == 450), "{times:?}");
}

#[test]
fn a_given_file_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.mp4");
    let footage = concat!(env!("CARGO_MANIFEST_DIR"), "/footage/b-frames-360.h264");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-r", "15", "-i", footage, "-c", "copy"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(made.success());
    let Running { cameras, runtime: _runtime } =
        running(Options { count: 1, sources: vec![path], ..Options::default() });
    let url = cameras.url_with_password("/camera/1/main");
    let output = finish(start("ffmpeg", "tcp", &url, &["-t", "2", "-f", "framecrc", "-"]));
    let (_, [video, _]) = packets(&output);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!((20..=45).contains(&video), "{video}");
}
