//! Scenarios on the real platforms, as the runner executes them: this crate, the C++ peer and the
//! stock Python package, in every combination.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

/// What says nothing about builds that are not optimised.
const NO_BENCHMARKS: [&str; 2] = ["--tags", "not @benchmark"];

/// Scenarios that all platforms have step definitions for: 1.1 to 1.7, 13.1 to 13.4.
const EVERYWHERE: usize = 11;

/// Those that only Rust and C++ play in every combination: the rest of 1 to 6 and 13, 10.2 to 10.4.
const WITH_CPP: usize = 41;

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

#[test]
fn every_platform_understands_every_other() {
    let output = harmony(&["all", EVERYWHERE]);
    assert!(output.status.success(), "{}", text(&output));
    let expected = format!("{} passed, {KNOWN} known failure", 9 * ACTIVE - KNOWN);
    assert!(
        counts(&output).starts_with(&expected),
        "not {expected:?}: {}",
        text(&output)
    );
}
