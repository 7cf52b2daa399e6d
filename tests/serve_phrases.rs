//! The feature files' phrases and the step server's definitions fit each other.

#![allow(clippy::unwrap_used)]

mod serve_support;

use std::collections::BTreeSet;
use std::path::Path;

use gherkin::{Feature, GherkinEnv, Step};
use regex::Regex;
use serde_json::Value;
use serve_support::{Run, StepServer};

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

fn features() -> Vec<Feature> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    let mut features = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "feature")
        {
            features.push(Feature::parse_path(path, GherkinEnv::default()).unwrap());
        }
    }
    assert!(!features.is_empty());
    features
}

/// Every step of a feature, of pending scenarios only if asked for.
fn steps(feature: &Feature, pending: bool) -> Vec<Step> {
    let scenarios = feature.scenarios.iter();
    let chosen = scenarios.filter(|s| pending || !s.tags.iter().any(|tag| tag == "pending"));
    let background = feature.background.iter().flat_map(|b| b.steps.clone());
    let background: Vec<Step> = background.collect();
    chosen
        .flat_map(|scenario| [background.clone(), scenario.steps.clone()].concat())
        .collect()
}

fn kind_of(step: &Step) -> String {
    format!("{:?}", step.ty).to_lowercase()
}

/// Whether an orchestrator carries the step out itself.
fn is_of_the_orchestrator(step: &Step) -> bool {
    let pattern =
        r"^wait for '|^kill \w+ process$|^the '[^']+' process (is killed|is shutdown|crashes)\b";
    Regex::new(pattern).unwrap().is_match(&step.value)
}

#[test]
fn every_phrase_has_one_definition_for_its_keyword() {
    let definitions = definitions();
    let mut checked = 0;
    for step in features().iter().flat_map(|f| steps(f, false)) {
        if is_of_the_orchestrator(&step) {
            continue;
        }
        let kind = kind_of(&step);
        let fitting = definitions
            .iter()
            .filter(|d| d.kind == kind && d.regex.is_match(&step.value));
        assert_eq!(fitting.count(), 1, "{kind} {}", step.value);
        checked += 1;
    }
    assert!(checked > 80, "{checked} steps");
}

#[test]
fn no_phrase_fits_two_definitions() {
    let definitions = definitions();
    for step in features().iter().flat_map(|f| steps(f, true)) {
        let fitting: BTreeSet<_> = definitions
            .iter()
            .filter(|definition| definition.regex.is_match(&step.value))
            .map(|definition| definition.regex.as_str())
            .collect();
        assert!(fitting.len() <= 1, "{} fits {fitting:?}", step.value);
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
