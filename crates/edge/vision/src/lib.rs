//! varde-vision-edge: see docs/architecture.md.
