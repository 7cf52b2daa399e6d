//! Scenarios on the real platforms, as the runner executes them: this crate, the C++ peer and the
//! stock Python package, in every combination.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

/// How many executions pass at least. Where only root can do what a scenario is about, it is skipped.
const PASSED: usize = 265;

/// Executions that fail by a fault of a stock peer, and are listed as such.
const KNOWN: usize = 15;

fn harmony(arguments: &[&str]) -> Output {
    let step_server = Path::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    Command::new(env!("CARGO_BIN_EXE_harmony"))
        .arg("run")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("HARMONY_BIN_DIR", step_server.parent().unwrap())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr)
    )
}

/// The last line of the report, which counts outcomes.
fn counts(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .lines()
        .last()
        .unwrap_or("")
        .to_owned()
}

/// How many executions had this outcome.
fn count(counts: &str, outcome: &str) -> usize {
    let mut parts = counts.split(", ").filter_map(|part| part.split_once(' '));
    let found = parts.find(|(_, words)| words.starts_with(outcome));
    found.map_or(0, |(number, _)| number.parse().unwrap())
}

/// All scenarios but benchmarks, which say nothing about builds that are not optimised.
#[test]
fn every_platform_understands_every_other() {
    let output = harmony(&["all", "--tags", "not @benchmark"]);
    assert!(output.status.success(), "{}", text(&output));
    let counts = counts(&output);
    assert!(count(&counts, "passed") >= PASSED, "{}", text(&output));
    assert_eq!(count(&counts, "known failure"), KNOWN, "{counts}");
}
