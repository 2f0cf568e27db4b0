//! `cargo xtask soak`: the full counts of what the tests sample, for as many hours as are given; appends to
//! docs/figures.md.
//!
//! It runs the very same tests with their counts raised, in turns, so that a run that is cut short has done some of
//! everything. A turn that fails ends the soak: nothing is appended, and its output says what to look into.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{figures, packages, process};

/// What a full soak counts up to (the reliability figures), and how many hours that takes on two cores.
const HOURS_FULL: f64 = 8.0;
const KILLS_FULL: u64 = 1_000;
const POWER_CUTS_FULL: u64 = 10_000;
const BIT_FLIPS_FULL: u64 = 10_000;
/// Each fuzz target's time of a full soak.
const FUZZ_FULL: Duration = Duration::from_secs(600);
/// Longest turn: what is lost when somebody ends the soak.
const TURN: f64 = 0.5;

#[derive(Debug)]
pub struct Options {
    hours: f64,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { hours: HOURS_FULL };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--hours" => {
                    let hours: f64 = value
                        .parse()
                        .map_err(|_| format!("--hours needs a number, and {value:?} was given"))?;
                    if !(hours > 0.0 && hours <= 1_000.0) {
                        return Err("--hours lies above 0 and not above 1000".into());
                    }
                    options.hours = hours;
                }
                other => return Err(format!("soak has no option {other:?}")),
            }
        }
        Ok(options)
    }
}

/// What was done so far.
#[derive(Debug, Default)]
struct Tally {
    turns: u32,
    kills: u64,
    kill_files: u64,
    again_p95_s: Vec<f64>,
    again_max_s: f64,
    behind_max_s: f64,
    power_cuts: u64,
    bit_flips: u64,
    fuzz: Vec<(String, u64)>,
}

pub fn run(options: &Options) -> Result<(), String> {
    packages::for_test()?;
    process::run(process::cargo().args(["build", "--release", "--locked", "-p", "varde-fuzz"]))?;
    process::run(process::cargo().args([
        "test",
        "--locked",
        "--no-run",
        "-p",
        "varde",
        "-p",
        "varde-media-store",
    ]))?;
    let turns = (options.hours / TURN).ceil().max(1.0);
    let share = options.hours / HOURS_FULL / turns;
    let started = Instant::now();
    let end = Duration::from_secs_f64(options.hours * 3_600.0);
    let mut tally = Tally::default();
    loop {
        turn(share, &mut tally)?;
        eprintln!("── {:.2} h of {} h", started.elapsed().as_secs_f64() / 3_600.0, options.hours);
        if started.elapsed() >= end || f64::from(tally.turns) >= turns {
            break;
        }
    }
    let report = report(&tally, started.elapsed());
    println!("{report}");
    figures::append(&report)
}

/// A part of everything. `share` of the full counts.
fn turn(share: f64, tally: &mut Tally) -> Result<(), String> {
    let part = |full: u64| ((full as f64 * share).round() as u64).max(1);
    tally.turns += 1;
    let seed = u64::from(std::process::id()) << 20 | u64::from(tally.turns);

    let power_cuts = part(POWER_CUTS_FULL);
    test(
        "varde-media-store",
        "a_power_cut_at_any_operation_loses_nothing_durable",
        &[("VARDE_SOAK_POWER_CUTS", power_cuts), ("VARDE_SOAK_SEED", seed)],
    )?;
    tally.power_cuts += power_cuts;

    let bit_flips = part(BIT_FLIPS_FULL).next_multiple_of(2);
    test(
        "varde-media-store",
        "no_flipped_bit_escapes_verification",
        &[("VARDE_SOAK_BIT_FLIPS", bit_flips), ("VARDE_SOAK_SEED", seed)],
    )?;
    tally.bit_flips += bit_flips;

    let kills = part(KILLS_FULL);
    let said = test(
        "varde",
        "nothing_durable_is_lost_when_the_recorder_is_killed_at_any_instant",
        &[("VARDE_SOAK_KILLS", kills)],
    )?;
    let figures = said.lines().find_map(|line| line.split_once("kills: ")).map(|(_, json)| json);
    let figures: Value = figures
        .and_then(|json| serde_json::from_str(json).ok())
        .ok_or("the kills left no figures in their output")?;
    let number = |key: &str| figures[key].as_f64().unwrap_or(f64::NAN);
    tally.kills += kills;
    tally.kill_files += figures["files_decoded"].as_u64().unwrap_or(0);
    tally.again_p95_s.push(number("recording_again_p95_s"));
    tally.again_max_s = tally.again_max_s.max(number("recording_again_max_s"));
    tally.behind_max_s = tally.behind_max_s.max(number("behind_durable_max_s"));

    fuzz(share, seed, tally)
}

/// Runs one test by its name and gives what it printed. The name must be there: a filter that matches nothing passes.
fn test(package: &str, name: &str, variables: &[(&str, u64)]) -> Result<String, String> {
    let mut command = process::cargo();
    command.args(["test", "--locked", "--quiet", "-p", package, "--test", "it", "--", "--nocapture", name]);
    command.envs(variables.iter().map(|(name, value)| (*name, value.to_string())));
    let said = all_output(&mut command, name)?;
    if said.contains("test result: ok. 1 passed") {
        Ok(said)
    } else {
        Err(format!("{package} has no test named {name}, or more than one:\n{said}"))
    }
}

fn fuzz(share: f64, seed: u64, tally: &mut Tally) -> Result<(), String> {
    let seconds = (FUZZ_FULL.as_secs_f64() * share).ceil().max(1.0) as u64;
    let mut command = process::cargo();
    command.args(["run", "--release", "--locked", "--quiet", "-p", "varde-fuzz", "--"]);
    command.args(["--target", "all", "--seconds", &seconds.to_string(), "--seed", &seed.to_string()]);
    command.arg("--failures").arg(process::root().join("target/fuzz-failures"));
    let said = all_output(&mut command, "fuzz")?;
    for line in said.lines() {
        // "rtsp-message: 12345 inputs, 617 a second, none failed"
        let Some((target, rest)) = line.split_once(": ") else { continue };
        let Some(inputs) = rest.split_once(" inputs, ").and_then(|(count, _)| count.parse::<u64>().ok())
        else {
            continue;
        };
        match tally.fuzz.iter_mut().find(|(name, _)| name == target) {
            Some((_, sum)) => *sum += inputs,
            None => tally.fuzz.push((target.to_owned(), inputs)),
        }
    }
    if tally.fuzz.is_empty() {
        return Err(format!("the fuzz targets left no figures in their output:\n{said}"));
    }
    Ok(())
}

/// Runs to the end; both outputs as one text, which is the error where it failed.
fn all_output(command: &mut Command, what: &str) -> Result<String, String> {
    eprintln!("── {what}");
    let started = Instant::now();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{what} did not start: {error}"))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("{what} failed:\n{text}"));
    }
    eprintln!("   {:.0} s", started.elapsed().as_secs_f64());
    Ok(text)
}

fn report(tally: &Tally, took: Duration) -> String {
    let mut again = tally.again_p95_s.clone();
    again.sort_by(f64::total_cmp);
    let mut text = format!(
        "Soak of {:.2} h in {} turns (tests of the debug profile, fuzzing of the release profile).\n\n\
         | what | done | full count | result |\n|---|---|---|---|\n",
        took.as_secs_f64() / 3_600.0,
        tally.turns,
    );
    let _ = writeln!(
        text,
        "| kill -9 of the recorder, 8 cameras | {} | {KILLS_FULL} | nothing durable lost; {} files decoded, none unreadable; \
         recording again {:.1} s after its start (p95 of the worst turn; longest {:.1} s); at most {:.1} s behind durable |",
        tally.kills,
        tally.kill_files,
        again.last().copied().unwrap_or(f64::NAN),
        tally.again_max_s,
        tally.behind_max_s,
    );
    let _ = writeln!(
        text,
        "| power cuts, with drops, reorders and torn sectors | {} | {POWER_CUTS_FULL} | nothing acknowledged lost |",
        tally.power_cuts
    );
    let _ = writeln!(
        text,
        "| single bits flipped in recordings and ledger | {} | {BIT_FLIPS_FULL} | all detected |",
        tally.bit_flips
    );
    let inputs: u64 = tally.fuzz.iter().map(|(_, inputs)| inputs).sum();
    let each: Vec<String> = tally.fuzz.iter().map(|(target, inputs)| format!("{target} {inputs}")).collect();
    let _ = writeln!(
        text,
        "| inputs to {} fuzz targets | {inputs} | {} s each | no panic, no hang ({}) |",
        tally.fuzz.len(),
        FUZZ_FULL.as_secs(),
        each.join(", "),
    );
    text
}
