//! Refusals as RFC 9457 problem documents: a code of the closed list, a plain sentence, a hint, the request id.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use varde_api::codes::ProblemCode;
use varde_api::problem::ProblemDocument;

/// A refused request. The inner detail of an error belongs in the log, not here.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub code: ProblemCode,
    /// A plain sentence in English.
    pub detail: String,
    pub hint: Option<Box<str>>,
    pub parameters: Map<String, Value>,
}

impl Problem {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None, parameters: Map::new() }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "There is nothing here that you may see.")
    }

    pub fn forbidden() -> Self {
        Self::new(ProblemCode::Forbidden, "Your role does not allow this.")
            .hint("An administrator can give you another role.")
    }

    pub fn not_signed_in() -> Self {
        Self::new(ProblemCode::NotSignedIn, "You are not signed in, or no longer.")
            .hint("Sign in and try again.")
    }

    /// A value that the client sent is not acceptable. `field` names it as the API does.
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::InvalidRequest, detail).parameter("field", field)
    }

    pub fn recorder_unavailable() -> Self {
        Self::new(ProblemCode::RecorderUnavailable, "The recorder does not answer.")
            .hint("Recording may be starting; try again in a few seconds.")
    }

    pub fn database_unavailable() -> Self {
        Self::new(
            ProblemCode::DatabaseUnavailable,
            "The database does not answer, so nothing can be changed now.",
        )
        .hint("Recording and viewing go on. Check the disk of the server's data folder.")
    }

    /// Logs the inner detail; the client learns the request id alone.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed by a defect");
        Self::new(ProblemCode::Internal, "Something went wrong inside Varde.")
            .hint("The server's log says more under this request id.")
    }

    pub fn status(&self) -> StatusCode {
        status_of(self.code)
    }

    pub fn document(&self, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:varde:problem:{}", self.code.code()),
            title: title_of(self.code).to_owned(),
            status: self.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            request_id: request_id.to_owned(),
            hint: self.hint.as_deref().map(str::to_owned),
            parameters: self.parameters.clone(),
        }
    }

    pub(crate) fn response(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.document(request_id)).expect("a problem document is plain data");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.parameters.get("retry_after_seconds").and_then(Value::as_u64) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    /// The door writes the body anew with the request id, which is known there.
    fn into_response(self) -> Response {
        let mut response = self.response("");
        response.extensions_mut().insert(self);
        response
    }
}

/// The HTTP status that goes with a code.
pub const fn status_of(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::InvalidRequest | ProblemCode::AddressNotAllowed | ProblemCode::PasswordRefused => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ProblemCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::TimedOut => StatusCode::REQUEST_TIMEOUT,
        ProblemCode::NotSignedIn
        | ProblemCode::WrongCredentials
        | ProblemCode::SecondFactorNeeded
        | ProblemCode::WrongSetupCode => StatusCode::UNAUTHORIZED,
        ProblemCode::Forbidden | ProblemCode::ForeignOrigin => StatusCode::FORBIDDEN,
        ProblemCode::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        ProblemCode::NotFound | ProblemCode::NoRecording | ProblemCode::NoPicture => StatusCode::NOT_FOUND,
        ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemCode::Conflict
        | ProblemCode::AlreadyExists
        | ProblemCode::InUse
        | ProblemCode::LastAdministrator
        | ProblemCode::SetupNeeded
        | ProblemCode::SetupDone => StatusCode::CONFLICT,
        ProblemCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ProblemCode::RecorderUnavailable
        | ProblemCode::DatabaseUnavailable
        | ProblemCode::LimitReached
        | ProblemCode::Interrupted
        | ProblemCode::TranscodeLimit => StatusCode::SERVICE_UNAVAILABLE,
        ProblemCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ProblemCode::CodecNotSupported => StatusCode::NOT_ACCEPTABLE,
        ProblemCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn title_of(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::InvalidRequest => "The request is not understood",
        ProblemCode::UnsupportedMediaType => "Not this kind of body",
        ProblemCode::TooLarge => "Too large",
        ProblemCode::TimedOut => "It took too long",
        ProblemCode::NotSignedIn => "Not signed in",
        ProblemCode::WrongCredentials => "User or password is wrong",
        ProblemCode::SecondFactorNeeded => "A second factor is needed",
        ProblemCode::Forbidden => "Not allowed",
        ProblemCode::ForeignOrigin => "Refused: the request came from elsewhere",
        ProblemCode::UnknownHost => "Unknown host name",
        ProblemCode::NotFound => "Not found",
        ProblemCode::MethodNotAllowed => "Not this method",
        ProblemCode::Conflict => "Changed by somebody else",
        ProblemCode::AlreadyExists => "Already there",
        ProblemCode::InUse => "Still in use",
        ProblemCode::LastAdministrator => "The last administrator",
        ProblemCode::PasswordRefused => "Choose another password",
        ProblemCode::AddressNotAllowed => "Address not allowed",
        ProblemCode::TooManyRequests => "Too many attempts",
        ProblemCode::LimitReached => "A limit is reached",
        ProblemCode::SetupNeeded => "Set-up is needed",
        ProblemCode::SetupDone => "Set-up was done",
        ProblemCode::WrongSetupCode => "The set-up code is wrong",
        ProblemCode::RecorderUnavailable => "Recorder unavailable",
        ProblemCode::DatabaseUnavailable => "Database unavailable",
        ProblemCode::NoRecording => "Nothing recorded",
        ProblemCode::RangeNotSatisfiable => "No such bytes",
        ProblemCode::CodecNotSupported => "Codec not supported here",
        ProblemCode::NoPicture => "No picture",
        ProblemCode::TranscodeLimit => "No transcoding place free",
        ProblemCode::Interrupted => "Stopped before it was done",
        ProblemCode::Internal => "Something went wrong",
    }
}
