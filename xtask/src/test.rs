//! `cargo xtask test`: everything that must hold before a change lands, in the order in which it fails soonest.

use std::fs;

use crate::demo::{Farm, Stack, StackOptions};
use crate::{check, generate, packages, process, web};

/// Enough for a wall of four; the tests choose among them.
const CAMERAS: u32 = 4;

pub fn run() -> Result<(), String> {
    packages::for_test()?;
    check::rust()?;
    web::check()?;
    web::test()?;
    web::build()?;
    generate::check()?;
    // The programs that tests start, in the profile that the tests have.
    process::run(process::cargo().args([
        "build",
        "--quiet",
        "--locked",
        "-p",
        "varde",
        "-p",
        "varde-vision",
    ]))?;
    process::run(process::cargo().args(["test", "--workspace", "--locked", "--quiet", "--no-fail-fast"]))?;
    end_to_end()
}

fn end_to_end() -> Result<(), String> {
    let data = std::env::temp_dir().join(format!("varde-e2e-{}", std::process::id()));
    let binaries = process::root().join("target/debug");
    let farm = Farm::start(&binaries, CAMERAS, &["--counter"])?;
    let stack =
        Stack::start(farm, &StackOptions { binaries, port: 0, data: data.clone(), sub_streams: true })?;
    let Farm { user, password, cameras, .. } = &stack.farm;
    let camera_url = cameras[0].sub.replacen("rtsp://", &format!("rtsp://{user}:{password}@"), 1);
    let result = web::end_to_end(&web::EndToEnd {
        url: &stack.url,
        user: &stack.user,
        password: &stack.password,
        camera_url: &camera_url,
    });
    drop(stack);
    if result.is_ok() {
        let _ = fs::remove_dir_all(&data);
    } else {
        eprintln!("   the data folder is kept: {}", data.display());
    }
    result
}
