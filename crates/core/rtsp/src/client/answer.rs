//! What an answer means in the step that the session is in.

use std::time::Duration;

use varde_units::Mono;

use super::select::{self, Selection};
use super::{ClientAction, ClientError, ClientSession, Delivery, Outstanding, Step};
use crate::auth::Authenticator;
use crate::message::Response;
use crate::sdp::Description;
use crate::transport::{Lower, TransportHeader};
use crate::url::{RtspUrl, resolve_control};

impl ClientSession {
    pub(super) fn take_response(&mut self, response: &Response<'_>, now: Mono) -> Result<(), ClientError> {
        // `100 Continue` and its like say nothing; a late answer to an earlier keep-alive neither. A camera that
        // leaves CSeq out means the request that is open.
        let Some(outstanding) = &self.outstanding else { return Ok(()) };
        if response.status < 200 || response.headers.cseq().is_some_and(|cseq| cseq != outstanding.cseq) {
            return Ok(());
        }
        let outstanding = self.outstanding.take().expect("just looked at");
        if self.step == Step::Over {
            return Ok(());
        }
        if response.status == 401 {
            return self.challenged(response, &outstanding, now);
        }
        if self.step == Step::Playing {
            return self.kept_alive(response.status);
        }
        if !(200..300).contains(&response.status) {
            return self.refused(response, &outstanding, now);
        }
        match self.step {
            Step::Options => {
                self.learn_methods(response);
                self.step = Step::Describe;
                self.ask(now, false);
                Ok(())
            }
            Step::Describe => self.described(response, now),
            Step::SetUp { track } => self.track_set_up(response, track, now),
            Step::Play => {
                self.step = Step::Playing;
                self.keep_alive_due = now + self.keep_alive_interval();
                self.out.push_back(ClientAction::Playing);
                Ok(())
            }
            Step::Ports | Step::Playing | Step::Over => Ok(()),
        }
    }

    fn challenged(
        &mut self,
        response: &Response<'_>,
        outstanding: &Outstanding,
        now: Mono,
    ) -> Result<(), ClientError> {
        let wrong = ClientError::WrongPassword { status: 401 };
        if outstanding.challenged || self.options.credentials.is_none() {
            return Err(wrong);
        }
        // Also where an earlier request was let in: the nonce may have grown old, whether or not it says `stale`.
        self.authenticator = Authenticator::from_challenges(response.headers.all("WWW-Authenticate"));
        if self.authenticator.is_none() {
            let message = "the camera asks for a kind of authentication that is not supported";
            return Err(ClientError::BadAnswer(message.to_owned()));
        }
        self.ask(now, true);
        Ok(())
    }

    fn kept_alive(&mut self, status: u16) -> Result<(), ClientError> {
        match status {
            454 => Err(ClientError::Ended("the session is not known any more")),
            405 | 451 | 501 | 551 => {
                self.keep_alive_by_parameter = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn refused(
        &mut self,
        response: &Response<'_>,
        outstanding: &Outstanding,
        now: Mono,
    ) -> Result<(), ClientError> {
        let status = response.status;
        match status {
            // Old cameras know no OPTIONS; what matters is DESCRIBE.
            _ if self.step == Step::Options && !matches!(status, 301..=305 | 403 | 404) => {
                self.step = Step::Describe;
                self.ask(now, false);
                Ok(())
            }
            301..=305 => Err(match response.headers.get("Location").map(RtspUrl::parse) {
                Some(Ok(url)) => ClientError::Moved { url },
                _ => ClientError::BadAnswer(format!("status {status} without a usable Location")),
            }),
            403 => Err(ClientError::WrongPassword { status }),
            404 | 410 | 454 => Err(ClientError::NoSuchStream { status }),
            461 if self.options.delivery == Delivery::Udp => Err(ClientError::TransportRefused),
            _ => Err(ClientError::Refused {
                method: outstanding.method,
                status,
                reason: response.reason.chars().filter(|each| !each.is_control()).take(100).collect(),
            }),
        }
    }

    fn learn_methods(&mut self, response: &Response<'_>) {
        self.keep_alive_by_parameter = response
            .headers
            .all("Public")
            .flat_map(|methods| methods.split(','))
            .any(|method| method.trim() == "GET_PARAMETER");
    }

    fn described(&mut self, response: &Response<'_>, now: Mono) -> Result<(), ClientError> {
        let description =
            Description::parse(response.body).map_err(|error| ClientError::BadAnswer(error.to_string()))?;
        let base = self.base_url(response);
        self.aggregate_url = resolve_control(&base, description.control.as_deref().unwrap_or("*"));
        self.tracks = match select::tracks(&description, &base, self.options.wanted) {
            Selection::Tracks(tracks) => tracks,
            Selection::Nothing { offered } => return Err(ClientError::UnsupportedCodec { offered }),
        };
        match self.options.delivery {
            Delivery::Udp => {
                self.step = Step::Ports;
                self.out.push_back(ClientAction::BindPorts { tracks: self.tracks.len() });
            }
            Delivery::Interleaved => {
                self.step = Step::SetUp { track: 0 };
                self.ask(now, false);
            }
        }
        Ok(())
    }

    /// What control URLs are relative to (RFC 2326 §C.1.1).
    fn base_url(&self, response: &Response<'_>) -> String {
        let requested = self.options.url.as_str();
        let named = ["Content-Base", "Content-Location"]
            .iter()
            .filter_map(|name| response.headers.get(name))
            .find(|value| !value.is_empty());
        match named {
            // The host of a camera behind a router is its inner one. It is sent back as it came: the connection
            // stands already, and the camera compares with what it said.
            Some(base) if RtspUrl::parse(base).is_ok() => base.to_owned(),
            Some(base) if base.starts_with('/') => resolve_control(requested, base),
            _ => requested.to_owned(),
        }
    }

    fn track_set_up(&mut self, response: &Response<'_>, track: usize, now: Mono) -> Result<(), ClientError> {
        if let Some(header) = response.headers.get("Session") {
            self.learn_session(header);
        }
        let bad = |what: &str| ClientError::BadAnswer(format!("SETUP was answered {what}"));
        let header =
            response.headers.get("Transport").and_then(|text| TransportHeader::parse_all(text).next());
        let header = header.ok_or_else(|| bad("without a transport that can be used"))?;
        if header.multicast {
            return Err(bad("with multicast, which was not asked for"));
        }
        let asked = match self.options.delivery {
            Delivery::Interleaved => {
                let channel = u8::try_from(track * 2).expect("at most three tracks");
                Lower::Interleaved { rtp: channel, rtcp: channel + 1 }
            }
            Delivery::Udp => Lower::Udp { client: self.ports[track], server: None },
        };
        let transport = match (asked, header.lower) {
            // Some answers leave the channels or ports out: then those asked for hold.
            (asked, None) => asked,
            (Lower::Udp { client, .. }, Some(Lower::Udp { server, .. })) => Lower::Udp { client, server },
            // Datagrams were asked for, frames in the connection are given: they will do.
            (_, Some(given @ Lower::Interleaved { .. })) => given,
            (Lower::Interleaved { .. }, Some(Lower::Udp { .. })) => {
                return Err(bad("with UDP, though TCP was asked for"));
            }
        };
        let taken = |other: &super::ClientTrack| match (other.transport, transport) {
            (Some(Lower::Interleaved { rtp: a, rtcp: b }), Lower::Interleaved { rtp, rtcp }) => {
                [a, b].contains(&rtp) || [a, b].contains(&rtcp)
            }
            _ => false,
        };
        if self.tracks.iter().any(taken) {
            return Err(bad("with channels that another track has"));
        }
        self.tracks[track].transport = Some(transport);
        self.tracks[track].ssrc = header.ssrc;
        if track + 1 < self.tracks.len() {
            self.step = Step::SetUp { track: track + 1 };
        } else {
            self.step = Step::Play;
            self.out.push_back(ClientAction::Ready);
        }
        self.ask(now, false);
        Ok(())
    }

    fn learn_session(&mut self, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let id: String =
            parts.next().unwrap_or("").chars().filter(|each| !each.is_control()).take(256).collect();
        if !id.is_empty() {
            self.session = Some(id);
        }
        for part in parts {
            if let Some(seconds) = part.strip_prefix("timeout=").and_then(|text| text.trim().parse().ok())
                && seconds > 0
            {
                self.session_timeout = Duration::from_secs(seconds);
            }
        }
    }
}
