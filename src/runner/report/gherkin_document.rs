//! A feature file as Cucumber Messages tell it: its text and its syntax tree.
//!
//! A node of the tree is called by file and line, `features/13-Duplex.feature:7`; a tag by its name
//! as well, for several may stand in a line.

use gherkin::{Background, Examples, Feature, GherkinEnv, Rule, Scenario, Step, StepType};
use serde_json::{Value, json};

use crate::runner::header::FeatureSource;

/// A feature file.
pub struct Document<'a> {
    uri: String,
    text: &'a str,
    lines: Vec<&'a str>,
    /// `None` for a text that is no Gherkin, as no run can have.
    feature: Option<Feature>,
}

impl<'a> Document<'a> {
    /// Reads a text.
    pub fn new(source: &'a FeatureSource) -> Document<'a> {
        let text = source.text.as_str();
        Document {
            uri: source.file.display().to_string(),
            text,
            lines: text.lines().collect(),
            feature: Feature::parse(text, GherkinEnv::default()).ok(),
        }
    }

    /// Its name in all messages.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The language that its first comment names.
    pub fn language(&self) -> &str {
        let first = self
            .lines
            .first()
            .map(|line| line.trim_start_matches(['#', ' ']));
        let named = first.and_then(|line| line.strip_prefix("language:"));
        named.map_or("en", str::trim)
    }

    /// The messages with its text and its tree.
    pub fn envelopes(&self) -> Vec<Value> {
        let source = json!({"source": {
            "uri": self.uri,
            "data": self.text,
            "mediaType": "text/x.cucumber.gherkin+plain",
        }});
        let mut document = json!({"uri": self.uri, "comments": self.comments()});
        if let Some(feature) = &self.feature {
            document["feature"] = self.feature(feature);
        }
        vec![source, json!({"gherkinDocument": document})]
    }

    /// The node of the so many-th row of examples of the scenario in a line.
    pub fn row(&self, scenario: usize, number: usize) -> Option<String> {
        let (scenario, _) = self.scenario_in(scenario)?;
        let rows = scenario
            .examples
            .iter()
            .flat_map(|examples| self.table(examples).skip(1));
        rows.into_iter()
            .nth(number.checked_sub(1)?)
            .map(|line| self.id(line))
    }

    /// The node of a tag that the scenario in a line has, its own or one of those around it.
    pub fn tag(&self, scenario: usize, tag: &str) -> Option<String> {
        let (scenario, rule) = self.scenario_in(scenario)?;
        let mut places = vec![(scenario.position.line, &scenario.tags)];
        places.extend(
            scenario
                .examples
                .iter()
                .map(|it| (it.position.line, &it.tags)),
        );
        places.extend(rule.map(|rule| (rule.position.line, &rule.tags)));
        let feature = self.feature.as_ref()?;
        places.push((feature.position.line, &feature.tags));
        let (line, _) = places
            .into_iter()
            .find(|(_, tags)| tags.iter().any(|own| own == tag))?;
        Some(self.tag_id(self.line_of_tag(line, tag), tag))
    }

    fn scenario_in(&self, line: usize) -> Option<(&Scenario, Option<&Rule>)> {
        let feature = self.feature.as_ref()?;
        let plain = feature.scenarios.iter().map(|scenario| (scenario, None));
        let ruled = feature.rules.iter().flat_map(|rule| {
            let scenarios = rule.scenarios.iter();
            scenarios.map(move |scenario| (scenario, Some(rule)))
        });
        plain
            .chain(ruled)
            .find(|(scenario, _)| scenario.position.line == line)
    }

    fn id(&self, line: usize) -> String {
        format!("{}:{line}", self.uri)
    }

    fn tag_id(&self, line: usize, tag: &str) -> String {
        format!("{}:{line}:@{tag}", self.uri)
    }

    /// The line of a tag above the thing in `line` that it belongs to.
    fn line_of_tag(&self, line: usize, tag: &str) -> usize {
        let tag = format!("@{tag}");
        let has_it = |line: &usize| self.words(*line).any(|word| word == tag);
        (1..line).rev().find(has_it).unwrap_or(line)
    }

    fn words(&self, line: usize) -> impl Iterator<Item = &str> {
        let text = self.lines.get(line - 1).copied().unwrap_or_default();
        text.split_whitespace()
    }

    fn comments(&self) -> Vec<Value> {
        let mut fence = None;
        let mut comments = Vec::new();
        for (line, text) in (1..).zip(&self.lines) {
            let trimmed = text.trim();
            let begins = ["\"\"\"", "```"]
                .into_iter()
                .find(|it| trimmed.starts_with(it));
            match (fence, begins) {
                (None, Some(_)) => fence = begins,
                (Some(_), _) if begins == fence => fence = None,
                (None, None) if trimmed.starts_with('#') => {
                    comments.push(json!({"location": {"line": line, "column": 1}, "text": text}));
                }
                _ => {}
            }
        }
        comments
    }

    fn feature(&self, feature: &Feature) -> Value {
        let mut children: Vec<Value> = Vec::new();
        children.extend(
            feature
                .background
                .iter()
                .map(|it| json!({"background": self.background(it)})),
        );
        children.extend(
            feature
                .scenarios
                .iter()
                .map(|it| json!({"scenario": self.scenario(it)})),
        );
        children.extend(
            feature
                .rules
                .iter()
                .map(|it| json!({"rule": self.rule(it)})),
        );
        json!({
            "location": {"line": feature.position.line},
            "tags": self.tags(feature.position.line, &feature.tags),
            "language": self.language(),
            "keyword": feature.keyword.trim(),
            "name": feature.name,
            "description": feature.description.as_deref().unwrap_or_default(),
            "children": children,
        })
    }

    fn rule(&self, rule: &Rule) -> Value {
        let line = rule.position.line;
        let mut children: Vec<Value> = Vec::new();
        children.extend(
            rule.background
                .iter()
                .map(|it| json!({"background": self.background(it)})),
        );
        children.extend(
            rule.scenarios
                .iter()
                .map(|it| json!({"scenario": self.scenario(it)})),
        );
        json!({
            "id": self.id(line),
            "location": {"line": line},
            "tags": self.tags(line, &rule.tags),
            "keyword": rule.keyword.trim(),
            "name": rule.name,
            "description": rule.description.as_deref().unwrap_or_default(),
            "children": children,
        })
    }

    fn background(&self, background: &Background) -> Value {
        let line = background.position.line;
        json!({
            "id": self.id(line),
            "location": {"line": line},
            "keyword": background.keyword.trim(),
            "name": background.name,
            "description": background.description.as_deref().unwrap_or_default(),
            "steps": self.steps(&background.steps),
        })
    }

    fn scenario(&self, scenario: &Scenario) -> Value {
        let line = scenario.position.line;
        let examples = scenario.examples.iter().map(|it| self.examples(it));
        json!({
            "id": self.id(line),
            "location": {"line": line},
            "tags": self.tags(line, &scenario.tags),
            "keyword": scenario.keyword.trim(),
            "name": scenario.name,
            "description": scenario.description.as_deref().unwrap_or_default(),
            "steps": self.steps(&scenario.steps),
            "examples": examples.collect::<Vec<_>>(),
        })
    }

    fn examples(&self, examples: &Examples) -> Value {
        let line = examples.position.line;
        let rows = examples.table.as_ref().map_or(&[][..], |table| &table.rows);
        let rows = self
            .table(examples)
            .zip(rows)
            .map(|(line, cells)| self.row_in(line, cells));
        let mut rows = rows.collect::<Vec<_>>().into_iter();
        let mut told = json!({
            "id": self.id(line),
            "location": {"line": line},
            "tags": self.tags(line, &examples.tags),
            "keyword": examples.keyword.trim(),
            "name": examples.name.as_deref().unwrap_or_default(),
            "description": examples.description.as_deref().unwrap_or_default(),
        });
        if let Some(header) = rows.next() {
            told["tableHeader"] = header;
        }
        told["tableBody"] = rows.collect();
        told
    }

    /// The lines of the rows of examples.
    fn table(&self, examples: &Examples) -> impl Iterator<Item = usize> {
        let count = examples.table.as_ref().map_or(0, |table| table.rows.len());
        self.rows_behind(examples.position.line).take(count)
    }

    /// The lines of rows behind a line.
    fn rows_behind(&self, line: usize) -> impl Iterator<Item = usize> {
        let is_row = |line: &usize| {
            let text = self.lines.get(*line - 1);
            text.is_some_and(|text| text.trim_start().starts_with('|'))
        };
        (line + 1..=self.lines.len()).filter(is_row)
    }

    fn row_in(&self, line: usize, cells: &[String]) -> Value {
        let location = json!({"line": line});
        let cell = |value: &String| json!({"location": location, "value": value});
        json!({
            "id": self.id(line),
            "location": location,
            "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        })
    }

    fn tags(&self, line: usize, tags: &[String]) -> Vec<Value> {
        let tag = |tag: &String| {
            let line = self.line_of_tag(line, tag);
            json!({
                "id": self.tag_id(line, tag),
                "location": {"line": line},
                "name": format!("@{tag}"),
            })
        };
        tags.iter().map(tag).collect()
    }

    fn steps(&self, steps: &[Step]) -> Vec<Value> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &Step) -> Value {
        let line = step.position.line;
        let keyword = step.keyword.trim();
        let kind = match (keyword, step.ty) {
            ("Given", StepType::Given) => "Context",
            ("When", StepType::When) => "Action",
            ("Then", StepType::Then) => "Outcome",
            ("*", _) => "Unknown",
            _ => "Conjunction",
        };
        let mut told = json!({
            "id": self.id(line),
            "location": {"line": line},
            "keyword": format!("{keyword} "),
            "keywordType": kind,
            "text": step.value.trim(),
        });
        if let Some(table) = &step.table {
            let lines: Vec<usize> = self.rows_behind(line).take(table.rows.len()).collect();
            let rows = lines.iter().zip(&table.rows);
            told["dataTable"] = json!({
                "location": {"line": lines.first()},
                "rows": rows.map(|(line, cells)| self.row_in(*line, cells)).collect::<Vec<_>>(),
            });
        }
        if let Some(content) = &step.docstring {
            let text = self.lines.get(line).map_or("", |text| text.trim());
            let delimiter = if text.starts_with("```") {
                "```"
            } else {
                "\"\"\""
            };
            told["docString"] = json!({
                "location": {"line": line + 1},
                "content": content,
                "delimiter": delimiter,
            });
        }
        told
    }
}
