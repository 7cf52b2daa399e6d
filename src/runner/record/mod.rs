//! A run as its event log tells it, from which every file report is made.
//!
//! [`Record::read`] folds the lines of a log into plain data. A live run makes its reports in the
//! same way from its own log, so that a report says the same whenever it is made.

mod fold;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::baseline::Comparison;
use super::event::{ExecutionReport, Footer, LogRecord, ProcessInfo, seconds};
use super::event_log::{self, ReadError};
use super::exit::Exit;
use super::halt::CutShort;
use super::header::Header;
use super::outcome::Outcome;

/// What is said of a run whose log has no end.
const INCOMPLETE: &str =
    "incomplete: this run was killed, or goes on still; this report is of what it did so far";

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What was known before anything had run.
    pub header: Header,
    /// Every execution that was planned, in the order of their numbers.
    pub executions: Vec<ExecutionRecord>,
    /// Set-ups that have ended.
    pub setups: Vec<SetupRecord>,
    /// What the user should know about the run as a whole.
    pub warnings: Vec<String>,
    /// What is different from a run before, where it was compared with one.
    pub comparison: Option<Comparison>,
    /// How it has ended; nothing for an incomplete run: it goes on still, or was killed.
    pub footer: Option<Footer>,
    /// Seconds from its start to the last thing that is known of it.
    pub until: f64,
}

/// One execution. All times are in seconds since the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionRecord {
    /// What it is and what became of it. In an incomplete run one without an end has the outcome
    /// [`Outcome::Incomplete`].
    pub report: ExecutionReport,
    /// When it began; nothing where it never did.
    pub started: Option<f64>,
    /// When it ended; nothing where that is not known.
    pub finished: Option<f64>,
    /// The steps that began, in order.
    pub steps: Vec<StepRecord>,
    /// The processes that were started, by number.
    pub processes: Vec<ProcessRecord>,
    /// What steps found out.
    pub attachments: Vec<AttachmentRecord>,
    /// What its processes logged, in the order in which that arrived.
    pub logs: Vec<LogRecordLine>,
    /// Where the rest of their records is, relative to the folder of the run, where there may be
    /// more than [`logs`](ExecutionRecord::logs).
    pub more_logs: Option<PathBuf>,
    /// The attempts that failed before this one, in order.
    pub earlier: Vec<ExecutionRecord>,
}

/// A step that began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRecord {
    /// Its index among the steps of the scenario.
    pub index: usize,
    /// Keyword and text.
    pub text: String,
    /// Its line in the feature file.
    pub line: usize,
    /// Where it goes, in words.
    pub to: String,
    /// When it began.
    pub started: f64,
    /// How it ended; nothing where the execution was ended before that.
    pub end: Option<StepEnd>,
    /// The processes that it was sent to.
    pub sent: Vec<SentRecord>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepEnd {
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// Whether it succeeded.
    pub success: bool,
    /// Why it did not.
    pub error: Option<String>,
}

/// A step that was sent to a process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SentRecord {
    /// The process's number within the execution.
    pub process: usize,
    /// When it was sent.
    pub at: f64,
    /// How the process has done; nothing where that is not known.
    pub answer: Option<Answer>,
}

/// How a process has done what a step says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// Whether that is what was wanted.
    pub success: bool,
}

/// A process of an execution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProcessRecord {
    /// What it is.
    #[serde(flatten)]
    pub info: ProcessInfo,
    /// When its program was started.
    pub started: f64,
    /// When it answered for the first time.
    pub ready: Option<f64>,
    /// When it ended.
    pub exited: Option<f64>,
    /// How it ended, for example `exited with code 0`.
    pub how: Option<String>,
    /// How many processes of its group were left then.
    pub left_behind: usize,
}

/// Something that a step found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttachmentRecord {
    /// When.
    pub at: f64,
    /// The step's index.
    pub step: usize,
    /// One line or many.
    pub text: String,
}

/// Something that a process logged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogRecordLine {
    /// When it arrived.
    pub at: f64,
    /// The process's number within the execution.
    pub process: usize,
    /// The record that came with the answer to a step; nothing for a line of the standard error.
    #[serde(flatten)]
    pub record: Option<LogRecord>,
    /// The line or the message.
    pub text: String,
}

/// A set-up that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetupRecord {
    /// The platform.
    pub platform: String,
    /// When it ended.
    pub at: f64,
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
}

impl Record {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and in which line. A last line that is cut off is no error: the run is
    /// incomplete then.
    pub fn read(log: &Path) -> Result<Record, ReadError> {
        let mut folding = fold::Folding::default();
        event_log::read(log, |line| folding.take(line))?;
        Ok(folding.finish())
    }

    /// Whether its end is known.
    pub fn is_complete(&self) -> bool {
        self.footer.is_some()
    }

    /// Whether the user ended it.
    pub fn is_interrupted(&self) -> bool {
        let footer = self.footer.as_ref();
        footer.is_some_and(|footer| footer.cut_short == Some(CutShort::Interrupted))
    }

    /// Why it is not the record of a whole run, where that is so.
    pub fn shortcoming(&self) -> Option<String> {
        match &self.footer {
            None => Some(INCOMPLETE.to_owned()),
            Some(footer) => footer.shortcoming(),
        }
    }

    /// How long it took; of an incomplete run, as far as is known.
    pub fn took(&self) -> Duration {
        match &self.footer {
            Some(footer) => footer.took,
            None => Duration::try_from_secs_f64(self.until).unwrap_or_default(),
        }
    }

    /// The exit code that its outcomes stand for.
    pub fn exit(&self) -> Exit {
        let outcomes = self.executions.iter().map(|e| e.report.outcome);
        let outcomes: Vec<_> = outcomes.collect();
        let cut_short = self.footer.as_ref().and_then(|it| it.cut_short.as_ref());
        Exit::of(&outcomes, cut_short)
    }

    /// How many executions had each outcome, every repetition counted.
    pub fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for execution in &self.executions {
            *counts.entry(execution.report.outcome).or_insert(0) += 1;
        }
        counts
    }
}
