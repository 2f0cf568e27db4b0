//! Extractors whose refusals are problem documents, and which read no more and no longer than they must.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use varde_api::codes::ProblemCode;

use crate::Problem;

/// The longest JSON body.
pub const JSON_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// A JSON body, in and out.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = axum::Json::<T>::from_request(request, state);
        match tokio::time::timeout(BODY_TIME_MAX, read).await {
            Err(_) => Err(too_slow()),
            Ok(Ok(axum::Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(json_problem(&rejection)),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn too_slow() -> Problem {
    Problem::new(ProblemCode::TimedOut, "The request's body took too long to arrive.")
}

fn json_problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            Problem::new(ProblemCode::UnsupportedMediaType, "The body must be application/json.")
        }
        JsonRejection::BytesRejection(inner) if inner.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
            too_large()
        }
        other => Problem::new(ProblemCode::InvalidRequest, sentence(&inner_text(other))),
    }
}

fn too_large() -> Problem {
    Problem::new(ProblemCode::TooLarge, "The body is too large.").parameter("bytes_max", JSON_BYTES_MAX)
}

/// What serde said, without the extractor's own preface.
fn inner_text(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// A sentence of bounded length: what serde says may hold a piece of what was sent.
fn sentence(text: &str) -> String {
    let mut text: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

/// The query, into a type that refuses unknown names (`#[serde(deny_unknown_fields)]`).
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_problem(&rejection)),
        }
    }
}

fn query_problem(rejection: &QueryRejection) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, sentence(&inner_text(rejection)))
}

/// Parts of the path; what can't be read names nothing.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(Problem::not_found()),
            Err(other) => Err(Problem::internal(&other)),
        }
    }
}

/// A text body (an SDP offer) of at most [`JSON_BYTES_MAX`].
#[derive(Clone, Debug)]
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match tokio::time::timeout(BODY_TIME_MAX, String::from_request(request, state)).await {
            Err(_) => Err(too_slow()),
            Ok(Ok(text)) => Ok(Self(text)),
            Ok(Err(rejection)) if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE => {
                Err(too_large())
            }
            Ok(Err(_)) => Err(Problem::new(ProblemCode::InvalidRequest, "The body is not UTF-8 text.")),
        }
    }
}
