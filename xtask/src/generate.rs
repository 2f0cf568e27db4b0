//! Files that are generated and checked in, so that their changes are read in reviews: `apis/` and the web client's types.

use std::fs;

use crate::{packages, process, web};

const OPENAPI: &str = "apis/openapi.json";
const TYPES: &str = "web/src/data/generated/openapi.ts";

/// Writes the files.
pub fn run() -> Result<(), String> {
    packages::for_build()?;
    web::install()?;
    for (path, text) in files()? {
        let target = process::root().join(path);
        let folder = target.parent().expect("a generated file lies in a folder");
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        fs::write(&target, text).map_err(|error| format!("{path}: {error}"))?;
        eprintln!("   wrote {path}");
    }
    Ok(())
}

/// Fails where a checked-in file differs from what would be written now.
pub fn check() -> Result<(), String> {
    let stale: Vec<&str> = files()?
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(process::root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() {
        eprintln!("── generated files are up to date");
        return Ok(());
    }
    Err(format!("generated files are out of date: {}; run `cargo xtask generate`", stale.join(", ")))
}

fn files() -> Result<Vec<(&'static str, String)>, String> {
    let openapi = process::output(process::cargo().args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "varde",
        "--",
        "openapi",
    ]))?;
    let folder = tempfile_folder()?;
    let (document, types) = (folder.join("openapi.json"), folder.join("openapi.ts"));
    fs::write(&document, &openapi).map_err(|error| format!("{}: {error}", document.display()))?;
    process::run(
        process::program(process::root().join("web/node_modules/.bin/openapi-typescript"))
            .arg(&document)
            .arg("--output")
            .arg(&types)
            .arg("--immutable"),
    )?;
    let types =
        fs::read_to_string(&types).map_err(|error| format!("openapi-typescript wrote nothing: {error}"))?;
    let _ = fs::remove_dir_all(folder);
    Ok(vec![(OPENAPI, openapi), (TYPES, types)])
}

fn tempfile_folder() -> Result<std::path::PathBuf, String> {
    let folder = std::env::temp_dir().join(format!("varde-generate-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}
