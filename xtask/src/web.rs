//! The web client's chores, through npm.

use std::fs;
use std::process::Command;

use crate::process;

fn npm() -> Command {
    let mut command = process::program("npm");
    command.current_dir(process::root().join("web"));
    command
}

/// Installs the packages of the lock file unless they are there already.
pub fn install() -> Result<(), String> {
    let web = process::root().join("web");
    let lock =
        fs::read(web.join("package-lock.json")).map_err(|error| format!("web/package-lock.json: {error}"))?;
    let stamp = web.join("node_modules/.varde-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    process::run(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    fs::write(&stamp, lock).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Lint and types.
pub fn check() -> Result<(), String> {
    install()?;
    process::run(npm().args(["run", "check"]))
}

pub fn test() -> Result<(), String> {
    install()?;
    process::run(npm().args(["test"]))
}

/// Builds `web/dist`.
pub fn build() -> Result<(), String> {
    install()?;
    process::run(npm().args(["run", "build"]))
}

/// What the end-to-end tests are told.
#[derive(Debug)]
pub struct EndToEnd<'a> {
    pub url: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    /// Address of a camera with user and password, to be added in a test.
    pub camera_url: &'a str,
}

/// The end-to-end tests in Chromium, against a running server.
pub fn end_to_end(told: &EndToEnd<'_>) -> Result<(), String> {
    process::run(
        npm()
            .args(["run", "e2e"])
            .env("VARDE_URL", told.url)
            .env("VARDE_USER", told.user)
            .env("VARDE_PASSWORD", told.password)
            .env("VARDE_CAMERA_URL", told.camera_url),
    )
}
