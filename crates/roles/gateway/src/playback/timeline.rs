//! What is recorded when, and where its bytes lie.

use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use varde_api::media::{Gap, Playback, PlaybackFile, PlaybackTrack, Recording, Timeline, TrackKind};
use varde_api_internal::recorder;
use varde_http::{Json, Path, Permit, Principal, Problem, Query};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

use super::check_range;
use super::tracks::{Wanted, tracks};
use crate::gateway::Gateway;
use crate::problem::recorder_problem;

/// Rows of one answer; a longer one says where to go on.
const TIMELINE_ROWS_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimelineQuery {
    start: Utc,
    end: Utc,
    /// Seconds: what lies closer together is one, what is shorter than this is not told.
    resolution: Option<f64>,
    limit: Option<usize>,
}

/// `GET /cameras/{id}/timeline`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/timeline", operation_id = "timeline_get", tag = "playback",
    params(("id" = String, Path), ("start" = String, Query, description = "RFC 3339"), ("end" = String, Query, description = "RFC 3339"), ("resolution" = Option<f64>, Query, description = "Seconds"), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = Timeline)))]
pub(crate) async fn timeline(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<Timeline>, Problem> {
    check_range(query.start, query.end)?;
    gateway.camera(camera)?;
    let resolution = match query.resolution {
        None => Duration::ZERO,
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| {
            Problem::invalid("resolution", "`resolution` is a number of seconds, zero or more.")
        })?,
    };
    let limit = query.limit.unwrap_or(TIMELINE_ROWS_MAX).clamp(1, TIMELINE_ROWS_MAX);
    let answer = gateway.0.recorder.timeline(camera, query.start, query.end, limit).await;
    let answer = answer.map_err(|error| recorder_problem(&error))?;
    Ok(Json(coarsen(answer, resolution)))
}

/// Joins recordings of one stream and epoch that lie closer than `resolution`, and leaves out shorter gaps.
fn coarsen(timeline: recorder::Timeline, resolution: Duration) -> Timeline {
    let mut recordings: Vec<Recording> = Vec::with_capacity(timeline.recordings.len());
    for next in timeline.recordings {
        let before = recordings.iter_mut().rev().find(|r| r.stream == next.stream);
        match before {
            Some(before)
                if before.epoch == next.epoch
                    && !resolution.is_zero()
                    && next.start.since(before.end) <= resolution
                    && before.codec == next.codec.name() =>
            {
                before.end = before.end.max(next.end);
            }
            _ => recordings.push(Recording {
                start: next.start,
                end: next.end,
                stream: next.stream,
                codec: next.codec.name().to_owned(),
                epoch: next.epoch,
            }),
        }
    }
    let gaps = timeline.gaps.into_iter();
    let gaps = gaps.filter(|gap| gap.end.is_none_or(|end| end.since(gap.start) >= resolution));
    let gaps = gaps
        .map(|gap| Gap { start: gap.start, end: gap.end, cause: gap.cause, parameters: gap.parameters })
        .collect();
    Timeline { recordings, gaps, next: timeline.next }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaybackQuery {
    start: Utc,
    end: Utc,
    stream: Option<StreamId>,
    track: Option<TrackKind>,
}

/// `GET /cameras/{id}/playback`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/playback", operation_id = "playback_get", tag = "playback",
    params(("id" = String, Path), ("start" = String, Query, description = "RFC 3339"), ("end" = String, Query, description = "RFC 3339"), ("stream" = Option<String>, Query), ("track" = Option<TrackKind>, Query)),
    responses((status = 200, body = Playback)))]
pub(crate) async fn plan(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<PlaybackQuery>,
    permit: Permit,
    principal: Principal,
) -> Result<Json<Playback>, Problem> {
    check_range(query.start, query.end)?;
    let entry = gateway.camera(camera)?;
    let wanted = Wanted {
        start: query.start,
        end: query.end,
        stream: query.stream,
        kind: query.track,
        sound: permit.with_audio(),
        entry_points_only: false,
    };
    let plans = tracks(&*gateway.0.recorder, &entry, &wanted).await?;
    let next = plans.iter().filter_map(|plan| plan.next).min();
    let range = (query.start, query.end);
    let tracks = plans
        .into_iter()
        .map(|plan| PlaybackTrack {
            kind: plan.kind,
            stream: plan.stream,
            codec: plan.files.first().map_or("", |file| file.codec.name()).to_owned(),
            files: plan
                .files
                .iter()
                .map(|file| playback_file(camera, file, range, principal.ticket()))
                .collect(),
        })
        .collect();
    Ok(Json(Playback { tracks, next }))
}

fn playback_file(
    camera: ChannelId,
    file: &recorder::PlanFile,
    range: (Utc, Utc),
    ticket: Option<&str>,
) -> PlaybackFile {
    let fragments = file.fragments.iter().map(|fragment| {
        let entry = u64::from(fragment.entry_point);
        [fragment.offset, fragment.bytes, fragment.start_ticks, fragment.duration_ticks, entry]
    });
    PlaybackFile {
        url: super::file::url(camera, file, range, ticket),
        codec: file.codec.name().to_owned(),
        codec_string: file.codec_string.clone(),
        width: file.width,
        height: file.height,
        timescale: file.timescale,
        start: file.start,
        epoch: file.epoch,
        init_bytes: file.init_bytes,
        fragments: fragments.collect(),
    }
}

#[cfg(test)]
mod tests {
    use varde_codec::Codec;

    use super::*;

    #[test]
    fn what_lies_closer_than_the_resolution_is_one() {
        let second = |s: i64| Utc::from_micros(s * 1_000_000);
        let row = |start, end, epoch| recorder::Recording {
            start: second(start),
            end: second(end),
            stream: StreamId::from_bytes([1; 16]),
            codec: Codec::H264,
            epoch,
        };
        let check = |resolution: u64, expected: &[(i64, i64)]| {
            let timeline = recorder::Timeline {
                recordings: vec![row(0, 10, 0), row(12, 20, 0), row(60, 70, 0), row(65, 80, 1)],
                gaps: vec![],
                next: None,
            };
            let joined = coarsen(timeline, Duration::from_secs(resolution)).recordings;
            let spans: Vec<_> = joined.iter().map(|r| (r.start, r.end)).collect();
            let expected: Vec<_> = expected.iter().map(|&(a, b)| (second(a), second(b))).collect();
            assert_eq!(spans, expected, "{resolution} s");
        };
        check(0, &[(0, 10), (12, 20), (60, 70), (65, 80)]);
        check(5, &[(0, 20), (60, 70), (65, 80)]);
        check(100, &[(0, 70), (65, 80)]);
    }
}
