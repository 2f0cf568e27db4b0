//! varde-events: see docs/architecture.md.
