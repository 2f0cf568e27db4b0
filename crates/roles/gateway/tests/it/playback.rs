//! Recorded footage: timeline, plan, files, playlists and cuts, played by FFmpeg.

use std::time::Duration;

use http::StatusCode;
use varde_api_internal::recorder::Gap;

use crate::site::{CAMERA, MICROPHONE, OTHER, Server, range, server};
use crate::{decoded_pictures, probe, probe_input, record, start};

async fn recorded() -> Server {
    let server = server().await;
    record(&server.recorder);
    server
}

fn seconds(value: &serde_json::Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

#[tokio::test]
async fn the_timeline_tells_recordings_and_gaps() {
    let server = recorded().await;
    let gap = Gap {
        start: start().plus(Duration::from_secs(30)),
        end: Some(start().plus(Duration::from_secs(50))),
        cause: "unreachable".into(),
        parameters: Default::default(),
    };
    server.recorder.gap(CAMERA, gap);
    let answer = server
        .get(&format!("/cameras/{CAMERA}/timeline?start=2016-01-01T00:00:00Z&end=2036-01-01T00:00:00Z"))
        .await;
    let timeline = answer.json();
    assert_eq!(timeline["recordings"].as_array().unwrap().len(), 2);
    assert_eq!(timeline["recordings"][0]["start"], "2026-11-23T12:00:00.000000Z");
    assert_eq!(timeline["gaps"][0]["cause"], "unreachable");
    let coarse =
        server.get(&format!("/cameras/{CAMERA}/timeline?{}&resolution=60", range(0, 90_000))).await.json();
    assert_eq!(coarse["recordings"].as_array().unwrap().len(), 1);
    assert_eq!(coarse["gaps"].as_array().unwrap().len(), 0);
    for bad in ["start=x&end=y", "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "", "x=1"] {
        let answer = server.get(&format!("/cameras/{CAMERA}/timeline?{bad}")).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request".into()),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_plan_names_bytes_that_play() {
    let server = recorded().await;
    let plan = server.get(&format!("/cameras/{CAMERA}/playback?{}", range(5_500, 9_000))).await.json();
    assert_eq!(plan["tracks"].as_array().unwrap().len(), 2);
    let file = &plan["tracks"][0]["files"][0];
    let url = file["url"].as_str().unwrap().strip_prefix("/api/v1").unwrap();
    let mut bytes = Vec::new();
    let init = file["init_bytes"].as_u64().unwrap();
    let mut ranges = vec![(0, init)];
    for fragment in file["fragments"].as_array().unwrap() {
        ranges.push((fragment[0].as_u64().unwrap(), fragment[1].as_u64().unwrap()));
    }
    assert_eq!(file["fragments"][0][4], 1, "it begins with an entry point");
    for (offset, length) in ranges {
        let header = format!("bytes={offset}-{}", offset + length - 1);
        let answer = server.get_as("all", url, &[("range", &header)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.body.len() as u64, length);
        assert!(answer.headers["content-range"].to_str().unwrap().starts_with(&format!("bytes {offset}-")));
        assert!(answer.headers["cache-control"].to_str().unwrap().contains("private"));
        bytes.extend_from_slice(&answer.body);
    }
    let frames = probe(&bytes, &["-count_frames", "-show_streams"]);
    let count: usize = frames["streams"][0]["nb_read_frames"].as_str().unwrap().parse().unwrap();
    assert!((55..=61).contains(&count), "five to nine seconds at 15 a second: {count}");
}

#[tokio::test]
async fn files_are_served_by_their_own_names_under_their_own_camera_alone() {
    let server = recorded().await;
    let plan = server.get(&format!("/cameras/{CAMERA}/playback?{}", range(0, 5_000))).await.json();
    let url = |track: usize| {
        plan["tracks"][track]["files"][0]["url"].as_str().unwrap().strip_prefix("/api/v1").unwrap().to_owned()
    };
    let whole = server.get(&url(0)).await;
    let (_, file) = url(0)
        .split_once("/files/")
        .map(|(a, b)| (a.to_owned(), b.split_once('/').unwrap().1.to_owned()))
        .unwrap();
    assert_eq!(whole.body, server.recorder.stored(&file), "without a range the file comes whole");
    let refused = [
        url(0).replace(&format!("/cameras/{CAMERA}"), &format!("/cameras/{OTHER}")),
        url(0).replace(&format!("/{CAMERA}/2026"), &format!("/{OTHER}/2026")),
        url(0).replace("2026-11-23", "..%2f.."),
        url(0).replace(".mp4", ".mp4%00"),
        format!("/cameras/{CAMERA}/files/{}/../../etc/passwd", crate::recorder::STORAGE),
        format!("/cameras/{CAMERA}/files/{}/%2e%2e/%2e%2e/etc/passwd", crate::recorder::STORAGE),
    ];
    for path in refused {
        assert_eq!(server.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let behind = server.get_as("all", &url(0), &[("range", "bytes=99999999-")]).await;
    assert_eq!(
        (behind.status, behind.code()),
        (StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable".into())
    );
    // Sound needs the right to listen, also file by file.
    assert!(url(1).contains(&MICROPHONE.to_string()));
    assert_eq!(server.get_as("viewer", &url(0), &[]).await.status, StatusCode::OK);
    assert_eq!(server.get_as("viewer", &url(1), &[]).await.status, StatusCode::NOT_FOUND);
    let silent =
        server.get_as("viewer", &format!("/cameras/{CAMERA}/playback?{}", range(0, 5_000)), &[]).await;
    assert_eq!(silent.json()["tracks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_ticket_opens_its_range_and_no_byte_more() {
    let server = recorded().await;
    let plan = server
        .get_as("", &format!("/cameras/{CAMERA}/playback?{}&ticket=minute", range(0, 5_000)), &[])
        .await;
    let plan = plan.json();
    let file = &plan["tracks"][0]["files"][0];
    let url = file["url"].as_str().unwrap().strip_prefix("/api/v1").unwrap();
    assert!(url.ends_with("&ticket=minute"), "{url}");
    let last = file["fragments"].as_array().unwrap().last().unwrap();
    let end = last[0].as_u64().unwrap() + last[1].as_u64().unwrap();
    let bytes = |from: u64, to: u64| format!("bytes={from}-{}", to - 1);
    let first = file["fragments"][0][0].as_u64().unwrap();
    let status = async |range: String| server.get_as("", url, &[("range", &range)]).await.status;
    assert_eq!(status(bytes(0, file["init_bytes"].as_u64().unwrap())).await, StatusCode::PARTIAL_CONTENT);
    assert_eq!(status(bytes(first, end)).await, StatusCode::PARTIAL_CONTENT);
    assert_eq!(status(bytes(first, end + 1)).await, StatusCode::FORBIDDEN);
    assert_eq!(status("bytes=0-".into()).await, StatusCode::FORBIDDEN);
    let outside = server
        .get_as("", &format!("/cameras/{CAMERA}/playback?{}&ticket=minute", range(0, 20_000)), &[])
        .await;
    assert_eq!(outside.status, StatusCode::FORBIDDEN);
    let other =
        server.get_as("", &format!("/cameras/{OTHER}/playback?{}&ticket=minute", range(0, 5_000)), &[]).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playlist_brings_every_picture_and_sound_across_a_gap() {
    let server = recorded().await;
    let address = server.listen().await;
    let url = format!("http://{address}/api/v1/cameras/{CAMERA}/playback.m3u8?{}", range(0, 60_000));
    let packets = tokio::task::spawn_blocking(move || {
        let token = "Authorization: Bearer all\r\n";
        probe_input(
            &["-headers", token, "-allowed_extensions", "ALL", "-show_entries", "packet=codec_type"],
            &url,
        )
    });
    let packets = packets.await.unwrap();
    let packets = packets["packets"].as_array().unwrap();
    let of = |kind: &str| packets.iter().filter(|packet| packet["codec_type"] == kind).count();
    assert_eq!(of("video"), 449 + 149, "every picture of both files");
    assert_eq!(of("audio"), 468 + 156, "every frame of sound");
    let master = server.get(&format!("/cameras/{CAMERA}/playback.m3u8?{}", range(0, 60_000))).await;
    assert_eq!(master.headers["content-type"], "application/vnd.apple.mpegurl");
    let text = String::from_utf8(master.body.to_vec()).unwrap();
    assert!(
        text.contains("TYPE=AUDIO") && text.contains("CODECS=\"avc1.") && text.contains("mp4a.40.2"),
        "{text}"
    );
    let media =
        server.get(&format!("/cameras/{CAMERA}/playback.m3u8?{}&track=video", range(0, 60_000))).await;
    let text = String::from_utf8(media.body.to_vec()).unwrap();
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY").count(), 1, "{text}");
    assert_eq!(text.matches("#EXT-X-MAP:").count(), 2);
    assert_eq!(text.matches("#EXTINF:").count(), 40, "a segment for each entry point");
    assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:50.000000Z"));
    let day = server.get(&format!("/cameras/{CAMERA}/playback.m3u8?{}", range(0, 90_000_000))).await;
    assert_eq!(day.code(), "limit_reached");
    let none = server.get(&format!("/cameras/{CAMERA}/playback.m3u8?{}", range(-60_000, -1_000))).await;
    assert_eq!((none.status, none.code()), (StatusCode::NOT_FOUND, "no_recording".into()));
}

#[tokio::test]
async fn a_recording_has_every_picture_and_its_sound_in_step() {
    let server = recorded().await;
    let answer = server.get(&format!("/cameras/{CAMERA}/recording.mp4?{}", range(5_500, 12_000))).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(
        answer.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap(),
        answer.body.len()
    );
    // The entry point before 5.5 s is at 5 s.
    assert_eq!(answer.headers["varde-start"], "2026-11-23T12:00:05.000000Z");
    let file = probe(&answer.body, &["-count_frames", "-show_streams", "-show_format"]);
    let streams = file["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2);
    assert_eq!(streams[0]["nb_read_frames"], "105", "5 s to 12 s at 15 a second");
    let (video, sound) = (&streams[0], &streams[1]);
    assert!((seconds(&video["duration"]) - 7.0).abs() < 0.02, "{}", video["duration"]);
    assert!((seconds(&video["start_time"]) - seconds(&sound["start_time"])).abs() < 0.065, "{sound}");
    assert!((seconds(&sound["duration"]) - 7.0).abs() < 0.14, "{}", sound["duration"]);
    assert_eq!(probe_pictures(&answer.body), 105);
    let silent =
        server.get(&format!("/cameras/{CAMERA}/recording.mp4?{}&audio=false", range(5_500, 12_000))).await;
    assert_eq!(probe(&silent.body, &["-show_streams"])["streams"].as_array().unwrap().len(), 1);
    let none = server.get(&format!("/cameras/{CAMERA}/recording.mp4?{}", range(-9_000, -1_000))).await;
    assert_eq!((none.status, none.code()), (StatusCode::NOT_FOUND, "no_recording".into()));
    let viewer =
        server.get_as("viewer", &format!("/cameras/{CAMERA}/recording.mp4?{}", range(0, 9_000)), &[]).await;
    assert_eq!(viewer.status, StatusCode::FORBIDDEN, "a viewer takes nothing away");
    let exact =
        server.get(&format!("/cameras/{CAMERA}/recording.mp4?{}&head=exact", range(5_500, 9_000))).await;
    assert_eq!(exact.code(), "codec_not_supported", "without a worker it is refused, not done otherwise");
}

fn probe_pictures(bytes: &[u8]) -> usize {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    decoded_pictures(&["-i", file.path().to_str().unwrap()])
}

#[tokio::test]
async fn a_recording_goes_on_behind_a_gap_and_says_so() {
    let server = recorded().await;
    let answer = server.get(&format!("/cameras/{CAMERA}/recording.mp4?{}", range(25_000, 55_000))).await;
    let gaps = answer.headers["varde-gaps"].to_str().unwrap();
    assert!(gaps.contains("2026-11-23T12:00:50.000000Z"), "{gaps}");
    let file = probe(&answer.body, &["-show_streams"]);
    for stream in file["streams"].as_array().unwrap() {
        assert!((seconds(&stream["duration"]) - 10.0).abs() < 0.15, "{stream}");
    }
    let packets = probe(&answer.body, &["-show_entries", "packet=stream_index,pts_time,flags"]);
    let times = |stream: u64| -> Vec<f64> {
        let packets = packets["packets"].as_array().unwrap();
        packets.iter().filter(|p| p["stream_index"] == stream).map(|p| seconds(&p["pts_time"])).collect()
    };
    // Behind the gap, which lies at the movie's fifth second, both tracks begin anew at the same moment.
    let near = |times: &[f64]| times.iter().map(|t| (t - 5.0).abs()).fold(f64::MAX, f64::min);
    assert!(near(&times(0)) < 0.001, "{:?}", times(0));
    assert!(near(&times(1)) < 0.02, "{:?}", times(1));
}

#[tokio::test]
async fn entry_points_come_alone_at_their_true_times() {
    let server = recorded().await;
    let answer = server.get(&format!("/cameras/{CAMERA}/entry-points.mp4?{}", range(3_000, 60_000))).await;
    let packets = probe(&answer.body, &["-show_entries", "packet=dts_time,flags"]);
    let packets = packets["packets"].as_array().unwrap();
    assert_eq!(packets.len(), 27 + 10);
    assert!(packets.iter().all(|packet| packet["flags"].as_str().unwrap().starts_with('K')));
    let first = seconds(&packets[0]["dts_time"]);
    let expected = start().plus(Duration::from_secs(3)).as_micros() as f64 / 1e6;
    assert!((first - expected).abs() < 0.001, "{first} instead of {expected}");
    assert_eq!(probe_pictures(&answer.body), 37);
    let few = server
        .get(&format!("/cameras/{CAMERA}/entry-points.mp4?{}&per_second_max=0.25", range(0, 30_000)))
        .await;
    let few = probe(&few.body, &["-show_entries", "packet=flags"]);
    assert_eq!(few["packets"].as_array().unwrap().len(), 8, "one in four seconds");
    for bad in ["0", "-1", "NaN", "x"] {
        let path = format!("/cameras/{CAMERA}/entry-points.mp4?{}&per_second_max={bad}", range(0, 30_000));
        assert_eq!(server.get(&path).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn cameras_out_of_scope_are_as_unknown_as_none() {
    let server = recorded().await;
    let unknown = varde_ids::ChannelId::from_bytes([0x77; 16]);
    let paths = [
        "timeline?R",
        "playback?R",
        "playback.m3u8?R",
        "entry-points.mp4?R",
        "frame.jpg",
        "frame.jpg?time=T",
    ];
    for path in paths {
        let path = path.replace('R', &range(0, 9_000)).replace('T', &start().to_string());
        let other = server.get_as("viewer", &format!("/cameras/{OTHER}/{path}"), &[]).await;
        let none = server.get_as("viewer", &format!("/cameras/{unknown}/{path}"), &[]).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!((other.status, other.code()), (none.status, none.code()), "{path}");
        let nobody = server.get_as("", &format!("/cameras/{CAMERA}/{path}"), &[]).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn every_route_is_described() {
    let routes = server().await.gateway.routes();
    let document = varde_http::document(vec![varde_gateway::openapi()], routes.table());
    assert_eq!(varde_http::document_gaps(&document, routes.table()), Vec::<String>::new());
}
