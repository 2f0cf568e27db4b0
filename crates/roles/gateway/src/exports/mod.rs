//! Exports: recordings cut out as files, made in the background and fetched later by who asked for them.

pub(crate) mod http;
mod job;
mod store;

pub(crate) use http::{create, delete, file, get, list};
pub(crate) use store::Exports;
