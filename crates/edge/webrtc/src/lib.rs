//! varde-webrtc: see docs/architecture.md.
