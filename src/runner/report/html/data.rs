//! The data that the page carries, for its script: one JSON object.
//!
//! Names are short where there is one for every execution, step or line. Times are in microseconds:
//! of an execution from the start of the run, of everything in it from its own start.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::legend::name;
use super::logs::{Limit, merged};
use crate::runner::header::{PlannedScenario, PlannedStep};
use crate::runner::outcome::Outcome;
use crate::runner::record::{ExecutionRecord, Record, StepRecord};
use crate::runner::report::failure::command_again;
use crate::runner::report::repetitions::grouped;

/// How much of the logs of an execution that passed goes into the page.
const PASSED: Limit = Limit {
    lines: 30,
    bytes: 3 << 10,
};

/// How much room the logs of all others have together, in bytes, and how many lines each.
const OTHERS: Limit = Limit {
    lines: 500,
    bytes: 8 << 20,
};

/// How much of it one has at most, in bytes.
const ONE: usize = 64 << 10;

#[derive(Serialize)]
struct Data<'a> {
    run: &'a str,
    repeat: u32,
    /// How many lines of the logs of an execution that passed are there at most.
    lines: usize,
    outcomes: Vec<OutcomeData>,
    platforms: Vec<&'a str>,
    features: Vec<Feature>,
    scenarios: Vec<Scenario<'a>>,
    /// What has a button of its own: all repetitions of an execution.
    entries: Vec<Entry>,
    executions: Vec<Execution<'a>>,
}

#[derive(Serialize)]
struct OutcomeData {
    name: String,
    words: &'static str,
    symbol: char,
    green: bool,
    /// Whether it says nothing, because the run ended too early.
    cut: bool,
}

#[derive(Serialize)]
struct Feature {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Scenario<'a> {
    feature: usize,
    id: &'a str,
    name: &'a str,
    file: &'a Path,
    line: usize,
    tags: &'a [String],
    steps: &'a [PlannedStep],
}

/// Indices of executions.
#[derive(Serialize)]
struct Entry {
    worst: usize,
    all: Vec<usize>,
}

#[derive(Serialize)]
struct Execution<'a> {
    scenario: usize,
    combination: &'a str,
    roles: &'a [(String, String)],
    repetition: u32,
    outcome: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The line of the step that it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    took: i64,
    again: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<&'a Path>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    steps: Vec<Step<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    processes: Vec<Process<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attachments: Vec<(usize, &'a str)>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    leftovers: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tails: &'a [(String, Vec<String>)],
    /// Time, process, level (-1 for a line of the standard error) and text.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    logs: Vec<(i64, usize, i16, &'a str)>,
    /// How many lines come before these.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    #[serde(skip_serializing_if = "is_zero")]
    said_twice: usize,
    /// Where the rest is that is not among the events of the run either.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<&'a Path>,
    /// The attempts that failed before this one.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    earlier: Vec<Execution<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    /// Its index among those of the scenario.
    i: usize,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// Process, when it was sent, how long it took and whether that is what was wanted.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sent: Vec<(usize, i64, Option<i64>, Option<bool>)>,
}

#[derive(Serialize)]
struct Process<'a> {
    number: usize,
    name: &'a str,
    platform: &'a str,
    pid: Option<i32>,
    log: &'a Path,
    at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exited: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    left_behind: usize,
}

/// The data as it stands between the tags of a `script`.
pub fn island(record: &Record) -> String {
    let text = serde_json::to_string(&data(record));
    contained(&text.expect("plain data can be written to memory"))
}

/// JSON in which nothing ends a `script`, begins a comment or ends a line. All of these can only
/// stand within strings.
fn contained(json: &str) -> String {
    let json = json.replace('<', "\\u003c");
    json.replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn data(record: &Record) -> Data<'_> {
    let header = &record.header;
    let (features, scenarios) = scenarios(&header.scenarios);
    let places: BTreeMap<&str, usize> = scenarios
        .iter()
        .enumerate()
        .map(|(at, scenario)| (scenario.id, at))
        .collect();
    let began = header.date.parse().ok();
    let is_passed = |of: &&ExecutionRecord| of.report.outcome == Outcome::Passed;
    let others = record.executions.iter().filter(|of| !is_passed(of)).count();
    let limit = |of: &ExecutionRecord| match is_passed(&of) {
        true => PASSED,
        false => Limit {
            bytes: (OTHERS.bytes / others).clamp(PASSED.bytes, ONE) / (1 + of.earlier.len()),
            ..OTHERS
        },
    };
    let executions = record.executions.iter().map(|of| {
        let scenario = places[of.report.info.id.as_str()];
        execution(record, of, scenario, began, limit(of))
    });
    let outcomes = Outcome::ALL.into_iter().map(|outcome| OutcomeData {
        name: name(outcome),
        words: outcome.words(),
        symbol: outcome.symbol(),
        green: outcome.is_green(),
        cut: outcome.is_cut_short(),
    });
    Data {
        run: &header.run,
        repeat: header.repeat,
        lines: PASSED.lines,
        outcomes: outcomes.collect(),
        platforms: header.platforms.iter().map(|p| p.name.as_str()).collect(),
        features,
        scenarios,
        entries: entries(record),
        executions: executions.collect(),
    }
}

/// The scenarios, and the features that they are in.
fn scenarios(planned: &[PlannedScenario]) -> (Vec<Feature>, Vec<Scenario<'_>>) {
    let mut features: Vec<Feature> = Vec::new();
    let scenarios = planned.iter().map(|planned| {
        let id = planned.id.split('.').next().unwrap_or_default();
        let known = features.iter().position(|feature| feature.id == id);
        let feature = known.unwrap_or_else(|| {
            features.push(Feature {
                id: id.to_owned(),
                name: feature_name(&planned.file),
            });
            features.len() - 1
        });
        Scenario {
            feature,
            id: &planned.id,
            name: &planned.name,
            file: &planned.file,
            line: planned.line,
            tags: &planned.tags,
            steps: &planned.steps,
        }
    });
    let scenarios = scenarios.collect();
    (features, scenarios)
}

/// `Basic Communication` of `features/01-Basic-Communication.feature`.
fn feature_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '_');
    name.replace(['-', '_'], " ")
}

fn entries(record: &Record) -> Vec<Entry> {
    let mut all: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, execution) in record.executions.iter().enumerate() {
        let info = &execution.report.info;
        all.entry((&info.id, &info.combination))
            .or_default()
            .push(at);
        places.insert(info.number, at);
    }
    let reports = record.executions.iter().map(|execution| &execution.report);
    let entries = grouped(reports).into_iter().map(|group| {
        let info = &group.worst.info;
        let own = all.remove(&(info.id.as_str(), info.combination.as_str()));
        Entry {
            worst: places[&info.number],
            all: own.unwrap_or_default(),
        }
    });
    entries.collect()
}

fn execution<'a>(
    record: &'a Record,
    of: &'a ExecutionRecord,
    scenario: usize,
    began: Option<Timestamp>,
    limit: Limit,
) -> Execution<'a> {
    let report = &of.report;
    let info = &report.info;
    let origin = of.started.unwrap_or(0.0);
    let since = |at: f64| micros(at - origin);
    let logs = merged(of, began, limit);
    let lines = logs.lines.iter().map(|(at, line)| {
        let level = line.record.as_ref().map_or(-1, |r| i16::from(r.level));
        (since(*at), line.process, level, line.text.as_str())
    });
    let outcome = Outcome::ALL.iter().position(|o| *o == report.outcome);
    let attachments = of.attachments.iter();
    let earlier = of.earlier.iter();
    let earlier = earlier.map(|of| execution(record, of, scenario, began, limit));
    Execution {
        scenario,
        combination: &info.combination,
        roles: &info.roles,
        repetition: info.repetition,
        outcome: outcome.expect("all outcomes are there"),
        reason: report.reason.as_deref(),
        failed: report.failed_step.as_ref().map(|step| step.line),
        at: of.started.map(micros),
        took: length(report.took),
        again: command_again(&record.header.again, info),
        folder: report.folder.as_deref(),
        steps: of.steps.iter().map(|of| step(of, &since)).collect(),
        processes: processes(of, &since),
        attachments: attachments.map(|a| (a.step, a.text.as_str())).collect(),
        warnings: &report.warnings,
        leftovers: &report.leftovers,
        tails: &report.tails,
        logs: lines.collect(),
        left_out: logs.left_out,
        said_twice: logs.said_twice,
        more: of.more_logs.as_deref(),
        earlier: earlier.collect(),
    }
}

fn step<'a>(of: &'a StepRecord, since: &impl Fn(f64) -> i64) -> Step<'a> {
    let end = of.end.as_ref();
    let sent = of.sent.iter().map(|sent| {
        let answer = sent.answer.as_ref();
        let took = answer.map(|answer| length(answer.took));
        (
            sent.process,
            since(sent.at),
            took,
            answer.map(|a| a.success),
        )
    });
    Step {
        i: of.index,
        at: since(of.started),
        took: end.map(|end| length(end.took)),
        ok: end.map(|end| end.success),
        error: end.and_then(|end| end.error.as_deref()),
        sent: sent.collect(),
    }
}

fn processes<'a>(of: &'a ExecutionRecord, since: &impl Fn(f64) -> i64) -> Vec<Process<'a>> {
    let processes = of.processes.iter().map(|process| Process {
        number: process.info.number,
        name: &process.info.name,
        platform: &process.info.platform,
        pid: process.info.pid,
        log: &process.info.log,
        at: since(process.started),
        ready: process.ready.map(since),
        exited: process.exited.map(since),
        how: process.how.as_deref(),
        left_behind: process.left_behind,
    });
    processes.collect()
}

fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn length(time: Duration) -> i64 {
    micros(time.as_secs_f64())
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_gets_out_of_its_string() {
        let hostile = "</script><!--\u{2028}\u{2029}\"\\u003c";
        let json = serde_json::to_string(hostile).unwrap();
        let contained = contained(&json);
        assert!(!contained.contains(['<', '\u{2028}', '\u{2029}']));
        assert_eq!(serde_json::from_str::<String>(&contained).unwrap(), hostile);
    }

    #[test]
    fn a_feature_is_called_as_its_file() {
        let name = |file: &str| feature_name(file.as_ref());
        assert_eq!(
            name("features/01-Basic-Communication.feature"),
            "Basic Communication"
        );
        assert_eq!(name("x/Shapes.feature"), "Shapes");
    }
}
