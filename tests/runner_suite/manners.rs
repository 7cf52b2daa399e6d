//! Runs that end early, go on until something fails, or try once more.

use crate::project::{Project, Ran};

/// Scenarios 1.1, 1.2, … with one step each.
fn scenarios(project: &Project, steps: &[&str]) {
    let mut text = "Feature: F\n".to_owned();
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        text.push_str(&format!("Scenario: 1.{number} - S\nGiven {step}\n"));
    }
    project.write("features/01-Fixture.feature", &text);
}

const WORKS: &str = "the 'a' process works";
const READY: &str = "the 'a' process is ready";

/// The last line of what a run printed.
fn last(ran: &Ran) -> &str {
    ran.out.lines().last().unwrap()
}

#[test]
fn the_first_failure_lets_nothing_more_begin() {
    let project = Project::new();
    scenarios(&project, &[READY, WORKS, READY, READY]);
    let arguments = ["run", "--fail-fast", "-j", "1", "fails"];
    let ran = project.run(
        &[
            &arguments[..],
            &["--json", "out.json", "--junit", "out.xml"],
        ]
        .concat(),
    );
    ran.assert(1, "stopped by the first failure (--fail-fast)");
    let counts = last(&ran);
    assert!(
        counts.starts_with("1 passed, 1 failed, 2 not run in "),
        "{}",
        ran.text()
    );
    ran.assert(1, "1.3    ·\n");
    let json = project.json("out.json");
    assert_eq!(json["complete"], false);
    assert_eq!(json["executions"].as_array().unwrap().len(), 4);
    assert_eq!(json["executions"][3]["outcome"], "not-run");
    let why = "another execution was not green before it began (--fail-fast)";
    assert_eq!(json["executions"][3]["reason"], why);
    let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
    assert_eq!(
        junit.matches(why).count(),
        4,
        "message and text of both: {junit}"
    );
    assert!(junit.contains("name=\"the whole run\""), "{junit}");
    assert_eq!(
        project.servers(),
        1 + 2,
        "the preflight's, and those that ran"
    );
}

#[test]
fn what_runs_when_something_fails_goes_on() {
    let project = Project::new();
    // The one that fails waits for the others to be there.
    scenarios(
        &project,
        &[
            "the 'a' process dawdles",
            "the 'a' process survives '0' times",
            READY,
        ],
    );
    let ran = project.run(&["run", "--fail-fast", "-j", "2", "honest"]);
    let counts = last(&ran);
    assert!(
        counts.starts_with("1 passed, 1 failed, 1 not run in "),
        "{}",
        ran.text()
    );
}

#[test]
fn a_run_that_fails_at_its_end_is_whole() {
    let project = Project::new();
    scenarios(&project, &[READY, WORKS]);
    let ran = project.run(&["run", "--fail-fast", "-j", "1", "fails"]);
    ran.assert(1, "1 passed, 1 failed in ");
    assert!(!ran.out.contains("not of a whole run"), "{}", ran.text());
}

#[test]
fn rounds_go_on_until_something_fails() {
    let project = Project::new();
    scenarios(&project, &["the 'a' process survives '2' times", READY]);
    let ran = project.run(&[
        "run",
        "--until-failure",
        "-j",
        "1",
        "honest",
        "--json",
        "out.json",
    ]);
    ran.assert(1, "round 1\nround 2\nround 3\nF failed ");
    ran.assert(1, " s, round 3)\n");
    ran.assert(1, "1.1 honest: failed (repetition 3 of 3)");
    ran.assert(1, "again:    harmony run -v --until-failure honest 1.1");
    assert!(last(&ran).ends_with(", in 3 rounds"), "{}", ran.text());
    let json = project.json("out.json");
    let executions = json["executions"].as_array().unwrap();
    let number = |e: &serde_json::Value| (e["execution"].clone(), e["repetition"].clone());
    let numbers: Vec<_> = executions.iter().map(number).collect();
    let expected: Vec<_> = [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)]
        .map(|(number, round)| (number.into(), round.into()))
        .into();
    assert_eq!(numbers, expected);
    assert_eq!(executions[5]["outcome"], "passed", "the round is finished");
    assert_eq!(executions[5]["folder"], "1.2-honest-3");
}

#[test]
fn rounds_may_have_an_end() {
    let project = Project::new();
    let command = ["run", "--until-failure", "--repeat", "2", "honest"];
    let ran = project.run(&command);
    ran.assert(0, "1 passed in ");
    assert!(last(&ran).ends_with(", in 2 rounds"), "{}", ran.text());
}

#[test]
fn rounds_in_which_nothing_can_run_do_not_go_on() {
    let project = Project::new();
    let windows = "Feature: F\n@windows\nScenario: 1.1 - S\nGiven the 'a' process is ready\n";
    let command = ["run", "--until-failure", "--repeat", "50"];
    let skipped = [&command[..], &["honest", "1.1"]].concat();
    let unsupported = [&command[..], &["always-green"]].concat();
    for (arguments, counts) in [
        (unsupported, "1 unsupported in "),
        (skipped, "1 skipped in "),
    ] {
        let ran = project.run(&arguments);
        ran.assert(
            0,
            "warning: --until-failure ends here: nothing that was asked for can run",
        );
        assert!(last(&ran).starts_with(counts), "{}", ran.text());
        assert!(!ran.out.contains("round 2"), "{}", ran.text());
        project.write("features/01-Fixture.feature", windows);
    }
}

#[test]
fn what_passes_on_a_retry_is_flaky() {
    let retries = ["run", "--retries", "2", "fails-once_honest"];
    for (more, code, counts) in [
        (&[][..], 0, "1 flaky in "),
        (&["--flaky=fail"], 1, "1 flaky failure in "),
    ] {
        let project = Project::new();
        let reports = ["--json", "out.json", "--junit", "out.xml"];
        let ran = project.run(&[&retries[..], more, &reports].concat());
        ran.assert(code, " s, attempt 1 of 3)\n");
        ran.assert(code, " s, attempt 2 of 3)");
        ran.assert(code, "  warning: attempt 1: failed: this time\n");
        ran.assert(code, "\n1.1 fails-once_honest: failed (attempt 1)\n");
        ran.assert(code, "  error:    this time\n");
        assert!(last(&ran).starts_with(counts), "{}", ran.text());
        let json = project.json("out.json");
        let execution = &json["executions"][0];
        assert_eq!(
            (&execution["attempt"], &execution["folder"]),
            (&2.into(), &"1.1-fails-once_honest-attempt-2".into())
        );
        let steps = |of: &serde_json::Value| of["steps"].as_array().unwrap().len();
        assert_eq!((steps(execution), steps(&execution["earlier"][0])), (5, 3));
        assert_eq!(execution["earlier"][0]["reason"], "this time");
        assert_eq!(execution["earlier"][0]["folder"], "1.1-fails-once_honest");
        let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
        assert!(
            junit.contains("<flakyFailure ") && junit.contains(" message=\"this time\""),
            "{junit}"
        );
        assert_eq!(junit.contains("<failure "), code == 1, "{junit}");
    }
}

#[test]
fn what_fails_on_every_attempt_fails() {
    for (mode, words) in [
        ("fails", "failed"),
        ("is-killed", "crashed"),
        ("own-timeout", "timed out"),
        ("leaks", "leaked"),
    ] {
        let project = Project::new();
        let arguments = ["run", "--retries", "1", "--junit", "out.xml", mode];
        let ran = project.run(&arguments);
        ran.assert(1, &format!("\n1.1 {mode}_{mode}: {words} (attempt 1)\n"));
        ran.assert(1, &format!("\n1.1 {mode}_{mode}: {words} (attempt 2)\n"));
        assert!(
            last(&ran).starts_with(&format!("1 {words} in ")),
            "{}",
            ran.text()
        );
        let junit = std::fs::read_to_string(project.path("out.xml")).unwrap();
        assert_eq!(junit.matches("<rerunFailure ").count(), 1, "{junit}");
    }
}

#[test]
fn only_a_failure_of_its_own_is_tried_again() {
    let project = Project::new();
    project.write(
        "known-failures.toml",
        "[[failure]]\nscenario = \"1.1\"\ncombination = \"fails\"\nreason = \"it is broken\"\n\
         contains = \"got 2\"\n",
    );
    for (mode, code, counts) in [
        ("skips", 0, "1 skipped"),
        ("fails", 0, "1 known failure"),
        ("does-not-know", 0, "1 unsupported"),
    ] {
        let ran = project.run(&["run", "--retries", "3", mode]);
        ran.assert(code, counts);
        assert!(!ran.out.contains("attempt"), "{}", ran.text());
    }
    let list = std::fs::read_to_string(project.path("known-failures.toml")).unwrap();
    project.write("known-failures.toml", &list.replace("got 2", "got 3"));
    let ran = project.run(&["run", "--retries", "3", "fails"]);
    ran.assert(1, "not the known failure");
    assert!(!ran.out.contains("attempt"), "{}", ran.text());
}

#[test]
fn a_wrong_manner_is_told() {
    let project = Project::new();
    for (arguments, says) in [
        (&["--flaky=fail"][..], "--retries <N>"),
        (&["--retries", "100"], "100 is not in 0..100"),
        (
            &["--retries", "1", "--flaky", "perhaps"],
            "[possible values: warn, fail]",
        ),
        (
            &["--time-limit", "0"],
            "expected a time like 90, 90s, 5m or 24h",
        ),
        (&["--repeat", "0"], "0 is not in 1.."),
    ] {
        let ran = project.run(&[&["run", "honest"], arguments].concat());
        ran.assert(2, says);
    }
}
