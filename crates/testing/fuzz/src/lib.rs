//! varde-fuzz: see docs/architecture.md.
