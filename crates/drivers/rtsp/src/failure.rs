//! What to call a failure: the state of the camera, its parameters, and the inner detail.

use std::io;

use serde_json::{Map, Value, json};
use varde_api::codes::CameraState;
use varde_driver::SourceState;
use varde_net::{AddressError, ConnectError};
use varde_rtsp::client::ClientError;
use varde_rtsp::message::ParseError;

use crate::back_off::Pace;

/// Why a source has no session.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) state: SourceState,
    pub(crate) pace: Pace,
}

impl Failure {
    fn new(state: CameraState, parameters: &[(&str, Value)], detail: String) -> Self {
        let parameters: Map<String, Value> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let pace = if state == CameraState::WrongPassword { Pace::Slow } else { Pace::Normal };
        Self { state: SourceState { state, parameters, detail: Some(detail) }, pace }
    }

    /// Whether the camera may still be there to hear one.
    pub(crate) fn worth_a_goodbye(&self) -> bool {
        matches!(
            self.state.state,
            CameraState::Silent
                | CameraState::BadData
                | CameraState::AddressNotAllowed
                | CameraState::UnsupportedCodec
        )
    }

    pub(crate) fn address(error: &AddressError) -> Self {
        match error {
            AddressError::Unresolved { source, .. } => {
                Self::new(CameraState::Unreachable, &[], format!("{error}: {source}"))
            }
            AddressError::NotAllowed { address, .. } => Self::new(
                CameraState::AddressNotAllowed,
                &[("address", json!(address.to_string()))],
                error.to_string(),
            ),
        }
    }

    /// Networks changed under a session that stood.
    pub(crate) fn no_longer_allowed(address: std::net::IpAddr) -> Self {
        let detail = format!("{address} is outside the allowed networks now");
        Self::new(CameraState::AddressNotAllowed, &[("address", json!(address.to_string()))], detail)
    }

    pub(crate) fn url(error: varde_rtsp::UrlError) -> Self {
        // Without the address: what makes it unreadable may be a password in it.
        Self::new(CameraState::NoSuchStream, &[], error.to_string())
    }

    pub(crate) fn connect(error: &ConnectError) -> Self {
        let (ConnectError::Unreachable { source, .. } | ConnectError::Tls { source, .. }) = error;
        Self::new(CameraState::Unreachable, &[], format!("{error}: {source}"))
    }

    pub(crate) fn connection(error: &io::Error) -> Self {
        let state = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                CameraState::Unreachable
            }
            // TLS records that do not decrypt.
            io::ErrorKind::InvalidData => CameraState::BadData,
            _ => CameraState::Disconnected,
        };
        Self::new(state, &[], error.to_string())
    }

    pub(crate) fn closed() -> Self {
        Self::new(CameraState::Disconnected, &[], "the camera closed the connection".to_owned())
    }

    /// `before`: bytes of the connection before the input that `error` counts in.
    pub(crate) fn message(error: &ParseError, before: u64) -> Self {
        let offset = before.saturating_add(u64::try_from(error.offset).unwrap_or(u64::MAX));
        Self::bad_data(&error.problem.to_string(), Some(offset))
    }

    pub(crate) fn bad_data(message: &str, offset: Option<u64>) -> Self {
        let mut parameters = vec![("message", json!(message))];
        let mut detail = message.to_owned();
        if let Some(offset) = offset {
            parameters.push(("offset", json!(offset)));
            detail = format!("{message} (at byte {offset} of the connection)");
        }
        Self::new(CameraState::BadData, &parameters, detail)
    }

    pub(crate) fn silent(seconds: u64) -> Self {
        let detail = format!("nothing came for {seconds} s");
        Self::new(CameraState::Silent, &[("seconds", json!(seconds))], detail)
    }

    pub(crate) fn unsupported(detail: String) -> Self {
        Self::new(CameraState::UnsupportedCodec, &[("offered", json!(detail.clone()))], detail)
    }

    pub(crate) fn moved_too_often() -> Self {
        Self::new(CameraState::NoSuchStream, &[], "the camera sends from address to address".to_owned())
    }

    pub(crate) fn moved_into_the_open() -> Self {
        Self::bad_data("the camera sends from an encrypted address to one without encryption", None)
    }

    pub(crate) fn session(error: &ClientError) -> Self {
        let detail = error.to_string();
        match error {
            ClientError::WrongPassword { status } => {
                Self::new(CameraState::WrongPassword, &[("status", json!(status))], detail)
            }
            ClientError::NoSuchStream { status } => {
                Self::new(CameraState::NoSuchStream, &[("status", json!(status))], detail)
            }
            ClientError::UnsupportedCodec { offered } => {
                Self::new(CameraState::UnsupportedCodec, &[("offered", json!(offered))], detail)
            }
            ClientError::BadAnswer(message) => Self::bad_data(message, None),
            ClientError::NoAnswer { .. } => Self::new(CameraState::Unreachable, &[], detail),
            ClientError::Refused { status, .. } => {
                Self::new(CameraState::Disconnected, &[("status", json!(status))], detail)
            }
            ClientError::Ended(_) | ClientError::TransportRefused | ClientError::Moved { .. } => {
                Self::new(CameraState::Disconnected, &[], detail)
            }
        }
    }
}
