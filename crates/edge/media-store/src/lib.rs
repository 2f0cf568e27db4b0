//! varde-media-store: see docs/architecture.md.
