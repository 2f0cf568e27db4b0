//! Fuzzing on stable Rust: targets, a structure-aware mutator and a driver that finds panics and hangs.
//!
//! A target is a plain function of bytes; it asserts what must hold of its parser, the size of what it gives
//! included. Inputs come from the corpus (`corpus/<target>/`), from seeds that real writers make, and from what once
//! failed (`regressions/<target>/`). A run depends on its seed alone. Memory is bounded by what targets assert and
//! by the limit that the caller sets (`ulimit -v`).

mod mutate;
mod random;
mod run;
pub mod targets;

pub use mutate::Mutator;
pub use random::Random;
pub use run::{Failure, FailureKind, Limit, Report, corpus, run};
pub use targets::{TARGETS, Target};
