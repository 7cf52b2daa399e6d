//! What reports say: whole ones, compared with what was looked at once, of a log with every outcome.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use zerobuffer::runner::event_log::Line;
use zerobuffer::runner::record::Record;
use zerobuffer::runner::report::{github, json, junit};

use crate::project::Project;

/// A log with every outcome.
pub const EVERY_OUTCOME: &str = "events.ndjson";
/// An interrupted one of an execution that was repeated.
pub const REPEATED: &str = "repeated-events.ndjson";

pub fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures").join(name)
}

/// The beginning of the log with every outcome, up to the step in which the last execution hangs.
pub fn cut_log(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(fixture(EVERY_OUTCOME)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let is_last = |line: &&str| line.contains(r#""step-sent","execution":16,"step":1"#);
    let last = lines.iter().position(is_last).unwrap();
    let log = folder.join("events.ndjson");
    fs::write(&log, lines[..=last].join("\n") + "\n").unwrap();
    log
}

fn record(name: &str) -> Record {
    Record::read(&fixture(name)).unwrap()
}

fn cut_record() -> Record {
    let folder = tempfile::tempdir().unwrap();
    Record::read(&cut_log(folder.path())).unwrap()
}

/// JSON with a key in each line.
fn spread(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

/// The report on the terminal, with the folder of the run as `RUN`.
fn printed(log: &Path, options: &[&str]) -> String {
    let project = Project::new();
    let log = log.to_str().unwrap();
    let ran = project.run(&[&["report", log], options].concat());
    assert_eq!(ran.code, 0, "{}", ran.text());
    let folder = Path::new(log).parent().unwrap().to_str().unwrap();
    ran.out.replace(folder, "RUN")
}

#[test]
fn the_logs_of_these_tests_are_such_as_are_written() {
    for name in [EVERY_OUTCOME, REPEATED] {
        let text = fs::read_to_string(fixture(name)).unwrap();
        for line in text.lines() {
            let read: Line = serde_json::from_str(line).unwrap();
            let written = serde_json::to_string(&read).unwrap();
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&written), value(line));
        }
    }
}

#[test]
fn a_run_is_told_on_the_terminal_once_more() {
    insta::assert_snapshot!("terminal", printed(&fixture(EVERY_OUTCOME), &[]));
    insta::assert_snapshot!("terminal-repeated", printed(&fixture(REPEATED), &[]));
    let folder = tempfile::tempdir().unwrap();
    let log = cut_log(folder.path());
    insta::assert_snapshot!("terminal-incomplete", printed(&log, &["-q"]));
}

#[test]
fn junit_has_every_outcome() {
    insta::assert_snapshot!("junit", junit::render(&record(EVERY_OUTCOME)));
    insta::assert_snapshot!("junit-repeated", junit::render(&record(REPEATED)));
    insta::assert_snapshot!("junit-incomplete", junit::render(&cut_record()));
}

#[test]
fn json_has_everything() {
    insta::assert_snapshot!("json", spread(&json::render(&record(EVERY_OUTCOME))));
}

#[test]
fn json_of_an_incomplete_run_says_so() {
    let value: Value = serde_json::from_str(&json::render(&cut_record())).unwrap();
    assert_eq!(value["complete"], false);
    assert!(
        value["shortcoming"]
            .as_str()
            .unwrap()
            .contains("was killed")
    );
    let last = value["executions"].as_array().unwrap().last().unwrap();
    assert_eq!(last["outcome"], "incomplete");
    assert_eq!(last["failed_step"]["line"], 9);
    let interrupted: Value = serde_json::from_str(&json::render(&record(REPEATED))).unwrap();
    assert_eq!(interrupted["complete"], false);
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let annotations = github::annotations(&record(EVERY_OUTCOME));
    let about = |what: &str| {
        annotations
            .lines()
            .find(|line| line.contains(what))
            .unwrap()
    };
    // What makes the run red is an error, whatever it is.
    assert!(about("unexpected pass").starts_with("::error "));
    let flaky = "later:    passed on attempt 2 only; flaky counts as a failure in this run";
    assert!(about(flaky).starts_with("::error "));
    assert!(about("later:    passed on attempt 3 only").starts_with("::warning "));
    insta::assert_snapshot!("github", annotations);
    insta::assert_snapshot!("github-summary", github::summary(&record(EVERY_OUTCOME)));
    insta::assert_snapshot!("github-incomplete", github::summary(&cut_record()));
}

#[test]
fn a_report_made_later_is_the_same_to_the_byte() {
    let project = Project::new();
    project.only(&["honest", "fails", "measures", "exits", "does-not-know"]);
    let live = &["--junit", "live.xml", "--json", "live.json", "-j", "3"];
    let later = &["--junit", "later.xml", "--json", "later.json"];
    for verbosity in [&[][..], &["-q"], &["-v"]] {
        let command = ["run", "*_honest", "--repeat", "2", "--shuffle=1"];
        let run = project.run(&[&command[..], live, verbosity].concat());
        run.assert(1, "repetition 2 of 2");
        let printed = project.run(&[&["report"][..], verbosity].concat());
        assert_eq!((printed.code, printed.out), (0, run.out));
        project
            .run(&[&["report"][..], later].concat())
            .assert(0, "");
        for kind in ["xml", "json"] {
            let text = |when| fs::read(project.path(&format!("{when}.{kind}"))).unwrap();
            assert!(
                !text("live").is_empty() && text("live") == text("later"),
                "{kind}"
            );
        }
    }
}

#[test]
fn a_report_may_go_to_standard_output() {
    let project = Project::new();
    let ran = project.run(&["run", "fails_honest", "--junit", "-"]);
    assert!(ran.out.starts_with("<?xml"), "{}", ran.text());
    assert!(
        ran.out.trim_end().ends_with("</testsuites>"),
        "{}",
        ran.text()
    );
    assert!(ran.err.contains("1 failed in"), "{}", ran.text());
    let json = project.run(&["report", "--json", "-"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (value["counts"]["failed"].as_u64(), json.code),
        (Some(1), 0)
    );
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_runs() {
    let project = Project::new();
    let ran = project.run(&["run", "honest", "--json", "none/out.json"]);
    ran.assert(
        2,
        "the report none/out.json cannot be written: No such file",
    );
    assert_eq!(project.servers(), 0);
}

#[test]
fn two_reports_in_one_place_are_refused() {
    let project = Project::new();
    let file = ["--junit", "out", "--json", "./out"];
    let output = ["--junit", "-", "--json", "-"];
    project.run(&["run", "honest"]).assert(0, "1 passed");
    let servers = project.servers();
    let run = project.latest_run();
    for command in [["run", "honest"], ["report", &run], ["merge", &run]] {
        let ran = project.run(&[&command[..], &output].concat());
        ran.assert(2, "only one report can go to standard output");
        let ran = project.run(&[&command[..], &file].concat());
        ran.assert(2, "two reports cannot go to one file: ./out");
    }
    assert_eq!(project.servers(), servers, "nothing runs before");
}

#[test]
fn a_report_that_cannot_be_written_keeps_no_other_from_being_written() {
    let project = Project::new();
    let reports = [
        "--junit",
        "/dev/full",
        "--json",
        "out.json",
        "--messages",
        "none/out",
    ];
    let full = "harmony: the report /dev/full cannot be written: No space left";
    let ran = project.run(&[&["run", "honest"], &reports[..4]].concat());
    ran.assert(2, full);
    assert_eq!(project.json("out.json")["counts"]["passed"], 1);
    std::fs::remove_file(project.path("out.json")).unwrap();
    let ran = project.run(&[&["report"], &reports[..]].concat());
    ran.assert(2, full);
    ran.assert(2, "\nthe report none/out cannot be written: No such file");
    assert_eq!(project.json("out.json")["counts"]["passed"], 1);
}

#[test]
fn reports_of_a_log_that_could_not_be_written_are_not_green() {
    let project = Project::new();
    project.only(&["honest"]);
    let command = ["run", "honest", "--repeat", "20", "--junit", "out.xml"];
    project.run(&command).assert(0, "1 passed in ");
    let log = project.path(&format!("out/runs/{}/events.ndjson", project.latest_run()));
    let text = std::fs::read_to_string(log).unwrap();
    let header = text.lines().next().unwrap().len();
    // Files may become as long as half of the events need; who is not killed for that is told.
    let limit = format!("--fsize={}", (header + text.len()) / 2);
    let limited = [
        "sh",
        "-c",
        "trap '' XFSZ && exec \"$@\"",
        "-",
        "prlimit",
        &limit,
    ];
    let ran = project.run_by(&limited, &command);
    assert!(ran.out.contains("1 passed in "), "{}", ran.text());
    ran.assert(2, "events.ndjson: File too large");
    let only = "the reports are of the beginning of this run only: ";
    ran.assert(2, only);
    let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
    assert!(junit.contains("incomplete: this run was killed"), "{junit}");
}

#[test]
fn a_run_under_github_actions_annotates_by_itself() {
    let project = Project::new();
    let summary = project.path("summary.md");
    let run = |actions: &str| {
        let mut command = project.command(&["run", "fails_honest"]);
        command.env("GITHUB_ACTIONS", actions);
        let output = command
            .env("GITHUB_STEP_SUMMARY", &summary)
            .output()
            .unwrap();
        project.ended(output, Default::default())
    };
    let mark = "::error file=features/01-Fixture.feature,line=6,title=1.1 fails_honest%3A failed::";
    let ran = run("no");
    assert!(!ran.out.contains("::error"), "{}", ran.text());
    assert!(!summary.exists());
    run("true").assert(1, mark);
    run("true").assert(1, "expected 1, got 2%0A");
    let text = fs::read_to_string(summary).unwrap();
    assert_eq!(text.matches("## Harmony: 1 failed in").count(), 2, "{text}");
}
