//! Running again what was not green.

use crate::project::Project;

/// The ids and combinations of the executions in `out.json`.
fn executions(project: &Project) -> Vec<String> {
    let json = project.json("out.json");
    let executions = json["executions"].as_array().unwrap().iter();
    let words =
        executions.map(|e| [&e["id"], &e["combination"]].map(|word| word.as_str().unwrap()));
    words.map(|words| words.join(" ")).collect()
}

#[test]
fn what_was_not_green_is_run_again_and_nothing_else() {
    let project = Project::new();
    project
        .run(&["run", "honest", "fails-once_honest", "skips"])
        .assert(1, "1 failed");
    let first = project.latest_run();
    let again = ["run", "--json", "out.json", "--rerun-failed"];
    let ran = project.run(&again);
    ran.assert(
        0,
        &format!("running again: 1 execution, not green in {first}\n"),
    );
    ran.assert(0, "1 passed in ");
    assert_eq!(executions(&project), ["1.1 fails-once_honest"]);
    let json = project.json("out.json");
    assert_eq!(json["run"]["rerun_of"], first.as_str());

    let latest = project.latest_run();
    let ran = project.run(&again);
    ran.assert(
        0,
        &format!("nothing to run again: everything was green in {latest}\n"),
    );
    assert_eq!(project.latest_run(), latest, "there was no run");

    for named in [first.clone(), format!("out/runs/{first}")] {
        let ran = project.run(&[&again[..], &[&named]].concat());
        ran.assert(0, "running again: 1 execution, ");
    }
}

#[test]
fn what_did_not_run_is_run_again_as_well() {
    let project = Project::new();
    let first = ["run", "--fail-fast", "-j", "1", "fails_honest", "fails"];
    project.run(&first).assert(1, "1 failed, 1 not run");
    let ran = project.run(&[
        "run",
        "--repeat",
        "2",
        "--json",
        "out.json",
        "--rerun-failed",
    ]);
    ran.assert(1, "running again: 2 executions, ");
    let round = ["1.1 fails_honest", "1.1 fails_fails"];
    assert_eq!(executions(&project), [round, round].concat());
    ran.assert(1, "warning: what is run again is all that is known of ");
}

#[test]
fn what_is_known_to_be_green_may_not_be_all() {
    let project = Project::new();
    project.only(&["honest"]);
    project.run(&["run"]).assert(0, "1 passed in ");
    let log = project.path(&format!("out/runs/{}/events.ndjson", project.latest_run()));
    let text = std::fs::read_to_string(&log).unwrap();
    let whole = text.trim_end().rsplit_once('\n').unwrap().0;
    std::fs::write(&log, format!("{whole}\n")).unwrap();
    let says = "nothing to run again: all that is known of ";
    let ran = project.run(&["run", "--rerun-failed", "--junit", "out.xml"]);
    ran.assert(1, says);
    project.run(&["run", "--rerun-failed"]).assert(1, says);
    let both = ["run", "--junit", "-", "--json", "-", "--rerun-failed"];
    assert_eq!(project.run(&both).code, 2);
}

#[test]
fn it_is_run_again_in_the_same_manner() {
    let project = Project::new();
    std::fs::create_dir(project.path("other")).unwrap();
    let text =
        "Feature: F\nScenario: 9.9 - S\nGiven the 'a' process works\nThen the 'b' process agrees\n";
    project.write("other/09-Other.feature", text);
    let first = ["run", "--features", "other", "--same-process", "fails"];
    project.run(&first).assert(1, "1 failed");
    let ran = project.run(&["run", "--rerun-failed"]);
    ran.assert(1, "a+b=fails  S (");
    ran.assert(1, "again:    harmony run -v --same-process --features ");
}

#[test]
fn what_cannot_be_run_again_is_told() {
    let project = Project::new();
    project.only(&["fails", "honest"]);
    project
        .run(&["run", "--rerun-failed"])
        .assert(2, "there is no run in ");
    project
        .run(&["run", "fails", "fails_honest"])
        .assert(1, "2 failed");
    for (arguments, says) in [
        (&["honest", "--rerun-failed"][..], "cannot be used with"),
        (&["--rerun-failed", "--tags", "@a"], "cannot be used with"),
        (&["--rerun-failed", "--same-process"], "cannot be used with"),
        (&["--rerun-failed", "--shard", "1/2"], "cannot be used with"),
        (
            &["--rerun-failed", "honest"],
            "honest is neither an event log nor the folder of a run",
        ),
    ] {
        project.run(&[&["run"], arguments].concat()).assert(2, says);
    }
    project.only(&["fails"]);
    let ran = project.run(&["run", "--rerun-failed"]);
    ran.assert(
        1,
        "warning: 1.1 fails_honest was not green, and is not there any more\n",
    );
    ran.assert(1, "1 failed in ");
    project.only(&["honest"]);
    project
        .run(&["run", "--rerun-failed"])
        .assert(4, "there is no more 1.1 fails_fails");
    let text = std::fs::read_to_string(project.path("harmony.toml")).unwrap();
    project.write(
        "harmony.toml",
        &format!("{text}[platforms.fails]\ncommand = [\"${{NONE}}\"]\noptional = true\n"),
    );
    let says = "1.1 fails_fails cannot be run again: fails: the variable NONE is not set";
    project.run(&["run", "--rerun-failed"]).assert(3, says);
}

#[test]
fn it_is_run_again_at_the_same_scale_and_in_no_sandbox() {
    let project = Project::new();
    project.steps(&[
        "Given the 'a' process is told '- 90 0.5'",
        "When the 'a' process works",
    ]);
    let scale = ["--long-running", "1.5m", "--benchmark-scale", "0.5"];
    project
        .run(&[&["run", "--no-sandbox", "fails"], &scale[..]].concat())
        .assert(1, "error:    expected 1, got 2");
    for _ in 0..2 {
        let ran = project.run(&["run", "--rerun-failed"]);
        ran.assert(1, "error:    expected 1, got 2");
        let options = "--long-running 90 --benchmark-scale 0.5 --no-sandbox";
        ran.assert(1, &format!("again:    harmony run -v {options} fails 1.1"));
    }
    let ran = project.run(&["run", "--long-running", "60", "--rerun-failed"]);
    ran.assert(1, "error:    expected - 90 0.5, got - 60 0.5");
}

#[test]
fn reports_are_written_though_there_is_nothing_to_run_again() {
    let project = Project::new();
    project.run(&["run", "honest"]).assert(0, "1 passed");
    let run = project.latest_run();
    let reports = ["--junit", "out.xml", "--json", "-"];
    let ran = project.run(&[&["run"], &reports[..], &["--rerun-failed"]].concat());
    ran.assert(
        0,
        &format!("nothing to run again: everything was green in {run}\n"),
    );
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["run"]["name"], run.as_str());
    let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
    assert!(junit.contains("<testcase name=\"1.1 Work\""), "{junit}");
    let ran = project.run(&["run", "--junit", "nowhere/out.xml", "--rerun-failed"]);
    ran.assert(2, "the report nowhere/out.xml cannot be written");
}
