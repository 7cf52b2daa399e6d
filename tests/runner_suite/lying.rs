//! What becomes of a step server that breaks the contract, mode by mode.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::project::Project;

struct Case {
    /// The fixture's mode, which plays role `a`; an honest one plays `b`.
    mode: &'static str,
    outcome: &'static str,
    code: i32,
    /// Texts that the report contains.
    says: &'static [&'static str],
}

const fn case(
    mode: &'static str,
    outcome: &'static str,
    code: i32,
    says: &'static [&'static str],
) -> Case {
    Case {
        mode,
        outcome,
        code,
        says,
    }
}

/// The one table of what each fixture is worth.
const TABLE: [Case; 37] = [
    case("unknown-type", "passed", 0, &["1 passed"]),
    case("other-keyword", "passed", 0, &["1 passed"]),
    case("look-around", "passed", 0, &["1 passed"]),
    case("starts-slowly", "passed", 0, &["1 passed"]),
    case(
        "noise",
        "passed",
        0,
        &[
            "warning: the a (noise, pid ",
            "sent expected a header line, found \"warming up\"",
        ],
    ),
    case(
        "answers-twice",
        "passed",
        0,
        &[
            "warning: the a (answers-twice, pid ",
            "sent a second answer to request",
        ],
    ),
    case("leaks-as-known", "passed", 0, &["1 passed"]),
    case(
        "never-answers",
        "timed out",
        1,
        &[
            "the a (never-answers, pid ",
            "no answer to `executeStep` within 4 s",
            "step:     When the 'a' process works (line 6, to a)",
        ],
    ),
    case(
        "ignores-term",
        "timed out",
        1,
        &["no answer to `executeStep` within 4 s"],
    ),
    case(
        "wrong-id",
        "timed out",
        1,
        &["within 4 s; meanwhile it sent an answer with id 4711, which no request had"],
    ),
    case(
        "own-timeout",
        "timed out",
        1,
        &["Step execution timeout after 30 s"],
    ),
    case(
        "exits",
        "crashed",
        1,
        &[
            "the a (exits, pid ",
            "exited with code 7",
            "| about to exit",
        ],
    ),
    case(
        "is-killed",
        "crashed",
        1,
        &["the a (is-killed, pid ", "was killed by SIGSEGV"],
    ),
    case(
        "exits-with-leftovers",
        "crashed",
        1,
        &["exited with code 1"],
    ),
    case(
        "closes-output",
        "failed",
        1,
        &["the connection was closed before `executeStep` was answered"],
    ),
    case(
        "garbage",
        "failed",
        1,
        &["`executeStep` was answered with a frame that is no JSON-RPC message: \"}{ no json\""],
    ),
    case(
        "refuses",
        "failed",
        1,
        &["`executeStep` was refused: not today (-32603)"],
    ),
    case(
        "bad-result",
        "failed",
        1,
        &["the result of `executeStep` is not as agreed: missing field `success`"],
    ),
    case(
        "fails",
        "failed",
        1,
        &[
            "error:    expected 1, got 2",
            "again:    harmony run -v fails_honest 1.1",
        ],
    ),
    case(
        "fails-silently",
        "failed",
        1,
        &["it failed without saying why"],
    ),
    case("skips", "skipped", 0, &["– only root can do that"]),
    case(
        "skips-and-leaks",
        "leaked",
        1,
        &["left behind: /dev/shm/zbt-skips-and-leaks_"],
    ),
    case(
        "does-not-know-and-leaks",
        "leaked",
        1,
        &["left behind: /dev/shm/zbt-does-not-know-and-leaks_"],
    ),
    case(
        "grandchild",
        "failed",
        1,
        &["left 1 process(es) of its group behind"],
    ),
    case(
        "hangs-at-cleanup",
        "timed out",
        1,
        &["no answer to `cleanup` within 4 s"],
    ),
    case(
        "never-answers-shutdown",
        "timed out",
        1,
        &["no answer to `shutdown` within 4 s"],
    ),
    case(
        "hangs-at-shutdown",
        "failed",
        1,
        &["did not end within 4 s of `shutdown`; it was killed by SIGTERM"],
    ),
    case(
        "ends-with-3",
        "failed",
        1,
        &["exited with code 3 on `shutdown`"],
    ),
    case(
        "crashes-on-cleanup",
        "crashed",
        1,
        &["was killed by SIGABRT"],
    ),
    case(
        "refuses-initialize",
        "failed",
        1,
        &["answered `initialize` with false", "| not in the mood"],
    ),
    case("leaks", "leaked", 1, &["left behind: /dev/shm/zbt-leaks_"]),
    case(
        "does-not-know",
        "unsupported",
        0,
        &["No matching step definition found"],
    ),
    case(
        "always-green",
        "unsupported",
        0,
        &["always-green does not define: Given everything is prepared"],
    ),
    case(
        "changes-its-steps",
        "failed",
        1,
        &[
            "No matching step definition found for: the 'a' process works; \
             its `discover` told of a definition that fits",
        ],
    ),
    case("talks-a-lot", "passed", 0, &["1 passed"]),
    case(
        "answers-health-only",
        "setup error",
        3,
        &["no answer to `discover` within 4 s"],
    ),
    case(
        "dies-at-start",
        "setup error",
        3,
        &["exited with code 1", "| no such library"],
    ),
];

/// The modes that the runner has to end.
const ENDED: [&str; 7] = [
    "never-answers",
    "wrong-id",
    "ignores-term",
    "closes-output",
    "hangs-at-cleanup",
    "hangs-at-shutdown",
    "never-answers-shutdown",
];

/// How long the runner waits where it has to end a fixture, in seconds. All other limits are far
/// longer.
const LIMIT: f64 = 4.0;

/// What takes so long, in seconds, was ended by another limit.
const MUCH_LONGER: f64 = 25.0;

#[test]
fn every_lie_has_its_outcome() {
    let next = AtomicUsize::new(0);
    let told = Mutex::new(vec![String::new(); TABLE.len()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = TABLE.get(number) else { break };
                    let text = examine(case);
                    told.lock().unwrap()[number] = text;
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    insta::assert_snapshot!("lying", told.concat());
}

/// Runs a case and looks at what is said of it; yields that, without what differs from run to run.
fn examine(case: &Case) -> String {
    let project = Project::new();
    project.only(&[case.mode, "honest"]);
    if ENDED.contains(&case.mode) {
        project.limit("step", LIMIT);
        project.limit("shutdown", LIMIT);
    }
    if case.mode == "answers-health-only" {
        project.limit("start", LIMIT);
    }
    let ran = project.run(&["run", &format!("{}_honest", case.mode)]);
    let text = ran.text();
    assert_eq!(ran.code, case.code, "{}: {text}", case.mode);
    let count = format!("1 {}", case.outcome);
    assert!(
        ran.out.contains(&count),
        "{}: {count:?} in {text}",
        case.mode
    );
    for says in case.says {
        assert!(ran.out.contains(says), "{}: {says:?} in {text}", case.mode);
    }
    let took = took(&project);
    let is_ended = ENDED.contains(&case.mode);
    assert!(
        !is_ended || took < MUCH_LONGER,
        "{}: {took} s, {text}",
        case.mode
    );
    format!("===== {}\n{}\n", case.mode, lasting(&ran.out, &project))
}

/// Seconds from the first step to the end of the run.
fn took(project: &Project) -> f64 {
    let log = project.path(&format!("out/runs/{}/events.ndjson", project.latest_run()));
    let record = std::fs::read_to_string(log).unwrap();
    let at = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["at"].as_f64().unwrap()
    };
    let mut lines = record.lines();
    let last = at(record.lines().last().unwrap());
    let first = lines.find(|line| line.contains("\"event\":\"step-started\""));
    first.map_or(0.0, |line| last - at(line))
}

/// A text without what differs from run to run.
fn lasting(text: &str, project: &Project) -> String {
    let folder = project.path("");
    let text = text.replace(folder.to_str().unwrap(), "PROJECT/");
    let is_common = |line: &&str| !line.contains("because no sandbox can be made");
    let lines = text.lines().filter(is_common);
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    for (pattern, replacement) in [
        (r"\d{8}-\d{6}-\d+", "RUN"),
        (r"pid \d+", "pid N"),
        (r"(zbt-[a-z-]+)_\w+", "${1}_RUN"),
        (r"\d+\.\d+ s\b|\d+ ms\b", "T"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, replacement).into_owned();
    }
    text
}

#[test]
fn a_server_that_never_starts_is_a_setup_error() {
    let project = Project::new();
    project.limit("start", 1.0);
    let ran = project.run(&["run", "never-starts"]);
    ran.assert(3, "no answer to `health` within 1 s");
}

#[test]
fn a_step_that_nobody_defines_is_undefined() {
    let project = Project::new();
    project.only(&["honest", "garbage"]);
    project.steps(&[
        "Given the 'a' process is ready",
        "When the 'a' process dances",
    ]);
    let ran = project.run(&["run", "honest"]);
    ran.assert(1, "no platform defines: When the 'a' process dances");
    let told = r#"{"type":"when","pattern":"^the '([^']+)' process dances$"}"#;
    ran.assert(1, told);
    let config = std::fs::read_to_string(project.path("harmony.toml")).unwrap();
    let config = config.replace(
        "[platforms.honest]\n",
        "[platforms.honest]\nlanguage = \"python\"\n",
    );
    project.write("harmony.toml", &config);
    let ran = project.run(&["run", "honest"]);
    ran.assert(1, "@when(r\"the '([^']+)' process dances\")");
}

#[test]
fn a_pattern_that_nobody_understands_defines_nothing_for_sure() {
    let project = Project::new();
    project.only(&["honest", "look-around"]);
    let dances = "When the 'a' process dances";
    project.steps(&["Given the 'b' process is ready", dances]);
    let ran = project.run(&["run", "honest_look-around"]);
    ran.assert(1, "no platform defines: When the 'a' process dances");
    ran.assert(1, "1 undefined");
    ran.assert(1, "warning: look-around: cannot tell what steps ");
    // It may define the step itself, and is asked.
    let ran = project.run(&["run", "look-around_honest"]);
    ran.assert(
        1,
        "No matching step definition found for: the 'a' process dances",
    );
    ran.assert(1, r#"{"type":"when","pattern":"#);
    ran.assert(1, "1 undefined");
    assert!(!ran.out.contains("no platform defines"), "{}", ran.text());
}

#[test]
fn a_step_that_only_another_platform_defines_is_unsupported() {
    let project = Project::new();
    project.only(&["honest", "always-green"]);
    let ran = project.run(&["run", "always-green"]);
    ran.assert(
        0,
        "always-green does not define: Given everything is prepared",
    );
    ran.assert(0, "1 unsupported");
}

#[test]
fn logs_of_every_process_are_kept_whole() {
    let project = Project::new();
    project.run(&["run", "exits_honest"]).assert(1, "logs: ");
    let run = std::fs::read_dir(project.path("out/runs"))
        .unwrap()
        .next()
        .unwrap();
    let folder = run.unwrap().path().join("1.1-exits_honest");
    let log = std::fs::read_to_string(folder.join("0-a-exits.log")).unwrap();
    assert_eq!(log, "about to exit\n");
    assert!(folder.join("1-b-honest.log").exists());
}
