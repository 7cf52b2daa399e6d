//! Cucumber Messages: valid, whole, and of one piece.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use zerobuffer::runner::record::Record;
use zerobuffer::runner::report::messages;

use crate::project::Project;
use crate::reports::{EVERY_OUTCOME, fixture};
use crate::schema::Schema;

const FEATURE: &str = "\
# A comment
@all
Feature: Everything
  What it is about.

  Background:
    Given everything is prepared

  @one @two
  Scenario: 1.1 - Works
    # Another comment
    When the 'a' process works
    Then the 'b' process has a table
      | a | b |
      | 1 | 2 |
    And the 'b' process has a table and text
      \"\"\"
      some text
      \"\"\"

  Rule: A rule
    @three
    Scenario Outline: 1.2 - Counts <n>
      Then the 'a' process counts '<n>'
      @four
      Examples:
        | n |
        | 7 |
        | 8 |
";

fn schema() -> Schema {
    Schema::new(include_str!("../fixtures/cucumber-messages.schema.json"))
}

fn envelopes(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn assert_valid(envelopes: &[Value]) {
    let schema = schema();
    for envelope in envelopes {
        let errors = schema.errors(envelope);
        assert!(errors.is_empty(), "{errors:?}\n{envelope}");
        assert_eq!(envelope.as_object().unwrap().len(), 1, "{envelope}");
    }
}

/// What is in the envelopes of a kind.
fn of<'v>(envelopes: &'v [Value], kind: &str) -> Vec<&'v Value> {
    envelopes
        .iter()
        .filter_map(|envelope| envelope.get(kind))
        .collect()
}

/// Every text under `key`, at any depth.
fn all(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (own, inner) in map {
                match inner {
                    Value::String(text) if own == key => found.push(text.clone()),
                    Value::Array(texts) if own == key => {
                        found.extend(texts.iter().map(|text| text.as_str().unwrap().to_owned()));
                    }
                    _ => all(inner, key, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| all(inner, key, found)),
        _ => {}
    }
}

/// Every identifier is there once, and everything that is referred to is there.
fn assert_of_one_piece(envelopes: &[Value]) {
    let texts = |key: &str| {
        let mut found = Vec::new();
        envelopes
            .iter()
            .for_each(|envelope| all(envelope, key, &mut found));
        found
    };
    let ids = texts("id");
    let known: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(
        known.len(),
        ids.len(),
        "an identifier stands for two things"
    );
    for key in [
        "astNodeId",
        "astNodeIds",
        "pickleId",
        "pickleStepId",
        "hookId",
        "testCaseId",
        "testCaseStartedId",
        "testStepId",
        "testRunStartedId",
    ] {
        let references = texts(key);
        assert!(!references.is_empty(), "{key}");
        for reference in references {
            assert!(known.contains(&reference), "{key} {reference}");
        }
    }
    for kind in ["testCase", "testStep"] {
        let count = |what: &str| of(envelopes, &format!("{kind}{what}")).len();
        assert_eq!(count("Started"), count("Finished"));
    }
}

#[test]
fn messages_of_a_run_are_valid() {
    let project = Project::new();
    project.write("features/01-Fixture.feature", FEATURE);
    let run = [
        "run",
        "-j",
        "2",
        "--retries",
        "1",
        "--repeat",
        "2",
        "fails-once_measures",
        "honest",
    ];
    let ran = project.run(&[&run[..], &["--messages", "live.ndjson"]].concat());
    ran.assert(1, "1 flaky");
    let text = std::fs::read_to_string(project.path("live.ndjson")).unwrap();
    let envelopes = envelopes(&text);
    assert_valid(&envelopes);
    assert_of_one_piece(&envelopes);

    assert_eq!(of(&envelopes, "source")[0]["data"], FEATURE);
    let document = of(&envelopes, "gherkinDocument")[0];
    assert_eq!(document["comments"].as_array().unwrap().len(), 2);
    let children = &document["feature"]["children"];
    assert_eq!(
        children[1]["scenario"]["steps"][1]["dataTable"]["rows"][1]["location"]["line"],
        15
    );
    assert_eq!(
        children[1]["scenario"]["steps"][2]["docString"]["location"]["line"],
        17
    );
    let outline = &children[2]["rule"]["children"][0]["scenario"];
    assert_eq!(
        outline["examples"][0]["tableBody"][1]["cells"][0]["value"],
        "8"
    );
    let pickles = of(&envelopes, "pickle");
    assert_eq!(pickles.len(), 3);
    let nodes = [
        "features/01-Fixture.feature:23",
        "features/01-Fixture.feature:29",
    ];
    assert_eq!(pickles[2]["astNodeIds"], serde_json::json!(nodes));
    let tags: Vec<_> = pickles[2]["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    assert_eq!(tags, ["@all", "@three", "@four"]);

    // 1.1 on two combinations, 1.2 with two rows on two platforms; each twice.
    assert_eq!(of(&envelopes, "testCase").len(), 12);
    let started = of(&envelopes, "testCaseStarted");
    let attempts: Vec<_> = started
        .iter()
        .map(|it| it["attempt"].as_u64().unwrap())
        .collect();
    assert_eq!((attempts.len(), attempts.iter().sum::<u64>()), (12 + 5, 5));
    let retried = of(&envelopes, "testCaseFinished");
    let retried = retried.iter().filter(|it| it["willBeRetried"] == true);
    assert_eq!(retried.count(), 5, "four of them count 8, one fails once");
    let figures = of(&envelopes, "attachment");
    assert!(
        figures
            .iter()
            .all(|it| it["timestamp"]["seconds"].as_u64() > Some(1_700_000_000))
    );
    assert_eq!(of(&envelopes, "testRunFinished")[0]["success"], false);

    project
        .run(&["report", "--messages", "later.ndjson"])
        .assert(0, "");
    let later = std::fs::read_to_string(project.path("later.ndjson")).unwrap();
    assert!(later == text, "a report made later is the same");
}

/// The statuses of the last attempt at a test case, its steps and then the hook.
fn statuses(envelopes: &[Value]) -> BTreeMap<String, Vec<&str>> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for envelope in envelopes {
        if let Some(started) = envelope.get("testCaseStarted") {
            let case = started["testCaseId"].as_str().unwrap();
            found.insert(case.to_owned(), Vec::new());
        }
        if let Some(finished) = envelope.get("testStepFinished") {
            let step = finished["testStepId"].as_str().unwrap();
            let (case, _) = step.rsplit_once('/').unwrap();
            let status = finished["testStepResult"]["status"].as_str().unwrap();
            found.get_mut(case).unwrap().push(status);
        }
    }
    found
}

#[test]
fn every_outcome_has_its_statuses() {
    let record = Record::read(&fixture(EVERY_OUTCOME)).unwrap();
    let envelopes = envelopes(&messages::render(&record));
    assert_valid(&envelopes);
    let statuses = statuses(&envelopes);
    let of = |number: usize| statuses[&format!("execution-{number}")].join(" ");
    for (number, outcome, expected) in [
        (0, "passed", "PASSED PASSED PASSED PASSED"),
        (1, "failed", "PASSED PASSED FAILED PASSED"),
        (2, "timed-out", "PASSED FAILED SKIPPED PASSED"),
        (3, "crashed", "FAILED SKIPPED SKIPPED PASSED"),
        (4, "leaked", "PASSED PASSED FAILED"),
        (6, "undefined", "SKIPPED UNDEFINED PASSED"),
        (7, "unsupported", "SKIPPED SKIPPED SKIPPED"),
        (8, "skipped", "SKIPPED SKIPPED"),
        (9, "known-failure", "SKIPPED SKIPPED"),
        (10, "setup-error", "SKIPPED FAILED"),
        (11, "unexpected-pass", "PASSED PASSED FAILED"),
        (12, "flaky", "PASSED SKIPPED PASSED"),
        (13, "flaky-failure", "PASSED SKIPPED FAILED"),
        (14, "unavailable", "SKIPPED SKIPPED"),
    ] {
        let report = &record.executions[number].report;
        assert_eq!(serde_json::json!(report.outcome), outcome);
        assert_eq!(of(number), expected, "{outcome}");
    }
}

#[test]
fn what_no_step_says_fails_the_hook() {
    let project = Project::new();
    let entry = "[[failure]]\nscenario = \"1.1\"\ncombination = \"fails-once\"\nreason = \"r\"\n\
                 contains = \"another time\"\n";
    project.write("known-failures.toml", entry);
    project.steps(&["When the 'a' process works"]);
    for (mode, words, expected, says) in [
        (
            "skips-and-leaks",
            "1 leaked",
            "FAILED FAILED",
            "leaked: left behind: /dev/shm/zbt-skips-and-leaks_",
        ),
        ("fails-once", "not the known failure", "FAILED PASSED", ""),
    ] {
        let ran = project.run(&["run", "--no-sandbox", mode, "--messages", "out.ndjson"]);
        ran.assert(1, words);
        let text = std::fs::read_to_string(project.path("out.ndjson")).unwrap();
        let envelopes = envelopes(&text);
        assert_valid(&envelopes);
        let found = &statuses(&envelopes)["execution-0"];
        assert_eq!(found.join(" "), expected, "{mode}");
        let hook = of(&envelopes, "testStepFinished")[1];
        let message = hook["testStepResult"]["message"].as_str();
        assert!(message.unwrap_or_default().starts_with(says), "{hook}");
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema();
    let finished = serde_json::json!({"testStepFinished": {
        "testCaseStartedId": "1",
        "testStepId": "2",
        "testStepResult": {"status": "PASSED", "duration": {"seconds": 1, "nanos": 0}},
        "timestamp": {"seconds": 1, "nanos": 0},
    }});
    assert!(schema.errors(&finished).is_empty());
    for (pointer, value) in [
        ("/testStepFinished/testStepResult/status", "GOOD".into()),
        (
            "/testStepFinished/testStepResult/duration/nanos",
            1_000_000_000.into(),
        ),
        ("/testStepFinished/timestamp/nanos", (-1).into()),
        ("/testStepFinished/timestamp", Value::Null),
        (
            "/testStepFinished/timestamp",
            serde_json::json!({"seconds": 1}),
        ),
        (
            "/testStepFinished/timestamp",
            serde_json::json!({"seconds": 1, "nanos": 0, "more": 0}),
        ),
        ("/testStepFinished/testStepId", 2.into()),
    ] {
        let mut wrong = finished.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!schema.errors(&wrong).is_empty(), "{wrong}");
    }
}
