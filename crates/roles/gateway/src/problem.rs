//! What the recorder and the limits say, as problem documents.

use varde_api::codes::ProblemCode;
use varde_http::Problem;

use crate::recorder::RecorderError;

pub(crate) fn recorder_problem(error: &RecorderError) -> Problem {
    match error {
        RecorderError::NotFound => Problem::not_found(),
        RecorderError::OutOfRange => {
            Problem::new(ProblemCode::RangeNotSatisfiable, "The byte range lies behind the end of the file.")
        }
        RecorderError::Unavailable(detail) => {
            tracing::warn!(detail, "the recorder does not answer");
            Problem::recorder_unavailable()
        }
    }
}

pub(crate) fn no_recording() -> Problem {
    Problem::new(ProblemCode::NoRecording, "Nothing is recorded in this range.")
        .hint("The timeline shows what is recorded, and why the rest is not.")
}

pub(crate) fn limit_reached(limit: &str, value: impl Into<serde_json::Value>) -> Problem {
    Problem::new(ProblemCode::LimitReached, format!("The limit `{limit}` is reached."))
        .parameter("limit", limit)
        .parameter("value", value)
}
