//! Runs programs with fixed arguments, from the root of the project, and says which one failed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_path_buf()
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo tells its children about xtask itself must not reach the crates built next.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO" {
            command.env_remove(&key);
        }
    }
    command
}

pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

fn describe(command: &Command) -> String {
    let mut text = Path::new(command.get_program()).file_name().map_or_else(
        || command.get_program().to_string_lossy().into_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs to the end with its output shown on standard error (standard output belongs to the chore's own answer).
pub fn run(command: &mut Command) -> Result<(), String> {
    let text = describe(command);
    eprintln!("── {text}");
    let started = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .map_err(|error| format!("{text} did not start: {error}"))?;
    if !status.success() {
        return Err(format!("{text} failed ({status})"));
    }
    eprintln!("   {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs to the end and gives its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let text = describe(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{text} did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("{text} failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{text} printed something that is not text"))
}
