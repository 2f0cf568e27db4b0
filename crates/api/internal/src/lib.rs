//! Wire types between our own servers: the recorder's configuration snapshot, its internal HTTP API and the
//! media link. Tolerant and preserving: unknown fields are kept or ignored, never an error.
//!
//! On one machine the recorder serves this on a Unix socket; across machines the same over mutual TLS.

pub mod config;
pub mod link;
pub mod recorder;
