//! A whole run: preflight, all executions, the end of the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cli::Manner;
use super::event::{Event, Events, ExecutionInfo, ExecutionReport, Footer};
use super::execute::{Ended, Stage, Task, execute};
use super::exit::Exit;
use super::fault::Fault;
use super::filter::Filter;
use super::header::{Header, Invocation, describe};
use super::leftover::{LOCKS, SHARED_MEMORY};
use super::outcome::{Evidence, Outcome, Verdict, decide};
use super::outside;
use super::plan::{Execution, plan};
use super::preflight::{self, Catalogues, Judgement};
use super::sandbox::Sandbox;
use super::schedule::{self, Turn, schedule};
use super::workload::Workload;

/// Runs all executions of `work` and says how it ended. `folder` is where its logs go.
pub async fn run(
    work: &Workload,
    manner: &Manner,
    invocation: &Invocation,
    folder: &Path,
    stage: &Stage<'_>,
) -> Exit {
    let began = Instant::now();
    let seed = manner
        .shuffle
        .map(|seed| seed.unwrap_or_else(schedule::new_seed));
    let jobs = schedule::jobs(manner.jobs, &work.config);
    // All that one outside step server plays is played in one process, which some scenarios look at.
    let is_outside = |execution: &Execution| outside::takes_part(execution, &work.config.platforms);
    let schedule = schedule(&work.executions, manner.repeat, seed, jobs).with_alone(is_outside);
    let mut header = Header::new(invocation, &work.config, &schedule.in_order());
    header.jobs = jobs.min(schedule.together.len()).max(1);
    (header.repeat, header.seed) = (manner.repeat, seed);
    let executions = header.executions.len();
    stage.events.emit(Event::RunStarted {
        header: Box::new(header),
        folder: folder.to_owned(),
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
            executions,
        },
        folder,
        repeat: manner.repeat,
    };
    let outcomes = schedule.carry_out(jobs, async |turn| play.turn(turn).await);
    let outcomes = outcomes.await;
    preflight::leave(leaving, stage.events).await;
    warn_of_stale_entries(work, stage.events);
    let interrupted = stage.interrupt.is_cancelled();
    let mut counts = BTreeMap::new();
    for outcome in &outcomes {
        *counts.entry(*outcome).or_insert(0) += 1;
    }
    stage.events.emit(Event::RunFinished(Footer {
        interrupted,
        took: began.elapsed(),
        counts,
    }));
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
        let info = describe(turn, &self.work.config.root);
        let events = self.arena.stage.events;
        events.emit(Event::ExecutionStarted(info.clone()));
        let began = Instant::now();
        let name = folder_name(&info, self.repeat);
        let logs = self.folder.join(&name);
        let ended = self.arena.play(turn.number, turn.execution, &logs).await;
        let verdict = decide(&ended.evidence, self.work.known.find(turn.execution));
        let outcome = verdict.outcome;
        let folder = logs.is_dir().then(|| PathBuf::from(name));
        let report = report(info, ended, verdict, began.elapsed(), folder);
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
    /// How many there are.
    pub executions: usize,
}

impl Arena<'_> {
    /// Runs an execution, unless the preflight or the user is against it.
    pub async fn play(&self, number: usize, execution: &Execution, logs: &Path) -> Ended {
        let platforms = &self.stage.config.platforms;
        match preflight::judge(execution, self.catalogues, platforms) {
            _ if self.stage.interrupt.is_cancelled() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(sure) => {
                let task = Task {
                    number,
                    executions: self.executions,
                    execution,
                    sure: &sure,
                    folder: logs,
                    sandboxed: self.sandboxed && !outside::takes_part(execution, platforms),
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
        stage.events.warn(what);
    }
    tried.is_ok()
}

fn report(
    info: ExecutionInfo,
    ended: Ended,
    verdict: Verdict,
    took: Duration,
    folder: Option<PathBuf>,
) -> ExecutionReport {
    let mut warnings = ended.warnings;
    // Without another fault the leaks are the reason of the outcome.
    if ended.evidence.fault.as_ref().is_some_and(Fault::is_failure) {
        let leaks = ended.evidence.leaks.iter();
        warnings.extend(leaks.map(|leak| format!("left behind: {leak}")));
    }
    let tails = match verdict.outcome.is_green() {
        true => Vec::new(),
        false => ended.tails,
    };
    ExecutionReport {
        info,
        outcome: verdict.outcome,
        reason: verdict.reason,
        failed_step: ended.failed_step,
        took,
        warnings,
        leftovers: ended.leftovers,
        tails,
        folder,
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
        events.warn(what);
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

/// The name of the folder with the logs of an execution.
fn folder_name(info: &ExecutionInfo, repeat: u32) -> String {
    let mut name = format!("{}-{}", info.id, info.combination);
    if repeat > 1 {
        name.push_str(&format!("-{}", info.repetition));
    }
    name
}
