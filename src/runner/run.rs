//! A whole run: preflight, all executions, the end of the report.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cli::Manner;
use super::event::{Event, Events, ExecutionInfo, ExecutionReport};
use super::execute::{Ended, Stage, Task, execute};
use super::exit::Exit;
use super::fault::Fault;
use super::filter::Filter;
use super::leftover::{LOCKS, SHARED_MEMORY};
use super::outcome::{Evidence, Outcome, Verdict, decide};
use super::plan::{Execution, plan};
use super::preflight::{self, Catalogues, Judgement};
use super::sandbox::Sandbox;
use super::schedule::{self, Turn, schedule};
use super::workload::Workload;

/// Runs all executions of `work` and says how it ended.
pub async fn run(work: &Workload, manner: &Manner, stage: &Stage<'_>) -> Exit {
    let began = Instant::now();
    let folder = work.config.output.join("runs").join(run_name());
    let seed = manner
        .shuffle
        .map(|seed| seed.unwrap_or_else(schedule::new_seed));
    let jobs = schedule::jobs(manner.jobs, &work.config);
    let schedule = schedule(&work.executions, manner.repeat, seed, jobs);
    stage.events.emit(Event::RunStarted {
        executions: work.executions.len(),
        jobs: jobs.min(schedule.together.len()).max(1),
        repeat: manner.repeat,
        seed,
        folder: folder.clone(),
    });
    let (sandboxed, (catalogues, leaving)) = tokio::join!(
        try_sandbox(manner.no_sandbox, stage),
        preflight::ask_all(&work.executions, stage)
    );
    let play = Play {
        work,
        arena: Arena {
            stage,
            catalogues: &catalogues,
            sandboxed,
        },
        folder: &folder,
        repeat: manner.repeat,
    };
    let outcomes = schedule.carry_out(jobs, async |turn| play.turn(turn).await);
    let outcomes = outcomes.await;
    preflight::leave(leaving, stage.events).await;
    warn_of_stale_entries(work, stage.events);
    let interrupted = stage.interrupt.is_cancelled();
    let took = began.elapsed();
    stage.events.emit(Event::RunFinished { interrupted, took });
    Exit::of(&outcomes, interrupted)
}

/// What all turns of a run share.
struct Play<'a> {
    work: &'a Workload,
    arena: Arena<'a>,
    folder: &'a Path,
    repeat: u32,
}

impl Play<'_> {
    /// Runs an execution once, and tells what became of it.
    async fn turn(&self, turn: &Turn<'_>) -> Outcome {
        let info = describe(turn);
        let events = self.arena.stage.events;
        events.emit(Event::ExecutionStarted(info.clone()));
        let began = Instant::now();
        let mut name = format!("{}-{}", info.id, info.combination);
        if self.repeat > 1 {
            name.push_str(&format!("-{}", turn.repetition));
        }
        let logs = self.folder.join(name);
        let ended = self.arena.play(turn.number, turn.execution, &logs).await;
        let verdict = decide(&ended.evidence, self.work.known.find(turn.execution));
        let outcome = verdict.outcome;
        let report = report(info, ended, verdict, began.elapsed(), logs);
        events.emit(Event::ExecutionFinished(Box::new(report)));
        outcome
    }
}

/// Where executions are run.
#[derive(Clone, Copy)]
pub(super) struct Arena<'a> {
    /// What all of them share.
    pub stage: &'a Stage<'a>,
    /// The steps that each platform defines.
    pub catalogues: &'a Catalogues,
    /// Whether they have sandboxes.
    pub sandboxed: bool,
}

impl Arena<'_> {
    /// Runs an execution, unless the preflight or the user is against it.
    pub async fn play(&self, number: usize, execution: &Execution, logs: &Path) -> Ended {
        match preflight::judge(execution, self.catalogues) {
            _ if self.stage.interrupt.is_cancelled() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(sure) => {
                let task = Task {
                    number,
                    execution,
                    sure: &sure,
                    folder: logs,
                    sandboxed: self.sandboxed,
                };
                execute(self.stage, &task).await
            }
        }
    }
}

/// Whether executions get sandboxes: where they are wanted and the system allows them.
pub(super) async fn try_sandbox(unwanted: bool, stage: &Stage<'_>) -> bool {
    if unwanted {
        return false;
    }
    let tried = match Sandbox::start(stage.spawner, stage.config.shm_size).await {
        Ok(sandbox) => sandbox.end().await,
        Err(why) => Err(why),
    };
    if let Err(why) = &tried {
        let what = format!(
            "executions share {SHARED_MEMORY} and {LOCKS} with everybody, because no sandbox can \
             be made: {why}"
        );
        stage.events.emit(Event::Warning(what));
    }
    tried.is_ok()
}

fn report(
    info: ExecutionInfo,
    ended: Ended,
    verdict: Verdict,
    took: Duration,
    logs: PathBuf,
) -> ExecutionReport {
    let mut warnings = ended.warnings;
    // Without another fault the leaks are the reason of the outcome.
    if ended.evidence.fault.as_ref().is_some_and(Fault::is_failure) {
        let leaks = ended.evidence.leaks.iter();
        warnings.extend(leaks.map(|leak| format!("left behind: {leak}")));
    }
    ExecutionReport {
        info,
        outcome: verdict.outcome,
        reason: verdict.reason,
        failed_step: ended.failed_step,
        took,
        warnings,
        leftovers: ended.leftovers,
        tails: ended.tails,
        folder: logs.is_dir().then_some(logs),
    }
}

fn warn_of_stale_entries(work: &Workload, events: &Events) {
    if work.scenarios.iter().any(|s| s.plays_all.is_some()) {
        // The list is of more combinations than there are then.
        return;
    }
    let platforms = work.config.platforms.iter();
    let platforms: Vec<&str> = platforms.map(|p| p.name.as_str()).collect();
    let every = plan(&work.scenarios, &Filter::default(), &platforms);
    for stale in work.known.stale(&every) {
        let what = format!("an entry of the known failures matches nothing: {stale}");
        events.emit(Event::Warning(what));
    }
}

fn not_run(fault: Fault) -> Ended {
    Ended {
        evidence: Evidence {
            fault: Some(fault),
            ..Evidence::default()
        },
        ..Ended::default()
    }
}

fn describe(turn: &Turn<'_>) -> ExecutionInfo {
    let execution = turn.execution;
    let scenario = &execution.scenario.scenario;
    let roles = match &execution.scenario.plays_all {
        Some(one) => vec![one.to_string()],
        None => execution.scenario.roles.clone(),
    };
    ExecutionInfo {
        number: turn.number,
        repetition: turn.repetition,
        id: scenario.id.to_string(),
        name: scenario.name.clone(),
        place: format!("{}:{}", scenario.file.display(), scenario.line),
        combination: execution.combination(),
        roles: roles
            .into_iter()
            .zip(execution.platforms.iter().cloned())
            .collect(),
    }
}

/// A name for the folder of a run: its time, and the process id for two at the same time.
pub(super) fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{}", std::process::id())
}
