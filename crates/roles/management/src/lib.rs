//! varde-management: see docs/architecture.md.
