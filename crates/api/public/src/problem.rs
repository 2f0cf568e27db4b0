//! Problem documents, RFC 9457, as every refused request is answered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::codes::ProblemCode;

/// `application/problem+json`. Clients put `code` and `parameters` into words; the English texts are a convenience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// `urn:varde:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, in a plain sentence.
    pub detail: String,
    pub code: ProblemCode,
    /// Names the request in the server's log.
    pub request_id: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}
