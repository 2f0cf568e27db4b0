//! The client of a recorder's internal API (`varde_api_internal::recorder`) over its Unix socket.
//!
//! Each call is a connection of its own: on a Unix socket that costs microseconds, and a recorder that was restarted
//! needs no repair here. Refuses to know what the answers are used for.

mod client;
mod error;
mod live;

pub use client::{FileBytes, LiveFrom, RecorderClient};
pub use error::Error;
pub use live::LiveLink;

use std::time::Duration;

use async_trait::async_trait;
use varde_api_internal::config::SignedConfig;
use varde_api_internal::recorder::{EventPage, RecorderStatus};

/// What management and events need of a recorder; tests answer it from memory.
#[async_trait]
pub trait RecorderLink: std::fmt::Debug + Send + Sync + 'static {
    /// Hands over a configuration; [`Error::Refused`] when the recorder does not take it.
    async fn put_config(&self, config: &SignedConfig) -> Result<(), Error>;

    async fn status(&self) -> Result<RecorderStatus, Error>;

    /// Events behind `after`; waits up to `wait` for the first.
    async fn events(&self, after: u64, wait: Duration) -> Result<EventPage, Error>;
}

#[async_trait]
impl RecorderLink for RecorderClient {
    async fn put_config(&self, config: &SignedConfig) -> Result<(), Error> {
        RecorderClient::put_config(self, config).await
    }

    async fn status(&self) -> Result<RecorderStatus, Error> {
        RecorderClient::status(self).await
    }

    async fn events(&self, after: u64, wait: Duration) -> Result<EventPage, Error> {
        RecorderClient::events(self, after, wait).await
    }
}

#[cfg(test)]
mod tests;
