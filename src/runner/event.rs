//! Everything that happens in a run, as one stream of events. Reports are folds over it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::outcome::Outcome;
use super::tally::Tally;
use super::trial::Verdict;

/// Something that happened. Executions are told apart by their numbers; every repetition of one has
/// its own.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// How many executions it has.
        executions: usize,
        /// How many run at the same time, at most.
        jobs: usize,
        /// How many times each is run.
        repeat: u32,
        /// What their order comes from, where it is not that of the plan.
        seed: Option<u64>,
        /// Where its logs are written.
        folder: PathBuf,
    },
    /// Something the user should know.
    Warning(String),
    /// Something a curious user wants to know.
    Note(String),
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
        took: Duration,
        /// What it printed.
        output: String,
    },
    /// An execution begins.
    ExecutionStarted(ExecutionInfo),
    /// A step server answers.
    ProcessStarted {
        /// The execution.
        execution: usize,
        /// Role, platform and process id.
        who: String,
        /// From its start to its first answer.
        took: Duration,
    },
    /// A step begins.
    StepStarted {
        /// The execution.
        execution: usize,
        /// Keyword and text.
        step: String,
        /// Where it goes.
        to: String,
    },
    /// A step has found something out that is to be shown: figures, for example.
    Attachment {
        /// The execution.
        execution: usize,
        /// One line or many.
        text: String,
    },
    /// A step has ended.
    StepFinished {
        /// The execution.
        execution: usize,
        /// Keyword and text.
        step: String,
        /// How long it took.
        took: Duration,
        /// Whether it succeeded.
        success: bool,
    },
    /// An execution has ended, or did not run.
    ExecutionFinished(Box<ExecutionReport>),
    /// Scenarios are going to be run to see what they notice.
    TrialsStarted {
        /// How many times.
        trials: usize,
        /// What they are, in words.
        what: &'static str,
    },
    /// An execution in which nothing is wrong has ended.
    UnchangedFinished {
        /// The execution, in words.
        execution: String,
        /// Its outcome and the reason, where it did not pass and cannot tell anything.
        left_out: Option<(Outcome, String)>,
    },
    /// An execution in which something is wrong has ended.
    TrialFinished {
        /// What was wrong, in words.
        trial: String,
        /// What became of it.
        verdict: Verdict,
    },
    /// All of them have ended.
    MutationFinished {
        /// What became of them; nothing where the user ended it.
        tally: Option<Box<Tally>>,
        /// How long it took.
        took: Duration,
    },
    /// The run has ended.
    RunFinished {
        /// Whether the user ended it.
        interrupted: bool,
        /// How long it took.
        took: Duration,
    },
}

/// What an execution is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionInfo {
    /// Its number, in the order of the plan.
    pub number: usize,
    /// The scenario's id.
    pub id: String,
    /// The scenario's name.
    pub name: String,
    /// Where the scenario stands.
    pub place: String,
    /// The platforms, joined by `_`.
    pub combination: String,
    /// Each role and its platform.
    pub roles: Vec<(String, String)>,
    /// The how many-th time it is run, from 1.
    pub repetition: u32,
}

/// What became of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionReport {
    /// What it is.
    pub info: ExecutionInfo,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// The step that it ended with, where one failed.
    pub failed_step: Option<FailedStep>,
    /// How long it took.
    pub took: Duration,
    /// Things that are not as they should be but do not decide the outcome.
    pub warnings: Vec<String>,
    /// What was left behind as it is known to be, and removed.
    pub leftovers: Vec<String>,
    /// The last lines of each process's standard error.
    pub tails: Vec<(String, Vec<String>)>,
    /// Where the whole logs are.
    pub folder: Option<PathBuf>,
}

/// The step that an execution ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Where events are sent to.
pub struct Events(Mutex<Box<dyn Reporter>>);

impl Events {
    /// Sends all events to one reporter.
    pub fn new(reporter: impl Reporter + 'static) -> Events {
        Events(Mutex::new(Box::new(reporter)))
    }

    /// Sends an event.
    pub fn emit(&self, event: Event) {
        let mut reporter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reporter.on(&event);
    }
}
