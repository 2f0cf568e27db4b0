//! HLS (RFC 8216): byte ranges of the files as they lie, from entry point to entry point.

use std::fmt::Write;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use varde_api::media::TrackKind;
use varde_api_internal::recorder::{PlanFile, PlanFragment};
use varde_http::{Path, Permit, Principal, Problem, Query};
use varde_ids::ChannelId;
use varde_units::Utc;

use super::check_range;
use super::tracks::{TrackPlan, Wanted, all_tracks, at_tick, tracks};
use crate::gateway::Gateway;
use crate::problem::{limit_reached, no_recording};

/// The longest range of one playlist: a player reads it whole before it begins.
const HOURS_MAX: u32 = 24;

/// Sound has an entry point at every fragment; this many seconds of it make a segment.
const SOUND_SEGMENT_SECONDS: f64 = 4.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaylistQuery {
    start: Utc,
    end: Utc,
    /// Absent: the master playlist.
    track: Option<TrackKind>,
}

/// `GET /cameras/{id}/playback.m3u8`
#[utoipa::path(get, path = "/api/v1/cameras/{id}/playback.m3u8", operation_id = "playlist_get", tag = "playback",
    params(("id" = String, Path), ("start" = String, Query, description = "RFC 3339"), ("end" = String, Query, description = "RFC 3339"), ("track" = Option<TrackKind>, Query)),
    responses((status = 200, content_type = "application/vnd.apple.mpegurl", body = String)))]
pub(crate) async fn playlist(
    State(gateway): State<Gateway>,
    Path(camera): Path<ChannelId>,
    Query(query): Query<PlaylistQuery>,
    permit: Permit,
    principal: Principal,
) -> Result<Response, Problem> {
    check_range(query.start, query.end)?;
    if query.end.since(query.start).as_secs() > u64::from(HOURS_MAX) * 3600 {
        return Err(limit_reached("playlist_hours_max", HOURS_MAX));
    }
    let entry = gateway.camera(camera)?;
    let wanted = Wanted {
        start: query.start,
        end: query.end,
        stream: None,
        kind: query.track,
        sound: permit.with_audio(),
        entry_points_only: false,
    };
    let recorder = &*gateway.0.recorder;
    let range = (query.start, query.end);
    let text = match query.track {
        // The first page is enough to tell codecs, size and rate.
        None => {
            let plans = tracks(recorder, &entry, &wanted).await?;
            if plans.is_empty() {
                return Err(no_recording());
            }
            master(&plans, range, principal.ticket())
        }
        Some(_) => {
            let plans = all_tracks(recorder, &entry, &wanted).await?;
            media(plans.first().ok_or_else(no_recording)?, camera, range, principal.ticket())
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.apple.mpegurl"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    Ok((headers, text).into_response())
}

fn rendition(kind: &str, range: (Utc, Utc), ticket: Option<&str>) -> String {
    let ticket = ticket.map_or(String::new(), |ticket| format!("&ticket={ticket}"));
    format!("playback.m3u8?start={}&end={}&track={kind}{ticket}", range.0, range.1)
}

fn master(plans: &[TrackPlan], range: (Utc, Utc), ticket: Option<&str>) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let of = |kind| plans.iter().find(|plan| plan.kind == kind);
    let (video, audio) = (of(TrackKind::Video), of(TrackKind::Audio));
    let mut codecs: Vec<&str> = Vec::new();
    for plan in video.iter().chain(&audio) {
        for file in &plan.files {
            if !codecs.contains(&file.codec_string.as_str()) {
                codecs.push(&file.codec_string);
            }
        }
    }
    let bandwidth: u64 = [video, audio].into_iter().flatten().map(bandwidth).sum();
    let codecs = codecs.join(",");
    match (video, audio) {
        (Some(video), sound) => {
            if sound.is_some() {
                let uri = rendition("audio", range, ticket);
                let _ = writeln!(
                    text,
                    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",NAME=\"sound\",DEFAULT=YES,AUTOSELECT=YES,URI=\"{uri}\""
                );
            }
            let size = video.files.iter().find_map(|file| file.width.zip(file.height));
            let resolution =
                size.map_or(String::new(), |(width, height)| format!(",RESOLUTION={width}x{height}"));
            let group = if sound.is_some() { ",AUDIO=\"sound\"" } else { "" };
            let _ = writeln!(
                text,
                "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"{codecs}\"{resolution}{group}"
            );
            text.push_str(&rendition("video", range, ticket));
        }
        _ => {
            let _ = writeln!(text, "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"{codecs}\"");
            text.push_str(&rendition("audio", range, ticket));
        }
    }
    text.push('\n');
    text
}

/// Peak bits a second over the planned fragments of at least half a second; never zero.
fn bandwidth(plan: &TrackPlan) -> u64 {
    let rates = plan.files.iter().flat_map(|file| {
        segments(file).into_iter().map(|segment| {
            let seconds = segment.seconds.max(0.5);
            (segment.bytes as f64 * 8.0 / seconds) as u64
        })
    });
    rates.max().unwrap_or(0).max(1)
}

struct Segment {
    offset: u64,
    bytes: u64,
    start_ticks: u64,
    seconds: f64,
}

/// Neighbouring fragments from one entry point up to the next.
fn segments(file: &PlanFile) -> Vec<Segment> {
    let timescale = f64::from(file.timescale.max(1));
    let sound = file.codec.medium() == varde_codec::Medium::Audio;
    let mut list: Vec<Segment> = Vec::new();
    for fragment in &file.fragments {
        let &PlanFragment { offset, bytes, start_ticks, duration_ticks, entry_point } = fragment;
        let seconds = duration_ticks as f64 / timescale;
        let goes_on = |last: &Segment| {
            last.offset.checked_add(last.bytes) == Some(offset)
                && (!entry_point || (sound && last.seconds + seconds <= SOUND_SEGMENT_SECONDS))
        };
        match list.last_mut().filter(|last| goes_on(last)) {
            Some(last) => {
                last.bytes = last.bytes.saturating_add(bytes);
                last.seconds += seconds;
            }
            // What can't be decoded from its beginning is no segment.
            None if entry_point => list.push(Segment { offset, bytes, start_ticks, seconds }),
            None => {}
        }
    }
    list
}

fn media(plan: &TrackPlan, camera: ChannelId, range: (Utc, Utc), ticket: Option<&str>) -> String {
    let files: Vec<(&PlanFile, Vec<Segment>)> =
        plan.files.iter().map(|file| (file, segments(file))).collect();
    let longest = files.iter().flat_map(|(_, list)| list).map(|segment| segment.seconds).fold(1.0, f64::max);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        longest.ceil() as u64
    );
    let mut first = true;
    for (file, list) in files.iter().filter(|(_, list)| !list.is_empty()) {
        let url = super::file::url(camera, file, range, ticket);
        if !std::mem::take(&mut first) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{url}\",BYTERANGE=\"{}@0\"", file.init_bytes);
        for segment in list {
            let _ = writeln!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{:.6},\n#EXT-X-BYTERANGE:{}@{}\n{url}",
                at_tick(file, segment.start_ticks),
                segment.seconds,
                segment.bytes,
                segment.offset,
            );
        }
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}
