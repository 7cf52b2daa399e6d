//! Everything that happens in a run, as one stream of events. Reports are folds over it.
//!
//! The same types are the lines of the event log ([`event_log`](super::event_log)): times are in
//! seconds there, tags in kebab-case. Paths are relative to the folder of the run or of the project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::baseline::Comparison;
use super::halt::CutShort;
use super::header::Header;
use super::outcome::Outcome;
use super::tally::Tally;
use super::trial::Verdict;

/// Something that happened. Executions are told apart by their numbers; every repetition of one has
/// its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// What is known before anything has run.
        #[serde(flatten)]
        header: Box<Header>,
        /// Where its logs are written.
        #[serde(skip)]
        folder: PathBuf,
    },
    /// Something the user should know.
    Warning {
        /// What.
        text: String,
    },
    /// Something a curious user wants to know.
    Note {
        /// What.
        text: String,
    },
    /// Another run is setting a platform up, which is waited for.
    SetupAwaited {
        /// The platform.
        platform: String,
    },
    /// A platform's set-up command is running.
    SetupStarted {
        /// The platform.
        platform: String,
    },
    /// It has ended.
    SetupFinished {
        /// The platform.
        platform: String,
        /// How long it took.
        #[serde(with = "seconds")]
        took: Duration,
        /// What it printed last.
        output: String,
    },
    /// Everything is run once more. The first round begins with the run.
    RoundStarted {
        /// The how many-th time.
        round: u32,
        /// All executions of the round, in the order of their numbers.
        executions: Vec<ExecutionInfo>,
    },
    /// An execution begins, or one more attempt of it.
    ExecutionStarted(ExecutionInfo),
    /// The program of a step server was started.
    ProcessStarted {
        /// The execution.
        execution: usize,
        /// What was started.
        #[serde(flatten)]
        process: ProcessInfo,
    },
    /// A step server answers.
    ProcessReady {
        /// The execution.
        execution: usize,
        /// Its number within the execution.
        process: usize,
        /// Role, platform and process id.
        who: String,
        /// From its start to its first answer.
        #[serde(with = "seconds")]
        took: Duration,
    },
    /// A step server has ended.
    ProcessExited {
        /// The execution.
        execution: usize,
        /// Its number within the execution.
        process: usize,
        /// How, for example `exited with code 0`.
        how: String,
        /// How many other processes of its group were still there, and were killed.
        left_behind: usize,
    },
    /// A step begins.
    StepStarted {
        /// The execution.
        execution: usize,
        /// Its index among the steps of the scenario.
        step: usize,
        /// Keyword and text.
        text: String,
        /// Its line in the feature file.
        line: usize,
        /// Where it goes.
        to: String,
    },
    /// A step was sent to a process.
    StepSent {
        /// The execution.
        execution: usize,
        /// The step's index.
        step: usize,
        /// The process's number within the execution.
        process: usize,
    },
    /// A process has done with a step that was sent to it: by its answer, or by its death.
    StepAnswered {
        /// The execution.
        execution: usize,
        /// The step's index.
        step: usize,
        /// The process's number within the execution.
        process: usize,
        /// How long it took.
        #[serde(with = "seconds")]
        took: Duration,
        /// Whether that is what was wanted.
        success: bool,
    },
    /// A step has found something out that is to be shown: figures, for example.
    Attachment {
        /// The execution.
        execution: usize,
        /// The step's index.
        step: usize,
        /// One line or many.
        text: String,
    },
    /// A step has ended.
    StepFinished {
        /// The execution.
        execution: usize,
        /// Its index among the steps of the scenario.
        step: usize,
        /// Keyword and text.
        text: String,
        /// How long it took.
        #[serde(with = "seconds")]
        took: Duration,
        /// Whether it succeeded.
        success: bool,
        /// Why it did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A process has logged something.
    LogLine(LogLine),
    /// What the processes of an execution log from now on is no more among the events.
    LogEnded {
        /// The execution.
        execution: usize,
        /// What they write to their standard errors goes on in their own log files; this one holds
        /// what comes with their answers.
        more: PathBuf,
    },
    /// An execution has failed and is going to be run again.
    AttemptFinished(Box<ExecutionReport>),
    /// An execution has ended, or did not run.
    ExecutionFinished(Box<ExecutionReport>),
    /// Scenarios are going to be run to see what they notice.
    #[serde(skip)]
    TrialsStarted {
        /// How many times.
        trials: usize,
        /// What they are, in words.
        what: String,
    },
    /// An execution in which nothing is wrong has ended.
    #[serde(skip)]
    UnchangedFinished {
        /// The execution, in words.
        execution: String,
        /// Its outcome and the reason, where it did not pass and cannot tell anything.
        left_out: Option<(Outcome, String)>,
    },
    /// An execution in which something is wrong has ended.
    #[serde(skip)]
    TrialFinished {
        /// What was wrong, in words.
        trial: String,
        /// What became of it.
        verdict: Verdict,
    },
    /// All of them have ended.
    #[serde(skip)]
    MutationFinished {
        /// What became of them; nothing where the user ended it.
        tally: Option<Box<Tally>>,
        /// How long it took.
        took: Duration,
    },
    /// What is different from a run before.
    Compared(Box<Comparison>),
    /// The run has ended.
    RunFinished(Footer),
}

impl Event {
    /// The number of the execution that it is about.
    pub fn execution_mut(&mut self) -> Option<&mut usize> {
        match self {
            Event::ExecutionStarted(info) => Some(&mut info.number),
            Event::AttemptFinished(report) | Event::ExecutionFinished(report) => {
                Some(&mut report.info.number)
            }
            Event::LogLine(line) => Some(&mut line.execution),
            Event::ProcessStarted { execution, .. }
            | Event::ProcessReady { execution, .. }
            | Event::ProcessExited { execution, .. }
            | Event::StepStarted { execution, .. }
            | Event::StepSent { execution, .. }
            | Event::StepAnswered { execution, .. }
            | Event::StepFinished { execution, .. }
            | Event::Attachment { execution, .. }
            | Event::LogEnded { execution, .. } => Some(execution),
            _ => None,
        }
    }
}

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Footer {
    /// Why it is not whole, where that is so.
    pub cut_short: Option<CutShort>,
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// How many executions had each outcome, every repetition counted.
    pub counts: BTreeMap<Outcome, usize>,
}

impl Footer {
    /// Why a report is not of a whole run, where that is so.
    pub fn shortcoming(&self) -> Option<String> {
        self.cut_short.as_ref().map(CutShort::words)
    }
}

/// A step server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number within the execution, in the order in which they were started.
    #[serde(rename = "process")]
    pub number: usize,
    /// Its name in messages: the role, and a number where it has several processes.
    pub name: String,
    /// The role.
    pub role: String,
    /// The platform.
    pub platform: String,
    /// Process id; nothing where the runner has not started it.
    pub pid: Option<i32>,
    /// What it wrote to its standard error, or else told with its answers, relative to the folder of the run.
    pub log: PathBuf,
}

/// Something that a process has logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The execution.
    pub execution: usize,
    /// The process's number within the execution.
    pub process: usize,
    /// The record that came with the answer to a step; nothing for a line of the standard error.
    #[serde(flatten)]
    pub record: Option<LogRecord>,
    /// The line or the message.
    pub text: String,
}

/// What is known of a record that came with the answer to a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The step's index.
    pub step: usize,
    /// When it was logged, as the process tells it: ISO 8601, UTC.
    pub timestamp: String,
    /// 0 Trace, 1 Debug, 2 Information, 3 Warning, 4 Error, 5 Critical.
    pub level: u8,
}

/// What an execution is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionInfo {
    /// Its number, in the order of the plan.
    #[serde(rename = "execution")]
    pub number: usize,
    /// The scenario's id.
    pub id: String,
    /// The scenario's name.
    pub name: String,
    /// Where the scenario stands: file, colon, line.
    pub place: String,
    /// The platforms, joined by `_`.
    pub combination: String,
    /// Each role and its platform.
    pub roles: Vec<(String, String)>,
    /// The how many-th time it is run, from 1.
    pub repetition: u32,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionReport {
    /// What it is.
    #[serde(flatten)]
    pub info: ExecutionInfo,
    /// The how many-th attempt this was, from 1.
    pub attempt: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// The step that it ended with, where one failed.
    pub failed_step: Option<FailedStep>,
    /// How long it took.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// Things that are not as they should be but do not decide the outcome.
    pub warnings: Vec<String>,
    /// What was left behind as it is known to be, and removed.
    pub leftovers: Vec<String>,
    /// The last lines of each process's standard error.
    pub tails: Vec<(String, Vec<String>)>,
    /// Where the whole logs are, relative to the folder of the run.
    pub folder: Option<PathBuf>,
}

/// The step that an execution ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStep {
    /// Keyword and text.
    pub step: String,
    /// Its line in the feature file.
    pub line: usize,
    /// Where it went.
    pub to: String,
}

/// Something that takes in events.
pub trait Reporter: Send {
    /// Takes in one event.
    fn on(&mut self, event: &Event);
}

/// Where events are sent to. Clones send to the same reporters.
#[derive(Clone)]
pub struct Events(Arc<Mutex<Vec<Box<dyn Reporter>>>>);

impl Events {
    /// Sends all events to each of the reporters, in this order.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Events {
        Events(Arc::new(Mutex::new(reporters)))
    }

    /// Sends an event.
    pub fn emit(&self, event: Event) {
        let mut reporters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for reporter in reporters.iter_mut() {
            reporter.on(&event);
        }
    }

    /// Says something that the user should know.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        self.emit(Event::Warning { text });
    }

    /// Says something that a curious user wants to know.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        self.emit(Event::Note { text });
    }
}

/// A time as a number of seconds.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
