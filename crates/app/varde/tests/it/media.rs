//! Media as programs that are not ours take it: FFmpeg decodes every frame and must find nothing to complain of.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use varde_virtual_cameras::counter;

use crate::stack::Api;

/// What FFmpeg decoded of one track.
#[derive(Clone, Debug)]
pub struct Track {
    pub kind: String,
    pub codec: String,
    pub size: (u64, u64),
    /// Seconds at which each frame is shown, in the order of display.
    pub times: Vec<f64>,
}

/// Runs a tool of FFmpeg, which must succeed without a word.
fn silent(program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Vec<u8> {
    complaint(program, arguments).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// Runs a tool of FFmpeg; gives what it complains of.
fn complaint(program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    let output = arguments(command.args(["-v", "error"]).stdin(Stdio::null()))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (cargo xtask test installs it)"));
    let complaint: String = String::from_utf8_lossy(&output.stderr).chars().take(600).collect();
    if output.status.success() && complaint.is_empty() {
        Ok(output.stdout)
    } else {
        Err(format!("{command:?}: {complaint}"))
    }
}

/// All tracks of a file, every frame of which is decoded.
pub fn decode(file: &Path) -> Vec<Track> {
    try_decode(file).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// The same, or what FFmpeg complains of.
pub fn try_decode(file: &Path) -> Result<Vec<Track>, String> {
    let entries =
        "stream=index,codec_type,codec_name,width,height:frame=stream_index,best_effort_timestamp_time";
    let told = complaint("ffprobe", |command| {
        command.args(["-show_streams", "-show_frames", "-show_entries", entries, "-of", "json"]).arg(file)
    })?;
    let told: Value = serde_json::from_slice(&told).unwrap();
    let frames = told["frames"].as_array().unwrap();
    let streams = told["streams"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tracks = streams
        .map(|stream| Track {
            kind: text(&stream["codec_type"]),
            codec: text(&stream["codec_name"]),
            size: (stream["width"].as_u64().unwrap_or(0), stream["height"].as_u64().unwrap_or(0)),
            times: frames
                .iter()
                .filter(|frame| frame["stream_index"] == stream["index"])
                .map(|frame| {
                    let time = &frame["best_effort_timestamp_time"];
                    time.as_str().and_then(|time| time.parse().ok()).unwrap_or(f64::NAN)
                })
                .collect(),
        })
        .collect();
    Ok(tracks)
}

/// Writes bytes beside others of the test and decodes them.
pub fn decode_bytes(file: &Path, bytes: &[u8]) -> Vec<Track> {
    std::fs::write(file, bytes).unwrap();
    decode(file)
}

/// The frame counters of all pictures of a file, in the order of display.
pub fn counters(file: &Path, width: u64) -> Vec<u32> {
    let row = format!("extractplanes=y,crop={width}:1:0:8");
    let picked = ["-map", "0:v:0", "-vf", &row, "-fps_mode", "passthrough", "-f", "rawvideo", "-"];
    let rows = silent("ffmpeg", |command| command.arg("-i").arg(file).args(picked));
    rows.chunks(width as usize)
        .map(|row| counter::read_luma(width as usize, row).expect("each picture shows its number"))
        .collect()
}

/// Takes what an address serves, as it is, into a file.
pub fn take(address: &str, file: &Path) {
    silent("ffmpeg", |command| command.args(["-y", "-i", address, "-map", "0", "-c", "copy"]).arg(file));
}

/// Makes a clip of `seconds`, in a codec of FFmpeg.
pub fn clip(file: &Path, seconds: u32, encoder: &[&str]) {
    let source = format!("testsrc2=size=320x180:rate=15:duration={seconds},format=yuv420p");
    silent("ffmpeg", |command| command.args(["-y", "-f", "lavfi", "-i", &source]).args(encoder).arg(file));
}

/// What a client of the live WebSocket got.
#[derive(Debug, Default)]
pub struct Live {
    pub texts: Vec<Value>,
    pub tracks: [Vec<u8>; 2],
    pub fragments: [usize; 2],
    /// What it was closed with.
    pub closed: Option<String>,
}

impl Live {
    /// The newest word on the tracks.
    pub fn tracks_told(&self) -> Vec<Value> {
        let format = self.texts.iter().rev().find(|text| text["type"] == "format");
        format.and_then(|format| format["tracks"].as_array().cloned()).unwrap_or_default()
    }
}

/// Watches a camera live until it is enough.
pub async fn watch(api: &Api, path: &str, enough: impl Fn(&Live) -> bool) -> Live {
    let address = api.url.strip_prefix("http://").expect("a server on loopback speaks HTTP");
    let stream = tokio::net::TcpStream::connect(address.trim_end_matches('/')).await.unwrap();
    let mut request = format!("ws://{address}/api/v1{path}").into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", api.token).parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let mut live = Live::default();
    let watching = async {
        while !enough(&live) {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => live.texts.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) => {
                    let track = usize::from(bytes[0]);
                    live.fragments[track] += usize::from(&bytes[13..17] == b"moof");
                    live.tracks[track].extend_from_slice(&bytes[9..]);
                }
                Some(Ok(Message::Close(frame))) => {
                    live.closed = Some(frame.map(|frame| frame.reason.to_string()).unwrap_or_default());
                    break;
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), watching).await;
    let (texts, fragments) = (&live.texts, live.fragments);
    assert!(in_time.is_ok() && enough(&live), "{path}: {fragments:?}, {texts:?}, {:?}", live.closed);
    let _ = socket.close(None).await;
    live
}

/// A credential for media addresses.
pub async fn ticket(api: &Api, camera: &str) -> String {
    let body = json!({ "cameras": [camera], "purpose": "playback" });
    let ticket = api.call(reqwest::Method::POST, "/tickets", Some(body)).await.unwrap();
    ticket["ticket"].as_str().unwrap().to_owned()
}
