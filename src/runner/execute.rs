//! One execution: its step servers are started, its steps sent, its traces removed.

use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;

use super::cast::Cast;
use super::config::Config;
use super::context;
use super::event::{Event, Events, FailedStep};
use super::fault::Fault;
use super::halt::{CutShort, Halt};
use super::limits::ScenarioLimits;
use super::outcome::{Evidence, Outcome};
use super::plan::Execution;
use super::preflight::{self, Definition};
use super::process::{StepServer, Trouble};
use super::route::{Deed, Destination, ProcessName, RoutedStep, Start};
use super::spawn::Spawner;
use super::transcript::shortened;
use crate::rpc::message::{ATTACHMENT, ExecuteStepParams, StepResult, StringMap, method};

/// How long an attachment may be, in bytes.
const ATTACHED: usize = 64 * 1024;

/// What all executions of a run share.
pub struct Stage<'a> {
    /// Platforms and limits.
    pub config: &'a Config,
    /// Starts the step servers.
    pub spawner: &'a Spawner,
    /// Where events go.
    pub events: &'a Events,
    /// Ends the run before its end.
    pub halt: &'a Halt,
}

/// An execution that is to be run, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Its number among all of the run.
    pub number: usize,
    /// How many the run has.
    pub executions: usize,
    /// What it is.
    pub execution: &'a Execution,
    /// For each step, what the preflight knows of its definition.
    pub definitions: &'a [Definition],
    /// Where its logs go.
    pub folder: &'a Path,
    /// Whether it has a sandbox.
    pub sandboxed: bool,
}

/// An execution that has ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// What was seen of it.
    pub evidence: Evidence,
    /// The step that it ended with, if one failed.
    pub failed_step: Option<FailedStep>,
    /// Things that are not as they should be but do not decide the outcome.
    pub warnings: Vec<String>,
    /// What was left behind as it is known to be, and removed.
    pub leftovers: Vec<String>,
    /// The last lines of each process's standard error.
    pub tails: Vec<(String, Vec<String>)>,
}

/// Runs an execution.
pub async fn execute(stage: &Stage<'_>, task: &Task<'_>) -> Ended {
    if let Err(error) = std::fs::create_dir_all(task.folder) {
        let message = format!("{}: {error}", task.folder.display());
        let mut ended = Ended::default();
        ended.evidence.fault = Some(Fault::new(Outcome::SetupError, message));
        return ended;
    }
    let limits = stage
        .config
        .limits
        .of(&task.execution.scenario.scenario, &stage.config.scale);
    let mut running = Running {
        stage,
        number: task.number,
        execution: task.execution,
        limits,
        cast: Cast::new(stage, task, limits),
        context: StringMap::new(),
        current: None,
    };
    let limit = limits.execution;
    let fault = tokio::select! {
        biased;
        () = stage.halt.ending() => {
            let why = stage.halt.why().unwrap_or(CutShort::Interrupted);
            Some(Fault::new(Outcome::Interrupted, why.reason()))
        }
        played = tokio::time::timeout(limit, running.play(task)) => match played {
            Ok(played) => played.err(),
            Err(_) => {
                let seconds = limit.as_secs_f64();
                Some(Fault::new(Outcome::TimedOut, format!("not done within {seconds} s")))
            }
        },
    };
    running.finish(fault).await
}

/// A step that is being sent.
struct Sending<'a> {
    /// Its index.
    index: usize,
    step: &'a RoutedStep,
    /// What the preflight knows of its definition.
    definition: Definition,
}

impl Sending<'_> {
    fn is_broadcast(&self) -> bool {
        self.step.to == Destination::All
    }
}

/// An execution under way.
struct Running<'a> {
    stage: &'a Stage<'a>,
    number: usize,
    execution: &'a Execution,
    limits: ScenarioLimits,
    cast: Cast<'a>,
    context: StringMap,
    /// The index of the step that is running, or ran last.
    current: Option<usize>,
}

impl Running<'_> {
    async fn play(&mut self, task: &Task<'_>) -> Result<(), Fault> {
        self.cast.enter_sandbox().await?;
        self.cast.start(&self.execution.scenario.processes).await?;
        for (index, step) in self.execution.scenario.steps.iter().enumerate() {
            self.current = Some(index);
            let text = step.step.to_string();
            self.emit(Event::StepStarted {
                execution: self.number,
                step: index,
                text: text.clone(),
                line: step.step.line,
                to: step.to.to_string(),
            });
            let began = Instant::now();
            let sending = Sending {
                index,
                step,
                definition: task.definitions[index],
            };
            let played = self.step(&sending).await;
            self.cast.notice_the_dead();
            self.emit(Event::StepFinished {
                execution: self.number,
                step: index,
                text,
                took: began.elapsed(),
                success: played.is_ok(),
                error: played.as_ref().err().map(|fault| fault.message.clone()),
            });
            played?;
        }
        self.current = None;
        match self.cast.unexpected_death().await {
            Some(died) => Err(crashed(&died)),
            None => Ok(()),
        }
    }

    fn emit(&self, event: Event) {
        self.stage.events.emit(event);
    }

    /// Runs one step; the death of a process that it does not go to ends it.
    async fn step(&mut self, sending: &Sending<'_>) -> Result<(), Fault> {
        let step = sending.step;
        match &step.start {
            Some(Start::Replace(name)) => self.cast.replace(name).await?,
            Some(Start::Another(name)) => self.cast.start(std::slice::from_ref(name)).await?,
            None => {}
        }
        let targets: Vec<ProcessName> = match &step.to {
            Destination::One(name) => vec![name.clone()],
            Destination::Both(a, b) => vec![a.clone(), b.clone()],
            Destination::All => self.cast.names(),
            Destination::Runner(deed) => return self.deed(deed).await,
        };
        let changes = tokio::select! {
            biased;
            changes = self.send(sending, &targets) => changes?,
            died = self.cast.death_beside(&targets) => return Err(crashed(&died)),
        };
        context::merge(&mut self.context, changes);
        Ok(())
    }

    /// Sends a step to its processes; yields what each one added to the context.
    async fn send(
        &self,
        sending: &Sending<'_>,
        targets: &[ProcessName],
    ) -> Result<Vec<(String, StringMap)>, Fault> {
        let one = |name: ProcessName| async move {
            let changes = self.send_to(sending, &name).await?;
            Ok((name.to_string(), changes))
        };
        if !sending.is_broadcast() {
            return join_all(targets.iter().cloned().map(one))
                .await
                .into_iter()
                .collect();
        }
        let mut changes = Vec::new();
        for name in targets {
            changes.push(one(name.clone()).await?);
        }
        Ok(changes)
    }

    /// Sends a step to a process and tells how that goes.
    async fn send_to(&self, sending: &Sending<'_>, name: &ProcessName) -> Result<StringMap, Fault> {
        let Some(server) = self.cast.get(name) else {
            let message = format!("the {name} does not run any more");
            return Err(Fault::new(Outcome::Failed, message));
        };
        if sending.step.awaits_death && server.exit().is_some() {
            return Ok(StringMap::new());
        }
        let began = Instant::now();
        if let Some(part) = &server.transcript {
            part.sent(sending.index);
        }
        let result = self.ask(sending, name, server).await;
        if let Some(part) = &server.transcript {
            part.answered(sending.index, began.elapsed(), result.is_ok());
        }
        result
    }

    /// Asks a process to play a step; yields what that added to the context.
    async fn ask(
        &self,
        sending: &Sending<'_>,
        name: &ProcessName,
        server: &StepServer,
    ) -> Result<StringMap, Fault> {
        let step = sending.step;
        let params = ExecuteStepParams {
            process: name.to_string(),
            step_type: step.step.kind,
            step: step.step.text.clone(),
            parameters: context::parameters(&step.step),
            context: self.context.clone(),
            is_broadcast: sending.is_broadcast(),
        };
        let limit = self.limits.step;
        let began = Instant::now();
        let answer = server
            .call::<StepResult>(method::EXECUTE_STEP, Some(&params), limit)
            .await;
        let result = match answer {
            Err(Trouble::Died { .. }) if step.awaits_death => return Ok(StringMap::new()),
            other => other.map_err(Fault::from)?,
        };
        server.keep(&result.logs).await;
        self.tell_records(sending.index, server, &result);
        if !result.success {
            let mut fault = Fault::of_result(result, sending.definition);
            if fault.outcome == Outcome::Undefined {
                let platforms = &self.stage.config.platforms;
                let snippets = preflight::snippets(&step.step, &[&server.platform], platforms);
                fault.message = [&[fault.message], snippets.as_slice()].concat().join("\n");
            }
            return Err(fault);
        }
        if step.awaits_death {
            let rest = limit.saturating_sub(began.elapsed());
            if tokio::time::timeout(rest, server.gone()).await.is_err() {
                let message = format!("{} should have died, and still runs", server.who());
                return Err(Fault::new(Outcome::Failed, message));
            }
        }
        let mut changes = result.context;
        changes.retain(|key, value| self.context.get(key) != Some(value));
        Ok(changes)
    }

    /// Tells what a process has logged since its previous answer.
    fn tell_records(&self, step: usize, server: &StepServer, result: &StepResult) {
        for entry in &result.logs {
            if let Some(text) = entry.message.strip_prefix(ATTACHMENT) {
                self.emit(Event::Attachment {
                    execution: self.number,
                    step,
                    text: shortened(text, ATTACHED),
                });
            } else if let Some(part) = &server.transcript {
                part.record(step, entry);
            }
        }
    }

    /// What the runner does itself.
    async fn deed(&mut self, deed: &Deed) -> Result<(), Fault> {
        match deed {
            Deed::Kill(name) => self.cast.kill(name).await,
            Deed::ShutDown(name) => self.cast.shut_down(name).await,
            Deed::Wait(time) => tokio::select! {
                () = tokio::time::sleep(*time) => Ok(()),
                died = self.cast.death_beside(&[]) => Err(crashed(&died)),
            },
        }
    }

    /// Ends all processes, removes what they left and says what was seen.
    async fn finish(mut self, fault: Option<Fault>) -> Ended {
        let mut ended = Ended {
            failed_step: fault
                .as_ref()
                .and(self.current)
                .map(|index| self.failed_step(index)),
            ..Ended::default()
        };
        let faults = self.cast.end_all().await;
        for server in self.cast.ended() {
            let who = server.who();
            let odd = |what: String| format!("{who} sent {what}");
            ended
                .warnings
                .extend(server.oddities().into_iter().map(odd));
            ended.tails.push((server.who(), server.tail().await));
        }
        ended.evidence.fault = fault;
        for later in faults {
            match &ended.evidence.fault {
                Some(fault) if fault.is_failure() => ended.warnings.push(later.message),
                _ => ended.evidence.fault = Some(later),
            }
        }
        self.cast.transcript().close();
        let left = self.cast.clear_away().await;
        ended.warnings.extend(left.stuck);
        ended.leftovers = left.expected;
        ended.evidence.leaks = left.leaks;
        ended
    }

    fn failed_step(&self, index: usize) -> FailedStep {
        let step = &self.execution.scenario.steps[index];
        FailedStep {
            step: step.step.to_string(),
            line: step.step.line,
            to: step.to.to_string(),
        }
    }
}

fn crashed(trouble: &Trouble) -> Fault {
    Fault::new(Outcome::Crashed, trouble.to_string())
}
