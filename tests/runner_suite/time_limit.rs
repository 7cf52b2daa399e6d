//! A limit for the whole run.

use crate::project::Project;

#[test]
fn the_limit_of_a_run_ends_it() {
    for by_configuration in [false, true] {
        let project = Project::new();
        let mut arguments = vec!["run", "-j", "1", "never-answers_honest", "never-answers"];
        arguments.extend(["--json", "out.json"]);
        if by_configuration {
            let text = std::fs::read_to_string(project.path("harmony.toml")).unwrap();
            let text = text.replace("setup = 30\n", "setup = 30\nrun = 4\n");
            project.write("harmony.toml", &text);
        } else {
            arguments.extend(["--time-limit", "4s"]);
        }
        let ran = project.run(&arguments);
        ran.assert(
            1,
            "stopped by the limit of 4 s for the whole run: this report is not",
        );
        ran.assert(1, "1 interrupted, 1 not run in ");
        let seconds = ran.took.as_secs_f64();
        assert!(seconds < 10.0, "not by another limit: {seconds} s");
        let json = project.json("out.json");
        assert_eq!(json["complete"], false);
        let outcomes =
            [&json["executions"][0], &json["executions"][1]].map(|e| e["outcome"].clone());
        assert_eq!(outcomes, ["interrupted", "not-run"]);
        for execution in json["executions"].as_array().unwrap() {
            assert_eq!(execution["reason"], "the whole run took longer than 4 s");
        }
    }
}

#[test]
fn who_does_not_end_is_killed() {
    let project = Project::new();
    project.limit("shutdown", 0.3);
    let ran = project.run(&["run", "--time-limit", "4", "ignores-term_honest"]);
    ran.assert(1, "1 interrupted in ");
    let seconds = ran.took.as_secs_f64();
    assert!(seconds < 10.0, "not by another limit: {seconds} s");
}

#[test]
fn a_preflight_counts_as_well() {
    let project = Project::new();
    let ran = project.run(&["run", "--time-limit", "0.5", "never-starts"]);
    ran.assert(1, "1 not run in ");
    ran.assert(1, "stopped by the limit of 0.5 s for the whole run");
}

#[test]
fn a_run_within_its_limit_is_whole() {
    let project = Project::new();
    let ran = project.run(&["run", "--time-limit", "5m", "honest"]);
    ran.assert(0, "1 passed in ");
    assert!(!ran.out.contains("limit"), "{}", ran.text());
}

#[test]
fn it_ends_what_waits_for_nothing() {
    let project = Project::new();
    let skipped = "Feature: F\n@windows\nScenario: 1.1 - S\nGiven x\n";
    project.write("features/01-Fixture.feature", skipped);
    let manner = ["--no-sandbox", "--repeat", "3000", "--time-limit", "0.001"];
    let ran = project.run(&[&["run", "-q", "honest"], &manner[..]].concat());
    ran.assert(1, " not run in ");
    ran.assert(1, "stopped by the limit of 0.001 s for the whole run");
}
