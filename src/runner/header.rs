//! What is known of a run before anything has run: the first line of its event log.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::config::Config;
use super::event::ExecutionInfo;
use super::machine::{Commit, Machine};
use super::route::RoutedScenario;
use super::scenario::Step;
use super::schedule::Turn;
use super::shard::{PartOf, Shard};

/// The number of the log's format. It changes with everything that an older reader cannot read.
pub const FORMAT: u32 = 1;

/// What is known of a run before anything has run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The number of the log's format, see [`FORMAT`].
    pub format: u32,
    /// The version of this program.
    pub harmony: String,
    /// The name of the run, which is that of its folder.
    pub run: String,
    /// When it began: RFC 3339, UTC.
    pub date: String,
    /// The command line as it was typed.
    pub command: Vec<String>,
    /// How an execution is run once more.
    pub again: Again,
    /// What the folder of the configuration has checked out, where it is under version control.
    pub commit: Option<Commit>,
    /// Where it runs.
    pub machine: Machine,
    /// The platforms of the configuration.
    pub platforms: Vec<PlatformInfo>,
    /// How many executions run at the same time, at most.
    pub jobs: usize,
    /// How many times each is run.
    pub repeat: u32,
    /// Whether they are run round by round until one is not green; `repeat` is 1 then.
    pub until_failure: bool,
    /// How many more times one is run that failed, at most.
    pub retries: u32,
    /// What their order comes from, where it is not that of the plan.
    pub seed: Option<u64>,
    /// Which part of a plan it is, where it is not all of it.
    pub part_of: Option<PartOf>,
    /// The run whose executions that were not green are run again, where that is so.
    pub rerun_of: Option<String>,
    /// The runs that this one was merged of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<MergedRun>,
    /// Whether one process plays all roles.
    pub same_process: bool,
    /// The folder of the feature files where it is not the configured one, like the paths of
    /// scenarios.
    pub features: Option<PathBuf>,
    /// For how many seconds scenarios were to run that are made to run for hours, where the command
    /// line said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_running: Option<f64>,
    /// By how much benchmarks were to be multiplied, where the command line said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark_scale: Option<f64>,
    /// Whether there were to be no sandboxes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_sandbox: bool,
    /// The scenarios that are run.
    pub scenarios: Vec<PlannedScenario>,
    /// The feature files of these scenarios.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<FeatureSource>,
    /// All executions, each repetition on its own, in the order of their numbers.
    pub executions: Vec<ExecutionInfo>,
}

/// The command that runs an execution once more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// What it begins with, for example `./test.sh`.
    pub command: String,
    /// The options that matter for it, each with a space before it.
    pub options: String,
}

/// A run that was merged with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedRun {
    /// Its name.
    pub run: String,
    /// When it began.
    pub date: String,
    /// Its command line.
    pub command: Vec<String>,
    /// Where it ran.
    pub machine: Machine,
    /// Which shard it was, if one.
    pub shard: Option<Shard>,
}

/// A platform of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformInfo {
    /// Its name in combinations.
    pub name: String,
    /// Why it is not available, where it is not.
    pub missing: Option<String>,
}

/// A scenario that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedScenario {
    /// Its id.
    pub id: String,
    /// Its name, without the id.
    pub name: String,
    /// Its file, relative to the project's folder where it stands in there.
    pub file: PathBuf,
    /// The line that it begins in.
    pub line: usize,
    /// The tags of all levels, without `@`.
    pub tags: Vec<String>,
    /// Its roles, in the order in which a combination names platforms.
    pub roles: Vec<String>,
    /// The steps of the backgrounds, then its own.
    pub steps: Vec<PlannedStep>,
}

/// A feature file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureSource {
    /// The file, like that of its scenarios.
    pub file: PathBuf,
    /// What is in it.
    pub text: String,
}

/// A step of a scenario that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Where it goes, in words.
    pub to: String,
}

/// The manner in which a run was started.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The name of the run.
    pub run: String,
    /// The command line as it was typed.
    pub command: Vec<String>,
    /// How an execution is run once more.
    pub again: Again,
    /// What the folder of the configuration has checked out.
    pub commit: Option<Commit>,
    /// The run whose executions are run again.
    pub rerun_of: Option<String>,
    /// What it is compared with.
    pub baseline: Option<Baseline>,
    /// What the user should know about what was asked for.
    pub warnings: Vec<String>,
}

impl Header {
    /// The header of a run of these turns, which are in the order of their numbers.
    pub fn new(invocation: &Invocation, config: &Config, turns: &[Turn<'_>]) -> Header {
        let mut scenarios: Vec<PlannedScenario> = Vec::new();
        let mut sources = Vec::new();
        let first_round = turns.iter().filter(|turn| turn.repetition == 1);
        for turn in first_round {
            let scenario = &turn.execution.scenario;
            let id = scenario.scenario.id.to_string();
            if !scenarios.iter().any(|known| known.id == id) {
                let scenario = &scenario.scenario;
                add_source(&mut sources, &scenario.file, &config.root);
                scenarios.push(planned(&turn.execution.scenario, &config.root));
            }
        }
        let platforms = config.platforms.iter().map(|platform| PlatformInfo {
            name: platform.name.clone(),
            missing: platform.missing(),
        });
        let Invocation {
            run,
            command,
            again,
            commit,
            rerun_of,
            baseline: _,
            warnings: _,
        } = invocation.clone();
        Header {
            format: FORMAT,
            harmony: env!("CARGO_PKG_VERSION").to_owned(),
            run,
            date: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
            command,
            again,
            commit,
            machine: Machine::here(),
            platforms: platforms.collect(),
            jobs: 1,
            repeat: 1,
            until_failure: false,
            retries: 0,
            seed: None,
            part_of: None,
            rerun_of,
            merged: Vec::new(),
            same_process: false,
            features: None,
            long_running: None,
            benchmark_scale: None,
            no_sandbox: false,
            scenarios,
            sources,
            executions: turns
                .iter()
                .map(|turn| describe(turn, &config.root))
                .collect(),
        }
    }

    /// The scenario of that id.
    pub fn scenario(&self, id: &str) -> Option<&PlannedScenario> {
        self.scenarios.iter().find(|scenario| scenario.id == id)
    }
}

/// Keeps a feature file. One that is not there any more is missing in reports.
fn add_source(sources: &mut Vec<FeatureSource>, path: &Path, root: &Path) {
    let file = within(path, root);
    if sources.iter().any(|known| known.file == file) {
        return;
    }
    if let Ok(text) = std::fs::read_to_string(path) {
        sources.push(FeatureSource { file, text });
    }
}

fn planned(routed: &RoutedScenario, root: &Path) -> PlannedScenario {
    let scenario = &routed.scenario;
    let steps = routed.steps.iter().map(|step| PlannedStep {
        step: step.step.clone(),
        to: step.to_string(),
    });
    PlannedScenario {
        id: scenario.id.to_string(),
        name: scenario.name.clone(),
        file: within(&scenario.file, root),
        line: scenario.line,
        tags: scenario.tags.clone(),
        roles: routed.roles.clone(),
        steps: steps.collect(),
    }
}

/// What a turn is, for events and reports.
pub fn describe(turn: &Turn<'_>, root: &Path) -> ExecutionInfo {
    let execution = turn.execution;
    let scenario = &execution.scenario.scenario;
    let roles = match &execution.scenario.plays_all {
        Some(one) => vec![one.to_string()],
        None => execution.scenario.roles.clone(),
    };
    let file = within(&scenario.file, root);
    ExecutionInfo {
        number: turn.number,
        repetition: turn.repetition,
        id: scenario.id.to_string(),
        name: scenario.name.clone(),
        place: format!("{}:{}", file.display(), scenario.line),
        combination: execution.combination(),
        roles: roles
            .into_iter()
            .zip(execution.platforms.iter().cloned())
            .collect(),
    }
}

/// The path relative to `root`, where it is in there.
pub fn within(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}
