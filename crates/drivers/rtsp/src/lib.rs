//! varde-driver-rtsp: see docs/architecture.md.
