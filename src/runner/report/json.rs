//! The JSON report: everything that is known of a run, for other programs.
//!
//! One object:
//!
//! | key | what |
//! |---|---|
//! | `version` | the number of this structure; it changes where a key changes its meaning or goes |
//! | `complete`, `shortcoming` | whether this is a whole run; if not, why not, in words |
//! | `run` | its name, date, versions, machine, command line, platforms, seed |
//! | `took`, `counts` | seconds; how many executions had each outcome |
//! | `warnings`, `setups` | about the run as a whole |
//! | `comparison` | with a run before: what is worse, lost, better, slower, new, gone; null without one |
//! | `scenarios` | id, name, file, line, tags, roles and steps of each |
//! | `executions` | each with its outcome, reason, steps, processes, attachments and logs |
//!
//! All times are in seconds, moments counted from the start of the run. Outcomes are in kebab-case:
//! `passed`, `timed-out`, `known-failure`. Paths of logs are relative to the folder of the run, those
//! of features to the folder of the project. Of the logs of an execution the last lines are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::failure::command_again;
use crate::runner::baseline::Comparison;
use crate::runner::event::{ExecutionReport, seconds};
use crate::runner::header::{Header, MergedRun, PlannedScenario, PlatformInfo};
use crate::runner::machine::{Commit, Machine};
use crate::runner::outcome::Outcome;
use crate::runner::record::{
    AttachmentRecord, ExecutionRecord, LogRecordLine, ProcessRecord, Record, SetupRecord,
    StepRecord,
};
use crate::runner::shard::Shard;

/// The number of the structure.
pub const VERSION: u32 = 1;

/// How many lines of the logs of an execution are there.
const LINES: usize = 100;

/// Makes the report.
pub fn render(record: &Record) -> String {
    let executions = record.executions.iter();
    let shortcoming = record.shortcoming();
    let all = Json {
        version: VERSION,
        complete: shortcoming.is_none(),
        shortcoming: shortcoming.as_deref(),
        run: run(&record.header),
        took: record.took(),
        counts: record.counts(),
        warnings: &record.warnings,
        setups: &record.setups,
        comparison: record.comparison.as_ref(),
        scenarios: &record.header.scenarios,
        executions: executions.map(|e| execution(record, e)).collect(),
    };
    let text = serde_json::to_string(&all);
    text.expect("plain data can be written to memory") + "\n"
}

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    complete: bool,
    shortcoming: Option<&'a str>,
    run: Run<'a>,
    #[serde(with = "seconds")]
    took: Duration,
    counts: BTreeMap<Outcome, usize>,
    warnings: &'a [String],
    setups: &'a [SetupRecord],
    comparison: Option<&'a Comparison>,
    scenarios: &'a [PlannedScenario],
    executions: Vec<Execution<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    name: &'a str,
    date: &'a str,
    harmony: &'a str,
    command: &'a [String],
    commit: Option<&'a Commit>,
    machine: &'a Machine,
    platforms: &'a [PlatformInfo],
    jobs: usize,
    repeat: u32,
    until_failure: bool,
    retries: u32,
    seed: Option<u64>,
    shard: Option<Shard>,
    rerun_of: Option<&'a str>,
    merged: &'a [MergedRun],
}

#[derive(Serialize)]
struct Execution<'a> {
    #[serde(flatten)]
    report: &'a ExecutionReport,
    /// The command that runs it once more.
    again: String,
    started: Option<f64>,
    finished: Option<f64>,
    steps: &'a [StepRecord],
    processes: &'a [ProcessRecord],
    attachments: &'a [AttachmentRecord],
    logs: &'a [LogRecordLine],
    /// How many lines of the event log come before these.
    logs_left_out: usize,
    /// Where the rest is that is not in the event log either.
    more_logs: Option<&'a Path>,
    /// The attempts that failed before this one.
    earlier: Vec<Execution<'a>>,
}

fn run(header: &Header) -> Run<'_> {
    Run {
        name: &header.run,
        date: &header.date,
        harmony: &header.harmony,
        command: &header.command,
        commit: header.commit.as_ref(),
        machine: &header.machine,
        platforms: &header.platforms,
        jobs: header.jobs,
        repeat: header.repeat,
        until_failure: header.until_failure,
        retries: header.retries,
        seed: header.seed,
        shard: header.part_of.as_ref().map(|part| part.shard),
        rerun_of: header.rerun_of.as_deref(),
        merged: &header.merged,
    }
}

fn execution<'a>(record: &'a Record, of: &'a ExecutionRecord) -> Execution<'a> {
    let logs_left_out = of.logs.len().saturating_sub(LINES);
    Execution {
        report: &of.report,
        again: command_again(&record.header.again, &of.report.info),
        started: of.started,
        finished: of.finished,
        steps: &of.steps,
        processes: &of.processes,
        attachments: &of.attachments,
        logs: &of.logs[logs_left_out..],
        logs_left_out,
        more_logs: of.more_logs.as_deref(),
        earlier: of.earlier.iter().map(|e| execution(record, e)).collect(),
    }
}
