//! Whether the checks of scenarios bite: each scenario is run with one expectation changed at a
//! time, and with step servers that commit one fault at a time, and has to fail.
//!
//! A changed step has to fail itself; a fault, wherever it is noticed. Which faults a scenario
//! notices, it says in a tag `@catches(fault,fault)`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::cli::Mutation;
use super::config::Config;
use super::event::FailedStep;
use super::execute::{Ended, Stage, Task, execute};
use super::exit::Exit;
use super::mutant::{Change, mutants};
use super::outcome::{Outcome, decide};
use super::plan::Execution;
use super::preflight::{self, Catalogues, Judgement};
use super::route::{Destination, RoutedStep};
use super::run::{run_name, try_sandbox};
use super::schedule::{self, EXCLUSIVE};
use super::survivor::{self, Survivor};
use super::terminal::{say, warn};
use super::workload::Workload;
use crate::rpc::message::{FAULT_COMMITTED, FAULT_VARIABLE};

/// What part of all mutants has to be caught, in percent.
const ENOUGH: usize = 95;

/// One running of a scenario that has to fail.
#[derive(Debug)]
pub struct Trial {
    execution: Execution,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Nothing is wrong: the scenario has to pass before it is changed.
    Unchanged,
    Changed {
        /// The step as it was.
        step: String,
        line: usize,
        change: Change,
    },
    Fault(String),
}

/// What became of a trial.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It failed where it had to.
    Caught,
    /// It passed.
    Survived,
    /// It says nothing, for this reason.
    Void(String),
}

impl Trial {
    /// The scenario's id.
    pub fn id(&self) -> String {
        self.execution.scenario.scenario.id.to_string()
    }

    /// The step that was changed, or the fault that is committed.
    pub fn what(&self) -> &str {
        match &self.kind {
            Kind::Unchanged => "",
            Kind::Changed { step, .. } => step,
            Kind::Fault(fault) => fault,
        }
    }

    /// What was changed in the step.
    pub fn changed(&self) -> Option<&str> {
        match &self.kind {
            Kind::Changed { change, .. } => Some(&change.from),
            _ => None,
        }
    }

    fn is_exclusive(&self) -> bool {
        self.execution.scenario.scenario.has_tag(EXCLUSIVE)
    }

    fn judge(&self, ended: &Ended, folder: &Path) -> Verdict {
        let verdict = decide(&ended.evidence, None);
        let is_red = matches!(
            verdict.outcome,
            Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Leaked
        );
        let reason = || {
            format!(
                "{}: {}",
                verdict.outcome.words(),
                first_line(&verdict.reason)
            )
        };
        match &self.kind {
            _ if !is_red && verdict.outcome != Outcome::Passed => Verdict::Void(reason()),
            Kind::Changed { line, .. } if is_red => match &ended.failed_step {
                Some(FailedStep { line: failed, .. }) if failed == line => Verdict::Caught,
                _ => Verdict::Void(format!("failed in another step: {}", reason())),
            },
            Kind::Fault(fault) if !is_committed(fault, folder) => {
                Verdict::Void("the fault was not committed".to_owned())
            }
            _ if is_red => Verdict::Caught,
            _ => Verdict::Survived,
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let execution = &self.execution;
        match &self.kind {
            Kind::Unchanged => write!(f, "{execution}"),
            Kind::Changed { step, change, .. } => write!(f, "{execution}: {step} ({change})"),
            Kind::Fault(fault) => write!(f, "{execution}: with the fault {fault}"),
        }
    }
}

fn first_line(reason: &Option<String>) -> &str {
    let text = reason.as_deref().unwrap_or_default();
    text.lines().next().unwrap_or_default()
}

/// Whether a process says in its log that it has committed the fault.
fn is_committed(fault: &str, folder: &Path) -> bool {
    let mark = format!("{FAULT_COMMITTED}{fault}");
    let logs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut texts = logs.filter_map(|log| std::fs::read(log.path()).ok());
    texts.any(|text| String::from_utf8_lossy(&text).contains(&mark))
}

/// What is done with the trials of a run.
struct Bench<'a> {
    work: &'a Workload,
    stage: &'a Stage<'a>,
    catalogues: &'a Catalogues,
    folder: PathBuf,
    sandboxed: bool,
    jobs: usize,
}

/// Changes the scenarios of `work` in every way, and says which changes nobody noticed.
pub async fn mutate(work: &Workload, asked: &Mutation, stage: &Stage<'_>) -> Exit {
    let list = work.features.join(survivor::FILE_NAME);
    let known = match survivor::read(&list) {
        Ok(known) => known,
        Err(why) => {
            warn(&format!("harmony: {why}"));
            return Exit::Usage;
        }
    };
    let (sandboxed, (catalogues, leaving)) = tokio::join!(
        try_sandbox(asked.no_sandbox, stage),
        preflight::ask_all(&work.executions, stage)
    );
    let jobs = asked.jobs.map(usize::from);
    let bench = Bench {
        work,
        stage,
        catalogues: &catalogues,
        folder: work.config.output.join("runs").join(run_name()),
        sandboxed,
        jobs: jobs.unwrap_or_else(schedule::default_jobs),
    };
    let sound = bench.sound().await;
    let trials = bench.trials(&sound);
    say(&format!(
        "{} scenarios pass as they are; {} mutants of them …",
        sound.len(),
        trials.len()
    ));
    let results = bench.run(&trials).await;
    preflight::leave(leaving, stage.events).await;
    if stage.interrupt.is_cancelled() {
        return Exit::Interrupted;
    }
    tell(&results, &known, sound.len() < work.executions.len())
}

impl Bench<'_> {
    /// The executions that pass unchanged; says of the others why they are left out.
    async fn sound(&self) -> Vec<Execution> {
        let executions = self.work.executions.iter().cloned();
        let kind = || Kind::Unchanged;
        let unchanged: Vec<_> = executions
            .map(|execution| Trial {
                execution,
                kind: kind(),
            })
            .collect();
        let mut sound = Vec::new();
        for (trial, verdict) in self.run(&unchanged).await {
            match verdict {
                Verdict::Survived => sound.push(trial.execution.clone()),
                Verdict::Void(why) => say(&format!("left out  {trial}: {why}")),
                Verdict::Caught => say(&format!("left out  {trial}: it fails as it is")),
            }
        }
        sound
    }

    fn trials(&self, sound: &[Execution]) -> Vec<Trial> {
        let mut trials = Vec::new();
        for execution in sound {
            let scenario = &execution.scenario;
            let catalogue_of = |step: &RoutedStep| {
                let role = match &step.to {
                    Destination::One(name) | Destination::Both(name, _) => &name.role,
                    Destination::All => scenario.roles.first()?,
                    Destination::Runner(_) => return None,
                };
                self.catalogues
                    .get(execution.platform_of(role))?
                    .as_ref()
                    .ok()
            };
            trials.extend(mutants(scenario, catalogue_of).into_iter().map(|mutant| {
                let step = &scenario.steps[mutant.step].step;
                Trial {
                    kind: Kind::Changed {
                        step: step.to_string(),
                        line: step.line,
                        change: mutant.change,
                    },
                    execution: Execution {
                        scenario: Arc::new(mutant.scenario),
                        platforms: execution.platforms.clone(),
                    },
                }
            }));
            trials.extend(scenario.scenario.catches().map(|fault| Trial {
                kind: Kind::Fault(fault.to_owned()),
                execution: execution.clone(),
            }));
        }
        trials
    }

    /// Runs trials, those of exclusive scenarios one by one behind the others.
    async fn run<'t>(&self, trials: &'t [Trial]) -> Vec<(&'t Trial, Verdict)> {
        let (alone, together): (Vec<_>, Vec<_>) = trials
            .iter()
            .enumerate()
            .partition(|(_, t)| t.is_exclusive());
        let run = |(number, trial)| async move { (trial, self.try_one(number, trial).await) };
        let together = stream::iter(together).map(run);
        let mut results: Vec<_> = together.buffered(self.jobs).collect().await;
        for one in alone {
            results.push(run(one).await);
        }
        results
    }

    async fn try_one(&self, number: usize, trial: &Trial) -> Verdict {
        if self.stage.interrupt.is_cancelled() {
            return Verdict::Void("not run".to_owned());
        }
        let sure = match preflight::judge(&trial.execution, self.catalogues) {
            Judgement::Run(sure) => sure,
            Judgement::Not(fault) => return Verdict::Void(fault.message),
        };
        let config = match &trial.kind {
            Kind::Fault(fault) => match with_fault(&self.work.config, &trial.execution, fault) {
                Ok(config) => Some(config),
                Err(why) => return Verdict::Void(why),
            },
            _ => None,
        };
        let stage = Stage {
            config: config.as_ref().unwrap_or(self.stage.config),
            ..*self.stage
        };
        let kind = match &trial.kind {
            Kind::Unchanged => "unchanged",
            _ => "mutant",
        };
        let folder = self.folder.join(format!("{kind}-{number}-{}", trial.id()));
        let task = Task {
            number,
            execution: &trial.execution,
            sure: &sure,
            folder: &folder,
            sandboxed: self.sandboxed,
        };
        let ended = execute(&stage, &task).await;
        trial.judge(&ended, &folder)
    }
}

/// The configuration in which the platforms of an execution commit `fault`.
fn with_fault(config: &Config, execution: &Execution, fault: &str) -> Result<Config, String> {
    let mut config = config.clone();
    for platform in &mut config.platforms {
        if !execution.platforms.contains(&platform.name) {
            continue;
        }
        let name = &platform.name;
        let Some(faulty) = &platform.faulty else {
            return Err(format!(
                "the platform {name} has no step server with faults"
            ));
        };
        if !faulty
            .first()
            .is_some_and(|program| Path::new(program).exists())
        {
            let program = faulty.first().map_or("", String::as_str);
            return Err(format!(
                "{program} does not exist; ./test.sh mutate builds it"
            ));
        }
        platform.command = Ok(faulty.clone());
        platform.setup = None;
        let variable = (FAULT_VARIABLE.to_owned(), fault.to_owned());
        platform.env.extend([variable]);
    }
    Ok(config)
}

/// Says what became of the mutants. Scenarios that do not pass as they are make the whole red, as
/// do mutants that survive without a reason or say nothing, and reasons that nothing needs.
fn tell(results: &[(&Trial, Verdict)], known: &[Survivor], left_out: bool) -> Exit {
    let mut caught = 0_usize;
    let mut unexplained = 0;
    let mut survivors = 0;
    let mut needed = vec![false; known.len()];
    for (trial, verdict) in results {
        match verdict {
            Verdict::Caught => caught += 1,
            Verdict::Void(why) => {
                unexplained += 1;
                say(&format!("void      {trial}: {why}"));
            }
            Verdict::Survived => {
                survivors += 1;
                match known.iter().position(|entry| entry.is(trial)) {
                    Some(index) => {
                        needed[index] = true;
                        say(&format!(
                            "survived  {trial}\n          {}",
                            known[index].reason
                        ));
                    }
                    None => {
                        unexplained += 1;
                        say(&format!("survived  {trial}\n          without a reason"));
                    }
                }
            }
        }
    }
    let tried: Vec<String> = results.iter().map(|(trial, _)| trial.id()).collect();
    for (entry, _) in known.iter().zip(&needed).filter(|(_, needed)| !**needed) {
        if tried.contains(&entry.scenario) {
            unexplained += 1;
            say(&format!("stale     {entry}: no mutant survives there"));
        }
    }
    let all = results.len();
    let percent = (100 * caught).checked_div(all).unwrap_or(0);
    say(&format!(
        "{caught} of {all} mutants caught ({percent} %), {survivors} survived"
    ));
    match unexplained == 0 && percent >= ENOUGH && !left_out {
        true => Exit::Green,
        false => Exit::Red,
    }
}
