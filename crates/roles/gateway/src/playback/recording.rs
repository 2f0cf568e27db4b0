//! A range cut out of the recordings as one MP4, picture and sound together.
//!
//! Two passes: the fragments' heads tell every sample, so that the tables stand at the front and the length is known;
//! then the media passes through, byte for byte. Time stays true: what is missing for up to a second is bridged, a
//! longer gap is left out of picture and sound alike, and told.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::header;
use serde::Deserialize;
use varde_access::{Action, Footage};
use varde_api::codes::ProblemCode;
use varde_api::media::{Head, TrackKind};
use varde_api_internal::recorder::{PlanFile, PlanFragment};
use varde_codec::Format;
use varde_fmp4::FragmentInfo;
use varde_fmp4::export::Muxer;
use varde_http::{CameraEntry, Path, Permit, Principal, Problem, Query};
use varde_ids::ChannelId;
use varde_units::Utc;

use super::layout::{Layout, Source, TrackParts, lay};
use super::tracks::{TrackPlan, Wanted, all_tracks, at_tick, span};
use super::{check_range, head, source};
use crate::gateway::Gateway;
use crate::problem::{limit_reached, no_recording};
use crate::recorder::Recorder;

/// The longest range in one file: its tables stay under 100 MB while they are made.
pub(crate) const HOURS_MAX: u64 = 24;
/// Heads and pieces that are read ahead.
const READ_AHEAD: usize = 4;
/// Files that follow each other so closely are one recording.
const SEAM_MICROS_MAX: i64 = 1_000;
/// Gaps that the answer's header names.
const GAPS_TOLD_MAX: usize = 20;

/// What is to be cut out.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) camera: Arc<CameraEntry>,
    pub(crate) start: Utc,
    pub(crate) end: Utc,
    pub(crate) head: Head,
    pub(crate) sound: bool,
}

pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// 0 to 1: how far the whole is, with this piece.
    pub(crate) progress: f64,
}

pub(crate) struct CutRecording {
    pub(crate) bytes: u64,
    /// When the first picture was.
    pub(crate) start: Utc,
    /// What is missing in between, longest first left out.
    pub(crate) gaps: Vec<(Utc, Utc)>,
    pub(crate) pieces: BoxStream<'static, Result<Piece, Problem>>,
}

pub(crate) async fn cut(gateway: &Gateway, cut: Cut) -> Result<CutRecording, Problem> {
    if cut.end.since(cut.start).as_secs() > HOURS_MAX * 3600 {
        return Err(limit_reached("recording_hours_max", HOURS_MAX));
    }
    let recorder = gateway.0.recorder.clone();
    let mut wanted = Wanted {
        start: cut.start,
        end: cut.end,
        stream: None,
        kind: None,
        sound: cut.sound,
        entry_points_only: false,
    };
    let mut tracks = Vec::new();
    for kind in [TrackKind::Video, TrackKind::Audio] {
        wanted.kind = Some(kind);
        for plan in all_tracks(&*recorder, &cut.camera, &wanted).await? {
            let mut parts = parts(&*recorder, &plan, cut.end).await?;
            if plan.kind == TrackKind::Video && cut.head == Head::Exact {
                head::make_exact(gateway, &mut parts, cut.start).await?;
            }
            // The picture may begin before the asked instant; its sound begins with it.
            wanted.start = parts.parts.first().map_or(wanted.start, |first| first.start.min(wanted.start));
            tracks.push(parts);
        }
    }
    let layout = lay(tracks, cut.start).ok_or_else(no_recording)?;
    let (front, media_bytes) = front(&layout)?;
    let total = front.len() as u64 + media_bytes;
    let (start, gaps) = (layout.start, layout.gaps);
    let reads = layout.parts.into_iter().map(|(_, part)| part.source);
    let media = stream::iter(reads)
        .map(move |source| {
            let recorder = recorder.clone();
            async move { fetch(&*recorder, source).await }
        })
        .buffered(READ_AHEAD);
    let mut sent = 0u64;
    let pieces = stream::once(async move { Ok(front) }).chain(media).map_ok(move |bytes| {
        sent += bytes.len() as u64;
        Piece { bytes, progress: sent as f64 / total.max(1) as f64 }
    });
    Ok(CutRecording { bytes: total, start, gaps, pieces: pieces.boxed() })
}

async fn fetch(recorder: &dyn Recorder, source: Source) -> Result<Bytes, Problem> {
    match source {
        Source::Memory(bytes) => Ok(bytes),
        Source::File { file, offset, bytes } => source::read(recorder, &file, offset, bytes).await,
    }
}

/// Everything before the media, and how long the media is.
fn front(layout: &Layout) -> Result<(Bytes, u64), Problem> {
    let failed = |error| match error {
        varde_fmp4::WriteError::Full { what } => limit_reached("recording", what),
        other => Problem::new(
            ProblemCode::CodecNotSupported,
            format!("The recording can't be written as MP4: {other}."),
        ),
    };
    let mut muxer = Muxer::new(layout.start);
    let mut numbers = Vec::new();
    for track in &layout.tracks {
        let number = muxer.track_add((*track.format).clone()).map_err(failed)?;
        muxer.start_set(number, track.start_ticks);
        numbers.push((number, track.format.clone()));
    }
    for (track, part) in &layout.parts {
        let (number, format) = &mut numbers[*track];
        if *format != part.format {
            muxer.format_set(*number, (*part.format).clone()).map_err(failed)?;
            *format = part.format.clone();
        }
        for sample in &part.samples {
            muxer.push(*number, *sample).map_err(failed)?;
        }
    }
    Ok((muxer.finish(None).map_err(failed)?, muxer.media_bytes()))
}

/// The samples of a track up to `end`, in runs that lie together.
async fn parts(recorder: &dyn Recorder, plan: &TrackPlan, end: Utc) -> Result<TrackParts, Problem> {
    let mut track = TrackParts { kind: plan.kind, parts: Vec::new() };
    let mut first: Option<Arc<Format>> = None;
    // Behind an entry point from which decoding begins, leading pictures lack what they lean on.
    let mut fresh = true;
    let mut end_of_last: Option<(u32, Utc)> = None;
    for file in &plan.files {
        let format = source::format(recorder, file).await?;
        let format = match &first {
            Some(first) if **first == format => first.clone(),
            // One track of a file has one codec and one clock; what was recorded with another stays out.
            Some(first) if (first.codec(), first.timescale()) != (format.codec(), format.timescale()) => {
                tracing::info!(file = file.file, "another codec than the cut began with");
                continue;
            }
            _ => Arc::new(format),
        };
        first.get_or_insert_with(|| format.clone());
        let fragments: Vec<PlanFragment> = file.fragments.clone();
        let mut heads =
            stream::iter(fragments).map(|fragment| read_head(recorder, file, fragment)).buffered(READ_AHEAD);
        let own = Arc::new(PlanFile { fragments: Vec::new(), ..file.clone() });
        let begin = file.fragments.first().map_or(file.start, |fragment| at_tick(file, fragment.start_ticks));
        let goes_on = end_of_last.is_some_and(|(epoch, end)| {
            epoch == file.epoch && begin.signed_micros_since(end).abs() <= SEAM_MICROS_MAX
        });
        fresh |= !goes_on;
        end_of_last = span(file).map(|(_, end, epoch)| (epoch, end));
        while let Some((fragment, info)) = heads.next().await {
            let info = info?;
            let mut ticks = info.decode_time;
            for sample in &info.samples {
                let at = at_tick(file, ticks);
                ticks = ticks.saturating_add(u64::from(sample.duration));
                if sample.flags.leading && fresh {
                    continue;
                }
                fresh &= sample.flags.sync;
                if at >= end {
                    break;
                }
                let sample_at = fragment.offset.saturating_add(sample.offset);
                track.push(&own, &format, at, sample_at, sample);
            }
        }
    }
    Ok(track)
}

async fn read_head(
    recorder: &dyn Recorder,
    file: &PlanFile,
    fragment: PlanFragment,
) -> (PlanFragment, Result<FragmentInfo, Problem>) {
    (fragment, source::head(recorder, file, &fragment).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordingQuery {
    start: Utc,
    end: Utc,
    #[serde(default)]
    head: Head,
    audio: Option<bool>,
}

/// `GET /cameras/{id}/recording.mp4`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/recording.mp4", operation_id = "recording_get", tag = "playback",
    params(("id" = String, Path), ("start" = String, Query, description = "RFC 3339"), ("end" = String, Query, description = "RFC 3339"), ("head" = Option<Head>, Query), ("audio" = Option<bool>, Query)),
    responses((status = 200, content_type = "video/mp4")))]
pub(crate) async fn recording(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<RecordingQuery>,
    permit: Permit,
    principal: Principal,
) -> Result<Response, Problem> {
    check_range(query.start, query.end)?;
    let sound = permit.with_audio() && query.audio.unwrap_or(true);
    let entry = gateway.camera(camera)?;
    let wish = Cut { camera: entry, start: query.start, end: query.end, head: query.head, sound };
    let recording = cut(&gateway, wish).await?;
    let footage = Footage::new(query.start, query.end);
    let revoked = async move { principal.revoked(Action::Export, camera, footage).await };
    let pieces = recording.pieces.map(|piece| match piece {
        Ok(piece) => Ok(piece.bytes),
        Err(problem) => Err(std::io::Error::other(problem.detail)),
    });
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "video/mp4")
        .header(header::CONTENT_LENGTH, recording.bytes)
        .header(header::CACHE_CONTROL, "private, no-store")
        .header(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}.mp4\"", recording.start.file_name()),
        )
        .header("varde-start", recording.start.to_string());
    if !recording.gaps.is_empty() {
        let told = recording.gaps.iter().take(GAPS_TOLD_MAX).map(|(from, to)| format!("{from}/{to}"));
        response = response.header("varde-gaps", told.collect::<Vec<_>>().join(", "));
    }
    response
        .body(Body::from_stream(pieces.take_until(Box::pin(revoked))))
        .map_err(|error| Problem::internal(&error))
}
