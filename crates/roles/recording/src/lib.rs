//! varde-recording: see docs/architecture.md.
