//! varde-access: see docs/architecture.md.
