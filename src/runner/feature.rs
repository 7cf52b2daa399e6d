//! Feature files, parsed into the scenarios that can be run.
//!
//! Backgrounds are put before the steps of their scenarios, outlines are expanded, and tags of
//! all levels are joined, so that every later stage sees plain [`Scenario`]s.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gherkin::GherkinEnv;
use regex::Regex;

use super::scenario::{SHM_SIZE, STEP_TIMEOUT, Scenario, ScenarioId, Step, number_in};
use crate::rpc::message::StepType;

/// The number of a feature whose file has none.
const NO_NUMBER: u32 = 0;

/// What is wrong with a feature file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct FeatureError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

/// Reads every `*.feature` file in `folder`, in the order of their scenarios' ids.
///
/// # Errors
///
/// The first file that cannot be read or parsed, a scenario without steps, two scenarios of one id,
/// and a folder without feature files.
pub fn read_folder(folder: &Path) -> Result<Vec<Scenario>, FeatureError> {
    let whole = |file: &Path, message: String| FeatureError {
        file: file.to_owned(),
        line: None,
        message,
    };
    let unreadable = |error: std::io::Error| {
        let message = format!("the features folder cannot be read: {error}");
        whole(folder, message)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "feature")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(whole(folder, "there is no *.feature file in it".to_owned()));
    }
    files.sort();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| whole(&file, format!("cannot be read: {error}")))?;
        scenarios.extend(parse(&file, &text)?);
    }
    scenarios.sort_by_key(|scenario| scenario.id);
    if let Some(pair) = scenarios.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(FeatureError {
            file: pair[1].file.clone(),
            line: Some(pair[1].line),
            message: format!(
                "scenario {} is also at {}:{}{}",
                pair[1].id,
                pair[0].file.display(),
                pair[0].line,
                remedy(pair)
            ),
        });
    }
    Ok(scenarios)
}

/// What to do where two scenarios have the same id.
fn remedy(pair: &[Scenario]) -> &'static str {
    match pair[0].id.feature == NO_NUMBER && pair[0].file != pair[1].file {
        true => {
            "; begin the names of the files with a number each, for example 1-Name.feature: the ids of \
             their scenarios begin with it"
        }
        false => "",
    }
}

/// Parses the text of one feature file.
///
/// # Errors
///
/// What the parser refuses, and scenarios that could not fail: ones without steps, outlines
/// without examples.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Scenario>, FeatureError> {
    let feature = gherkin::Feature::parse(text, GherkinEnv::default()).map_err(|_| {
        let (line, found) = culprit(text);
        FeatureError {
            file: file.to_owned(),
            line: Some(line),
            message: format!("this cannot be read as Gherkin here: `{found}`"),
        }
    })?;
    let mut parsed = Parsed {
        file,
        feature_id: leading_number(file).unwrap_or(NO_NUMBER),
        ordinal: 0,
        scenarios: Vec::new(),
    };
    let background: Vec<&gherkin::Step> = background_steps(feature.background.as_ref()).collect();
    for scenario in &feature.scenarios {
        parsed.scenario(scenario, &feature.tags, &background)?;
    }
    for rule in &feature.rules {
        let mut background = background.clone();
        background.extend(background_steps(rule.background.as_ref()));
        let tags = [feature.tags.as_slice(), &rule.tags].concat();
        for scenario in &rule.scenarios {
            parsed.scenario(scenario, &tags, &background)?;
        }
    }
    Ok(parsed.scenarios)
}

fn background_steps(
    background: Option<&gherkin::Background>,
) -> impl Iterator<Item = &gherkin::Step> {
    background
        .into_iter()
        .flat_map(|background| &background.steps)
}

/// What one file has yielded so far.
struct Parsed<'a> {
    file: &'a Path,
    feature_id: u32,
    ordinal: u32,
    scenarios: Vec<Scenario>,
}

impl Parsed<'_> {
    fn error(&self, line: usize, message: impl Into<String>) -> FeatureError {
        FeatureError {
            file: self.file.to_owned(),
            line: Some(line),
            message: message.into(),
        }
    }

    /// Adds a scenario, or every row of an outline.
    fn scenario(
        &mut self,
        scenario: &gherkin::Scenario,
        outer_tags: &[String],
        background: &[&gherkin::Step],
    ) -> Result<(), FeatureError> {
        self.ordinal += 1;
        let line = scenario.position.line;
        if scenario.steps.is_empty() {
            let message = format!("scenario `{}` has no steps", scenario.name);
            return Err(self.error(line, message));
        }
        let tags = [outer_tags, &scenario.tags].concat();
        self.check_tags(&tags, line)?;
        let steps = || background.iter().copied().chain(&scenario.steps);
        let outline = scenario.keyword.contains("Outline") || scenario.keyword.contains("Template");
        if scenario.examples.is_empty() && !outline {
            let plain = self.build(scenario, line, tags, steps().map(step).collect(), 0);
            self.scenarios.push(plain);
            return Ok(());
        }
        let mut number = 0;
        for examples in &scenario.examples {
            let rows = examples.table.as_ref().map_or(&[][..], |table| &table.rows);
            let Some((header, rows)) = rows.split_first() else {
                continue;
            };
            for values in rows {
                number += 1;
                let fill = |text: &str| fill(text, header, values);
                let steps = steps().map(|from| fill_step(step(from), &fill)).collect();
                let tags = [tags.as_slice(), &examples.tags].concat();
                self.check_tags(&tags, line)?;
                let mut row = self.build(scenario, line, tags, steps, number);
                row.name = fill(&row.name);
                self.scenarios.push(row);
            }
        }
        if number == 0 {
            let message = format!("outline `{}` has no examples", scenario.name);
            return Err(self.error(line, message));
        }
        Ok(())
    }

    /// Refuses a tag that should hold a number and does not: it would be as good as none.
    fn check_tags(&self, tags: &[String], line: usize) -> Result<(), FeatureError> {
        for (name, what) in [
            (STEP_TIMEOUT, "limit in seconds"),
            (SHM_SIZE, "size in MiB"),
        ] {
            for tag in tags.iter().filter(|tag| tag.starts_with(name)) {
                if number_in(tag, name).is_none_or(|number| number == 0) {
                    let message = format!("`@{tag}` is no {what}; an example: @{name}(90)");
                    return Err(self.error(line, message));
                }
            }
        }
        Ok(())
    }

    fn build(
        &self,
        scenario: &gherkin::Scenario,
        line: usize,
        tags: Vec<String>,
        steps: Vec<Step>,
        row: u32,
    ) -> Scenario {
        let (feature, number, name) = match numbered(&scenario.name) {
            Some(found) => found,
            None => (self.feature_id, self.ordinal, scenario.name.as_str()),
        };
        Scenario {
            id: ScenarioId {
                feature,
                number,
                row,
            },
            name: name.to_owned(),
            file: self.file.to_owned(),
            line,
            tags,
            steps,
        }
    }
}

fn step(step: &gherkin::Step) -> Step {
    Step {
        kind: match step.ty {
            gherkin::StepType::Given => StepType::Given,
            gherkin::StepType::When => StepType::When,
            gherkin::StepType::Then => StepType::Then,
        },
        text: step.value.trim().to_owned(),
        table: step.table.as_ref().map(|table| table.rows.clone()),
        doc_string: step.docstring.clone(),
        line: step.position.line,
    }
}

fn fill_step(step: Step, fill: &impl Fn(&str) -> String) -> Step {
    let cells = |row: Vec<String>| row.iter().map(|cell| fill(cell)).collect();
    Step {
        text: fill(&step.text),
        table: step.table.map(|rows| rows.into_iter().map(cells).collect()),
        doc_string: step.doc_string.map(|text| fill(&text)),
        ..step
    }
}

/// Puts the values of an examples row in the places of `<header>`.
fn fill(text: &str, header: &[String], values: &[String]) -> String {
    let value_of = |name: &str| {
        let column = header.iter().position(|own| own == name)?;
        values.get(column)
    };
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        filled.push_str(before);
        let named = behind.split_once('>');
        let known = named.and_then(|(name, after)| Some((value_of(name)?, after)));
        rest = match known {
            Some((value, after)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('<');
                behind
            }
        };
    }
    filled + rest
}

/// Splits a name such as `13.1 - Name`, `Test 13.1 - Name`, `13.1 Name` or `13.1: Name`.
fn numbered(name: &str) -> Option<(u32, u32, &str)> {
    static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:[Tt]est\s+)?(\d+)\.(\d+)(?:\s*[-:]\s*|\s+|$)(.*)$")
            .expect("the pattern is a constant")
    });
    let (_, [feature, number, rest]) = NUMBERED.captures(name.trim())?.extract();
    Some((feature.parse().ok()?, number.parse().ok()?, rest))
}

/// The number that a file's name begins with.
fn leading_number(file: &Path) -> Option<u32> {
    let name = file.file_name()?.to_str()?;
    let digits = name
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(name.len());
    name[..digits].parse().ok()
}

/// The line that the parser cannot go beyond. The position that it tells itself may lie behind
/// it, so this is the one behind the longest beginning of the file that can be parsed, without
/// the tags that belong to it.
fn culprit(text: &str) -> (usize, &str) {
    let lines: Vec<&str> = text.lines().collect();
    let parses = |count: &usize| {
        let beginning = lines[..*count].join("\n");
        gherkin::Feature::parse(beginning, GherkinEnv::default()).is_ok()
    };
    let good = (0..lines.len()).rev().find(parses).unwrap_or(0);
    let tags_or_blank = |line: &&str| line.trim().is_empty() || line.trim().starts_with(['@', '#']);
    let skipped = lines[good..]
        .iter()
        .copied()
        .take_while(tags_or_blank)
        .count();
    match lines.get(good + skipped) {
        Some(line) => (good + skipped + 1, line.trim()),
        None => (good + 1, lines.get(good).map_or("", |line| line.trim())),
    }
}

#[cfg(test)]
mod tests;
