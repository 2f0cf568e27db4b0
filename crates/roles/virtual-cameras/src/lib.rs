//! varde-virtual-cameras: see docs/architecture.md.
