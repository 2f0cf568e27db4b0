//! varde-database: see docs/architecture.md.
