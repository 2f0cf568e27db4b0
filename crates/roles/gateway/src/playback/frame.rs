//! One picture: of an instant, or of now. The worker decodes; JPEG images pass as they are.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use parking_lot::Mutex;
use serde::Deserialize;
use varde_access::Action;
use varde_api::codes::ProblemCode;
use varde_api::media::{LiveChoice, TrackKind};
use varde_codec::{AccessUnit, Codec, Format, UnitFlags};
use varde_http::{CameraEntry, Path, Principal, Problem, Query};
use varde_ids::ChannelId;
use varde_units::{Mono, Utc};

use super::source;
use super::tracks::{Wanted, at_tick, span, tracks};
use crate::gateway::Gateway;
use crate::hub::Item;
use crate::live::candidates;
use crate::problem::{limit_reached, no_recording};
use crate::vision::VisionError;

const WIDTH_MAX: u32 = 7_680;
/// A camera that shows nothing for so long has no live picture.
const LIVE_WITHIN: Duration = Duration::from_secs(5);
/// Pictures and bytes that the worker is given for one still.
const UNITS_MAX: usize = 3_000;
const BYTES_MAX: u64 = 64 << 20;
/// How far before the asked instant its picture may lie: a camera with one picture in ten seconds has one.
const BEFORE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameQuery {
    time: Option<Utc>,
    width: Option<u32>,
}

/// A JPEG and when its picture was.
#[derive(Clone, Debug)]
struct Still {
    jpeg: Bytes,
    at: Option<Utc>,
}

/// `GET /cameras/{id}/frame.jpg`. A live picture asks for the right to watch live, checked here: the path alone does
/// not tell which right is needed.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/frame.jpg", operation_id = "frame_get", tag = "playback",
    params(("id" = String, Path), ("time" = Option<String>, Query, description = "Absent: now"), ("width" = Option<u32>, Query)),
    responses((status = 200, content_type = "image/jpeg")))]
pub(crate) async fn frame(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<FrameQuery>,
    principal: Principal,
) -> Result<Response, Problem> {
    if query.width.is_some_and(|width| !(16..=WIDTH_MAX).contains(&width)) {
        return Err(Problem::invalid("width", format!("`width` lies between 16 and {WIDTH_MAX}.")));
    }
    let (still, caching) = match query.time {
        Some(time) => {
            let footage = varde_access::Footage::new(time, time);
            let _permit = principal.allow(Action::PlaybackView, camera, footage)?;
            let entry = gateway.camera(camera)?;
            (recorded(&gateway, &entry, time, query.width).await?, "private, max-age=3600")
        }
        None => {
            let _permit = principal.allow(Action::LiveView, camera, None)?;
            let entry = gateway.camera(camera)?;
            (live(&gateway, &entry, query.width).await?, "private, no-store")
        }
    };
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, caching)];
    let mut response = (headers, still.jpeg).into_response();
    if let Some(at) = still.at {
        let at = at.to_string().parse().map_err(|error| Problem::internal(&error))?;
        response.headers_mut().insert("varde-time", at);
    }
    Ok(response)
}

async fn recorded(
    gateway: &Gateway,
    camera: &CameraEntry,
    time: Utc,
    width: Option<u32>,
) -> Result<Still, Problem> {
    let wanted = Wanted {
        start: time,
        end: time.offset_micros(1),
        stream: None,
        kind: Some(TrackKind::Video),
        sound: false,
        entry_points_only: false,
    };
    let recorder = &*gateway.0.recorder;
    let plan = tracks(recorder, camera, &wanted).await?.into_iter().next().ok_or_else(no_recording)?;
    // The later epoch stands on top.
    let file = plan.files.iter().rev().find(|file| {
        span(file).is_some_and(|(start, end, _)| start <= time && time.since(end) <= BEFORE_MAX)
    });
    let file = file.ok_or_else(no_recording)?;
    let mut units: Vec<AccessUnit> = Vec::new();
    let (mut at, mut count) = (None, 0);
    let mut bytes = 0u64;
    let mut pieces: Vec<(u64, u32, UnitFlags, u64, i32)> = Vec::new();
    'fragments: for fragment in &file.fragments {
        let info = source::head(recorder, file, fragment).await?;
        let mut ticks = info.decode_time;
        for sample in &info.samples {
            if at_tick(file, ticks) > time {
                break 'fragments;
            }
            if sample.flags.sync {
                pieces.clear();
                bytes = 0;
            }
            let shown = ticks.saturating_add_signed(i64::from(sample.composition_offset));
            if at_tick(file, shown) <= time {
                (at, count) = (Some(at_tick(file, shown)), pieces.len() + 1);
            }
            bytes += u64::from(sample.bytes);
            let flags = UnitFlags { entry_point: sample.flags.sync, ..UnitFlags::default() };
            let offset = fragment.offset.saturating_add(sample.offset);
            pieces.push((offset, sample.bytes, flags, ticks, sample.composition_offset));
            ticks = ticks.saturating_add(u64::from(sample.duration));
        }
    }
    if pieces.len() > UNITS_MAX || bytes > BYTES_MAX {
        return Err(limit_reached("still_pictures_max", UNITS_MAX));
    }
    let key = Key {
        camera: camera.id,
        file: file.file.clone(),
        count,
        offset: pieces.first().map_or(0, |p| p.0),
        width,
    };
    if let Some(jpeg) = gateway.0.stills.get(&key) {
        return Ok(Still { jpeg, at });
    }
    pieces.truncate(count);
    let format = source::format(recorder, file).await?;
    if format.codec() == Codec::Mjpeg {
        // Each image stands alone: the last is all that is needed.
        pieces.drain(..pieces.len().saturating_sub(1));
    }
    for (offset, length, flags, ticks, composition) in pieces {
        let data = source::read(recorder, file, offset, u64::from(length)).await?;
        let nanos = |ticks: u128| {
            u64::try_from(ticks * 1_000_000_000 / u128::from(file.timescale.max(1))).unwrap_or(u64::MAX)
        };
        let decode_time = Mono::from_nanos(nanos(u128::from(ticks)));
        let ahead = nanos(u128::from(composition.unsigned_abs()));
        units.push(AccessUnit {
            sequence: units.len() as u64,
            time: decode_time.offset_nanos(i64::try_from(ahead).unwrap_or(0)),
            decode_time,
            received: decode_time,
            camera_time: None,
            flags,
            data,
        });
    }
    let jpeg = picture(gateway, &format, units, width).await?;
    gateway.0.stills.insert(key, jpeg.clone());
    Ok(Still { jpeg, at })
}

async fn live(gateway: &Gateway, camera: &CameraEntry, width: Option<u32>) -> Result<Still, Problem> {
    let mut state = None;
    let streams = candidates(camera, LiveChoice::Auto);
    let stream = *streams.first().ok_or_else(|| no_picture(None))?;
    let mut subscriber = gateway.0.hub.subscribe(stream);
    let collect = async {
        let (mut format, mut units): (Option<std::sync::Arc<Format>>, Vec<AccessUnit>) = (None, Vec::new());
        loop {
            // Everything that is there already, and then no more: the newest picture is the present one.
            let item = if units.is_empty() { Some(subscriber.next().await) } else { subscriber.poll() };
            match item {
                None => return (format, units),
                Some(Item::Format(new)) => {
                    units.clear();
                    format = Some(new);
                }
                Some(Item::State(new)) => state = Some(new.state),
                Some(Item::Unit { unit, .. }) => {
                    if unit.flags.entry_point {
                        units.clear();
                    }
                    units.push(unit);
                    if units.len() >= UNITS_MAX {
                        return (format, units);
                    }
                }
            }
        }
    };
    let collected = tokio::time::timeout(LIVE_WITHIN, collect).await;
    let Ok((Some(format), units)) = collected else { return Err(no_picture(state)) };
    Ok(Still { jpeg: picture(gateway, &format, units, width).await?, at: None })
}

fn no_picture(state: Option<String>) -> Problem {
    Problem::new(ProblemCode::NoPicture, "The camera gives no picture now.")
        .parameter("state", state.unwrap_or_else(|| "unknown".to_owned()))
}

async fn picture(
    gateway: &Gateway,
    format: &Format,
    units: Vec<AccessUnit>,
    width: Option<u32>,
) -> Result<Bytes, Problem> {
    let smaller = width.zip(format.dimensions()).is_some_and(|(width, (own, _))| width < own);
    if format.codec() == Codec::Mjpeg
        && !smaller
        && let Some(last) = units.last()
    {
        return Ok(last.data.clone());
    }
    let Some(vision) = &gateway.0.vision else {
        return Err(Problem::new(
            ProblemCode::CodecNotSupported,
            "This server has no worker that decodes pictures.",
        )
        .parameter("codec", format.codec().name()));
    };
    let newest = units.iter().map(|unit| unit.time).max().unwrap_or_default();
    vision.still(format, units, newest, width).await.map_err(|error| match error {
        VisionError::Unavailable(detail) => {
            tracing::warn!(detail, "no still");
            limit_reached("vision_workers", "busy")
        }
        VisionError::Unsupported(detail) => {
            tracing::info!(detail, "no still");
            Problem::new(ProblemCode::CodecNotSupported, "The picture can't be decoded.")
                .parameter("codec", format.codec().name())
        }
    })
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    camera: ChannelId,
    file: String,
    /// Where its group of pictures begins, and which picture of it.
    offset: u64,
    count: usize,
    width: Option<u32>,
}

/// Stills that were made lately: scrubbing asks for the same ones again.
#[derive(Debug, Default)]
pub(crate) struct Stills {
    /// The latest used last.
    list: Mutex<VecDeque<(Key, Bytes)>>,
}

impl Stills {
    const BYTES_MAX: usize = 48 << 20;
    const COUNT_MAX: usize = 512;

    fn get(&self, key: &Key) -> Option<Bytes> {
        let mut list = self.list.lock();
        let place = list.iter().position(|(known, _)| known == key)?;
        let found = list.remove(place)?;
        let jpeg = found.1.clone();
        list.push_back(found);
        Some(jpeg)
    }

    fn insert(&self, key: Key, jpeg: Bytes) {
        let mut list = self.list.lock();
        list.retain(|(known, _)| *known != key);
        list.push_back((key, jpeg));
        while list.len() > Self::COUNT_MAX
            || list.iter().map(|(_, jpeg)| jpeg.len()).sum::<usize>() > Self::BYTES_MAX
        {
            list.pop_front();
        }
    }
}
