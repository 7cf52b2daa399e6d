//! A whole run: preflight, all executions, the end of the report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::baseline::{Comparison, Results, Side};
use super::cli::Manner;
use super::event::{Event, Events, ExecutionInfo, ExecutionReport, Footer};
use super::execute::{Ended, Stage, Task, execute};
use super::exit::Exit;
use super::fault::Fault;
use super::filter::Filter;
use super::halt::{CutShort, Halt};
use super::header::{Header, Invocation, describe};
use super::leftover::{LOCKS, SHARED_MEMORY};
use super::outcome::{Evidence, Outcome, Verdict, after_failures, decide};
use super::outside;
use super::plan::{Execution, plan};
use super::preflight::{self, Catalogues, Judgement, Leaving};
use super::sandbox::Sandbox;
use super::schedule::{self, Rounds, Schedule, Turn, schedule};
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
    let first = Rounds::up_to(manner.repeat_at_once());
    let schedule = arrange(work, &first, seed, jobs);
    let unavailable = unavailable(work, schedule.in_order().len());
    let turns = [schedule.in_order(), unavailable.clone()].concat();
    let mut header = header(work, manner, invocation, &turns);
    header.jobs = jobs.min(schedule.together.len()).max(1);
    header.seed = seed;
    stage.events.emit(Event::RunStarted {
        header: Box::new(header),
        folder: folder.to_owned(),
    });
    for text in &invocation.warnings {
        stage.events.warn(text);
    }
    let playing = async {
        let (sandboxed, catalogues, leaving) = prepare(work, manner.no_sandbox, stage).await;
        let play = Play {
            work,
            arena: Arena {
                stage,
                catalogues: &catalogues,
                sandboxed,
                executions: manner.rounds().saturating_mul(work.executions.len()),
            },
            folder,
            manner,
            jobs,
            results: RefCell::default(),
        };
        let mut outcomes = play.leave_out(&unavailable);
        outcomes.extend(play.round(&schedule).await);
        if manner.until_failure {
            play.more_rounds(&mut outcomes, seed, turns.len()).await;
        }
        preflight::leave(leaving, stage.events).await;
        (outcomes, play.results.into_inner())
    };
    let limit = manner.time_limit.or(work.config.limits.run);
    let (outcomes, results) = tokio::select! {
        ended = playing => ended,
        never = end_late(began, limit, stage.halt) => match never {},
    };
    warn_of_stale_entries(work, stage.events);
    if let Some(baseline) = &invocation.baseline {
        let comparison = Comparison::new(baseline, &results);
        stage.events.emit(Event::Compared(Box::new(comparison)));
    }
    let footer = footer(&outcomes, stage.halt.why(), began.elapsed());
    let exit = Exit::of(&outcomes, footer.cut_short.as_ref());
    stage.events.emit(Event::RunFinished(footer));
    exit
}

/// The turns of some rounds. All that one outside step server plays is played in one process, which
/// some scenarios look at: such executions run alone.
fn arrange<'w>(
    work: &'w Workload,
    rounds: &Rounds,
    seed: Option<u64>,
    jobs: usize,
) -> Schedule<'w> {
    let is_outside = |execution: &Execution| outside::takes_part(execution, &work.config.platforms);
    schedule(&work.executions, rounds, seed, jobs).with_alone(is_outside)
}

/// What is known before these turns begin.
fn header(work: &Workload, manner: &Manner, invocation: &Invocation, turns: &[Turn<'_>]) -> Header {
    Header {
        repeat: manner.repeat_at_once(),
        until_failure: manner.until_failure,
        retries: manner.retries,
        part_of: work.part_of.clone(),
        same_process: work.same_process,
        features: work.other_features(),
        long_running: manner.long_running.map(|time| time.as_secs_f64()),
        benchmark_scale: manner.benchmark_scale,
        no_sandbox: manner.no_sandbox,
        ..Header::new(invocation, &work.config, turns)
    }
}

/// What is known at the end. `halted` is why nothing more was to begin, where that was so.
fn footer(outcomes: &[Outcome], halted: Option<CutShort>, took: Duration) -> Footer {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(*outcome).or_insert(0) += 1;
    }
    let cut_short = halted.filter(|why| {
        // Where nothing was left to run, it is whole in spite of that.
        *why == CutShort::Interrupted || outcomes.iter().any(|outcome| outcome.is_cut_short())
    });
    Footer {
        cut_short,
        took,
        counts,
    }
}

/// Ends the run when it has taken as long as it may.
async fn end_late(began: Instant, limit: Option<Duration>, halt: &Halt) -> Infallible {
    if let Some(limit) = limit {
        tokio::time::sleep(limit.saturating_sub(began.elapsed())).await;
        halt.end(CutShort::TimeLimit { limit });
    }
    std::future::pending().await
}

/// What is left out because a platform is missing, numbered from `first` on.
fn unavailable(work: &Workload, first: usize) -> Vec<Turn<'_>> {
    let numbered = (first..).zip(&work.unavailable);
    let turn = |(number, execution)| Turn {
        number,
        execution,
        repetition: 1,
    };
    numbered.map(turn).collect()
}

/// What all turns of a run share.
struct Play<'a> {
    work: &'a Workload,
    arena: Arena<'a>,
    folder: &'a Path,
    manner: &'a Manner,
    jobs: usize,
    results: RefCell<Results>,
}

impl Play<'_> {
    /// Tells of what cannot run without a missing platform.
    fn leave_out(&self, turns: &[Turn<'_>]) -> Vec<Outcome> {
        let config = &self.work.config;
        let leave_out = |turn: &Turn<'_>| {
            let missing = config.missing(&turn.execution.platforms);
            self.not_run(turn, Outcome::Unavailable, missing.join("; "))
        };
        turns.iter().map(leave_out).collect()
    }

    async fn round(&self, schedule: &Schedule<'_>) -> Vec<Outcome> {
        let playing = schedule.carry_out(self.jobs, async |turn| self.turn(turn).await);
        playing.await
    }

    /// Runs everything again and again, until something is not green or nothing more is to begin.
    async fn more_rounds(&self, outcomes: &mut Vec<Outcome>, seed: Option<u64>, planned: usize) {
        let mut first_number = planned;
        let is_green = |outcomes: &[Outcome]| outcomes.iter().all(|outcome| outcome.is_green());
        let mut goes_on = is_green(outcomes);
        for round in 2..=self.manner.repeat.unwrap_or(u32::MAX) {
            if !goes_on || self.arena.stage.halt.why().is_some() {
                return;
            }
            let mut executions = self.work.executions.iter();
            if !executions.any(|execution| self.arena.can_play(execution)) {
                let what = "--until-failure ends here: nothing that was asked for can run, so nothing \
                            can fail";
                self.arena.stage.events.warn(what);
                return;
            }
            let rounds = Rounds {
                repetitions: round..=round,
                first_number,
            };
            let schedule = arrange(self.work, &rounds, seed, self.jobs);
            let root = &self.work.config.root;
            let turns = schedule.in_order();
            first_number += turns.len();
            let executions = turns.iter().map(|turn| describe(turn, root)).collect();
            self.emit(Event::RoundStarted { round, executions });
            let found = self.round(&schedule).await;
            goes_on = is_green(&found);
            outcomes.extend(found);
        }
    }

    /// Runs an execution once, and again where it fails and may; tells what became of it.
    async fn turn(&self, turn: &Turn<'_>) -> Outcome {
        // What is not played waits for nothing: signals and the time limit would not be heard.
        tokio::task::yield_now().await;
        if let Some(why) = self.arena.stage.halt.why() {
            return self.not_run(turn, Outcome::NotRun, why.reason());
        }
        let info = describe(turn, &self.work.config.root);
        let mut failed = Vec::new();
        loop {
            self.emit(Event::ExecutionStarted(info.clone()));
            let began = Instant::now();
            let name = folder_name(&info, self.manner.runs_repeatedly(), failed.len() + 1);
            let logs = self.folder.join(&name);
            let ended = self.arena.play(turn.number, turn.execution, &logs).await;
            let folder = logs.is_dir().then(|| PathBuf::from(name));
            let known = self.work.known.find(turn.execution);
            let verdict = decide(&ended.evidence, known);
            let is_last = known.is_some() || !self.may_try_again(&verdict, failed.len());
            let verdict = match is_last {
                true => after_failures(&failed, verdict, self.manner.flaky),
                false => verdict,
            };
            let mut report = report(&info, ended, &verdict, began.elapsed(), folder);
            report.attempt = failed.len() as u32 + 1;
            if is_last {
                if matches!(verdict.outcome, Outcome::Flaky | Outcome::FlakyFailure) {
                    report.warnings.extend(told(&failed));
                }
                self.finished(report);
                if self.manner.fail_fast && !verdict.outcome.is_green() {
                    self.arena.stage.halt.begin_no_more(CutShort::FirstFailure);
                }
                return verdict.outcome;
            }
            failed.push(verdict);
            self.emit(Event::AttemptFinished(Box::new(report)));
        }
    }

    /// Whether an execution with this verdict, after so many failed attempts, is run once more.
    fn may_try_again(&self, verdict: &Verdict, failed: usize) -> bool {
        let is_left = failed < self.manner.retries as usize;
        is_left && verdict.outcome.is_own_failure() && !self.arena.stage.halt.is_ending()
    }

    /// Tells why an execution does not begin.
    fn not_run(&self, turn: &Turn<'_>, outcome: Outcome, reason: String) -> Outcome {
        let info = describe(turn, &self.work.config.root);
        let verdict = Verdict {
            outcome,
            reason: Some(reason),
        };
        let report = report(&info, Ended::default(), &verdict, Duration::ZERO, None);
        self.finished(report);
        outcome
    }

    fn finished(&self, report: ExecutionReport) {
        let ExecutionInfo {
            id, combination, ..
        } = &report.info;
        let mut results = self.results.borrow_mut();
        results.add(id, combination, Side::of(&report));
        self.emit(Event::ExecutionFinished(Box::new(report)));
    }

    fn emit(&self, event: Event) {
        self.arena.stage.events.emit(event);
    }
}

/// A line for each failed attempt.
fn told(failed: &[Verdict]) -> impl Iterator<Item = String> {
    let numbered = (1..).zip(failed);
    numbered.map(|(attempt, verdict)| {
        let reason = verdict.reason.as_deref().unwrap_or_default();
        let reason = reason.lines().next().unwrap_or_default();
        format!("attempt {attempt}: {}: {reason}", verdict.outcome.words())
    })
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
    /// Whether the preflight has nothing against an execution.
    fn can_play(&self, execution: &Execution) -> bool {
        let platforms = &self.stage.config.platforms;
        let judged = preflight::judge(execution, self.catalogues, platforms);
        matches!(judged, Judgement::Run(_))
    }

    /// Runs an execution, unless the preflight or the user is against it.
    pub async fn play(&self, number: usize, execution: &Execution, logs: &Path) -> Ended {
        let platforms = &self.stage.config.platforms;
        match preflight::judge(execution, self.catalogues, platforms) {
            _ if self.stage.halt.is_ending() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(definitions) => {
                let task = Task {
                    number,
                    executions: self.executions,
                    execution,
                    definitions: &definitions,
                    folder: logs,
                    sandboxed: self.sandboxed && !outside::takes_part(execution, platforms),
                };
                execute(self.stage, &task).await
            }
        }
    }
}

/// Finds out, at the same time, whether executions get sandboxes and what the platforms define.
pub(super) async fn prepare(
    work: &Workload,
    no_sandbox: bool,
    stage: &Stage<'_>,
) -> (bool, Catalogues, Vec<Leaving>) {
    let (sandboxed, (catalogues, leaving)) = tokio::join!(
        try_sandbox(no_sandbox, stage),
        preflight::ask_all(&work.executions, stage)
    );
    (sandboxed, catalogues, leaving)
}

/// Whether executions get sandboxes: where they are wanted and the system allows them.
async fn try_sandbox(unwanted: bool, stage: &Stage<'_>) -> bool {
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
    info: &ExecutionInfo,
    ended: Ended,
    verdict: &Verdict,
    took: Duration,
    folder: Option<PathBuf>,
) -> ExecutionReport {
    let mut warnings = ended.warnings;
    // Without another fault, or beside a known one, the leaks are the reason of the outcome.
    let is_faulty = ended.evidence.fault.as_ref().is_some_and(Fault::is_failure);
    if is_faulty && verdict.outcome != Outcome::Leaked {
        let leaks = ended.evidence.leaks.iter();
        warnings.extend(leaks.map(|leak| format!("left behind: {leak}")));
    }
    let tails = match verdict.outcome.is_green() {
        true => Vec::new(),
        false => ended.tails,
    };
    ExecutionReport {
        info: info.clone(),
        attempt: 1,
        outcome: verdict.outcome,
        reason: verdict.reason.clone(),
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

/// The name of the folder with the logs of an attempt of an execution.
fn folder_name(info: &ExecutionInfo, is_repeated: bool, attempt: usize) -> String {
    let mut name = format!("{}-{}", info.id, info.combination);
    if is_repeated {
        name.push_str(&format!("-{}", info.repetition));
    }
    if attempt > 1 {
        name.push_str(&format!("-attempt-{attempt}"));
    }
    name
}
