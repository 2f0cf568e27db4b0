//! Takes the built web client into the binary: every file of `web/dist`, if that folder is there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A web client is a few megabytes; more is not one.
const BYTES_MAX: u64 = 64 << 20;

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let dist = root.join("../../../web/dist");
    // Cargo watches a folder that is missing, too: the build that makes it is seen.
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist, &dist, &mut files)?;
    }
    files.sort();
    let total: u64 = files.iter().map(|(_, path)| fs::metadata(path).map_or(0, |data| data.len())).sum();
    assert!(total <= BYTES_MAX, "the web client has {total} bytes; the limit is {BYTES_MAX}");
    // Copied, so that a web client that is built anew meanwhile does not pull the files from under the compiler.
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let copies = out.join("web");
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    fs::create_dir_all(&copies)?;
    let mut code = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for (number, (name, path)) in files.iter().enumerate() {
        let copy = copies.join(number.to_string());
        fs::copy(path, &copy)?;
        let _ = writeln!(code, "    ({name:?}, include_bytes!({copy:?})),");
    }
    code.push_str("];\n");
    fs::write(out.join("web_files.rs"), code)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root)
            && let Some(name) = name.to_str()
            && path.extension().is_none_or(|extension| extension != "map")
        {
            files.push((name.replace('\\', "/"), path.clone()));
        }
    }
    Ok(())
}
