//! Cucumber Messages: what tools for Cucumber read, one envelope a line.
//!
//! A scenario, or a row of an outline, is a pickle. Every execution of it is a test case of its own,
//! so is every repetition; another attempt is the same test case started once more. Identifiers are
//! made of what they stand for (`features/13-Duplex.feature:7`, `execution-12/step-0`), so that two
//! reports of a run are the same.
//!
//! Messages know no failure that is expected, and none outside of steps. So a step that is known to
//! fail counts as skipped, and each test case ends with a hook that fails where something went wrong
//! and no step says so: a leak, for example, whether a step was not well either or not.

use std::path::Path;

use serde_json::{Value, json};

use super::failure::details;
use super::gherkin_document::Document;
use crate::rpc::message::StepType;
use crate::runner::event::ExecutionInfo;
use crate::runner::exit::Exit;
use crate::runner::header::{Header, PlannedScenario, PlannedStep};
use crate::runner::outcome::Outcome;
use crate::runner::record::{ExecutionRecord, Record, StepRecord};

/// The version of the messages.
const PROTOCOL: &str = "34.2.1";

/// The run, where messages name it.
const RUN: &str = "run";

/// The hook in which every test case ends.
const HOOK: &str = "hook";

/// Makes the report.
pub fn render(record: &Record) -> String {
    let header = &record.header;
    let clock = Clock::new(header);
    let documents: Vec<Document<'_>> = header.sources.iter().map(Document::new).collect();
    let mut all = vec![meta(header)];
    all.extend(documents.iter().flat_map(Document::envelopes));
    all.extend(header.scenarios.iter().map(|it| pickle(it, &documents)));
    all.push(json!({"hook": {
        "id": HOOK,
        "name": "outcome",
        "type": "AFTER_TEST_CASE",
        "sourceReference": {},
    }}));
    all.push(json!({"testRunStarted": {"id": RUN, "timestamp": clock.at(0.0)}}));
    let executions = record.executions.iter();
    let known = executions.filter_map(|it| Some((it, header.scenario(&it.report.info.id)?)));
    let known: Vec<_> = known.collect();
    all.extend(
        known
            .iter()
            .map(|(it, scenario)| test_case(&it.report.info, scenario)),
    );
    let mut happened = Vec::new();
    for (execution, scenario) in &known {
        for attempt in &execution.earlier {
            Attempt::new(record, scenario, attempt, true).tell(&clock, &mut happened);
        }
        Attempt::new(record, scenario, execution, false).tell(&clock, &mut happened);
    }
    happened.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    all.extend(happened.into_iter().map(|(_, envelope)| envelope));
    all.push(finished(record, &clock));
    all.iter().map(|envelope| format!("{envelope}\n")).collect()
}

fn meta(header: &Header) -> Value {
    let kernel = &header.machine.kernel;
    let mut words = kernel.split(' ');
    let [os, version] = [words.next(), words.next()].map(Option::unwrap_or_default);
    json!({"meta": {
        "protocolVersion": PROTOCOL,
        "implementation": {"name": "harmony", "version": header.harmony},
        "runtime": {"name": "harmony", "version": header.harmony},
        "os": {"name": os, "version": version},
        "cpu": {"name": words.next().unwrap_or_default()},
    }})
}

fn pickle_id(scenario: &PlannedScenario) -> String {
    format!("scenario-{}", scenario.id)
}

fn pickle(scenario: &PlannedScenario, documents: &[Document<'_>]) -> Value {
    let file = scenario.file.display().to_string();
    let document = documents.iter().find(|document| document.uri() == file);
    let id = pickle_id(scenario);
    let row = scenario
        .id
        .split_once('#')
        .and_then(|(_, row)| row.parse().ok());
    let mut nodes = vec![format!("{file}:{}", scenario.line)];
    nodes.extend(row.and_then(|row| document?.row(scenario.line, row)));
    let tag = |tag: &String| {
        let node = document.and_then(|document| document.tag(scenario.line, tag));
        let node = node.unwrap_or_else(|| file.clone());
        json!({"name": format!("@{tag}"), "astNodeId": node})
    };
    let steps = scenario.steps.iter().enumerate();
    let language = document.map_or("en", |document| document.language());
    json!({"pickle": {
        "id": id,
        "uri": file,
        "location": {"line": scenario.line},
        "name": format!("{} - {}", scenario.id, scenario.name),
        "language": language,
        "astNodeIds": nodes,
        "tags": scenario.tags.iter().map(tag).collect::<Vec<_>>(),
        "steps": steps.map(|(index, step)| pickle_step(&id, &file, index, step)).collect::<Vec<_>>(),
    }})
}

fn pickle_step(pickle: &str, file: &str, index: usize, step: &PlannedStep) -> Value {
    let step = &step.step;
    let mut told = json!({
        "id": format!("{pickle}/step-{index}"),
        "astNodeIds": [format!("{file}:{}", step.line)],
        "type": match step.kind {
            StepType::Given => "Context",
            StepType::When => "Action",
            StepType::Then => "Outcome",
        },
        "text": step.text,
    });
    if let Some(table) = &step.table {
        let cell = |value: &String| json!({"value": value});
        let row = |row: &Vec<String>| json!({"cells": row.iter().map(cell).collect::<Vec<_>>()});
        let rows: Vec<_> = table.iter().map(row).collect();
        told["argument"] = json!({"dataTable": {"rows": rows}});
    } else if let Some(text) = &step.doc_string {
        told["argument"] = json!({"docString": {"content": text}});
    }
    told
}

fn case_id(info: &ExecutionInfo) -> String {
    format!("execution-{}", info.number)
}

fn test_case(info: &ExecutionInfo, scenario: &PlannedScenario) -> Value {
    let (case, pickle) = (case_id(info), pickle_id(scenario));
    let step = |index| {
        json!({
            "id": format!("{case}/step-{index}"),
            "pickleStepId": format!("{pickle}/step-{index}"),
        })
    };
    let mut steps: Vec<_> = (0..scenario.steps.len()).map(step).collect();
    steps.push(json!({"id": format!("{case}/{HOOK}"), "hookId": HOOK}));
    json!({"testCase": {
        "id": case,
        "pickleId": pickle,
        "testSteps": steps,
        "testRunStartedId": RUN,
    }})
}

fn finished(record: &Record, clock: &Clock) -> Value {
    let mut told = json!({
        "success": record.is_complete() && record.exit() == Exit::Green,
        "timestamp": clock.at(record.until),
        "testRunStartedId": RUN,
    });
    if let Some(shortcoming) = record.shortcoming() {
        told["message"] = shortcoming.into();
    }
    json!({"testRunFinished": told})
}

/// One attempt of an execution.
struct Attempt<'a> {
    record: &'a Record,
    scenario: &'a PlannedScenario,
    attempt: &'a ExecutionRecord,
    case: String,
    /// The identifier of this attempt.
    started: String,
    /// Whether another one follows.
    is_retried: bool,
}

impl<'a> Attempt<'a> {
    fn new(
        record: &'a Record,
        scenario: &'a PlannedScenario,
        attempt: &'a ExecutionRecord,
        is_retried: bool,
    ) -> Attempt<'a> {
        let case = case_id(&attempt.report.info);
        Attempt {
            record,
            scenario,
            attempt,
            started: format!("{case}/attempt-{}", attempt.report.attempt),
            is_retried,
            case,
        }
    }

    /// Tells all of it, each thing with its moment.
    fn tell(&self, clock: &Clock, happened: &mut Vec<(f64, Value)>) {
        let end = self.attempt.finished.unwrap_or(self.record.until);
        let start = self.attempt.started.unwrap_or(end);
        let mut at = start;
        let mut add = |moment: f64, envelope: &dyn Fn(Value) -> Value| {
            // Whatever a clock says, what comes later is told later.
            at = moment.max(at);
            happened.push((at, envelope(clock.at(at))));
        };
        add(start, &|timestamp| {
            json!({"testCaseStarted": {
                "id": self.started,
                "testCaseId": self.case,
                "attempt": self.attempt.report.attempt - 1,
                "timestamp": timestamp,
            }})
        });
        for (index, planned) in self.scenario.steps.iter().enumerate() {
            let step = self.attempt.steps.iter().find(|step| step.index == index);
            let name = format!("step-{index}");
            add(step.map_or(0.0, |step| step.started), &|at| {
                self.begun(&name, at)
            });
            for attached in self
                .attempt
                .attachments
                .iter()
                .filter(|it| it.step == index)
            {
                add(attached.at, &|at| {
                    self.attachment(&name, "text/plain", &attached.text, at)
                });
            }
            let result = self.result(planned, step);
            let took = step.and_then(|step| Some(step.end.as_ref()?.took.as_secs_f64()));
            let ended = step.map_or(0.0, |step| step.started + took.unwrap_or(0.0));
            add(ended, &|at| self.ended(&name, &result, at));
        }
        add(end, &|at| self.begun(HOOK, at));
        if !self.attempt.report.outcome.is_green() {
            let text = self.details();
            add(end, &|at| {
                self.attachment(HOOK, "text/x.cucumber.log+plain", &text, at)
            });
        }
        add(end, &|at| self.ended(HOOK, &self.verdict(), at));
        add(end, &|timestamp| {
            json!({"testCaseFinished": {
                "testCaseStartedId": self.started,
                "timestamp": timestamp,
                "willBeRetried": self.is_retried,
            }})
        });
    }

    fn begun(&self, step: &str, timestamp: Value) -> Value {
        json!({"testStepStarted": {
            "testCaseStartedId": self.started,
            "testStepId": format!("{}/{step}", self.case),
            "timestamp": timestamp,
        }})
    }

    fn ended(&self, step: &str, result: &Value, timestamp: Value) -> Value {
        json!({"testStepFinished": {
            "testCaseStartedId": self.started,
            "testStepId": format!("{}/{step}", self.case),
            "testStepResult": result,
            "timestamp": timestamp,
        }})
    }

    fn attachment(&self, step: &str, media: &str, text: &str, timestamp: Value) -> Value {
        json!({"attachment": {
            "testCaseStartedId": self.started,
            "testStepId": format!("{}/{step}", self.case),
            "contentEncoding": "IDENTITY",
            "mediaType": media,
            "body": text,
            "timestamp": timestamp,
        }})
    }

    fn details(&self) -> String {
        let Header { again, run, .. } = &self.record.header;
        details(&self.attempt.report, again, Path::new(run)).join("\n")
    }

    /// What became of a step.
    fn result(&self, planned: &PlannedStep, step: Option<&StepRecord>) -> Value {
        let report = &self.attempt.report;
        let reason = report.reason.as_deref().unwrap_or_default();
        let Some(step) = step else {
            let line = format!("no platform defines: {}", planned.step);
            return match reason.lines().any(|known| known == line) {
                true => result("UNDEFINED", 0.0, Some(&line)),
                false => result("SKIPPED", 0.0, None),
            };
        };
        let Some(end) = &step.end else {
            let status = if report.outcome.is_own_failure() {
                "FAILED"
            } else {
                "UNKNOWN"
            };
            return result(status, 0.0, Some(reason));
        };
        let took = end.took.as_secs_f64();
        match (end.success, report.outcome.is_green()) {
            (true, _) => result("PASSED", took, None),
            (false, false) => result("FAILED", took, end.error.as_deref()),
            (false, true) => {
                let words = report.outcome.words();
                result("SKIPPED", took, Some(&format!("{words}: {reason}")))
            }
        }
    }

    /// What the hook says: what is wrong where no step says it.
    fn verdict(&self) -> Value {
        let report = &self.attempt.report;
        let reason = report.reason.as_deref().unwrap_or_default();
        let is_told = self
            .scenario
            .steps
            .iter()
            .enumerate()
            .any(|(index, planned)| {
                let step = self.attempt.steps.iter().find(|step| step.index == index);
                let result = self.result(planned, step);
                let is_wrong = !matches!(result["status"].as_str(), Some("PASSED" | "SKIPPED"));
                let error = result["message"].as_str().unwrap_or_default();
                is_wrong && reason.starts_with(error)
            });
        let message = || format!("{}: {reason}", report.outcome.words());
        match report.outcome {
            Outcome::Passed => result("PASSED", 0.0, None),
            // The other attempts say what was wrong.
            Outcome::Flaky => result("PASSED", 0.0, Some(&message())),
            green if green.is_green() => result("SKIPPED", 0.0, Some(&message())),
            _ if is_told => result("PASSED", 0.0, None),
            early if early.is_cut_short() => result("UNKNOWN", 0.0, Some(&message())),
            _ => result("FAILED", 0.0, Some(&message())),
        }
    }
}

fn result(status: &str, took: f64, message: Option<&str>) -> Value {
    let mut told = json!({"status": status, "duration": seconds_and_nanos(0, took)});
    if let Some(message) = message {
        told["message"] = message.into();
    }
    if status == "FAILED" {
        told["exception"] = json!({"type": "failure", "message": message.unwrap_or_default()});
    }
    told
}

/// The time of day at every moment of a run.
struct Clock {
    /// When the run began: seconds since 1970, and what is over.
    seconds: i64,
    rest: f64,
}

impl Clock {
    fn new(header: &Header) -> Clock {
        let began: Result<jiff::Timestamp, _> = header.date.parse();
        let began = began.unwrap_or_default();
        Clock {
            seconds: began.as_second(),
            rest: f64::from(began.subsec_nanosecond()) / 1e9,
        }
    }

    /// The time when so many seconds of the run were over.
    fn at(&self, moment: f64) -> Value {
        seconds_and_nanos(self.seconds, self.rest + moment)
    }
}

fn seconds_and_nanos(seconds: i64, more: f64) -> Value {
    let nanos = (more.max(0.0) * 1e9).round() as i64;
    json!({
        "seconds": seconds + nanos / 1_000_000_000,
        "nanos": nanos % 1_000_000_000,
    })
}
