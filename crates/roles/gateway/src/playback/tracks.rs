//! Which recorded streams stand for a camera's picture and sound in a range.
//!
//! A camera may have recorded several streams, one after another (it was changed) or at once. The one that covers most
//! of the range comes first; the others fill what it leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use varde_api::media::TrackKind;
use varde_api_internal::recorder::{Plan, PlanFile};
use varde_http::{CameraEntry, Problem};
use varde_ids::{ChannelId, StreamId};
use varde_units::Utc;

use crate::problem::recorder_problem;
use crate::recorder::{Recorder, RecorderError};

/// Fragments of one answer: 20,000 half seconds are almost three hours of one stream.
pub(crate) const PLAN_FRAGMENTS_MAX: usize = 20_000;

/// Streams of one channel in one range that are looked at.
const STREAMS_MAX: usize = 8;
const TIMELINE_ROWS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) start: Utc,
    pub(crate) end: Utc,
    pub(crate) stream: Option<StreamId>,
    pub(crate) kind: Option<TrackKind>,
    /// Whether sound may be handed out.
    pub(crate) sound: bool,
    pub(crate) entry_points_only: bool,
}

#[derive(Debug)]
pub(crate) struct TrackPlan {
    pub(crate) kind: TrackKind,
    /// The stream that covers most.
    pub(crate) stream: StreamId,
    /// In the order in which they were recorded.
    pub(crate) files: Vec<PlanFile>,
    pub(crate) next: Option<Utc>,
}

/// The tracks of a camera in a range, picture first. Tracks with nothing recorded are left out.
pub(crate) async fn tracks(
    recorder: &dyn Recorder,
    camera: &CameraEntry,
    wanted: &Wanted,
) -> Result<Vec<TrackPlan>, Problem> {
    let mut list = Vec::new();
    if wanted.kind != Some(TrackKind::Audio)
        && let Some(plan) = track(recorder, camera.id, TrackKind::Video, wanted).await?
    {
        list.push(plan);
    }
    if wanted.kind != Some(TrackKind::Video)
        && wanted.sound
        && let Some((microphone, _)) = &camera.microphone
        && let Some(plan) = track(recorder, *microphone, TrackKind::Audio, wanted).await?
    {
        list.push(plan);
    }
    Ok(list)
}

/// The tracks of the whole range, whatever number of pages that takes; the caller has bounded the range.
pub(crate) async fn all_tracks(
    recorder: &dyn Recorder,
    camera: &CameraEntry,
    wanted: &Wanted,
) -> Result<Vec<TrackPlan>, Problem> {
    let mut whole = tracks(recorder, camera, wanted).await?;
    for track in &mut whole {
        let mut page = Wanted { kind: Some(track.kind), ..*wanted };
        while let Some(next) = track.next.filter(|next| *next > page.start && *next < wanted.end) {
            page.start = next;
            let more = tracks(recorder, camera, &page).await?;
            track.next = more.first().and_then(|plan| plan.next);
            more.into_iter().for_each(|plan| append(track, plan));
        }
    }
    Ok(whole)
}

/// Files that were cut between two pages become one again.
fn append(whole: &mut TrackPlan, page: TrackPlan) {
    for file in page.files {
        match whole.files.iter_mut().find(|known| known.storage == file.storage && known.file == file.file) {
            Some(known) => {
                let from = known.fragments.last().map_or(0, |last| last.offset.saturating_add(1));
                known.fragments.extend(file.fragments.into_iter().filter(|fragment| fragment.offset >= from));
            }
            None => whole.files.push(file),
        }
    }
}

async fn track(
    recorder: &dyn Recorder,
    channel: ChannelId,
    kind: TrackKind,
    wanted: &Wanted,
) -> Result<Option<TrackPlan>, Problem> {
    let timeline = match recorder.timeline(channel, wanted.start, wanted.end, TIMELINE_ROWS_MAX).await {
        Ok(timeline) => timeline,
        Err(RecorderError::NotFound) => return Ok(None),
        Err(error) => return Err(recorder_problem(&error)),
    };
    let mut covered: BTreeMap<StreamId, Duration> = BTreeMap::new();
    for recording in &timeline.recordings {
        let span = recording.end.min(wanted.end).since(recording.start.max(wanted.start));
        *covered.entry(recording.stream).or_default() += span;
    }
    let mut streams: Vec<(StreamId, Duration)> =
        covered.into_iter().filter(|(id, _)| wanted.stream.is_none_or(|stream| stream == *id)).collect();
    streams.sort_by_key(|(id, span)| (std::cmp::Reverse(*span), *id));
    streams.truncate(STREAMS_MAX);
    let Some(&(main, _)) = streams.first() else { return Ok(None) };
    let mut files: Vec<PlanFile> = Vec::new();
    let mut next: Option<Utc> = None;
    for (stream, _) in streams {
        let plan = recorder
            .plan(stream, wanted.start, wanted.end, wanted.entry_points_only, PLAN_FRAGMENTS_MAX)
            .await;
        let Plan { files: more, next: cut } = plan.map_err(|error| recorder_problem(&error))?;
        next = [next, cut].into_iter().flatten().min();
        let taken: Vec<(Utc, Utc, u32)> = files.iter().filter_map(span).collect();
        files.extend(more.into_iter().filter(|file| {
            span(file).is_some_and(|(start, end, epoch)| {
                !taken.iter().any(|&(from, to, of)| of == epoch && start < to && from < end)
            })
        }));
    }
    files.sort_by_key(|file| (file.epoch, file.start));
    Ok(Some(TrackPlan { kind, stream: main, files, next }).filter(|plan| !plan.files.is_empty()))
}

/// From when to when the planned fragments of a file last; `None` where there is none.
pub(crate) fn span(file: &PlanFile) -> Option<(Utc, Utc, u32)> {
    let (first, last) = (file.fragments.first()?, file.fragments.last()?);
    let end = last.start_ticks.saturating_add(last.duration_ticks);
    Some((at_tick(file, first.start_ticks), at_tick(file, end), file.epoch))
}

/// When a tick of a file was.
pub(crate) fn at_tick(file: &PlanFile, ticks: u64) -> Utc {
    let micros = u128::from(ticks) * 1_000_000 / u128::from(file.timescale.max(1));
    file.start.offset_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
