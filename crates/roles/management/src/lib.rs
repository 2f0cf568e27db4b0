//! The management role: accounts and sign-in, cameras and storages, and the signed snapshot that each change hands to
//! the recorder.
//!
//! It answers from memory, so that its reads and every sign-in session live on while the database is away; only changes
//! need the database. Refuses to touch media.

mod app;
mod http;
mod problem;
mod role;
mod tasks;

pub use app::secret::KeyError;
pub use app::snapshot::NETWORKS_DEFAULT;
pub use http::{openapi, routes};
pub use role::{Clock, Management, ManagementOptions, StartError};
