//! The worker that decodes; see docs/architecture.md.
fn main() {}
