//! `harmony doctor`: every promise that a step server breaks is found.

use crate::project::Project;

#[test]
fn who_keeps_every_promise_is_well() {
    let project = Project::new();
    let ran = project.run(&["doctor", "honest", "optional"]);
    for says in [
        "honest\n  ✓ start          and answers `health` with true\n",
        "  ✓ initialize     answered with true\n",
        "  ✓ discover       defines 22 steps\n",
        "  ✓ unknown step   is said to have no definition\n",
        "  ✓ unknown method is refused with -32601\n",
        "  ✓ cleanup        answered with null\n",
        "  ✓ only answers   each request has one, and there is nothing else\n",
        "  ✓ shutdown       ends in order\n",
        "  ✓ end of input   it exited with code 0\n",
        "honest: well, keeps 9 promises (",
        "optional: unavailable: the variable NO_SUCH_VARIABLE is not set\n",
    ] {
        ran.assert(0, says);
    }
}

#[test]
fn an_unknown_method_may_be_refused_with_another_error() {
    let project = Project::new();
    let ran = project.run(&["doctor", "refuses-oddly"]);
    let says = "  ✓ unknown method is refused, with -32603 where JSON-RPC has -32601\n";
    ran.assert(0, says);
    ran.assert(0, "refuses-oddly: well, keeps 9 promises (");
}

/// Each fixture breaks one promise, and keeps the others.
const BROKEN: [(&str, &str, &str); 10] = [
    (
        "refuses-initialize",
        "initialize",
        "answered with false, not with true",
    ),
    ("defines-nothing", "discover", "defines no steps"),
    (
        "knows-every-step",
        "unknown step",
        "a step that nobody defines is said to have passed",
    ),
    (
        "knows-every-method",
        "unknown method",
        "`noSuchMethod` was answered with true",
    ),
    (
        "cleans-up-oddly",
        "cleanup",
        "answered with \"done\", not with null",
    ),
    (
        "chatters",
        "only answers",
        "it also sent expected a header line, found \"hello\"",
    ),
    (
        "answers-health-twice",
        "only answers",
        "it also sent a second answer to request",
    ),
    (
        "hangs-at-shutdown",
        "shutdown",
        "did not end within 3 s of `shutdown`",
    ),
    (
        "ends-with-3",
        "shutdown",
        "exited with code 3 on `shutdown`",
    ),
    (
        "outlives-its-input",
        "end of input",
        "it did not end within 3 s",
    ),
];

#[test]
fn every_broken_promise_is_found() {
    std::thread::scope(|scope| {
        for cases in BROKEN.chunks(3) {
            scope.spawn(move || cases.iter().for_each(is_found));
        }
    });
}

fn is_found((mode, promise, says): &(&str, &str, &str)) {
    let project = Project::new();
    project.limit("shutdown", 3.0);
    let ran = project.run(&["doctor", mode]);
    let line = format!("  ✗ {promise:14} ");
    let found = ran.out.lines().find(|found| found.starts_with(&line));
    assert!(
        found.is_some_and(|found| found.contains(says)),
        "{mode}: {}",
        ran.text()
    );
    assert!(ran.out.contains("to do: "), "{mode}: {}", ran.text());
    ran.assert(1, &format!("{mode}: ill, breaks 1 of 9 promises ("));
}

#[test]
fn who_cannot_be_started_or_falls_silent_is_ill() {
    let project = Project::new();
    let ran = project.run(&["doctor", "dies-at-start", "ends-with-3", "missing"]);
    ran.assert(3, "  ✗ start          the step server (dies-at-start, pid ");
    ran.assert(3, "| no such library");
    ran.assert(3, "dies-at-start: ill, breaks 1 of 1 promises");
    ran.assert(3, "no-such-program does not exist");
    project.limit("start", 3.0);
    let ran = project.run(&["doctor", "forgets-ids"]);
    ran.assert(
        1,
        "meanwhile it sent an answer with id \"x\", which no request had",
    );
    ran.assert(1, "it answers no more: what is left was not tried");
    let ran = project.run(&["doctor", "crashes-on-cleanup"]);
    ran.assert(1, "was killed by SIGABRT");
}
