//! The feature files' phrases and the step server's definitions fit each other.

#![allow(clippy::unwrap_used)]

mod serve_support;

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;
use serve_support::{Run, StepServer};
use zerobuffer::runner::feature;
use zerobuffer::runner::route::{self, Destination, RoutedScenario};
use zerobuffer::runner::scenario::Step;

struct Definition {
    kind: String,
    regex: Regex,
}

fn definitions() -> Vec<Definition> {
    let mut server = StepServer::start(&Run::new(), &[]);
    let discovered = server.call("discover", Value::Null);
    let steps = discovered["steps"].as_array().unwrap();
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    steps
        .iter()
        .map(|step| Definition {
            kind: text(step, "type"),
            regex: Regex::new(&text(step, "pattern")).unwrap(),
        })
        .collect()
}

/// Every scenario that a step server plays its part in.
fn scenarios() -> Vec<RoutedScenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    let scenarios = feature::read_folder(&folder).unwrap();
    scenarios.into_iter().map(route::route).collect()
}

/// The steps that go to step servers.
fn steps() -> Vec<Step> {
    let routed = scenarios().into_iter().flat_map(|s| s.steps);
    let to_servers = routed.filter(|step| !matches!(step.to, Destination::Runner(_)));
    to_servers.map(|step| step.step).collect()
}

#[test]
fn every_phrase_has_one_definition_for_its_keyword() {
    let definitions = definitions();
    let mut checked = 0;
    for step in steps() {
        let kind = step.kind.to_string().to_lowercase();
        let fitting = definitions
            .iter()
            .filter(|d| d.kind == kind && d.regex.is_match(&step.text));
        assert_eq!(fitting.count(), 1, "{kind} {}", step.text);
        checked += 1;
    }
    assert!(checked > 80, "{checked} steps");
}

#[test]
fn no_phrase_fits_two_definitions() {
    let definitions = definitions();
    for step in steps() {
        let fitting: BTreeSet<_> = definitions
            .iter()
            .filter(|definition| definition.regex.is_match(&step.text))
            .map(|definition| definition.regex.as_str())
            .collect();
        assert!(fitting.len() <= 1, "{} fits {fitting:?}", step.text);
    }
}

#[test]
fn phrases_are_found_without_the_role_too_and_with_the_variants_of_other_files() {
    let definitions = definitions();
    for phrase in [
        "creates buffer 'b' with metadata size '1' and payload size '2'",
        "connects to buffer 'b'",
        "writes metadata with size '1'",
        "writes metadata 'text'",
        "the 'reader' process should have metadata 'text'",
        "the 'writer' process writes frame with data 'text'",
        "should read frame with data 'text'",
        "writes frame with size '1'",
        "writes frame with sequence '1'",
        "writes frame with size '1' and sequence '2'",
        "should read frame with sequence '1';",
        "should read frame with sequence '1'",
        "should read frame with size '1'",
        "signals space available",
        "should read 2 frames with sizes '1, 2' in order",
        "reads frames with '0' ms delay between each read",
    ] {
        let fitting: BTreeSet<_> = definitions
            .iter()
            .filter(|definition| definition.regex.is_match(phrase))
            .map(|definition| definition.regex.as_str())
            .collect();
        assert_eq!(fitting.len(), 1, "{phrase} fits {fitting:?}");
    }
}
