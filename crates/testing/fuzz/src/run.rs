//! Runs a target over many inputs, watched from another thread.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::mutate::Mutator;
use crate::targets::Target;

/// The longest that one input may take.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(2);
/// How often the watcher looks.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// When a run ends by itself.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    Time(Duration),
    /// Mutated inputs, besides the corpus.
    Inputs(u64),
}

#[derive(Clone, Debug)]
pub struct Report {
    pub inputs: u64,
    pub elapsed: Duration,
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub input: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Panic(String),
    /// Over [`INPUT_TIME_MAX`].
    Hang,
}

/// The input that is being run, and since when.
type Watched = Arc<Mutex<(Vec<u8>, Option<Instant>)>>;

/// Runs the corpus, then mutations of it, until the limit or the first failure. After a hang the thread of the run
/// is left behind: the process should end soon.
pub fn run(target: &'static Target, corpus: Vec<Vec<u8>>, seed: u64, limit: Limit) -> Report {
    let begun = Instant::now();
    let watched = Watched::default();
    let (done, finished) = mpsc::channel();
    let worker = watched.clone();
    let spawned = std::thread::Builder::new().name(format!("fuzz-{}", target.name)).spawn(move || {
        let _ = done.send(work(target, &corpus, seed, limit, &worker));
    });
    if let Err(error) = spawned {
        let kind = FailureKind::Panic(format!("no thread could be started: {error}"));
        return Report {
            inputs: 0,
            elapsed: begun.elapsed(),
            failure: Some(Failure { kind, input: Vec::new() }),
        };
    }
    loop {
        match finished.recv_timeout(WATCH_INTERVAL) {
            Ok((inputs, failure)) => return Report { inputs, elapsed: begun.elapsed(), failure },
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                if watched.1.is_some_and(|since| since.elapsed() > INPUT_TIME_MAX) {
                    let failure = Failure { kind: FailureKind::Hang, input: watched.0.clone() };
                    return Report { inputs: 0, elapsed: begun.elapsed(), failure: Some(failure) };
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let kind = FailureKind::Panic("the run's thread ended".into());
                let input = watched.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
                return Report {
                    inputs: 0,
                    elapsed: begun.elapsed(),
                    failure: Some(Failure { kind, input }),
                };
            }
        }
    }
}

fn work(
    target: &Target,
    corpus: &[Vec<u8>],
    seed: u64,
    limit: Limit,
    watched: &Watched,
) -> (u64, Option<Failure>) {
    let begun = Instant::now();
    let mut count = 0;
    for input in corpus {
        count += 1;
        if let Some(kind) = run_one(target, input, watched) {
            return (count, Some(Failure { kind, input: input.clone() }));
        }
    }
    let mut mutator = Mutator::new(corpus, target.words, seed);
    let mut input = Vec::new();
    let more = |count: u64| match limit {
        Limit::Time(time) => begun.elapsed() < time,
        Limit::Inputs(inputs) => count < inputs.saturating_add(corpus.len() as u64),
    };
    while more(count) {
        count += 1;
        mutator.next_into(&mut input);
        if let Some(kind) = run_one(target, &input, watched) {
            return (count, Some(Failure { kind, input }));
        }
    }
    (count, None)
}

fn run_one(target: &Target, input: &[u8], watched: &Watched) -> Option<FailureKind> {
    {
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.0.clear();
        watched.0.extend_from_slice(input);
        watched.1 = Some(Instant::now());
    }
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    watched.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
    result.err().map(|payload| FailureKind::Panic(panic_text(payload.as_ref())))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".into())
}

/// All inputs of a target to begin from: made ones, then the files of `corpus/<target>` and `regressions/<target>`
/// below `folder`, by name.
pub fn corpus(target: &Target, folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = (target.seeds)();
    for kind in ["corpus", "regressions"] {
        let mut paths: Vec<PathBuf> = match fs::read_dir(folder.join(kind).join(target.name)) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        paths.sort();
        for path in paths {
            inputs.push(fs::read(path)?);
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    static BREAKS: Target = Target {
        name: "breaks",
        words: &[],
        seeds: || vec![b"abc".to_vec()],
        run: |input| assert!(!input.contains(&b'!'), "an exclamation mark"),
    };
    static HANGS: Target = Target {
        name: "hangs",
        words: &[],
        seeds: || vec![b"abc".to_vec()],
        run: |_| std::thread::sleep(Duration::from_secs(20)),
    };

    #[test]
    fn a_panic_is_found_and_its_input_kept() {
        let report = run(&BREAKS, (BREAKS.seeds)(), 1, Limit::Inputs(1_000_000));
        let failure = report.failure.unwrap();
        assert!(failure.input.contains(&b'!'));
        assert_eq!(failure.kind, FailureKind::Panic("an exclamation mark".into()));
    }

    #[test]
    fn a_hang_is_found_while_it_lasts() {
        let report = run(&HANGS, (HANGS.seeds)(), 1, Limit::Inputs(1));
        assert_eq!(report.failure.unwrap().kind, FailureKind::Hang);
    }
}
