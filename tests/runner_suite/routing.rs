//! Steps reach their processes, and carry what they should.

use crate::project::Project;

fn passes(steps: &[&str]) {
    let project = Project::new();
    project.steps(steps);
    project.run(&["run", "honest"]).assert(0, "1 passed");
}

#[test]
fn what_a_step_returns_is_handed_to_every_later_step() {
    passes(&[
        "When the 'a' process remembers 'plum'",
        "Then the 'b' process recalls 'word=plum'",
        "When the 'b' process remembers 'pear'",
        "Then the 'a' process recalls 'word=pear'",
    ]);
}

#[test]
fn two_processes_at_once_keep_their_answers_apart() {
    passes(&[
        "Given two 'a' processes",
        "When both remember 'plum'",
        "Then the 'a' process recalls 'a#1.word=plum of a#1, a#2.word=plum of a#2'",
    ]);
}

#[test]
fn tables_and_texts_arrive() {
    passes(&[
        "Given the 'a' process is ready",
        "Then the 'a' process has a table",
        "| a | b |",
        "| 1 | 2 |",
        "And the 'a' process has table and text",
        "\"\"\"",
        "some text",
        "\"\"\"",
    ]);
}

#[test]
fn a_limit_may_be_as_wide_as_one_likes() {
    let project = Project::new();
    let tag = format!("@step-timeout({})", u64::MAX);
    let steps = "Given the 'a' process is ready\n";
    project.write(
        "features/01-Fixture.feature",
        &format!("Feature: F\n{tag}\nScenario: 1.1 - S\n{steps}"),
    );
    project.run(&["run", "honest"]).assert(0, "1 passed");
}

#[test]
fn new_and_second_processes_do_their_steps() {
    let project = Project::new();
    project.steps(&[
        "Given the 'a' process is ready",
        "When a new 'a' process works",
        "And a second 'a' process works",
    ]);
    project.run(&["run", "honest"]).assert(0, "1 passed");
    // One for the preflight, three for the scenario.
    assert_eq!(project.servers(), 4);
}

#[test]
fn the_runner_kills_and_replaces() {
    passes(&[
        "Given the 'a' process is ready",
        "When the 'b' process is killed",
        "Then wait for '0.1' seconds",
        "And the 'a' process agrees",
        "When a new 'b' process works",
        "Then it agrees",
        "When the 'b' process is shutdown",
        "And the 'a' process simulates crash",
    ]);
}

#[test]
fn what_a_killed_process_owned_is_no_leak() {
    let project = Project::new();
    project.steps(&[
        "Given the 'b' process is ready",
        "When the 'a' process works",
        "And the 'a' process is killed",
    ]);
    let ran = project.run(&["run", "-v", "leaks_honest"]);
    ran.assert(0, "1 passed");
    ran.assert(0, "left by killed processes: /dev/shm/zbt-leaks_");
}

#[test]
fn a_step_for_a_dead_process_fails() {
    let project = Project::new();
    project.steps(&[
        "Given the 'b' process is ready",
        "When the 'a' process is killed",
        "Then the 'a' process agrees",
    ]);
    project
        .run(&["run", "honest"])
        .assert(1, "the a does not run any more");
}

#[test]
fn a_death_beside_the_step_ends_the_scenario_at_once() {
    let project = Project::new();
    // The fixture that is to be killed hangs in no step: it is killed from outside.
    project.steps(&[
        "Given the 'a' process is ready",
        "When the 'a' process works",
        "Then the 'b' process agrees",
    ]);
    let child = project
        .command(&["run", "never-answers_honest"])
        .spawn()
        .unwrap();
    project.wait_for("hangs");
    let hanging = project
        .pids()
        .into_iter()
        .find(|(what, _)| what == "hangs")
        .unwrap()
        .1;
    let is_b = |pid: &u32| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.contains("honest")
    };
    let pids = project.pids().into_iter().map(|(_, pid)| pid);
    let b = pids
        .filter(|pid| *pid != hanging)
        .filter(is_b)
        .max()
        .unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(b as i32),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    let began = std::time::Instant::now();
    let ran = project.ended(child.wait_with_output().unwrap(), began.elapsed());
    ran.assert(1, &format!("the b (honest, pid {b}) was killed by SIGKILL"));
    ran.assert(1, "1 crashed");
    let seconds = ran.took.as_secs_f64();
    assert!(seconds < 10.0, "not at once, but after {seconds} s");
}

#[test]
fn what_a_replaced_process_left_when_it_died_is_no_leak() {
    let project = Project::new();
    project.steps(&[
        "When the 'a' process works",
        "And the 'a' process simulates crash",
        "And a new 'a' process is ready",
    ]);
    project.run(&["run", "leaks"]).assert(0, "1 passed");
}
