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
use varde_ambient::mono_now;
use varde_api::codes::ProblemCode;
use varde_api::media::{LiveChoice, TrackKind};
use varde_api_internal::recorder::PlanFile;
use varde_codec::{AccessUnit, Codec, Format, UnitFlags};
use varde_fmp4::SampleFlags;
use varde_http::{CameraEntry, Path, Principal, Problem, Query};
use varde_ids::ChannelId;
use varde_units::{Mono, Utc};

use super::source;
use super::tracks::{Wanted, at_tick, span, tracks};
use crate::gateway::Gateway;
use crate::hub::Item;
use crate::live::candidates;
use crate::problem::{limit_reached, no_recording};
use crate::recorder::Recorder;
use crate::vision::VisionError;

const WIDTH_MAX: u32 = 7_680;
/// A camera that shows nothing for so long has no live picture.
const LIVE_WITHIN: Duration = Duration::from_secs(5);
/// Pictures and bytes that the worker is given for one still.
const UNITS_MAX: usize = 3_000;
const BYTES_MAX: u64 = 64 << 20;
/// How far before the asked instant its picture may lie: a camera with one picture in ten seconds has one.
const BEFORE_MAX: Duration = Duration::from_secs(30);
/// How much later than it is decoded a picture may be shown: so far back lies what leads up to an instant.
const REORDERED_MAX: Duration = Duration::from_millis(500);
/// A live picture older than this is not the present one while newer ones are on their way.
const FRESH: Duration = Duration::from_millis(500);
/// Nothing more is on its way when nothing came for so long.
const QUIET: Duration = Duration::from_millis(150);

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
    // What a browser keeps is not for the next person at the same screen.
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("cookie, authorization"));
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
        start: time.minus(REORDERED_MAX),
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
    let pieces = pieces(recorder, file, time).await?;
    let (first, last) = chosen(&pieces, |shown| at_tick(file, shown) <= time).ok_or_else(no_recording)?;
    let group = &pieces[first..=last];
    let at = at_tick(file, pieces[last].shown);
    if group.len() > UNITS_MAX || group.iter().map(|piece| u64::from(piece.bytes)).sum::<u64>() > BYTES_MAX {
        return Err(limit_reached("still_pictures_max", UNITS_MAX));
    }
    let key = Key {
        camera: camera.id,
        file: file.file.clone(),
        count: group.len(),
        offset: pieces[first].offset,
        width,
    };
    if let Some(jpeg) = gateway.0.stills.get(&key) {
        return Ok(Still { jpeg, at: Some(at) });
    }
    let mono = |ticks: u64| {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(file.timescale.max(1));
        Mono::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    let mut units: Vec<AccessUnit> = Vec::with_capacity(group.len());
    for piece in group {
        units.push(AccessUnit {
            sequence: units.len() as u64,
            time: mono(piece.shown),
            decode_time: mono(piece.ticks),
            received: mono(piece.ticks),
            camera_time: None,
            flags: UnitFlags { entry_point: piece.flags.sync, ..UnitFlags::default() },
            data: source::read(recorder, file, piece.offset, u64::from(piece.bytes)).await?,
        });
    }
    let format = source::format(recorder, file).await?;
    let jpeg = picture(gateway, &format, units, mono(pieces[last].shown), width).await?;
    gateway.0.stills.insert(key, jpeg.clone());
    Ok(Still { jpeg, at: Some(at) })
}

/// A sample and where it lies.
#[derive(Clone, Copy, Debug)]
struct Piece {
    offset: u64,
    bytes: u32,
    flags: SampleFlags,
    /// When it is decoded and when it is shown.
    ticks: u64,
    shown: u64,
}

/// What is decoded up to `time`, of the last two groups of pictures: the entry point of a group may be decoded before
/// the last pictures of the group before it are shown.
async fn pieces(recorder: &dyn Recorder, file: &PlanFile, time: Utc) -> Result<Vec<Piece>, Problem> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut entry_point = 0;
    for fragment in &file.fragments {
        let info = source::head(recorder, file, fragment).await?;
        let mut ticks = info.decode_time;
        for sample in &info.samples {
            if at_tick(file, ticks) > time {
                return Ok(pieces);
            }
            if sample.flags.sync {
                pieces.drain(..entry_point);
                entry_point = pieces.len();
            }
            pieces.push(Piece {
                offset: fragment.offset.saturating_add(sample.offset),
                bytes: sample.bytes,
                flags: sample.flags,
                ticks,
                shown: ticks.saturating_add_signed(i64::from(sample.composition_offset)),
            });
            ticks = ticks.saturating_add(u64::from(sample.duration));
        }
    }
    Ok(pieces)
}

/// The first and the last piece to decode for the picture that is shown: the latest that is not too late, or the
/// earliest of all. A picture that leads its entry point leans on the group before.
fn chosen(pieces: &[Piece], in_time: impl Fn(u64) -> bool) -> Option<(usize, usize)> {
    let entry_point = |last: usize| pieces[..=last].iter().rposition(|piece| piece.flags.sync);
    let begin = |last: usize| {
        let own = entry_point(last)?;
        if !pieces[last].flags.leading {
            return Some(own);
        }
        own.checked_sub(1).and_then(entry_point)
    };
    let decodable = || (0..pieces.len()).filter_map(|last| Some((begin(last)?, last)));
    let shown = |&(_, last): &(usize, usize)| pieces[last].shown;
    let latest = decodable().filter(|each| in_time(shown(each))).max_by_key(shown);
    latest.or_else(|| decodable().min_by_key(shown))
}

async fn live(gateway: &Gateway, camera: &CameraEntry, width: Option<u32>) -> Result<Still, Problem> {
    let mut state = None;
    let streams = candidates(camera, LiveChoice::Auto);
    let stream = *streams.first().ok_or_else(|| no_picture(None))?;
    let mut subscriber = gateway.0.hub.subscribe(stream);
    let collect = async {
        let (mut format, mut units): (Option<std::sync::Arc<Format>>, Vec<AccessUnit>) = (None, Vec::new());
        loop {
            // Everything that is there already, and what a fresh link still has to bring: the present picture is the
            // newest, which may lie a long group of pictures behind its entry point.
            let item = match units.last() {
                None => Some(subscriber.next().await),
                Some(unit) if mono_now().since(unit.received) < FRESH => subscriber.poll(),
                Some(_) => tokio::time::timeout(QUIET, subscriber.next()).await.ok(),
            };
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
    let newest = units.iter().map(|unit| unit.time).max().unwrap_or_default();
    Ok(Still { jpeg: picture(gateway, &format, units, newest, width).await?, at: None })
}

fn no_picture(state: Option<String>) -> Problem {
    Problem::new(ProblemCode::NoPicture, "The camera gives no picture now.")
        .parameter("state", state.unwrap_or_else(|| "unknown".to_owned()))
}

async fn picture(
    gateway: &Gateway,
    format: &Format,
    mut units: Vec<AccessUnit>,
    at: Mono,
    width: Option<u32>,
) -> Result<Bytes, Problem> {
    let smaller = width.zip(format.dimensions()).is_some_and(|(width, (own, _))| width < own);
    if format.codec() == Codec::Mjpeg {
        // Each image stands alone.
        units.drain(..units.len().saturating_sub(1));
        if !smaller && let Some(last) = units.last() {
            return Ok(last.data.clone());
        }
    }
    let Some(vision) = &gateway.0.vision else {
        return Err(Problem::new(
            ProblemCode::CodecNotSupported,
            "This server has no worker that decodes pictures.",
        )
        .parameter("codec", format.codec().name()));
    };
    vision.still(format, units, at, width).await.map_err(|error| match error {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shown_is_found_among_reordered_ones() {
        // Decoded in this order: `I` an entry point, `l` a picture that leads it, each with the time of its display.
        let check = |pieces: &[(char, u64)], time: u64, expected: Option<(usize, usize)>| {
            let pieces: Vec<Piece> = pieces
                .iter()
                .map(|&(kind, shown)| Piece {
                    offset: 0,
                    bytes: 1,
                    flags: SampleFlags { sync: kind == 'I', leading: kind == 'l', ..SampleFlags::default() },
                    ticks: 0,
                    shown,
                })
                .collect();
            assert_eq!(chosen(&pieces, |shown| shown <= time), expected, "{pieces:?} at {time}");
        };
        let closed = [('I', 2), ('P', 5), ('B', 3), ('B', 4), ('I', 6), ('P', 9), ('B', 7)];
        check(&closed, 1, Some((0, 0)));
        check(&closed, 3, Some((0, 2)));
        check(&closed, 5, Some((0, 1)));
        check(&closed, 6, Some((4, 4)));
        check(&closed, 8, Some((4, 6)));
        let open = [('I', 2), ('P', 3), ('I', 6), ('l', 4), ('l', 5), ('P', 9), ('l', 7)];
        check(&open, 4, Some((0, 3)));
        check(&open, 6, Some((2, 2)));
        // What leads the first entry point can't be decoded.
        check(&open[2..5], 5, Some((0, 0)));
        check(&[('P', 1)], 1, None);
        check(&[], 1, None);
    }
}
