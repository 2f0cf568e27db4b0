//! varde-footage: see docs/architecture.md.
