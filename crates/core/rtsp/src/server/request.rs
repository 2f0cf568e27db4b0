//! What each method does in each state.

use varde_units::Mono;

use super::{Pending, Question, ServerAction, ServerSession, TRACKS_MAX};
use crate::message::Request;
use crate::transport::{Lower, TransportHeader};

const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN";

impl ServerSession {
    pub(super) fn take(&mut self, request: &Request<'_>, now: Mono) {
        let Some(cseq) = request.headers.cseq() else {
            return self.respond(400, None, &[], &[]);
        };
        if self.pending.is_some() {
            // The caller handed in a request before it answered; the client may try again.
            return self.respond(503, Some(cseq), &[], &[]);
        }
        if request.method == "OPTIONS" {
            return self.respond(200, Some(cseq), &[("Public", PUBLIC)], &[]);
        }
        if !self.let_in(request, cseq, now) {
            return;
        }
        if let Some(feature) = request.headers.get("Require") {
            return self.respond(551, Some(cseq), &[("Unsupported", feature)], &[]);
        }
        let named = request.headers.get("Session").map(|text| text.split(';').next().unwrap_or(text).trim());
        let ours = self.session.is_some() && named == Some(self.session_id.as_str());
        match request.method {
            "DESCRIBE" => self.describe(request, cseq),
            // A session that is named must be this connection's; without a name, SETUP begins one or adds to it.
            "SETUP" if named.is_none() || ours => self.ask_set_up(request, cseq),
            "PLAY" if ours => self.play(request, cseq),
            "PAUSE" if ours => self.pause(cseq),
            "TEARDOWN" if ours => self.tear_down(cseq),
            "GET_PARAMETER" | "SET_PARAMETER" if ours || named.is_none() => {
                // A parameter that is asked for by name is none that we have (RFC 2326 §10.8).
                let status = if request.body.trim_ascii().is_empty() { 200 } else { 451 };
                let id = self.session_header(false);
                let headers = [("Session", id.as_str())];
                self.respond(status, Some(cseq), if ours { &headers } else { &[] }, &[]);
            }
            "SETUP" | "PLAY" | "PAUSE" | "TEARDOWN" | "GET_PARAMETER" | "SET_PARAMETER" => {
                self.respond(454, Some(cseq), &[], &[]);
            }
            _ => self.respond(501, Some(cseq), &[("Public", PUBLIC)], &[]),
        }
    }

    fn let_in(&mut self, request: &Request<'_>, cseq: u32, now: Mono) -> bool {
        let Some(verifier) = &self.options.verifier else { return true };
        let answer = request.headers.get("Authorization");
        let verdict =
            verifier.verify(answer, request.method, request.uri, self.connection, &mut self.replay, now);
        match verdict {
            Ok(_) => true,
            Err(refused) => {
                let headers: Vec<_> =
                    refused.challenges.iter().map(|value| ("WWW-Authenticate", value.as_str())).collect();
                self.respond(401, Some(cseq), &headers, &[]);
                false
            }
        }
    }

    fn ask(&mut self, cseq: u32, uri: &str, question: Question, action: ServerAction) {
        self.pending = Some(Pending { cseq: Some(cseq), uri: uri.to_owned(), question });
        self.out.push_back(action);
    }

    fn describe(&mut self, request: &Request<'_>, cseq: u32) {
        let path = split_track(path_of(request.uri)).0.to_owned();
        self.ask(cseq, request.uri, Question::Describe, ServerAction::Describe { path });
    }

    fn ask_set_up(&mut self, request: &Request<'_>, cseq: u32) {
        let (path, track) = split_track(path_of(request.uri));
        let track = track.unwrap_or(0);
        if let Some(session) = &self.session {
            if session.playing {
                return self.respond(455, Some(cseq), &[], &[]);
            }
            if session.path != path {
                // One session, one presentation (RFC 2326 §10.4 lets the server refuse).
                return self.respond(459, Some(cseq), &[], &[]);
            }
            if session.tracks.len() >= TRACKS_MAX {
                return self.respond(453, Some(cseq), &[], &[]);
            }
        }
        let offers = request.headers.get("Transport").unwrap_or("");
        let Some(transport) =
            TransportHeader::parse_all(offers).find_map(|offer| self.acceptable(&offer, track))
        else {
            return self.respond(461, Some(cseq), &[], &[]);
        };
        let path = path.to_owned();
        let question = Question::SetUp { path: path.clone(), track, transport };
        self.ask(cseq, request.uri, question, ServerAction::SetUp { path, track, transport });
    }

    fn acceptable(&self, offer: &TransportHeader, track: usize) -> Option<Lower> {
        if offer.multicast {
            return None;
        }
        match offer.lower {
            Some(Lower::Interleaved { rtp, rtcp }) if rtp != rtcp && self.channels_free(rtp, rtcp, track) => {
                Some(Lower::Interleaved { rtp, rtcp })
            }
            // Channels taken or not named: the server chooses (RFC 2326 §12.39).
            Some(Lower::Interleaved { .. }) | None if offer.interleaved => (0..=254u8)
                .step_by(2)
                .find(|&rtp| self.channels_free(rtp, rtp + 1, track))
                .map(|rtp| Lower::Interleaved { rtp, rtcp: rtp + 1 }),
            Some(Lower::Udp { client: (rtp, rtcp), .. }) if rtp != 0 && rtcp != 0 => {
                Some(Lower::Udp { client: (rtp, rtcp), server: None })
            }
            _ => None,
        }
    }

    fn channels_free(&self, rtp: u8, rtcp: u8, track: usize) -> bool {
        let others =
            self.session.iter().flat_map(|session| &session.tracks).filter(|each| each.index != track);
        others.into_iter().all(|each| match each.transport {
            Lower::Interleaved { rtp: a, rtcp: b } => ![a, b].contains(&rtp) && ![a, b].contains(&rtcp),
            Lower::Udp { .. } => true,
        })
    }

    fn play(&mut self, request: &Request<'_>, cseq: u32) {
        let session = self.session.as_ref().expect("checked by the caller");
        if session.playing {
            // Clients repeat PLAY as a keep-alive.
            let id = self.session_header(false);
            return self.respond(200, Some(cseq), &[("Session", &id), ("Range", "npt=now-")], &[]);
        }
        let path = session.path.clone();
        let tracks = session.tracks.iter().map(|track| (track.index, track.transport)).collect();
        self.ask(cseq, request.uri, Question::Start, ServerAction::Start { path, tracks });
    }

    fn pause(&mut self, cseq: u32) {
        let session = self.session.as_mut().expect("checked by the caller");
        if std::mem::take(&mut session.playing) {
            self.out.push_back(ServerAction::Pause);
        }
        let id = self.session_header(false);
        self.respond(200, Some(cseq), &[("Session", &id)], &[]);
    }

    fn tear_down(&mut self, cseq: u32) {
        self.session = None;
        self.out.push_back(ServerAction::Stop);
        self.respond(200, Some(cseq), &[], &[]);
    }
}

/// Path and query of a request URI, beginning with `/`.
fn path_of(uri: &str) -> &str {
    let path = match uri.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => uri,
    };
    if path.starts_with('/') { path } else { "/" }
}

/// `/main/trackID=1` is track 1 of `/main`.
fn split_track(path: &str) -> (&str, Option<usize>) {
    let whole = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
    let Some((before, last)) = whole.rsplit_once('/') else { return (whole, None) };
    match last.strip_prefix("trackID=").and_then(|number| number.parse().ok()) {
        Some(track) if track < TRACKS_MAX => (if before.is_empty() { "/" } else { before }, Some(track)),
        _ => (whole, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_the_last_segment() {
        let check = |uri, path, track| assert_eq!(split_track(path_of(uri)), (path, track), "{uri}");
        check("rtsp://h:8554/main/trackID=1", "/main", Some(1));
        check("rtsp://h/main/", "/main", None);
        check("rtsp://h", "/", None);
        check("rtsp://h/", "/", None);
        check("rtsp://h/trackID=0", "/", Some(0));
        check("rtsp://h/a?b=c/trackID=2", "/a?b=c", Some(2));
        check("rtsp://h/main/trackID=99", "/main/trackID=99", None);
        check("*", "/", None);
    }
}
