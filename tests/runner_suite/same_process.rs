//! One step server plays all roles.

use crate::project::Project;

#[test]
fn one_server_gets_every_step_once() {
    let project = Project::new();
    project.steps(&[
        "Given everything is prepared",
        "And the 'a' process is ready",
        "And two 'b' processes",
        "When both remember 'plum'",
        "And a new 'a' process works",
        "And a second 'b' process works",
        "Then the 'a' process recalls 'word=plum of a+b'",
    ]);
    let ran = project.run(&["run", "--same-process", "honest"]);
    ran.assert(0, "1.1    a+b=honest  S");
    ran.assert(0, "1 passed");
    // One for the preflight, one for the scenario.
    assert_eq!(project.servers(), 2);
    let ran = project.run(&["run", "--same-process", "honest", "honest_fails"]);
    ran.assert(
        4,
        "fits the combination `honest_fails`: one process is of one platform",
    );
}

#[test]
fn a_failure_is_reproduced_in_the_same_way() {
    let project = Project::new();
    let ran = project.run(&["run", "--same-process", "fails"]);
    ran.assert(1, "the a+b (fails, pid ");
    ran.assert(1, "again:    harmony run -v --same-process fails_fails 1.1");
}

#[test]
fn what_needs_a_process_for_each_role_is_skipped() {
    let project = Project::new();
    project.write(
        "features/01-Fixture.feature",
        "Feature: F\n@separate-processes\nScenario: 1.1 - A\nGiven the 'a' process is ready\n\
         Scenario: 1.2 - B\nGiven the 'a' process is ready\nWhen the 'a' process is killed\n",
    );
    project.run(&["run", "honest"]).assert(0, "2 passed");
    let ran = project.run(&["run", "--same-process", "honest"]);
    ran.assert(0, "it needs a process for each role (@separate-processes)");
    ran.assert(0, "because of the step: When the 'a' process is killed");
    ran.assert(0, "2 skipped");
}

#[test]
fn different_platforms_cannot_share_a_process() {
    let project = Project::new();
    let ran = project.run(&["run", "--same-process", "honest_fails"]);
    ran.assert(4, "one process is of one platform");
    let ran = project.run(&["list", "--same-process", "honest_*", "fails"]);
    ran.assert(0, "       honest_honest fails_fails\n");
}
