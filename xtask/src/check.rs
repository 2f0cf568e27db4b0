//! `cargo xtask check`: everything that can be said without running the product.

use crate::{generate, layers, licences, packages, process, web};

pub fn run() -> Result<(), String> {
    packages::for_build()?;
    rust()?;
    web::check()?;
    generate::check()
}

/// The Rust half, which needs no web client.
pub fn rust() -> Result<(), String> {
    layers::check(&layers::metadata()?)?;
    licences::check()?;
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    process::run(process::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))
}
