//! A whole run: preflight, one execution after another, the end of the report.

use std::time::Instant;

use super::event::{Event, ExecutionInfo, ExecutionReport};
use super::execute::{Ended, Stage, execute};
use super::exit::Exit;
use super::fault::Fault;
use super::filter::Filter;
use super::outcome::{Evidence, Outcome, decide};
use super::plan::{Execution, plan};
use super::preflight::{self, Judgement};
use super::workload::Workload;

/// Runs all executions of `work` and says how it ended.
pub async fn run(work: &Workload, stage: &Stage<'_>) -> Exit {
    let began = Instant::now();
    let folder = work.config.output.join("runs").join(run_name());
    stage.events.emit(Event::RunStarted {
        executions: work.executions.len(),
        folder: folder.clone(),
    });
    let (catalogues, leaving) = preflight::ask_all(&work.executions, stage).await;
    let mut outcomes = Vec::new();
    for (number, execution) in work.executions.iter().enumerate() {
        let info = describe(number, execution);
        stage.events.emit(Event::ExecutionStarted(info.clone()));
        let began = Instant::now();
        let logs = folder.join(format!("{}-{}", info.id, info.combination));
        let mut ran = false;
        let ended = match preflight::judge(execution, &catalogues) {
            _ if stage.interrupt.is_cancelled() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(sure) => {
                ran = true;
                execute(stage, number, execution, &sure, &logs).await
            }
        };
        let verdict = decide(&ended.evidence, work.known.find(execution));
        outcomes.push(verdict.outcome);
        let mut warnings = ended.warnings;
        if ended.evidence.fault.is_some() {
            let leaks = ended.evidence.leaks.iter();
            warnings.extend(leaks.map(|leak| format!("left behind: {leak}")));
        }
        stage
            .events
            .emit(Event::ExecutionFinished(Box::new(ExecutionReport {
                info,
                outcome: verdict.outcome,
                reason: verdict.reason,
                failed_step: ended.failed_step,
                took: began.elapsed(),
                warnings,
                leftovers: ended.leftovers,
                tails: ended.tails,
                folder: ran.then_some(logs),
            })));
    }
    preflight::leave(leaving, stage.events).await;
    let names: Vec<&str> = work
        .config
        .platforms
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    for stale in work
        .known
        .stale(&plan(&work.scenarios, &Filter::default(), &names))
    {
        let what = format!("an entry of the known failures matches nothing: {stale}");
        stage.events.emit(Event::Warning(what));
    }
    let interrupted = stage.interrupt.is_cancelled();
    let took = began.elapsed();
    stage.events.emit(Event::RunFinished { interrupted, took });
    Exit::of(&outcomes, interrupted)
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
    let roles = execution.scenario.roles.iter().cloned();
    ExecutionInfo {
        number,
        id: scenario.id.to_string(),
        name: scenario.name.clone(),
        place: format!("{}:{}", scenario.file.display(), scenario.line),
        combination: execution.combination(),
        roles: roles.zip(execution.platforms.iter().cloned()).collect(),
    }
}

/// A name for the folder of a run: its time, and the process id for two at the same time.
fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{}", std::process::id())
}
