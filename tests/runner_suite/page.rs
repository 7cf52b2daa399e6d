//! The page of a run, without a browser; `tests/page` looks at it in one.

use std::fs;
use std::path::Path;

use serde_json::Value;
use zerobuffer::runner::record::Record;
use zerobuffer::runner::report::html;

use crate::project::Project;
use crate::reports::{EVERY_OUTCOME, REPEATED, cut_log, fixture};

fn page(log: &Path) -> String {
    html::render(&Record::read(log).unwrap())
}

/// What stands between the tags of an element that the page has once.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).expect(start);
    rest.split_once(end).expect(end).0
}

/// The data that the page carries.
fn data(page: &str) -> Value {
    let start = r#"<script type="application/json" id="data">"#;
    serde_json::from_str(between(page, start, "</script>")).unwrap()
}

/// The page without its style, its script and its data.
fn words(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let body = rest.split_once("</style>").unwrap().1;
    let body = body
        .split_once(r#"<script type="application/json""#)
        .unwrap()
        .0;
    format!("{head}{body}")
}

#[test]
fn what_a_page_says_without_its_script() {
    insta::assert_snapshot!("page", words(&page(&fixture(EVERY_OUTCOME))));
    insta::assert_snapshot!("page-repeated", words(&page(&fixture(REPEATED))));
    let folder = tempfile::tempdir().unwrap();
    let cut = words(&page(&cut_log(folder.path())));
    assert!(
        cut.contains("<strong>Not a whole run.</strong> incomplete: "),
        "{cut}"
    );
    assert!(cut.contains("executions failed so far"), "{cut}");
}

#[test]
fn a_page_carries_every_execution() {
    let data = data(&page(&fixture(EVERY_OUTCOME)));
    let executions = data["executions"].as_array().unwrap();
    assert_eq!(
        (executions.len(), data["entries"].as_array().unwrap().len()),
        (17, 17)
    );
    let outcomes: Vec<_> = executions
        .iter()
        .map(|e| e["outcome"].as_u64().unwrap())
        .collect();
    let names: Vec<_> = outcomes
        .iter()
        .map(|at| &data["outcomes"][*at as usize]["name"])
        .collect();
    assert_eq!(names[..4], ["passed", "failed", "timed-out", "crashed"]);
    let failed = &executions[1];
    assert_eq!(failed["steps"].as_array().unwrap().len(), 3);
    assert_eq!(failed["failed"], 13);
    assert_eq!(failed["again"], "./test.sh -v --no-sandbox a_b 1.1");
    assert!(
        failed["logs"].to_string().contains("short read"),
        "{failed}"
    );
}

#[test]
fn repetitions_share_a_button() {
    let data = data(&page(&fixture(REPEATED)));
    let entries = data["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    let all = entries[0]["all"].as_array().unwrap();
    assert_eq!(all.len(), data["executions"].as_array().unwrap().len());
    assert!(all.len() > 1);
}

#[test]
fn nothing_that_a_run_says_becomes_part_of_the_page() {
    let hostile = r#"</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>"'&"#;
    let log = fs::read_to_string(fixture(EVERY_OUTCOME)).unwrap();
    let quoted = serde_json::to_string(&format!("{hostile}\u{2028}\u{2029}")).unwrap();
    // Names, errors, logs and attachments alike.
    let mut log = log;
    for text in ["Simple Write-Read Cycle", "short read", "c/serve", "reader"] {
        log = log.replace(text, quoted.trim_matches('"'));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    fs::write(&path, log).unwrap();
    let (hostile, tame) = (page(&path), page(&fixture(EVERY_OUTCOME)));
    for tag in ["<script", "</script", "<!--", "<img"] {
        assert_eq!(
            hostile.matches(tag).count(),
            tame.matches(tag).count(),
            "{tag}"
        );
    }
    let island = between(&hostile, r#"id="data">"#, "</script>");
    assert!(!island.contains(['<', '\u{2028}', '\u{2029}']));
    assert!(data(&hostile).to_string().contains("<script>alert(1)"));
}

#[test]
fn a_page_needs_nothing_beside_it() {
    let page = page(&fixture(EVERY_OUTCOME));
    assert!(page.contains("default-src 'none'"));
    for attribute in ["src=\"", "href=\"http", "@import", "url("] {
        assert!(!page.contains(attribute), "{attribute}");
    }
}

#[test]
fn a_page_made_later_is_the_same_to_the_byte() {
    let project = Project::new();
    project.only(&["honest", "fails"]);
    project
        .run(&["run", "*_honest", "--html", "live.html"])
        .assert(1, "1 failed");
    project
        .run(&["report", "--html", "later.html"])
        .assert(0, "");
    let text = |name| fs::read(project.path(name)).unwrap();
    assert!(text("live.html").starts_with(b"<!doctype html>"));
    assert!(text("live.html") == text("later.html"));
}
