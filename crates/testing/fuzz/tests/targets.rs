//! Each target over its corpus, what once failed, and a fixed number of mutations. `varde-fuzz` runs them for long.

use std::path::Path;

use varde_fuzz::{Limit, TARGETS, corpus, run};

/// Mutated inputs of each target.
const INPUTS: u64 = 5_000;
const SEED: u64 = 20_261_123;

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("the target exists");
    let corpus = corpus(target, Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(!corpus.is_empty(), "{name} has nothing to begin from");
    let report = run(target, corpus, SEED, Limit::Inputs(INPUTS));
    if let Some(failure) = report.failure {
        panic!("{name}, seed {SEED}: {:?} by {:02x?}", failure.kind, failure.input);
    }
    assert!(report.inputs > INPUTS);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_its_test() {
            let named = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|target| target.name).eq(named));
        }
    };
}

targets!(audio av1 catalogue config ids jpeg ledger link mp4 nal rtcp rtp rtsp rtsp_client sdp times);
