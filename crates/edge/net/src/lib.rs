//! varde-net: see docs/architecture.md.
