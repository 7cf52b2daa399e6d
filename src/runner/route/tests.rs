use super::*;
use std::path::Path;

fn routed(steps: &[&str]) -> RoutedScenario {
    let text = format!("Feature: F\nScenario: 1.1 - S\n{}\n", steps.join("\n"));
    let scenario = super::super::feature::parse(Path::new("1.feature"), &text).unwrap();
    route(scenario.into_iter().next().unwrap())
}

fn destinations(steps: &[&str]) -> Vec<String> {
    routed(steps)
        .steps
        .iter()
        .map(RoutedStep::to_string)
        .collect()
}

#[test]
fn a_named_role_is_followed_until_another_is_named() {
    let steps = [
        "Given the environment is ready",
        "Given the 'server' process starts",
        "And it is up",
        "When the 'client' sends",
        "Then response should match",
        "And 'server' process logs",
        "And a 'client' process ends",
        "And the server handler has seen it",
    ];
    assert_eq!(
        destinations(&steps),
        [
            "all", "server", "server", "client", "client", "server", "client", "server"
        ]
    );
    assert_eq!(routed(&steps).roles, ["client", "server"]);
}

#[test]
fn users_name_roles_and_the_platform_does_not() {
    assert_eq!(
        destinations(&[
            "Given the platform is 'Linux'",
            "And the reader is 'user1'",
            "When the writer is 'user2'"
        ]),
        ["all", "reader", "writer"]
    );
}

#[test]
fn a_scenario_without_roles_has_a_subject() {
    let found = routed(&["Given measure fences", "Then expect little"]);
    assert_eq!(found.roles, [SUBJECT]);
    assert_eq!(found.processes, [ProcessName::only(SUBJECT)]);
    assert_eq!(found.steps[1].to, Destination::All);
}

#[test]
fn new_and_second_processes_are_started() {
    let found = routed(&[
        "Given the 'reader' process creates",
        "When a new 'reader' process attempts",
        "Then the new reader should see",
        "When a second 'reader' process attempts",
        "Then the connection should fail",
        "And the 'reader' process goes on",
        "When a second 'reader' process attempts",
    ]);
    let texts: Vec<_> = found.steps.iter().map(RoutedStep::to_string).collect();
    assert_eq!(
        texts,
        [
            "reader",
            "reader (a new process)",
            "reader",
            "reader#2 (one more process)",
            "reader#2",
            "reader",
            "reader#3 (one more process)"
        ]
    );
    assert_eq!(found.roles, ["reader"]);
    assert_eq!(found.processes, [ProcessName::only("reader")]);
    let replaced = ProcessName::only("reader");
    assert_eq!(found.steps[1].start, Some(Start::Replace(replaced)));
}

#[test]
fn two_processes_can_be_told_something_at_once() {
    let found = routed(&[
        "Given two 'reader' processes",
        "And the 'writer' process is ready",
        "When both simultaneously attempt",
        "Then only one should succeed",
    ]);
    let texts: Vec<_> = found.steps.iter().map(RoutedStep::to_string).collect();
    assert_eq!(
        texts,
        [
            "reader#1 and reader#2 at once",
            "writer",
            "reader#1 and reader#2 at once",
            "reader#1"
        ]
    );
    let names: Vec<_> = found.processes.iter().map(ProcessName::to_string).collect();
    assert_eq!(names, ["reader#1", "reader#2", "writer"]);
    assert_eq!(
        destinations(&["Given the 'client' x", "Then both platforms agree"]),
        ["client", "client"]
    );
}

#[test]
fn the_runner_waits_and_kills_itself() {
    assert_eq!(
        destinations(&[
            "Given the 'reader' process creates",
            "When the 'writer' process is killed",
            "Then wait for '2' seconds",
            "When the 'reader' process crashes while write in progress",
            "And kill writer process",
            "Then new reader can go on",
            "When the 'reader' process is shutdown",
            "Then the 'reader' process crashes",
            "And wait for '0.5' seconds",
        ]),
        [
            "reader",
            "the runner: kill writer",
            "the runner: wait 2 s",
            "the runner: kill reader",
            "the runner: kill writer",
            "reader (a new process)",
            "the runner: shut down reader",
            "reader",
            "the runner: wait 0.5 s",
        ]
    );
}

#[test]
fn a_simulated_crash_is_expected() {
    let found = routed(&[
        "Given the 'server' process starts handler that crashes after '100' ms",
        "When the 'client' process simulates crash after '1' second",
    ]);
    assert_eq!(
        found.mortal.iter().collect::<Vec<_>>(),
        ["client", "server"]
    );
    assert_eq!(
        [found.steps[0].awaits_death, found.steps[1].awaits_death],
        [false, true]
    );
}
