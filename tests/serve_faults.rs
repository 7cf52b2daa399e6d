//! Every fault that the step server can commit is noticed by a scenario whose point it is.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

/// Every fault, and scenarios whose point it is.
const NOTICED_BY: [(&str, &str); 14] = [
    ("frame-dropped", "1.1"),
    ("byte-flipped", "1.1"),
    ("wrap-marker-missing", "1.6"),
    ("wrap-marker-missing", "4.8"),
    ("post-doubled", "4.2"),
    ("post-missing", "6.4"),
    ("free-bytes-off-by-one", "4.6"),
    ("sequence-skipped", "1.2"),
    ("memory-not-released", "1.3"),
    ("death-not-noticed", "2.1"),
    ("death-not-noticed", "2.2"),
    ("death-not-noticed", "13.5"),
    ("answer-dropped", "13.1"),
    ("answer-altered", "13.1"),
];

fn run(scenarios: &str, fault: &str) -> (Output, String) {
    let step_server = Path::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    let output = Command::new(env!("CARGO_BIN_EXE_harmony"))
        .args(["run", "rust", scenarios])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("HARMONY_BIN_DIR", step_server.parent().unwrap())
        .env("ZEROBUFFER_FAULT", fault)
        .output()
        .unwrap();
    let text = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out));
    let text = text.join("\n");
    (output, text)
}

/// How many run at once: most of their time they wait for what does not come.
const AT_ONCE: usize = 4;

#[test]
fn each_fault_is_committed_and_noticed() {
    for some in NOTICED_BY.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for (fault, scenario) in some {
                scope.spawn(|| expect_noticed(fault, scenario));
            }
        });
    }
}

fn expect_noticed(fault: &str, scenario: &str) {
    let (output, text) = run(scenario, fault);
    assert_eq!(output.status.code(), Some(1), "{fault}: {text}");
    assert!(text.contains("1 failed"), "{fault}: {text}");
    let committed = format!("fault committed: {fault}: ");
    assert!(text.contains(&committed), "{fault}: {text}");
}

#[test]
fn without_a_fault_nothing_fails() {
    let scenarios = NOTICED_BY.map(|(_, scenario)| scenario).join(",");
    let (output, text) = run(&scenarios, "");
    assert!(output.status.success(), "{text}");
}

fn step_server(arguments: &[&str], fault: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"))
        .args(arguments)
        .env("ZEROBUFFER_FAULT", fault)
        .output()
        .unwrap()
}

#[test]
fn faults_are_listed_and_others_refused() {
    let listed = step_server(&["--list-faults"], "");
    let names = String::from_utf8(listed.stdout).unwrap();
    let mut noticed: Vec<_> = NOTICED_BY.iter().map(|(fault, _)| *fault).collect();
    noticed.dedup();
    assert_eq!(names.lines().collect::<Vec<_>>(), noticed);
    let refused = step_server(&[], "none");
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("there are frame-dropped, "), "{why}");
    let version = String::from_utf8(step_server(&["--version"], "").stdout).unwrap();
    assert!(version.contains("faults built in"), "{version}");
}
