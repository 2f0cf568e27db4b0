//! varde-fmp4: see docs/architecture.md.
