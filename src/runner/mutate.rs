//! Whether the checks of scenarios bite: each scenario is run with one expectation changed at a
//! time, and with step servers that commit one fault at a time, and has to fail.
//!
//! Every fault is tried with every scenario; those that a scenario gives no occasion for tell
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use super::cli::Mutation;
use super::config::Config;
use super::event::Event;
use super::execute::Stage;
use super::exit::Exit;
use super::mutant::mutants;
use super::outcome::{Outcome, decide};
use super::outside;
use super::plan::Execution;
use super::platform::{Access, Platform};
use super::preflight;
use super::route::{Destination, RoutedStep};
use super::run::{Arena, prepare};
use super::runs;
use super::schedule::{Rounds, Schedule, jobs, schedule};
use super::survivor::{self, Survivor};
use super::tally::Tally;
use super::terminal::warn;
use super::trial::{Trial, Verdict, Wrong};
use super::workload::Workload;
use crate::rpc::message::FAULT_VARIABLE;

/// The argument with which a step server prints the faults that it can commit, one a line.
const LIST_FAULTS: &str = "--list-faults";

/// Changes the scenarios of `work` in every way, and says which changes nobody noticed.
pub async fn mutate(work: &Workload, asked: &Mutation, stage: &Stage<'_>) -> Exit {
    let began = Instant::now();
    let known = match survivor::read(&work.features.join(survivor::FILE_NAME)) {
        Ok(known) => known,
        Err(why) => {
            warn(&format!("harmony: {why}"));
            return Exit::Usage;
        }
    };
    let faults = match faults(work) {
        Ok(faults) => faults,
        Err(why) => {
            warn(&format!("harmony: {why}"));
            return Exit::Setup;
        }
    };
    let (sandboxed, catalogues, leaving) = prepare(work, asked.no_sandbox, stage).await;
    let bench = Bench {
        work,
        arena: Arena {
            stage,
            catalogues: &catalogues,
            sandboxed,
            executions: work.executions.len(),
        },
        folder: work.config.output.join(runs::FOLDER).join(runs::new_name()),
        jobs: jobs(asked.jobs, &work.config),
        faults,
    };
    let tally = bench.try_all(&known).await;
    preflight::leave(leaving, stage.events).await;
    let exit = tally.as_ref().map_or(Exit::Interrupted, Tally::exit);
    let tally = tally.map(Box::new);
    let took = began.elapsed();
    stage.events.emit(Event::MutationFinished { tally, took });
    exit
}

/// What is done with the mutants of a run.
struct Bench<'a> {
    work: &'a Workload,
    arena: Arena<'a>,
    folder: PathBuf,
    jobs: usize,
    /// The faults that each platform can commit, by its name.
    faults: BTreeMap<String, Vec<String>>,
}

impl Bench<'_> {
    /// Tries all mutants; nothing where the user ends it.
    async fn try_all(&self, known: &[Survivor]) -> Option<Tally> {
        let (sound, left_out) = self.sound().await?;
        let trials = self.trials(&sound);
        let results = self.run(&trials).await?;
        let scenarios = self.work.scenarios.iter();
        let scenarios: Vec<_> = scenarios.map(|s| s.scenario.id.to_string()).collect();
        Some(Tally::of(&results, left_out, known, &scenarios))
    }

    fn emit(&self, event: Event) {
        self.arena.stage.events.emit(event);
    }

    fn schedule<'e>(&self, executions: &'e [Execution]) -> Schedule<'e> {
        let platforms = &self.work.config.platforms;
        schedule(executions, &Rounds::once(), None, self.jobs)
            .with_alone(|execution| outside::takes_part(execution, platforms))
    }

    fn is_interrupted(&self) -> bool {
        self.arena.stage.halt.is_ending()
    }

    /// The executions that pass unchanged, and the outcomes of the others.
    async fn sound(&self) -> Option<(Vec<Execution>, Vec<Outcome>)> {
        let executions = &self.work.executions;
        self.emit(Event::TrialsStarted {
            trials: executions.len(),
            what: "executions as they are".to_owned(),
        });
        let schedule = self.schedule(executions);
        let mut results = schedule
            .carry_out(self.jobs, async |turn| {
                let execution = turn.execution;
                let id = execution.scenario.scenario.id;
                let folder = self.folder.join(format!("unchanged-{}-{id}", turn.number));
                let ended = self.arena.play(turn.number, execution, &folder).await;
                let verdict = decide(&ended.evidence, self.work.known.find(execution));
                let outcome = verdict.outcome;
                let reason = verdict.reason.unwrap_or_default();
                if !self.is_interrupted() {
                    self.emit(Event::UnchangedFinished {
                        execution: execution.to_string(),
                        left_out: (outcome != Outcome::Passed).then_some((outcome, reason)),
                    });
                }
                (turn.number, outcome)
            })
            .await;
        if self.is_interrupted() {
            return None;
        }
        results.sort();
        let (mut sound, mut left_out) = (Vec::new(), Vec::new());
        for (number, outcome) in results {
            match outcome {
                Outcome::Passed => sound.push(executions[number].clone()),
                outcome => left_out.push(outcome),
            }
        }
        Some((sound, left_out))
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
                let catalogue = self.arena.catalogues.get(execution.platform_of(role))?;
                catalogue.as_ref().ok()
            };
            trials.extend(mutants(scenario, catalogue_of).into_iter().map(|mutant| {
                let step = &scenario.steps[mutant.step].step;
                Trial {
                    wrong: Wrong::Expectation {
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
            trials.extend(self.faults_in(execution).into_iter().map(|fault| Trial {
                wrong: Wrong::Fault(fault.clone()),
                execution: execution.clone(),
            }));
        }
        trials
    }

    /// The faults that a platform of the execution can commit.
    fn faults_in(&self, execution: &Execution) -> BTreeSet<&String> {
        let platforms = execution.platforms.iter();
        let faults = platforms.filter_map(|platform| self.faults.get(platform));
        faults.flatten().collect()
    }

    /// Runs mutants; nothing where the user ends it.
    async fn run<'t>(&self, trials: &'t [Trial]) -> Option<Vec<(&'t Trial, Verdict)>> {
        if !trials.is_empty() {
            self.emit(Event::TrialsStarted {
                trials: trials.len(),
                what: "mutants".to_owned(),
            });
        }
        let executions: Vec<_> = trials.iter().map(|t| t.execution.clone()).collect();
        let schedule = self.schedule(&executions);
        let mut results = schedule
            .carry_out(self.jobs, async |turn| {
                let trial = &trials[turn.number];
                let verdict = self.try_one(turn.number, trial).await;
                if !self.is_interrupted() {
                    self.emit(Event::TrialFinished {
                        trial: trial.to_string(),
                        verdict: verdict.clone(),
                    });
                }
                (turn.number, verdict)
            })
            .await;
        if self.is_interrupted() {
            return None;
        }
        results.sort_by_key(|(number, _)| *number);
        let results = results.into_iter();
        Some(results.map(|(number, v)| (&trials[number], v)).collect())
    }

    async fn try_one(&self, number: usize, trial: &Trial) -> Verdict {
        let config = match &trial.wrong {
            Wrong::Expectation { .. } => None,
            Wrong::Fault(fault) => Some(with_fault(&self.work.config, fault)),
        };
        let stage = Stage {
            config: config.as_ref().unwrap_or(self.arena.stage.config),
            ..*self.arena.stage
        };
        let arena = Arena {
            stage: &stage,
            ..self.arena
        };
        let folder = self.folder.join(format!("mutant-{number}-{}", trial.id()));
        let ended = arena.play(number, &trial.execution, &folder).await;
        trial.judge(&ended, &folder)
    }
}

/// The faults that each platform of `work` can commit.
///
/// # Errors
///
/// If its step server with faults does not tell.
fn faults(work: &Workload) -> Result<BTreeMap<String, Vec<String>>, String> {
    let is_in_use = |platform: &&Platform| {
        let mut executions = work.executions.iter();
        executions.any(|execution| execution.platforms.contains(&platform.name))
    };
    let platforms = work.config.platforms.iter().filter(is_in_use);
    let listed = platforms.filter_map(|platform| {
        let faulty = platform.faulty.as_ref()?;
        let faults = list_faults(faulty, platform).map_err(|why| {
            format!(
                "the platform {} has no step server with faults: {why}; ./test.sh mutate builds it",
                platform.name
            )
        });
        Some(faults.map(|faults| (platform.name.clone(), faults)))
    });
    listed.collect()
}

fn list_faults(faulty: &[String], platform: &Platform) -> Result<Vec<String>, String> {
    let command = format!("{} {LIST_FAULTS}", faulty.join(" "));
    let output = Command::new(&faulty[0])
        .args(&faulty[1..])
        .arg(LIST_FAULTS)
        .current_dir(&platform.cwd)
        .envs(&platform.env)
        .output()
        .map_err(|error| format!("{command}: {error}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command}: {}: {}", output.status, error.trim()));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    Ok(names.lines().map(str::to_owned).collect())
}

/// The configuration in which every platform that has faults commits `fault`.
fn with_fault(config: &Config, fault: &str) -> Config {
    let mut config = config.clone();
    for platform in &mut config.platforms {
        if let Some(faulty) = platform.faulty.clone() {
            platform.access = Ok(Access::Command(faulty));
            platform.setup = None;
            let variable = (FAULT_VARIABLE.to_owned(), fault.to_owned());
            platform.env.extend([variable]);
        }
    }
    config
}
