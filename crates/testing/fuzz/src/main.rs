//! `varde-fuzz`: runs fuzz targets for a while and keeps the inputs that fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use varde_fuzz::{FailureKind, Limit, TARGETS, Target, corpus, run};

/// Feeds mutated inputs to the parsers and keeps those that panic or hang.
#[derive(Parser)]
struct Arguments {
    /// Name of a target, or `all`.
    #[arg(long, default_value = "all")]
    target: String,
    /// How long each target runs.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Makes a run repeat; taken from the clock where it is left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder that holds `corpus` and `regressions`.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR")))]
    inputs: PathBuf,
    /// Where failing inputs are written.
    #[arg(long, default_value = "fuzz-failures")]
    failures: PathBuf,
    /// Runs one file and nothing else.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Lists the targets.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&'static Target> = TARGETS
        .iter()
        .filter(|target| arguments.target == "all" || arguments.target == target.name)
        .collect();
    if chosen.is_empty() {
        eprintln!("There is no target {:?}; --list names them.", arguments.target);
        return ExitCode::from(2);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let seed = arguments.seed.unwrap_or(now);
    println!("seed {seed}");
    let mut failed = false;
    for target in chosen {
        match run_target(target, &arguments, seed) {
            Ok(passed) => failed |= !passed,
            Err(error) => {
                eprintln!("{}: {error}", target.name);
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// True where nothing failed.
fn run_target(target: &'static Target, arguments: &Arguments, seed: u64) -> std::io::Result<bool> {
    let (inputs, limit) = match &arguments.file {
        Some(file) => (vec![fs::read(file)?], Limit::Inputs(0)),
        None => (corpus(target, &arguments.inputs)?, Limit::Time(Duration::from_secs(arguments.seconds))),
    };
    let report = run(target, inputs, seed, limit);
    let Some(failure) = report.failure else {
        let rate = report.inputs as f64 / report.elapsed.as_secs_f64().max(0.001);
        println!("{}: {} inputs, {rate:.0} a second, none failed", target.name, report.inputs);
        return Ok(true);
    };
    let path = keep(&arguments.failures, target, &failure.input)?;
    match failure.kind {
        FailureKind::Panic(text) => println!("{}: panicked: {text}", target.name),
        FailureKind::Hang => println!("{}: took more than two seconds", target.name),
    }
    println!("  kept as {}; repeat with --target {} --file", path.display(), target.name);
    Ok(false)
}

fn keep(folder: &Path, target: &Target, input: &[u8]) -> std::io::Result<PathBuf> {
    let folder = folder.join(target.name);
    fs::create_dir_all(&folder)?;
    // FNV-1a: the same input is kept once.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = folder.join(format!("{hash:016x}"));
    fs::write(&path, input)?;
    Ok(path)
}
