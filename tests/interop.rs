//! Scenarios on the real platforms, as the runner executes them: this crate, the C++ peer and the
//! stock Python package, in every combination.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

/// Scenarios that all platforms have step definitions for.
const EVERYWHERE: &str = "1.1-1.7,13.1-13.4";

/// Their number.
const ACTIVE: usize = 11;

/// Executions that fail by a fault of a stock peer, and are listed as such.
const KNOWN: usize = 3;

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
