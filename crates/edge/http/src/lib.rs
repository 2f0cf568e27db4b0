//! varde-http: see docs/architecture.md.
