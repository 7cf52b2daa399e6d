//! Which process every step of a scenario goes to, decided from its text before anything runs.
//!
//! | text | goes to |
//! |---|---|
//! | `the 'R' process …`, `'R' process …`, `the 'R' …`, `a 'R' process …` | role R |
//! | `the reader is 'u'`, `the writer is 'u'` | that role |
//! | `the server handler …` | role server |
//! | `a new 'R' process …`, `new reader can …` | a fresh process that takes over role R |
//! | `a second 'R' process …` | one more process of role R, last named from then on |
//! | `two 'R' processes` | `R#1` and `R#2`; a later step that begins `both` goes to both at once |
//! | `wait for 'N' seconds` | the runner |
//! | When `the 'R' process is killed` or `crashes`, `kill R process` | the runner: SIGKILL |
//! | When `the 'R' process is shutdown` | the runner: cleaned up and shut down |
//! | anything else | the process last named, before any is named all of them |

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::scenario::{Scenario, Step};
use crate::rpc::message::StepType;

/// The role of the one process of a scenario that names none.
pub const SUBJECT: &str = "subject";

/// One process of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessName {
    /// The role that it plays.
    pub role: String,
    /// Its number among several of one role, from 1; 0 where the role has one process.
    pub number: u32,
}

impl ProcessName {
    /// The only process of `role`.
    pub fn only(role: &str) -> Self {
        Self::numbered(role, 0)
    }

    fn numbered(role: &str, number: u32) -> Self {
        let role = role.to_owned();
        ProcessName { role, number }
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.pad(&self.role),
            number => f.pad(&format!("{}#{number}", self.role)),
        }
    }
}

/// A scenario whose steps know where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedScenario {
    /// The scenario.
    pub scenario: Scenario,
    /// Its roles, in alphabetical order: the order in which a combination names platforms.
    pub roles: Vec<String>,
    /// The processes that it begins with.
    pub processes: Vec<ProcessName>,
    /// Its steps.
    pub steps: Vec<RoutedStep>,
    /// Roles whose death is part of the scenario without the runner's doing.
    pub mortal: BTreeSet<String>,
    /// The one process that plays all roles, in [same-process mode](super::same_process).
    pub plays_all: Option<ProcessName>,
}

/// A step and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedStep {
    /// The step.
    pub step: Step,
    /// A process to be started before it.
    pub start: Option<Start>,
    /// Where it goes.
    pub to: Destination,
    /// Whether it succeeds when its process dies.
    pub awaits_death: bool,
}

/// How a process enters a scenario that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// In the place of the process of that name, which is shut down if it lives.
    Replace(ProcessName),
    /// Beside the others.
    Another(ProcessName),
}

/// Where a step goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To one process.
    One(ProcessName),
    /// To two processes at the same moment.
    Both(ProcessName, ProcessName),
    /// To every living process, one after another.
    All,
    /// To the runner itself.
    Runner(Deed),
}

/// What the runner does itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Lets time pass.
    Wait(Duration),
    /// Kills a process group with SIGKILL and reaps it.
    Kill(ProcessName),
    /// Cleans a process up and shuts it down.
    ShutDown(ProcessName),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::One(name) => name.fmt(f),
            Destination::Both(a, b) => write!(f, "{a} and {b} at once"),
            Destination::All => f.write_str("all"),
            Destination::Runner(Deed::Wait(time)) => {
                write!(f, "the runner: wait {} s", time.as_secs_f64())
            }
            Destination::Runner(Deed::Kill(name)) => write!(f, "the runner: kill {name}"),
            Destination::Runner(Deed::ShutDown(name)) => write!(f, "the runner: shut down {name}"),
        }
    }
}

impl fmt::Display for RoutedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            None => self.to.fmt(f),
            Some(Start::Replace(_)) => write!(f, "{} (a new process)", self.to),
            Some(Start::Another(_)) => write!(f, "{} (one more process)", self.to),
        }
    }
}

/// Routes the steps of one scenario.
pub fn route(scenario: Scenario) -> RoutedScenario {
    let mut router = Router::default();
    let steps = scenario
        .steps
        .iter()
        .map(|step| router.step(step))
        .collect();
    if router.roles.is_empty() {
        router.begin_with(ProcessName::only(SUBJECT));
    }
    RoutedScenario {
        roles: router.roles.into_iter().collect(),
        processes: router.processes,
        mortal: router.mortal,
        plays_all: None,
        steps,
        scenario,
    }
}

/// What the text of a step says about its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phrase {
    Wait,
    Kill,
    ShutDown,
    New,
    Second,
    Two,
    Both,
    Role,
    ServerHandler,
}

/// The phrases with their patterns, in the order in which they are tried, and whether they count
/// with `When` only. The first group is the role, or the number of seconds.
static PHRASES: LazyLock<Vec<(Phrase, bool, Regex)>> = LazyLock::new(|| {
    [
        (
            Phrase::Wait,
            false,
            r"^wait for '(\d+(?:\.\d+)?)' seconds?$",
        ),
        (Phrase::Kill, false, r"^kill (\w+) process$"),
        (
            Phrase::Kill,
            true,
            r"^the '([^']+)' process (?:is killed|crashes)\b",
        ),
        (
            Phrase::ShutDown,
            true,
            r"^the '([^']+)' process is shutdown\b",
        ),
        (Phrase::New, false, r"^a new '([^']+)' process\b"),
        (
            Phrase::New,
            false,
            r"^new (reader|writer|client|server) can\b",
        ),
        (Phrase::Second, false, r"^a second '([^']+)' process\b"),
        (Phrase::Two, false, r"^two '([^']+)' processes\b"),
        (Phrase::Both, false, r"^both\b"),
        (Phrase::Role, false, r"^(?:the |a )?'([^']+)' process\b"),
        (Phrase::Role, false, r"^the (reader|writer) is '"),
        (Phrase::Role, false, r"^the '([^']+)'(?:\s|$)"),
        (Phrase::ServerHandler, false, r"^the server handler\b"),
    ]
    .into_iter()
    .map(|(phrase, when_only, pattern)| {
        let regex = Regex::new(pattern).expect("the patterns are constants");
        (phrase, when_only, regex)
    })
    .collect()
});

/// What has been named so far.
#[derive(Debug, Default)]
struct Router {
    roles: BTreeSet<String>,
    processes: Vec<ProcessName>,
    mortal: BTreeSet<String>,
    last: Option<ProcessName>,
    two: Option<(ProcessName, ProcessName)>,
    /// How many further processes `a second` has started, by role.
    further: std::collections::BTreeMap<String, u32>,
}

impl Router {
    fn step(&mut self, step: &Step) -> RoutedStep {
        let (start, to) = self.destination(step);
        let dying = step.text.contains("simulates crash");
        let mut awaits_death = false;
        if let Destination::One(name) = &to {
            awaits_death = dying;
            if dying || step.text.contains("handler that crashes") {
                self.mortal.insert(name.role.clone());
            }
        }
        RoutedStep {
            step: step.clone(),
            start,
            to,
            awaits_death,
        }
    }

    fn destination(&mut self, step: &Step) -> (Option<Start>, Destination) {
        let found = PHRASES.iter().find_map(|(phrase, when_only, regex)| {
            if *when_only && step.kind != StepType::When {
                return None;
            }
            let captures = regex.captures(&step.text)?;
            Some((*phrase, captures.get(1).map_or("", |group| group.as_str())))
        });
        let Some((phrase, word)) = found else {
            return (None, self.unnamed());
        };
        match phrase {
            Phrase::Wait => {
                let seconds = word.parse().unwrap_or(f64::MAX);
                let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                (None, Destination::Runner(Deed::Wait(time)))
            }
            Phrase::Kill => {
                let name = self.name(word);
                (None, Destination::Runner(Deed::Kill(name)))
            }
            Phrase::ShutDown => {
                let name = self.name(word);
                (None, Destination::Runner(Deed::ShutDown(name)))
            }
            Phrase::New => {
                let name = self.name(word);
                (Some(Start::Replace(name.clone())), Destination::One(name))
            }
            Phrase::Second => self.second(word),
            Phrase::Two => (None, self.two(word)),
            Phrase::Both => match self.two.clone() {
                Some((a, b)) => {
                    self.last = Some(a.clone());
                    (None, Destination::Both(a, b))
                }
                None => (None, self.unnamed()),
            },
            Phrase::Role => (None, Destination::One(self.name(word))),
            Phrase::ServerHandler => (None, Destination::One(self.name("server"))),
        }
    }

    fn unnamed(&self) -> Destination {
        match &self.last {
            Some(name) => Destination::One(name.clone()),
            None => Destination::All,
        }
    }

    /// The first process of a role, which is then the one last named.
    fn name(&mut self, role: &str) -> ProcessName {
        let known = self.processes.iter().find(|name| name.role == role);
        let name = known.cloned().unwrap_or_else(|| ProcessName::only(role));
        self.begin_with(name.clone());
        self.last = Some(name.clone());
        name
    }

    fn begin_with(&mut self, name: ProcessName) {
        self.roles.insert(name.role.clone());
        if !self.processes.contains(&name) {
            self.processes.push(name);
        }
    }

    fn second(&mut self, role: &str) -> (Option<Start>, Destination) {
        self.name(role);
        let further = self.further.entry(role.to_owned()).or_insert(0);
        *further += 1;
        let name = ProcessName::numbered(role, *further + 1);
        self.last = Some(name.clone());
        (Some(Start::Another(name.clone())), Destination::One(name))
    }

    fn two(&mut self, role: &str) -> Destination {
        let (a, b) = (
            ProcessName::numbered(role, 1),
            ProcessName::numbered(role, 2),
        );
        self.begin_with(a.clone());
        self.begin_with(b.clone());
        self.last = Some(a.clone());
        self.two = Some((a.clone(), b.clone()));
        Destination::Both(a, b)
    }
}

#[cfg(test)]
mod tests;
