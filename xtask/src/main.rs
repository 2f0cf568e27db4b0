//! Chores of the project: `cargo xtask <chore>`. Each chore installs what it needs and says what it does.

mod bench;
mod check;
mod demo;
mod figures;
mod generate;
mod layers;
mod licences;
mod measure;
mod packages;
mod process;
mod soak;
mod test;
mod web;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <chore>

  demo      install what is missing, build, start virtual cameras and the server, print address and password
              --cameras N   how many cameras (default 4)
              --port P      port of the server (default 8443)
              --data DIR    data folder (default: a fresh one in the temporary folder)
              --keep        keep the data folder at the end
              --json        print one line of JSON as soon as all cameras record
  build     install what is missing, build the web client and the release binaries (target/release)
  test      install what is missing and run everything: checks, Rust tests, web tests, end to end in Chromium
  bench     measure recording against FFmpeg and the floor; append to docs/figures.md
              --streams N   how many (default 16)
              --windows N   interleaved windows of each peer (default 5)
              --seconds N   length of a window (default 15)
              --data DIR    where recordings go (default: target/bench)
  soak      what the tests sample, in full: kills, power cuts, flipped bits, fuzzing; append to docs/figures.md
              --hours H     how long (default 8, which makes the full counts)
  check     format, lints, layers, licences and bans, web lint and types, generated files
  generate  write the files that are generated and checked in (apis/)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    if rest.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let result = match chore.as_str() {
        "demo" => demo::Options::parse(&rest).and_then(|options| demo::run(&options)),
        "build" => no_options(&rest).and_then(|()| build()),
        "test" => no_options(&rest).and_then(|()| test::run()),
        "bench" => bench::Options::parse(&rest).and_then(|options| bench::run(&options)),
        "soak" => soak::Options::parse(&rest).and_then(|options| soak::run(&options)),
        "check" => no_options(&rest).and_then(|()| check::run()),
        "generate" => no_options(&rest).and_then(|()| generate::run()),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("there is no chore {other:?}\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The web client, and the release binaries that carry it.
fn build() -> Result<(), String> {
    packages::for_build()?;
    web::build()?;
    process::run(process::cargo().args([
        "build",
        "--release",
        "--locked",
        "-p",
        "varde",
        "-p",
        "varde-vision",
    ]))
}

fn no_options(rest: &[String]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(option) => Err(format!("this chore takes no options, and {option:?} was given")),
    }
}
