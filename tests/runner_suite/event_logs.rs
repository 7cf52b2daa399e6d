//! The event log: what is in it, whatever becomes of the run, and how long it is kept.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::interrupts::gone;
use crate::project::Project;

/// The folders of all runs, the oldest first.
fn runs(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.path("out/runs")).unwrap();
    let mut folders: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The events of the latest run.
fn events(project: &Project) -> Vec<Value> {
    let log = runs(project).pop().unwrap().join("events.ndjson");
    let text = fs::read_to_string(log).unwrap();
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

#[test]
fn everything_that_happens_is_in_the_log() {
    let project = Project::new();
    project
        .run(&["run", "measures_exits"])
        .assert(0, "1 passed");
    project
        .run(&["run", "exits_measures"])
        .assert(1, "1 crashed");
    let events = events(&project);
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        (kinds[0], kinds[kinds.len() - 1]),
        ("run-started", "run-finished")
    );
    assert_eq!(events[0]["format"], 1);
    assert_eq!(events[0]["scenarios"][0]["steps"][2]["line"], 6);
    assert_eq!(events[0]["executions"][0]["combination"], "exits_measures");
    let times: Vec<f64> = events.iter().map(|e| e["at"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let processes = of_kind(&events, "process-started");
    assert_eq!(processes[0]["log"], "1.1-exits_measures/0-a-exits.log");
    let line = of_kind(&events, "log-line")[0];
    assert_eq!(
        (&line["text"], &line["process"]),
        (&"about to exit".into(), &0.into())
    );
    let exits = of_kind(&events, "process-exited");
    let mut how: Vec<&str> = exits.iter().map(|e| e["how"].as_str().unwrap()).collect();
    how.sort();
    assert_eq!(how, ["exited with code 0", "exited with code 7"]);
    let failed = of_kind(&events, "step-finished").pop().unwrap();
    assert_eq!(
        (&failed["step"], &failed["success"]),
        (&2.into(), &false.into())
    );
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("exited with code 7")
    );
    let sent = of_kind(&events, "step-sent");
    let to: Vec<_> = sent
        .iter()
        .map(|e| (e["step"].as_u64(), e["process"].as_u64()))
        .collect();
    let expected = [(0, 0), (0, 1), (1, 0), (2, 0)];
    assert_eq!(
        to,
        expected.map(|(step, process)| (Some(step), Some(process)))
    );
    assert_eq!(events[events.len() - 1]["counts"]["crashed"], 1);
}

#[test]
fn records_that_come_with_an_answer_are_in_the_log() {
    let project = Project::new();
    project
        .run(&["run", "measures_honest"])
        .assert(0, "p50  1 us");
    let events = events(&project);
    let line = of_kind(&events, "log-line")[0];
    assert_eq!(line["text"], "no attachment: nothing");
    assert_eq!((&line["step"], &line["level"]), (&2.into(), &2.into()));
    let attachment = of_kind(&events, "attachment")[0];
    assert_eq!(attachment["text"], "figures:\n  p50  1 us");
}

#[test]
fn a_killed_run_leaves_a_log_from_which_reports_are_made() {
    let project = Project::new();
    project.only(&["honest", "never-answers"]);
    let command = ["run", "-j", "1", "honest", "never-answers_honest"];
    let mut child = project.command(&command).spawn().unwrap();
    project.wait_for("hangs");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    gone(&project);
    let ran = project.run(&["report"]);
    ran.assert(0, "incomplete: this run was killed, or goes on still");
    ran.assert(0, "1 passed, 1 incomplete in");
    ran.assert(0, "step:     When the 'a' process works (line 6, to a)");
    let junit = project.run(&["report", "--junit", "-"]);
    junit.assert(0, r#"<testcase name="the whole run">"#);
    junit.assert(0, r#"type="incomplete""#);
    assert_eq!(junit.out.matches("<error").count(), 2, "{}", junit.text());
}

#[test]
fn only_so_many_runs_are_kept() {
    let project = Project::new();
    let configuration = fs::read_to_string(project.path("harmony.toml")).unwrap();
    project.write("harmony.toml", &format!("keep-runs = 2\n{configuration}"));
    let mut last = Vec::new();
    for _ in 0..3 {
        project
            .run(&["run", "honest", "--tags", "not @none"])
            .assert(0, "1 passed");
        let mut now = runs(&project);
        assert!(now.len() <= 2, "{now:?}");
        // Names are of one second; a process id may come round.
        now.retain(|folder| !last.contains(folder));
        assert_eq!(now.len(), 1, "{last:?}");
        last = runs(&project);
    }
    assert_eq!(last.len(), 2);
}

#[test]
fn what_is_no_log_is_told() {
    let project = Project::new();
    let none = project.run(&["report"]);
    none.assert(2, "there is no run in ");
    project
        .run(&["report", "nothing"])
        .assert(2, "nothing is neither an event log nor");
    project.write("empty", "");
    let says = "empty:1: the file does not begin like an event log of harmony";
    project.run(&["report", "empty"]).assert(2, says);
}
