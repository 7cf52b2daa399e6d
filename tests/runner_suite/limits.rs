//! How long steps may take, and what step servers are told of it.

use crate::project::Project;

fn scenario(project: &Project, tags: &str, step: &str) {
    let text = format!("Feature: F\n{tags}\nScenario: 1.1 - S\nGiven the 'a' process {step}\n");
    project.write("features/01-Fixture.feature", &text);
}

#[test]
fn tags_and_scales_reach_the_step_server() {
    let project = Project::new();
    for (tags, arguments, told) in [
        ("", &[][..], "- 5 0.02"),
        ("@step-timeout(90)", &[], "90 5 0.02"),
        (
            "@long-running",
            &["--long-running", "24h"],
            "86430 86400 0.02",
        ),
        ("", &["--benchmark-scale", "1"], "- 5 1"),
    ] {
        scenario(&project, tags, &format!("is told '{told}'"));
        let ran = project.run(&[&["run", "honest"], arguments].concat());
        ran.assert(0, "1 passed");
    }
    project.configure("[scale]\nlong-running-seconds = 7.5\nbenchmark = 0.5\n");
    scenario(&project, "@long-running", "is told '37.5 7.5 0.5'");
    project.run(&["run", "honest"]).assert(0, "1 passed");
}

#[test]
fn a_failure_is_reproduced_at_the_same_scale() {
    let project = Project::new();
    let scale = ["--long-running", "1.5m", "--benchmark-scale", "0.5"];
    let ran = project.run(&[&["run", "fails_honest"], &scale[..]].concat());
    let says = "harmony run -v --long-running 90 --benchmark-scale 0.5 fails_honest 1.1";
    ran.assert(1, says);
    project
        .run(&["run", "--long-running", "soon"])
        .assert(2, "expected a time like 90, 90s, 5m or 24h");
    project
        .run(&["run", "--benchmark-scale", "2"])
        .assert(2, "expected a factor above 0, at most 1");
}

#[test]
fn a_tag_widens_the_limits_of_steps_and_of_the_execution() {
    let project = Project::new();
    project.limit("step", 1.0);
    project.limit("execution", 1.0);
    scenario(&project, "", "dawdles");
    let ran = project.run(&["run", "honest"]);
    ran.assert(1, "1 timed out");
    scenario(&project, "@step-timeout(30)", "dawdles");
    project.run(&["run", "honest"]).assert(0, "1 passed");
}
