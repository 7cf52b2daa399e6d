//! Scenarios in which something is wrong have to fail.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::project::Project;

/// A step that fails when its number is another one.
const BITES: &str = "Then the 'a' process counts '7'";

/// A step that does not look at its number.
const DOES_NOT: &str = "Then the 'a' process mentions '7'";

/// One scenario 1.1 with these steps, and a tag.
fn scenario(tag: &str, steps: &[&str]) -> Project {
    let project = Project::new();
    let steps = steps.join("\n");
    let text = format!("Feature: F\n{tag}\nScenario: 1.1 - S\n{steps}\n");
    project.write("features/01-Fixture.feature", &text);
    project
}

/// Says why a mutant of scenario 1.1 may survive.
fn explain(project: &Project, step: &str) {
    let entry = format!(
        "[[survivor]]\nscenario = \"1.1\"\nstep = \"{step}\"\nreason = \"it is only mentioned\"\n"
    );
    project.write("features/survivors.toml", &entry);
}

#[test]
fn a_check_that_bites_catches_its_mutant() {
    let project = scenario("", &["When the 'a' process works", BITES]);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(
        0,
        "1 of 1 mutants caught (100 %), 0 survived, 0 of them without a reason, 0 void (",
    );
    assert!(!ran.out.contains("caught    "), "{}", ran.text());
    let ran = project.run(&["mutate", "-v", "honest"]);
    let line = format!(
        "caught    1.1 honest: {BITES} ('7' became '71'): failed: expected 7: the 'a' process counts '71'"
    );
    ran.assert(0, &line);
    let ran = project.run(&["mutate", "-q", "honest"]);
    assert_eq!(
        (ran.err.as_str(), ran.out.lines().count()),
        ("", 1),
        "{}",
        ran.text()
    );
}

#[test]
fn a_check_that_compares_nothing_lets_its_mutant_survive() {
    let project = scenario("", &[BITES, DOES_NOT]);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(
        1,
        &format!("survived  1.1 honest: {DOES_NOT} ('7' became '71')\n          without a reason"),
    );
    ran.assert(
        1,
        "1 of 2 mutants caught (50 %), 1 survived, 1 of them without a reason",
    );
}

#[test]
fn a_survivor_needs_a_reason_and_a_reason_a_survivor() {
    let many = vec![BITES; 19];
    let project = scenario("", &[many.as_slice(), &[DOES_NOT]].concat());
    explain(&project, DOES_NOT);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(0, "('7' became '71')\n          it is only mentioned\n");
    ran.assert(
        0,
        "19 of 20 mutants caught (95 %), 1 survived, 0 of them without a reason",
    );
    let project = scenario("", &many);
    explain(&project, DOES_NOT);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(
        1,
        &format!("stale     1.1 {DOES_NOT}: no mutant survives there"),
    );
    project.write(
        "features/survivors.toml",
        "[[survivor]]\nscenario = \"1.1\"\n",
    );
    project
        .run(&["mutate", "honest"])
        .assert(2, "survivors.toml: ");
}

#[test]
fn a_fault_has_to_be_noticed_where_it_is_committed() {
    let project = scenario("", &["When the 'a' process works"]);
    for (fault, code, says) in [
        (
            "noticed",
            0,
            "caught    1.1 honest: with the fault noticed: failed: something is wrong",
        ),
        (
            "unnoticed",
            1,
            "survived  1.1 honest: with the fault unnoticed\n          without a reason",
        ),
        ("never-committed", 4, "there is nothing to change"),
    ] {
        project.write("faults", &format!("{fault}\n"));
        project.run(&["mutate", "-v", "honest"]).assert(code, says);
    }
    project.write("faults", "noticed\nnever-committed\n");
    project
        .run(&["mutate", "honest"])
        .assert(0, "1 of 1 mutants caught");
}

#[test]
fn faults_need_a_step_server_that_commits_them() {
    let project = scenario("", &["When the 'a' process works", BITES]);
    project.write("faults", "noticed\n");
    project
        .run(&["mutate", "measures"])
        .assert(0, "1 of 1 mutants caught");
    let text = fs::read_to_string(project.path("harmony.toml")).unwrap();
    project.write(
        "harmony.toml",
        &text.replace("faulty = [\"python3\"", "faulty = [\"./none\""),
    );
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(3, " --list-faults: No such file or directory");
    ran.assert(3, "./test.sh mutate builds it");
}

#[test]
fn what_does_not_pass_as_it_is_cannot_be_changed() {
    let project = scenario("@windows", &[BITES]);
    project.write(
        "features/02-More.feature",
        &format!("Feature: F\nScenario: 2.1 - S\n{BITES}\n"),
    );
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(0, "left out  1.1 honest: skipped: for Windows only");
    let wrong = "Then the 'a' process counts '8'";
    project.write(
        "features/01-Fixture.feature",
        &format!("Feature: F\nScenario: 1.1 - S\n{wrong}\n"),
    );
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(
        1,
        "left out  1.1 honest: failed: expected 7: the 'a' process counts '8'",
    );
    ran.assert(1, "1 scenario(s) fail as they are");
    let entry = "[[failure]]\nscenario = \"1.1\"\ncombination = \"honest\"\nreason = \"r\"\ncontains = \"expected 7\"\n";
    project.write("known-failures.toml", entry);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(0, "left out  1.1 honest: known failure");
    project
        .run(&["mutate", "dies-at-start"])
        .assert(3, "setup error");
}

#[test]
fn where_nothing_can_be_changed_nothing_matched() {
    let project = scenario("", &["When the 'a' process works", "Then it agrees"]);
    project
        .run(&["mutate", "honest"])
        .assert(4, "there is nothing to change");
}

#[test]
fn a_signal_ends_it_without_a_verdict() {
    let project = scenario("", &["When the 'a' process works", BITES]);
    let child = project
        .command(&["mutate", "never-answers"])
        .spawn()
        .unwrap();
    project.wait_for("hangs");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let ran = project.ended(child.wait_with_output().unwrap(), std::time::Duration::ZERO);
    ran.assert(130, "interrupted: not all mutants were run");
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.text());
}

#[test]
fn the_configuration_says_how_many_run() {
    let meets = "When the 'a' process meets '1' other";
    let project = scenario("", &[meets, BITES]);
    let text = format!("Feature: F\nScenario: 2.1 - S\n{meets}\n{BITES}\n");
    project.write("features/02-More.feature", &text);
    let text = fs::read_to_string(project.path("harmony.toml")).unwrap();
    project.write("harmony.toml", &format!("jobs = 1\n{text}"));
    project.limit("step", 2.0);
    let ran = project.run(&["mutate", "honest"]);
    ran.assert(1, "2 scenario(s) fail as they are");
}
