//! A whole run: preflight, one execution after another, the end of the report.

use std::path::PathBuf;
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
use super::preflight::{self, Judgement};
use super::sandbox::Sandbox;
use super::workload::Workload;

/// Runs all executions of `work` and says how it ended.
pub async fn run(work: &Workload, manner: &Manner, stage: &Stage<'_>) -> Exit {
    let began = Instant::now();
    let folder = work.config.output.join("runs").join(run_name());
    stage.events.emit(Event::RunStarted {
        executions: work.executions.len(),
        folder: folder.clone(),
    });
    let (sandboxed, (catalogues, leaving)) = tokio::join!(
        try_sandbox(manner, stage),
        preflight::ask_all(&work.executions, stage)
    );
    let mut outcomes = Vec::new();
    for (number, execution) in work.executions.iter().enumerate() {
        let info = describe(number, execution);
        stage.events.emit(Event::ExecutionStarted(info.clone()));
        let began = Instant::now();
        let logs = folder.join(format!("{}-{}", info.id, info.combination));
        let ended = match preflight::judge(execution, &catalogues) {
            _ if stage.interrupt.is_cancelled() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(sure) => {
                let task = Task {
                    number,
                    execution,
                    sure: &sure,
                    folder: &logs,
                    sandboxed,
                };
                execute(stage, &task).await
            }
        };
        let verdict = decide(&ended.evidence, work.known.find(execution));
        outcomes.push(verdict.outcome);
        let report = report(info, ended, verdict, began.elapsed(), logs);
        stage
            .events
            .emit(Event::ExecutionFinished(Box::new(report)));
    }
    preflight::leave(leaving, stage.events).await;
    warn_of_stale_entries(work, stage.events);
    let interrupted = stage.interrupt.is_cancelled();
    let took = began.elapsed();
    stage.events.emit(Event::RunFinished { interrupted, took });
    Exit::of(&outcomes, interrupted)
}

/// Whether executions get sandboxes: where they are wanted and the system allows them.
async fn try_sandbox(manner: &Manner, stage: &Stage<'_>) -> bool {
    if manner.no_sandbox {
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

fn describe(number: usize, execution: &Execution) -> ExecutionInfo {
    let scenario = &execution.scenario.scenario;
    let roles = match &execution.scenario.plays_all {
        Some(one) => vec![one.to_string()],
        None => execution.scenario.roles.clone(),
    };
    ExecutionInfo {
        number,
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
fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{}", std::process::id())
}
