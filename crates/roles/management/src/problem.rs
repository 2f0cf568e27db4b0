//! From inner errors to problem documents.

use varde_api::codes::ProblemCode;
use varde_database::Error;
use varde_http::Problem;

/// A database error that no caller foresaw.
pub fn database(error: Error) -> Problem {
    match error {
        Error::Unavailable(detail) => {
            tracing::error!(detail, "the database does not answer");
            Problem::database_unavailable()
        }
        Error::NotFound => Problem::not_found(),
        Error::AlreadyExists(_) => {
            Problem::new(ProblemCode::AlreadyExists, "There is one like that already.")
        }
        Error::Conflict { now } => Problem::new(ProblemCode::Conflict, "Somebody changed it meanwhile.")
            .parameter("version_now", now),
        other @ (Error::Reference | Error::Damaged(_) | Error::Migration(_)) => Problem::internal(&other),
    }
}

/// The same for a change that was based on `version`.
pub fn change(error: Error, version: u64) -> Problem {
    match error {
        Error::Conflict { .. } => database(error)
            .parameter("version_sent", version)
            .hint("Load it again, and make the change on what is there now."),
        other => database(other),
    }
}

/// A name that people give: shown as text everywhere, so any character but control characters will do.
pub fn name(field: &str, text: &str) -> Result<String, Problem> {
    const LENGTH_MAX: usize = 100;
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > LENGTH_MAX {
        return Err(Problem::invalid(field, format!("`{field}` must have 1 to {LENGTH_MAX} characters.")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, format!("`{field}` holds control characters.")));
    }
    Ok(text.to_owned())
}
