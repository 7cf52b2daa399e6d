//! The JUnit report.
//!
//! A test suite is a combination, so that a CI system shows at a glance which implementations do not
//! understand each other. The class of a test case is `combination.feature`, its name that of the
//! scenario: together they are unique, and where views make a tree of classes, combinations are its
//! first level and features its second.

use std::path::Path;

use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use super::failure::{details, headline};
use crate::runner::event::ExecutionReport;
use crate::runner::header::Header;
use crate::runner::outcome::Outcome;
use crate::runner::record::{ExecutionRecord, Record};

/// The suite of what is not about one execution.
const RUN: &str = "harmony";

/// Makes the report.
pub fn render(record: &Record) -> String {
    let mut report = Report::new(format!("{RUN} {}", record.header.run));
    report.set_time(record.took());
    if let Some(shortcoming) = record.shortcoming() {
        report.add_test_suite(cut_short(&shortcoming));
    }
    let mut combinations: Vec<&str> = Vec::new();
    for execution in &record.executions {
        let combination = execution.report.info.combination.as_str();
        if !combinations.contains(&combination) {
            combinations.push(combination);
        }
    }
    for combination in combinations {
        report.add_test_suite(suite(record, combination));
    }
    let text = report.to_string();
    text.expect("text that is written to memory cannot fail to be")
}

/// A test case that fails because the run was cut short, whatever all others say.
fn cut_short(shortcoming: &str) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(shortcoming);
    let mut suite = TestSuite::new(RUN);
    suite.add_test_case(TestCase::new("the whole run", status));
    suite
}

fn suite(record: &Record, combination: &str) -> TestSuite {
    let mut suite = TestSuite::new(combination);
    let date = record.header.date.as_str();
    suite.extra.insert("timestamp".into(), date.into());
    let own = |execution: &&ExecutionRecord| execution.report.info.combination == combination;
    let executions: Vec<_> = record.executions.iter().filter(own).collect();
    suite.set_time(executions.iter().map(|e| e.report.took).sum());
    suite.add_test_cases(executions.iter().map(|execution| case(record, execution)));
    suite
}

fn case(record: &Record, execution: &ExecutionRecord) -> TestCase {
    let report = &execution.report;
    let info = &report.info;
    let mut name = format!("{} {}", info.id, info.name);
    if record.header.repeat > 1 {
        let (number, of) = (info.repetition, record.header.repeat);
        name.push_str(&format!(" (repetition {number} of {of})"));
    }
    let (file, line) = info.place.rsplit_once(':').unwrap_or((&info.place, "0"));
    let feature = Path::new(file).file_stem().unwrap_or_default();
    let mut status = status(record, report);
    let earlier = execution.earlier.iter();
    status.add_reruns(earlier.map(|attempt| rerun(record, &attempt.report)));
    let mut case = TestCase::new(clean(&name), status);
    case.set_classname(format!("{}.{}", info.combination, feature.display()));
    case.set_time(report.took);
    case.extra.insert("file".into(), file.into());
    case.extra.insert("line".into(), line.into());
    let roles = info.roles.iter();
    case.add_properties(roles.map(|(role, platform)| Property::new(role, platform)));
    let attachments = execution.attachments.iter().map(|a| a.text.as_str());
    let attachments: Vec<_> = attachments.collect();
    if !attachments.is_empty() {
        case.set_system_out(clean(&attachments.join("\n")));
    }
    let warnings = report.warnings.iter();
    let warnings: Vec<_> = warnings.map(|text| format!("warning: {text}")).collect();
    if !warnings.is_empty() {
        case.set_system_err(clean(&warnings.join("\n")));
    }
    case
}

fn status(record: &Record, report: &ExecutionReport) -> TestCaseStatus {
    let mut status = match report.outcome {
        Outcome::Passed | Outcome::Flaky => return TestCaseStatus::success(),
        Outcome::Skipped | Outcome::Unsupported | Outcome::Unavailable | Outcome::KnownFailure => {
            TestCaseStatus::skipped()
        }
        // These say nothing about the scenario.
        Outcome::SetupError | Outcome::Interrupted | Outcome::NotRun | Outcome::Incomplete => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
        Outcome::Failed
        | Outcome::TimedOut
        | Outcome::Crashed
        | Outcome::Leaked
        | Outcome::Undefined
        | Outcome::FlakyFailure
        | Outcome::UnexpectedPass => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if report.outcome == Outcome::FlakyFailure {
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    status.set_type(report.outcome.words());
    let reason = report.reason.as_deref().unwrap_or_default();
    match report.outcome.is_green() {
        true => status.set_message(clean(reason)),
        false => {
            let first = reason.lines().next().unwrap_or_default();
            let head = headline(report, record.header.repeat, true);
            let mut lines = details(report, &record.header.again, Path::new(&record.header.run));
            lines.insert(0, head);
            let lines = lines.join("\n");
            status
                .set_message(clean(first))
                .set_description(clean(&lines))
        }
    };
    status
}

/// An attempt that was not the last.
fn rerun(record: &Record, report: &ExecutionReport) -> TestRerun {
    let Header { repeat, again, .. } = &record.header;
    let mut lines = details(report, again, Path::new(&record.header.run));
    lines.insert(0, headline(report, *repeat, false));
    let reason = report.reason.as_deref().unwrap_or_default();
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun
        .set_type(report.outcome.words())
        .set_message(clean(reason.lines().next().unwrap_or_default()))
        .set_description(clean(&lines.join("\n")))
        .set_time(report.took);
    rerun
}

/// The text without the two characters that XML forbids and the crate lets through.
fn clean(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "")
}
