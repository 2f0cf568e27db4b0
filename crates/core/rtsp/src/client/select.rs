//! Which tracks of a description are taken: the first usable one of each medium that somebody wants.

use varde_codec::Medium;

use super::{ClientTrack, Wanted};
use crate::sdp::{Description, Media};
use crate::url::resolve_control;

pub(super) enum Selection {
    Tracks(Vec<ClientTrack>),
    /// What was wanted most is not there in a form that can be used.
    Nothing {
        offered: String,
    },
}

pub(super) fn tracks(description: &Description, base: &str, wanted: Wanted) -> Selection {
    let mut tracks: Vec<ClientTrack> = Vec::new();
    for media in &description.media {
        let Some(track) = track(media, base) else { continue };
        let asked_for = match track.medium {
            Medium::Video => wanted.video,
            Medium::Audio => wanted.audio,
            Medium::Metadata => wanted.metadata,
        };
        if asked_for && !tracks.iter().any(|each| each.medium == track.medium) {
            tracks.push(track);
        }
    }
    let has_video = tracks.iter().any(|track| track.medium == Medium::Video);
    // A camera without its picture is a fault, a camera without its microphone is not.
    if tracks.is_empty() || (wanted.video && !has_video) {
        return Selection::Nothing { offered: offered(description) };
    }
    Selection::Tracks(tracks)
}

fn track(media: &Media, base: &str) -> Option<ClientTrack> {
    let payload = media.payload()?;
    let medium = payload.codec()?.medium();
    if media.medium() != Some(medium) || !media.flows_to_client() || !plain_profile(&media.protocol) {
        return None;
    }
    let url = resolve_control(base, media.control.as_deref().unwrap_or("*"));
    Some(ClientTrack { medium, payload, url, transport: None, ssrc: None })
}

/// SRTP needs keys that an RTSP description does not hand out safely.
fn plain_profile(protocol: &str) -> bool {
    let protocol = protocol.to_ascii_uppercase();
    protocol.starts_with("RTP/AVP") && !protocol.contains("SAVP")
}

/// `H264, PCMA`, or `nothing`.
fn offered(description: &Description) -> String {
    let names: Vec<String> = description
        .media
        .iter()
        .map(|media| format!("{} {}", media.kind, media.encoding()))
        .map(|name| name.chars().filter(|each| !each.is_control()).take(60).collect())
        .collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
