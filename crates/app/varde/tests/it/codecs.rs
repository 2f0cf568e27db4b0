//! The codec table (`docs/codecs.md`), cell by cell: what a camera sends is recorded, shown live, played back, exported
//! and turned into stills, and FFmpeg decodes all of it without one complaint.
//!
//! The frame counter in the pictures tells that each picture is there once, in order, at its time. Every cell is a task
//! of its own, so that one that fails hides no other.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use varde_units::Utc;

use crate::media::{Live, Track, clip, counters, decode, decode_bytes, take, ticket, watch};
use crate::stack::{Program, Stack};
use crate::whep::{self, Client};

/// A row of the table, or two: a camera has a picture and a sound.
#[derive(Debug)]
struct Row {
    /// What the virtual camera calls it; for given footage its file's name.
    name: &'static str,
    /// As FFmpeg names them.
    video: &'static str,
    sound: Option<&'static str>,
    /// How the `codecs` parameter begins.
    string: &'static str,
    /// Whether each picture shows its number.
    counted: bool,
    /// Pictures that are shown before one that was decoded earlier: at the end of what was cut off, some are missing.
    reordered: usize,
    /// Whether WebRTC can carry the picture.
    webrtc: bool,
    /// Arguments that make the footage; none for bundled footage.
    encoder: &'static [&'static str],
}

const PLAIN: Row = Row {
    name: "",
    video: "h264",
    sound: None,
    string: "avc1.",
    counted: true,
    reordered: 0,
    webrtc: true,
    encoder: &[],
};

const ROWS: [Row; 8] = [
    Row { name: "h264-aac", sound: Some("aac"), ..PLAIN },
    Row { name: "h264-b-frames-alaw", sound: Some("pcm_alaw"), reordered: 2, webrtc: false, ..PLAIN },
    Row { name: "h264-long-gop", ..PLAIN },
    Row { name: "h265-opus", video: "hevc", sound: Some("opus"), string: "hvc1.", counted: false, ..PLAIN },
    Row {
        name: "mjpeg-ulaw",
        video: "mjpeg",
        sound: Some("pcm_mulaw"),
        string: "mp4v.6C",
        webrtc: false,
        ..PLAIN
    },
    Row {
        name: "open-gop-h264",
        counted: false,
        reordered: 2,
        webrtc: false,
        encoder: &[
            "-c:v",
            "libx264",
            "-g",
            "15",
            "-bf",
            "2",
            "-x264-params",
            "open-gop=1:scenecut=0:b-adapt=0",
        ],
        ..PLAIN
    },
    Row {
        name: "open-gop-h265",
        video: "hevc",
        string: "hvc1.",
        counted: false,
        reordered: 2,
        webrtc: false,
        encoder: &[
            "-c:v",
            "libx265",
            "-x265-params",
            "log-level=none:keyint=15:min-keyint=15:open-gop=1:bframes=2:b-adapt=0:scenecut=0:pools=1",
        ],
        ..PLAIN
    },
    Row {
        name: "av1",
        video: "av1",
        string: "av01.",
        counted: false,
        webrtc: false,
        encoder: &["-c:v", "libaom-av1", "-cpu-used", "8", "-g", "15", "-usage", "realtime"],
        ..PLAIN
    },
];

/// A camera of the table that has recorded enough.
#[derive(Clone, Debug)]
struct Camera {
    row: &'static Row,
    id: String,
    api: crate::stack::Api,
    folder: PathBuf,
    /// What is played back: it begins in the middle of a group of pictures.
    start: Utc,
    end: Utc,
    /// When picture 0 was due, and how long each lasts.
    clock: Option<(Utc, Duration)>,
}

const PERIOD: f64 = 1.0 / 15.0;

impl Camera {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}-{name}", self.row.name))
    }

    fn path(&self, resource: &str) -> String {
        format!("/cameras/{}/{resource}", self.id)
    }

    fn range(&self, resource: &str) -> String {
        self.path(&format!("{resource}?start={}&end={}", self.start, self.end))
    }

    /// The number that stood in the picture at an instant.
    fn number_at(&self, time: Utc) -> Option<u32> {
        let (zero, period) = self.clock?;
        u32::try_from(time.since(zero).as_nanos() / period.as_nanos()).ok()
    }

    /// Checks the picture of a file: its codec, every frame at its time, and the order of display by the counters.
    /// Gives the first and the last number.
    fn check_picture(&self, file: &std::path::Path, tracks: &[Track], codec: &str) -> Option<(u32, u32)> {
        let video: Vec<&Track> = tracks.iter().filter(|track| track.kind == "video").collect();
        let [video] = video.as_slice() else { panic!("one video track: {tracks:?}") };
        assert_eq!(video.codec, codec);
        assert!(video.times.len() >= 8, "{} pictures", video.times.len());
        let whole = video.times.len() - self.row.reordered;
        for (number, pair) in video.times[..whole].windows(2).enumerate() {
            let step = pair[1] - pair[0];
            assert!((step - PERIOD).abs() < 0.025, "picture {number} lasts {step} s: {:?}", video.times);
        }
        if !self.row.counted {
            return None;
        }
        let numbers = counters(file, video.size.0);
        assert_eq!(numbers.len(), video.times.len());
        assert!(numbers[..whole].windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        Some((numbers[0], *numbers.last().unwrap()))
    }

    fn check_sound(&self, tracks: &[Track], codec: &str) {
        let sound: Vec<&Track> = tracks.iter().filter(|track| track.kind == "audio").collect();
        let [sound] = sound.as_slice() else { panic!("one audio track: {tracks:?}") };
        assert_eq!(sound.codec, codec);
        assert!(sound.times.len() >= 10, "{} frames of sound", sound.times.len());
        assert!(sound.times.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", sound.times);
    }

    /// Watches; where all workers are busy with what the cells before had encoded anew, again.
    async fn watch(&self, resource: &str, enough: impl Fn(&Live) -> bool) -> Live {
        let refused = |live: &Live| live.texts.iter().any(|text| text["code"] == "transcode_limit");
        loop {
            let path = self.path(resource);
            let live = watch(&self.api, &path, |live| refused(live) || enough(live)).await;
            if !refused(&live) {
                return live;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn live_mse(self) {
        let enough =
            |live: &Live| live.fragments[0] >= 24 && (self.row.sound.is_none() || live.fragments[1] >= 24);
        let live = self.watch("live/ws?accept=avc1,hvc1,av01", enough).await;
        let transcoded = self.row.video == "mjpeg";
        let string = if transcoded { "avc1." } else { self.row.string };
        let told = live.tracks_told();
        let mime = |track: usize| told[track]["mime"].as_str().unwrap().to_owned();
        assert!(mime(0).starts_with(&format!("video/mp4; codecs=\"{string}")), "{told:?}");
        assert_eq!(told[0]["transcoded"], transcoded, "{told:?}");
        let file = self.file("live.mp4");
        let tracks = decode_bytes(&file, &live.tracks[0]);
        self.check_picture(&file, &tracks, if transcoded { "h264" } else { self.row.video });
        let Some(sound) = self.row.sound else { return };
        // Browsers take no G.711 by Media Source Extensions.
        let (string, codec) = match sound {
            "aac" => ("mp4a.40.2", "aac"),
            _ => ("opus", "opus"),
        };
        assert_eq!(mime(1), format!("audio/mp4; codecs=\"{string}\""));
        assert_eq!(told[1]["transcoded"], sound.starts_with("pcm"), "{told:?}");
        self.check_sound(&decode_bytes(&self.file("live-sound.mp4"), &live.tracks[1]), codec);
    }

    /// A browser that takes nothing but H.264.
    async fn live_mse_as_h264(self) {
        let live = self.watch("live/ws?accept=avc1", |live| live.fragments[0] >= 24).await;
        let told = live.tracks_told();
        assert!(told[0]["mime"].as_str().unwrap().starts_with("video/mp4; codecs=\"avc1."), "{told:?}");
        assert_eq!(told[0]["transcoded"], self.row.video != "h264", "{told:?}");
        let file = self.file("live-h264.mp4");
        let tracks = decode_bytes(&file, &live.tracks[0]);
        self.check_picture(&file, &tracks, "h264");
    }

    async fn live_whep(self) {
        let client = Client::new();
        let request = self
            .api
            .client
            .post(format!("{}/api/v1{}", self.api.url, self.path("live/whep")))
            .bearer_auth(&self.api.token)
            .header("content-type", "application/sdp")
            .body(client.offer.clone());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        if !self.row.webrtc {
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["code"], "codec_not_supported", "{status} {body}");
            return;
        }
        assert_eq!(status.as_u16(), 201, "{body}");
        let sound = self.row.sound.is_some();
        let (pictures, sounds) =
            tokio::task::spawn_blocking(move || whep::receive(client, &body, 30, sound)).await.unwrap();
        let file = self.file(if self.row.video == "hevc" { "whep.h265" } else { "whep.h264" });
        let tracks = decode_bytes(&file, &pictures.concat());
        // A raw stream has no times, so that only codec, count and order can be checked.
        assert_eq!((tracks[0].codec.as_str(), tracks[0].times.len()), (self.row.video, pictures.len()));
        if self.row.counted {
            let numbers = counters(&file, tracks[0].size.0);
            assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        }
        assert_eq!(sounds > 0, sound);
    }

    async fn playback_hls(self) {
        let ticket = ticket(&self.api, &self.id).await;
        let path = format!("{}/api/v1{}&ticket={ticket}", self.api.url, self.range("playback.m3u8"));
        let file = self.file("hls.mkv");
        take(&path, &file);
        let tracks = decode(&file);
        if let Some((first, last)) = self.check_picture(&file, &tracks, self.row.video) {
            let (start, end) = (self.number_at(self.start).unwrap(), self.number_at(self.end).unwrap());
            assert!(first <= start + 1 && last + 2 >= end, "{first} to {last}, not {start} to {end}");
        }
        if let Some(sound) = self.row.sound {
            self.check_sound(&tracks, sound);
        }
    }

    /// What the web client does: plan, then byte ranges of the files.
    async fn playback_mse(self) {
        let plan = self.api.get(&self.range("playback")).await;
        for track in plan["tracks"].as_array().unwrap() {
            let files = track["files"].as_array().unwrap();
            let [file] = files.as_slice() else { panic!("one file: {plan}") };
            let url = file["url"].as_str().unwrap();
            let mut media = self.part(url, 0, file["init_bytes"].as_u64().unwrap()).await;
            let fragments = file["fragments"].as_array().unwrap();
            assert_eq!(fragments[0][4], 1, "it begins with an entry point: {plan}");
            for fragment in fragments {
                media.extend(
                    self.part(url, fragment[0].as_u64().unwrap(), fragment[1].as_u64().unwrap()).await,
                );
            }
            let kind = track["kind"].as_str().unwrap();
            let path = self.file(&format!("plan-{kind}.mp4"));
            let tracks = decode_bytes(&path, &media);
            if kind == "audio" {
                self.check_sound(&tracks, self.row.sound.unwrap());
                continue;
            }
            assert!(file["codec_string"].as_str().unwrap().starts_with(self.row.string), "{plan}");
            if let Some((first, last)) = self.check_picture(&path, &tracks, self.row.video) {
                let (start, end) = (self.number_at(self.start).unwrap(), self.number_at(self.end).unwrap());
                assert!(first <= start + 1 && last + 2 >= end, "{first} to {last}, not {start} to {end}");
            }
        }
    }

    async fn part(&self, url: &str, offset: u64, bytes: u64) -> Vec<u8> {
        let request = self.api.client.get(format!("{}{url}", self.api.url)).bearer_auth(&self.api.token);
        let range = format!("bytes={offset}-{}", offset + bytes - 1);
        let answer = request.header("range", range).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 206, "{url}");
        let part = answer.bytes().await.unwrap().to_vec();
        assert_eq!(part.len() as u64, bytes);
        part
    }

    /// What fast playback and scrubbing show.
    async fn entry_points(self) {
        let file = self.file("entry-points.mp4");
        let tracks = decode_bytes(&file, &self.api.bytes(&self.range("entry-points.mp4")).await);
        assert_eq!(tracks[0].codec, self.row.video);
        assert!(tracks[0].times.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", tracks[0].times);
        if self.row.counted {
            assert_eq!(counters(&file, tracks[0].size.0).len(), tracks[0].times.len());
        }
    }

    async fn export(self, head: &'static str) {
        let path = format!("{}&head={head}", self.range("recording.mp4"));
        if head == "exact" && self.row.video == "av1" {
            let refused = self.api.call(Method::GET, &path, None).await.unwrap_err();
            assert_eq!(refused.1["code"], "codec_not_supported");
            return;
        }
        let file = self.file(&format!("export-{head}.mp4"));
        let tracks = decode_bytes(&file, &self.api.bytes(&path).await);
        if let Some((first, last)) = self.check_picture(&file, &tracks, self.row.video) {
            let (start, end) = (self.number_at(self.start).unwrap(), self.number_at(self.end).unwrap());
            // A picture that others lean on is decoded in time, though it is shown later.
            let late = 2 + self.row.reordered as u32;
            assert!(last.abs_diff(end) <= late, "the last is {last}, not {end}");
            match head {
                "exact" => assert!(first.abs_diff(start) <= 2, "the first is {first}, not {start}"),
                _ => assert!(first <= start + 1, "the first is {first}, after {start}"),
            }
        }
        if let Some(sound) = self.row.sound {
            self.check_sound(&tracks, sound);
            let begin = |kind| tracks.iter().find(|track| track.kind == kind).unwrap().times[0];
            let apart = begin("audio") - begin("video");
            assert!((-0.05..0.2).contains(&apart), "sound begins {apart} s after the picture");
        }
    }

    async fn stills(self) {
        for millis in [40, 511, 1_300, 2_087] {
            let time = self.start.plus(Duration::from_millis(millis));
            let file = self.file(&format!("still-{millis}.jpg"));
            let jpeg = self.api.bytes(&self.path(&format!("frame.jpg?time={time}"))).await;
            let tracks = decode_bytes(&file, &jpeg);
            assert_eq!((tracks[0].codec.as_str(), tracks[0].times.len()), ("mjpeg", 1));
            if self.row.counted {
                let (number, expected) =
                    (counters(&file, tracks[0].size.0)[0], self.number_at(time).unwrap());
                assert!(number.abs_diff(expected) <= 1, "at {millis} ms it shows {number}, not {expected}");
            }
        }
    }

    async fn live_still(self) {
        let before = varde_ambient::utc_now();
        let file = self.file("still-live.jpg");
        let tracks = decode_bytes(&file, &self.api.bytes(&self.path("frame.jpg")).await);
        assert_eq!((tracks[0].codec.as_str(), tracks[0].times.len()), ("mjpeg", 1));
        if self.row.counted {
            let (number, expected) = (counters(&file, tracks[0].size.0)[0], self.number_at(before).unwrap());
            assert!(number + 15 >= expected, "it shows {number}, and {expected} was there before");
        }
    }
}

/// Cells that run.
#[derive(Debug, Default)]
struct Cells {
    running: Vec<(&'static str, &'static str, JoinHandle<()>)>,
    failed: Vec<String>,
}

impl Cells {
    fn run(
        &mut self,
        camera: &Camera,
        column: &'static str,
        cell: impl Future<Output = ()> + Send + 'static,
    ) {
        self.running.push((camera.row.name, column, tokio::spawn(cell)));
    }

    async fn finish(&mut self) {
        for (row, column, task) in self.running.drain(..) {
            if let Err(error) = task.await {
                let why = error.into_panic();
                let why = why
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default();
                self.failed.push(format!("{row}, {column}: {why}"));
            }
        }
    }
}

/// Adds the camera of a row, at an address of the farm that has it.
pub async fn add(stack: &Stack, farm: &Program, name: &str, path: &str) -> String {
    let any = farm.says["cameras"][0]["main"].as_str().unwrap();
    let body = json!({
        "name": name, "url": any.replace("/camera/1/main", path),
        "user": farm.says["user"], "password": farm.says["password"],
    });
    let added = stack.api.call(Method::POST, "/cameras", Some(body)).await.unwrap();
    added["id"].as_str().unwrap().to_owned()
}

/// Waits until a camera has recorded for so long; gives what is recorded.
pub async fn recorded(stack: &Stack, id: &str, seconds: u64) -> (Utc, Utc) {
    let now = varde_ambient::utc_now();
    let (start, end) = (now.minus(Duration::from_secs(3_600)), now.plus(Duration::from_secs(3_600)));
    let span = |timeline: &Value| {
        let read = |key: &str| timeline["recordings"][0][key].as_str()?.parse::<Utc>().ok();
        Some((read("start")?, read("end")?))
    };
    let path = format!("/cameras/{id}/timeline?start={start}&end={end}");
    let timeline = stack
        .api
        .until(&path, "has recorded enough", |timeline| {
            span(timeline).is_some_and(|(start, end)| end.since(start) >= Duration::from_secs(seconds))
        })
        .await;
    span(&timeline).unwrap()
}

/// Picture 0's instant and a picture's length, of a bundled camera.
async fn clock(stack: &Stack, name: &str) -> (Utc, Duration) {
    let control = stack.cameras.says["control"].as_str().unwrap();
    let answer = stack.api.client.get(format!("{control}/control/cameras/{name}")).send().await.unwrap();
    let stream = &answer.json::<Value>().await.unwrap()["streams"][0];
    let zero = stream["zero"]["utc"].as_str().unwrap().parse().unwrap();
    (zero, Duration::from_nanos(stream["period_nanos"].as_u64().unwrap()))
}

/// A farm that shows the footage of the rows that have an encoder.
fn farm(folder: &std::path::Path) -> (Program, Vec<&'static Row>) {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| !row.encoder.is_empty()).collect();
    let count = rows.len().to_string();
    let mut arguments =
        vec!["virtual-cameras", "--rtsp-port", "0", "--control-port", "0", "--audio", "none", "--json"];
    arguments.extend(["--count", &count]);
    let files: Vec<String> = rows
        .iter()
        .map(|row| {
            let file = folder.join(format!("{}.mp4", row.name));
            clip(&file, 3, row.encoder);
            file.to_str().unwrap().to_owned()
        })
        .collect();
    files.iter().for_each(|file| arguments.extend(["--source", file]));
    (Program::start(&arguments, folder, "given.log"), rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_cell_of_the_codec_table_holds() {
    let stack = Stack::start(1).await;
    let (given, rows_given) = farm(stack.folder.path());
    let mut added = Vec::new();
    for row in &ROWS {
        let place = rows_given.iter().position(|given| given.name == row.name);
        let id = match place {
            Some(place) => add(&stack, &given, row.name, &format!("/camera/{}/main", place + 1)).await,
            None => add(&stack, &stack.cameras, row.name, &format!("/codec/{}", row.name)).await,
        };
        added.push((row, id));
    }
    let mut cameras = Vec::new();
    for (row, id) in added {
        let (start, _) = recorded(&stack, &id, 7).await;
        let start = start.plus(Duration::from_millis(2_400));
        let clock = if row.encoder.is_empty() { Some(clock(&stack, row.name).await) } else { None };
        let folder = stack.folder.path().to_owned();
        let end = start.plus(Duration::from_secs(4));
        cameras.push(Camera { row, id, api: stack.api.clone(), folder, start, end, clock });
    }
    let mut cells = Cells::default();
    for camera in &cameras {
        cells.run(camera, "live MSE", camera.clone().live_mse());
        if camera.row.video != "mjpeg" {
            cells.run(camera, "live MSE as H.264", camera.clone().live_mse_as_h264());
        }
        cells.run(camera, "live WHEP", camera.clone().live_whep());
        cells.finish().await;
    }
    for camera in &cameras {
        cells.run(camera, "live still", camera.clone().live_still());
        cells.run(camera, "playback HLS", camera.clone().playback_hls());
        cells.run(camera, "playback MSE", camera.clone().playback_mse());
        cells.run(camera, "entry points", camera.clone().entry_points());
        cells.run(camera, "export from a key frame", camera.clone().export("keyframe"));
        cells.run(camera, "exact export", camera.clone().export("exact"));
        cells.run(camera, "still", camera.clone().stills());
        cells.finish().await;
    }
    let storage = stack.data().join("storage");
    stack.server.stop();
    for camera in &cameras {
        let id = camera.id.clone();
        let files: Vec<PathBuf> = crate::spine::media_files(&storage)
            .into_iter()
            .filter(|file| file.to_string_lossy().contains(&id))
            .collect();
        let camera_of = camera.clone();
        cells.run(camera, "stored", async move {
            let [file] = files.as_slice() else { panic!("one file of one picture: {files:?}") };
            camera_of.check_picture(file, &decode(file), camera_of.row.video);
        });
    }
    cells.finish().await;
    let table = cells.failed.join("\n\n");
    assert!(cells.failed.is_empty(), "{} cells fail:\n{table}", cells.failed.len());
}
