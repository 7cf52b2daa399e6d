//! The example `benchmark`, as its users run it.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::{leftovers, wait_until};

#[test]
fn every_contender_is_measured_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--quick", "--sizes", "64", "--output"];
    let mut run = benchmark(&options);
    let run = run.arg(folder.path()).stdout(Stdio::piped()).spawn();
    let (name, output) = finish(run.unwrap());
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}\n{told}", output.status);

    let figures = fs::read_to_string(folder.path().join("figures.csv")).unwrap();
    let contenders = contenders();
    assert!(contenders.len() > 10, "{contenders:?}");
    for contender in contenders {
        let is_row = |line: &&str| line.split_whitespace().next() == Some(&contender);
        assert!(
            told.lines().any(|line| is_row(&line)),
            "no row for {contender}:\n{told}"
        );
        let is_line = |line: &str| line.starts_with(&format!("{contender},64,"));
        assert!(
            figures.lines().any(is_line),
            "no line for {contender}:\n{figures}"
        );
    }
    let plot = fs::read_to_string(folder.path().join("plot.svg")).unwrap();
    assert!(
        plot.ends_with("</svg>\n") && plot.contains("unix-socket"),
        "{plot}"
    );
    assert_eq!(leftovers(&name), [] as [PathBuf; 0]);
    assert_eq!(processes(&name), [] as [String; 0]);
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    for contender in ["zerobuffer/spin/copy", "limit/cache-line", "unix-socket"] {
        let options = [
            "--only",
            contender,
            "--sizes",
            "64",
            "--milliseconds",
            "20000",
        ];
        let run = benchmark(&options).stdout(Stdio::piped()).spawn().unwrap();
        let name = name(&run);
        // Both ends are there, and the second has been told where.
        wait_until("two processes", || processes(&name).len() == 2);
        kill(Pid::from_raw(run.id() as i32), Signal::SIGINT).unwrap();
        let (_, output) = finish(run);
        assert_eq!(output.status.code(), Some(130), "{contender}");
        assert_eq!(leftovers(&name), [] as [PathBuf; 0], "{contender}");
        assert_eq!(processes(&name), [] as [String; 0], "{contender}");
    }
}

#[test]
fn nobody_to_measure_is_an_error() {
    let output = benchmark(&["--only", "no-such-contender"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("--list"), "{told}");
}

/// The example, which cargo builds together with the tests.
fn benchmark(options: &[&str]) -> Command {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    let program = built.join("examples/benchmark");
    assert!(
        program.exists(),
        "{} is not there: build it with `cargo build --example benchmark`",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(options);
    command
}

/// What all names begin with that a run makes.
fn name(run: &Child) -> String {
    format!("zb-bench-{}-", run.id())
}

fn finish(run: Child) -> (String, Output) {
    (name(&run), run.wait_with_output().unwrap())
}

/// Those that can be measured here.
fn contenders() -> Vec<String> {
    let output = benchmark(&["--list"]).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.contains("(needs "))
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect()
}

/// The command lines that have `name` in them.
fn processes(name: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(name))
        .collect()
}
