//! varde-gateway: see docs/architecture.md.
