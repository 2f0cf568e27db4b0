//! The log: lines for people or JSON for machines, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts the log of this process. `VARDE_LOG` sets levels (`info`, `varde_recording=debug`); a second call does nothing.
pub fn log_init(format: LogFormat) {
    let filter = EnvFilter::try_from_env("VARDE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // The second start of a log in one process (tests) keeps the first.
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
}
