//! docs/figures.md: what was measured, with date and commit, newest last.

use std::fmt::Write as _;
use std::fs;

use crate::process;

const FIGURES: &str = "docs/figures.md";

/// Appends a report under a heading with date and commit.
pub fn append(report: &str) -> Result<(), String> {
    let commit = process::output(process::program("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changed = !process::output(process::program("git").args(["status", "--porcelain"]))?.is_empty();
    let date = process::output(process::program("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    let path = process::root().join(FIGURES);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n## {} · {}{}\n\n{}",
        date.trim(),
        commit.trim(),
        if changed { " with uncommitted changes" } else { "" },
        report.trim_end(),
    );
    fs::write(&path, text).map_err(|error| format!("{FIGURES}: {error}"))
}
