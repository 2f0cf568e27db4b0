//! The entry points of a range alone, as one fragmented MP4: for fast playback and scrubbing.
//!
//! Decode times count from the Unix epoch, in ticks of the track, so that every picture says itself when it was. Each
//! lasts up to the next. An init segment comes again where the format changes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::header;
use serde::Deserialize;
use varde_access::{Action, Footage};
use varde_api::media::TrackKind;
use varde_api_internal::recorder::{PlanFile, PlanFragment};
use varde_codec::Format;
use varde_fmp4::{FragmentBuilder, SampleFlags, TrackInit, init_segment};
use varde_http::{Path, Principal, Problem, Query};
use varde_ids::ChannelId;
use varde_units::Utc;

use super::tracks::{Wanted, at_tick, tracks};
use super::{check_range, source};
use crate::gateway::Gateway;
use crate::problem::no_recording;
use crate::recorder::Recorder;

/// Pictures of one answer; the client asks on from the last.
const PICTURES_MAX: usize = 4_000;
const READ_AHEAD: usize = 4;
/// The last picture's length, and what a picture before a gap is shown at most.
const LENGTH_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryPointsQuery {
    start: Utc,
    end: Utc,
    /// Pictures for each second of recorded time at most.
    per_second_max: Option<f64>,
}

#[derive(Clone, Debug)]
struct Picture {
    file: Arc<PlanFile>,
    fragment: PlanFragment,
    at: Utc,
    length: Duration,
}

/// `GET /cameras/{id}/entry-points.mp4`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/entry-points.mp4", operation_id = "entry_points_get", tag = "playback",
    params(("id" = String, Path), ("start" = String, Query, description = "RFC 3339"), ("end" = String, Query, description = "RFC 3339"), ("per_second_max" = Option<f64>, Query)),
    responses((status = 200, content_type = "video/mp4")))]
pub(crate) async fn entry_points(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<EntryPointsQuery>,
    principal: Principal,
) -> Result<Response, Problem> {
    check_range(query.start, query.end)?;
    let spacing = match query.per_second_max {
        None => Duration::ZERO,
        Some(rate) => Duration::try_from_secs_f64(1.0 / rate)
            .map_err(|_| Problem::invalid("per_second_max", "`per_second_max` is a number above zero."))?,
    };
    let entry = gateway.camera(camera)?;
    let wanted = Wanted {
        start: query.start,
        end: query.end,
        stream: None,
        kind: Some(TrackKind::Video),
        sound: false,
        entry_points_only: true,
    };
    let plan =
        tracks(&*gateway.0.recorder, &entry, &wanted).await?.into_iter().next().ok_or_else(no_recording)?;
    let pictures = pictures(&plan.files, spacing);
    let recorder = gateway.0.recorder.clone();
    let mut known: Option<(Arc<PlanFile>, Arc<Format>)> = None;
    let mut formats = Vec::new();
    for picture in &pictures {
        let format = match &known {
            Some((file, format)) if Arc::ptr_eq(file, &picture.file) => format.clone(),
            _ => Arc::new(source::format(&*recorder, &picture.file).await?),
        };
        let new = known.as_ref().is_none_or(|(_, before)| *before != format);
        known = Some((picture.file.clone(), format.clone()));
        formats.push((format, new));
    }
    let numbered = pictures.into_iter().zip(formats).zip(1u32..);
    let body = stream::iter(numbered)
        .map(move |((picture, (format, new)), number)| {
            let recorder = recorder.clone();
            async move {
                let init = new.then(|| init(&format)).transpose()?;
                let fragment = fragment(&*recorder, &picture, &format, number).await?;
                let mut bytes = BytesMut::from(init.unwrap_or_default());
                bytes.extend_from_slice(&fragment);
                Ok(bytes.freeze())
            }
        })
        .buffered(READ_AHEAD)
        .map(|piece: Result<Bytes, Problem>| piece.map_err(|problem| std::io::Error::other(problem.detail)));
    let footage = Footage::new(query.start, query.end);
    let revoked = async move { principal.revoked(Action::PlaybackView, camera, footage).await };
    Response::builder()
        .header(header::CONTENT_TYPE, "video/mp4")
        .header(header::CACHE_CONTROL, "private, no-cache")
        .body(Body::from_stream(body.take_until(Box::pin(revoked))))
        .map_err(|error| Problem::internal(&error))
}

/// The fragments that begin with an entry point, no closer than `spacing`, each lasting up to the next.
fn pictures(files: &[PlanFile], spacing: Duration) -> Vec<Picture> {
    let mut list: Vec<Picture> = Vec::new();
    for file in files {
        let own = Arc::new(PlanFile { fragments: Vec::new(), ..file.clone() });
        for fragment in file.fragments.iter().filter(|fragment| fragment.entry_point) {
            let at = at_tick(file, fragment.start_ticks);
            if let Some(last) = list.last_mut() {
                let since = at.since(last.at);
                if since < spacing || since.is_zero() {
                    continue;
                }
                last.length = since.min(LENGTH_MAX);
            }
            if list.len() == PICTURES_MAX {
                return list;
            }
            list.push(Picture { file: own.clone(), fragment: *fragment, at, length: Duration::from_secs(1) });
        }
    }
    list
}

fn init(format: &Format) -> Result<Bytes, Problem> {
    init_segment(&TrackInit { format, creation: Utc::EPOCH, user: None })
        .map_err(|error| Problem::internal(&error))
}

async fn fragment(
    recorder: &dyn Recorder,
    picture: &Picture,
    format: &Format,
    number: u32,
) -> Result<Bytes, Problem> {
    let info = source::head(recorder, &picture.file, &picture.fragment).await?;
    let sample = info.samples.first().ok_or_else(no_recording)?;
    let offset = picture.fragment.offset.saturating_add(sample.offset);
    let data = source::read(recorder, &picture.file, offset, u64::from(sample.bytes)).await?;
    let scale = u128::from(format.timescale());
    let ticks = |micros: u128| u64::try_from(micros * scale / 1_000_000).unwrap_or(u64::MAX);
    let at = ticks(u128::try_from(picture.at.as_micros()).unwrap_or(0));
    let length = u32::try_from(ticks(picture.length.as_micros())).unwrap_or(u32::MAX).max(1);
    let mut builder = FragmentBuilder::new(at);
    let failed = |error| Problem::internal(&error);
    builder.push(data, length, 0, SampleFlags::SYNC).map_err(failed)?;
    let fragment = builder.finish(number, None).map_err(failed)?;
    let mut bytes = BytesMut::from(fragment.head);
    fragment.payload.iter().for_each(|data| bytes.extend_from_slice(data));
    Ok(bytes.freeze())
}
