//! Lists with a cursor, and fields that a PATCH may clear.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Hand in as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// For fields of a PATCH: absent leaves the value, `null` clears it.
pub mod patch {
    use serde::{Deserialize, Deserializer};

    /// `Some(None)` for an explicit `null`; use with `#[serde(default)]`.
    pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Option<T>>, D::Error> {
        Option::<T>::deserialize(deserializer).map(Some)
    }
}
