//! The layer rule: a crate uses only crates of the layers above its own, and `core` stays pure.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process;

/// From the ground up. A crate may use crates of earlier layers and, in the listed layers, of its own.
const LAYERS: &[&str] = &["core", "api", "edge", "drivers", "roles", "app", "testing"];
const OWN_LAYER_ALLOWED: &[&str] = &["core", "api", "edge", "drivers", "testing"];

/// What pure code must not say, and why.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files belong in edge"),
    ("std::net::Tcp", "sockets belong in edge"),
    ("std::net::Udp", "sockets belong in edge"),
    ("std::thread", "threads belong in edge"),
    ("std::process", "processes belong in edge"),
    ("std::env", "the environment is handed in"),
    ("Instant::now", "time is handed in"),
    ("SystemTime", "time is handed in"),
    ("async fn", "pure code does not wait"),
    ("tokio", "pure code does not wait"),
    ("rand::", "randomness is handed in"),
    ("getrandom", "randomness is handed in"),
];

pub fn metadata() -> Result<Value, String> {
    let text = process::output(process::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn layer_of(manifest: &str) -> Option<usize> {
    let inner = manifest.split_once("/crates/")?.1;
    let layer = inner.split('/').next()?;
    LAYERS.iter().position(|known| *known == layer)
}

pub fn check(metadata: &Value) -> Result<(), String> {
    let mut faults = Vec::new();
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let local =
        |name: &str| packages.iter().find(|package| package["name"] == name && package["source"].is_null());
    let mut crates = 0;
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(layer) = package["manifest_path"].as_str().and_then(layer_of) else { continue };
        crates += 1;
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // A test may use everything that lies beneath the app.
            let is_test = dependency["kind"] == "dev";
            let used = dependency["name"].as_str().unwrap_or_default();
            let Some(used_layer) = local(used).and_then(|it| it["manifest_path"].as_str()).and_then(layer_of)
            else {
                continue;
            };
            let own = used_layer == layer && OWN_LAYER_ALLOWED.contains(&LAYERS[layer]);
            if used_layer < layer || own || is_test {
                continue;
            }
            faults.push(format!("{name} ({}) must not use {used} ({})", LAYERS[layer], LAYERS[used_layer]));
        }
    }
    if crates == 0 {
        return Err("no crate was found to check: the folder layout and this check disagree".into());
    }
    for file in rust_files(&process::root().join("crates/core"))? {
        impurities(&file, &mut faults)?;
    }
    if faults.is_empty() {
        eprintln!("── layers: {crates} crates in order");
        return Ok(());
    }
    Err(format!("layers:\n  {}", faults.join("\n  ")))
}

fn impurities(file: &Path, faults: &mut Vec<String>) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let shown = file.strip_prefix(process::root()).unwrap_or(file).display();
    for (number, line) in text.lines().enumerate() {
        // Tests may do what they like; by convention they end a file or are a file of their own.
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for (word, reason) in IMPURE {
            if code.contains(word) {
                faults.push(format!("{shown}:{}: {word}: {reason}", number + 1));
            }
        }
    }
    Ok(())
}

/// Rust files below `folder`, without tests.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "tests" && name != "examples" && name != "benches" {
            found.extend(rust_files(&path)?);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    Ok(found)
}
