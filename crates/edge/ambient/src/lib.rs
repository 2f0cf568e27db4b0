//! varde-ambient: see docs/architecture.md.
