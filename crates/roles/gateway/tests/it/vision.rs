//! What needs the worker, with one that does no more than the gateway can see: it says what it was asked.

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use varde_api_internal::link::Message;
use varde_codec::{AccessUnit, Format};
use varde_gateway::{Target, Vision, VisionError};
use varde_units::Mono;

use crate::footage::{h264_clip, h265_clip};
use crate::live::{collect, connect, live, play};
use crate::site::{CAMERA, MAIN, OTHER, SUB, range, server_with};
use crate::{probe, record, start};

#[derive(Default)]
struct Asked {
    /// Units of each still, and the width.
    stills: Mutex<Vec<(usize, Option<u32>)>>,
}

#[async_trait]
impl Vision for Asked {
    async fn still(
        &self,
        _: &Format,
        units: Vec<AccessUnit>,
        at: Mono,
        width: Option<u32>,
    ) -> Result<Bytes, VisionError> {
        assert!(units[0].flags.entry_point);
        assert_eq!(units.last().unwrap().time, at);
        self.stills.lock().unwrap().push((units.len(), width));
        Ok(Bytes::from(format!("still {}", units.len())))
    }

    async fn transcode(
        &self,
        target: Target,
        input: BoxStream<'static, Message>,
    ) -> Result<BoxStream<'static, Message>, VisionError> {
        assert_eq!(target, Target::H264);
        let clip = h264_clip();
        let mut number = 0;
        let made = input.filter_map(move |message| {
            let message = match message {
                Message::Format(_) => Some(Message::Format(clip.format.clone())),
                Message::Unit(unit) => {
                    let own = &clip.units[number % clip.units.len()];
                    number += 1;
                    Some(Message::Unit(AccessUnit { data: own.data.clone(), flags: own.flags, ..unit }))
                }
                Message::State(_) => None,
            };
            std::future::ready(message)
        });
        Ok(made.boxed())
    }

    /// The pictures as they are, from the asked instant on, the first called an entry point.
    async fn head(
        &self,
        format: &Format,
        units: Vec<AccessUnit>,
        from: Mono,
    ) -> Result<(Format, Vec<AccessUnit>), VisionError> {
        assert!(units[0].flags.entry_point && units[0].time < from);
        assert!(units[1..].iter().all(|unit| !unit.flags.entry_point), "one group of pictures");
        let mut made: Vec<AccessUnit> = units.into_iter().filter(|unit| unit.time >= from).collect();
        made[0].flags.entry_point = true;
        Ok((format.clone(), made))
    }
}

#[tokio::test]
async fn a_still_is_made_of_its_group_of_pictures_and_kept() {
    let vision = Arc::<Asked>::default();
    let server = server_with(vision.clone()).await;
    record(&server.recorder);
    let still = async |millis: i64, width: &str| {
        let time = start().offset_micros(millis * 1_000);
        server.get(&format!("/cameras/{CAMERA}/frame.jpg?time={time}{width}")).await
    };
    // 15 pictures a second; the entry point is at 2.0 s, and pictures 0 to 7 lie up to 2.5 s.
    let answer = still(2_500, "&width=320").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"still 8"[..]));
    assert_eq!(answer.headers["content-type"], "image/jpeg");
    assert_eq!(answer.headers["varde-time"], "2026-11-23T12:00:02.466666Z");
    still(2_520, "&width=320").await;
    assert_eq!(
        *vision.stills.lock().unwrap(),
        [(8, Some(320))],
        "the same picture again is not decoded again"
    );
    assert_eq!(&still(2_000, "").await.body[..], b"still 1");
    assert_eq!(still(40_000, "").await.code(), "no_recording", "inside the gap");
    assert_eq!(still(2_000, "&width=1").await.code(), "invalid_request");
    assert_eq!(server.get(&format!("/cameras/{CAMERA}/frame.jpg")).await.code(), "no_picture");
}

#[tokio::test]
async fn an_exact_head_begins_at_the_asked_instant() {
    let server = server_with(Arc::<Asked>::default()).await;
    record(&server.recorder);
    let path = format!("/cameras/{CAMERA}/recording.mp4?{}&head=exact", range(5_500, 9_000));
    let answer = server.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.headers["varde-start"].to_str().unwrap().get(..22), Some("2026-11-23T12:00:05.53"));
    let packets = probe(&answer.body, &["-select_streams", "v", "-show_entries", "packet=pts_time"]);
    let packets = packets["packets"].as_array().unwrap();
    // Pictures 83 to 134 of 15 a second.
    assert_eq!(packets.len(), 52);
    let last: f64 = packets.last().unwrap()["pts_time"].as_str().unwrap().parse().unwrap();
    assert!((last - 51.0 / 15.0).abs() < 0.01, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_can_not_show_is_encoded_anew_within_the_limit() {
    let server = server_with(Arc::<Asked>::default()).await;
    play(&server.recorder, MAIN, h265_clip());
    play(&server.recorder, SUB, h265_clip());
    let mut first = connect(&server, "all", &live("?accept=avc1")).await.unwrap();
    let seen = collect(&mut first, |seen| seen.fragments[0] >= 5).await;
    let format = seen.texts.iter().find(|text| text["type"] == "format").unwrap();
    assert_eq!(
        (&format["tracks"][0]["codec"], &format["tracks"][0]["transcoded"]),
        (&"h264".into(), &true.into())
    );
    // The same again shares it; another stream is one too many.
    let mut same = connect(&server, "all", &live("?accept=avc1")).await.unwrap();
    assert!(collect(&mut same, |seen| seen.fragments[0] >= 5).await.closed.is_none());
    let path = format!("/cameras/{OTHER}/live/ws?accept=avc1&stream=live");
    let mut other = connect(&server, "all", &path).await.unwrap();
    let seen = collect(&mut other, |_| false).await;
    assert_eq!(seen.closed.as_deref(), Some("transcode_limit"));
    let refused = seen.texts.iter().find(|text| text["type"] == "refused").unwrap();
    assert_eq!(refused["parameters"]["limit"], 1);
}
