//! One execution: its step servers are started, its steps sent, its traces removed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use futures_util::future::{join_all, select_all};
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::context;
use super::event::{Event, Events, FailedStep};
use super::fault::Fault;
use super::leftover::{self, Leftovers, RunId};
use super::limits::ScenarioLimits;
use super::outcome::{Evidence, Outcome};
use super::plan::Execution;
use super::platform::Platform;
use super::process::{Launch, StepServer, Trouble};
use super::route::{Deed, Destination, ProcessName, RoutedStep, Start};
use super::sandbox::Sandbox;
use super::spawn::Spawner;
use crate::rpc::message::{
    ATTACHMENT, ExecuteStepParams, InitializeParams, StepResult, StringMap, method,
};

/// What all executions of a run share.
pub struct Stage<'a> {
    /// Platforms and limits.
    pub config: &'a Config,
    /// Starts the step servers.
    pub spawner: &'a Spawner,
    /// Where events go.
    pub events: &'a Events,
    /// Set when the user ends the run.
    pub interrupt: &'a CancellationToken,
}

/// An execution that is to be run, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Its number among all of the run.
    pub number: usize,
    /// What it is.
    pub execution: &'a Execution,
    /// For each step, whether the preflight found a definition that certainly fits.
    pub sure: &'a [bool],
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
        folder: task.folder,
        run: RunId::next(task.execution.scenario.scenario.id.feature),
        sandbox: None,
        servers: BTreeMap::new(),
        ended: Vec::new(),
        context: StringMap::new(),
        current: None,
        killed: false,
        starts: 0,
    };
    let limit = limits.execution;
    let fault = tokio::select! {
        biased;
        () = stage.interrupt.cancelled() => {
            Some(Fault::new(Outcome::Interrupted, "the run was interrupted"))
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

/// An execution under way.
struct Running<'a> {
    stage: &'a Stage<'a>,
    number: usize,
    execution: &'a Execution,
    limits: ScenarioLimits,
    folder: &'a Path,
    run: RunId,
    /// What its processes run in, if they do not run in the open.
    sandbox: Option<Sandbox>,
    servers: BTreeMap<ProcessName, StepServer>,
    /// Step servers that have ended, kept for what they wrote.
    ended: Vec<StepServer>,
    context: StringMap,
    /// The index of the step that is running, or ran last.
    current: Option<usize>,
    /// Whether a process ended without the chance to release what it held.
    killed: bool,
    /// How many step servers were started, to tell their logs apart.
    starts: usize,
}

impl Running<'_> {
    async fn play(&mut self, task: &Task<'_>) -> Result<(), Fault> {
        if task.sandboxed {
            let size = self.execution.scenario.scenario.shm_size();
            let size = size.unwrap_or(self.stage.config.shm_size);
            let sandbox = Sandbox::start(self.stage.spawner, size).await;
            let no = |why| Fault::new(Outcome::SetupError, format!("there is no sandbox: {why}"));
            self.sandbox = Some(sandbox.map_err(no)?);
        }
        self.start(&self.execution.scenario.processes).await?;
        for (index, step) in self.execution.scenario.steps.iter().enumerate() {
            self.current = Some(index);
            let text = step.step.to_string();
            self.emit(Event::StepStarted {
                execution: self.number,
                step: text.clone(),
                to: step.to.to_string(),
            });
            let began = Instant::now();
            let played = self.step(step, task.sure[index]).await;
            self.emit(Event::StepFinished {
                execution: self.number,
                step: text,
                took: began.elapsed(),
                success: played.is_ok(),
            });
            played?;
        }
        self.current = None;
        match self.first_unexpected_death() {
            Some(name) => Err(self.crashed(&self.servers[&name].gone().await)),
            None => Ok(()),
        }
    }

    fn emit(&self, event: Event) {
        self.stage.events.emit(event);
    }

    /// Starts processes side by side.
    async fn start(&mut self, names: &[ProcessName]) -> Result<(), Fault> {
        let first = self.starts;
        self.starts += names.len();
        let this = &*self;
        let starting = names
            .iter()
            .enumerate()
            .map(|(index, name)| this.start_one(name, first + index));
        let started = join_all(starting).await;
        let mut result = Ok(());
        for (name, started) in names.iter().zip(started) {
            match started {
                Ok(server) => drop(self.servers.insert(name.clone(), server)),
                Err(fault) => {
                    self.killed = true;
                    result = result.and(Err(fault));
                }
            }
        }
        result
    }

    async fn start_one(&self, name: &ProcessName, index: usize) -> Result<StepServer, Fault> {
        let platform = self.platform(&name.role);
        let began = Instant::now();
        let launch = Launch {
            name: name.to_string(),
            platform,
            env: self.environment(),
            inside: self.sandbox.as_ref().map(Sandbox::namespaces),
            log: self
                .folder
                .join(format!("{index}-{name}-{}.log", platform.name)),
        };
        let started =
            StepServer::start(self.stage.spawner, launch, &self.stage.config.limits).await;
        let mut server = started.map_err(|(trouble, tail)| {
            let mut fault = Fault::from(trouble);
            fault.message = format!(
                "the {name} ({}) did not start: {}",
                platform.name, fault.message
            );
            fault.with_tail(&tail)
        })?;
        if let Err(fault) = self.initialize(&server, name).await {
            server.end(self.stage.config.limits.shutdown).await;
            return Err(fault.with_tail(&server.tail().await));
        }
        self.emit(Event::ProcessStarted {
            execution: self.number,
            who: server.who(),
            took: began.elapsed(),
        });
        Ok(server)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut variables = environment(self.run);
        variables.extend(self.stage.config.scale.environment());
        if let Some(limit) = self.limits.servers {
            let seconds = limit.as_secs_f64().to_string();
            variables.insert("HARMONY_STEP_TIMEOUT".to_owned(), seconds);
        }
        variables
    }

    async fn initialize(&self, server: &StepServer, name: &ProcessName) -> Result<(), Fault> {
        let params = InitializeParams {
            role: name.role.clone(),
            platform: server.platform.clone(),
            scenario: self.execution.scenario.scenario.name.clone(),
            host_pid: self.run.host,
            feature_id: i64::from(self.run.feature),
        };
        let limit = self.stage.config.limits.start;
        let answer = server
            .call::<bool>(method::INITIALIZE, Some(&params), limit)
            .await;
        match answer.map_err(Fault::from)? {
            true => Ok(()),
            false => {
                let message = format!("{} answered `initialize` with false", server.who());
                Err(Fault::new(Outcome::Failed, message))
            }
        }
    }

    fn platform(&self, role: &str) -> &Platform {
        let name = self.execution.platform_of(role);
        let platforms = &self.stage.config.platforms;
        let found = platforms.iter().find(|platform| platform.name == name);
        found.expect("combinations are made of configured platforms")
    }

    /// Runs one step; the death of a process that it does not go to ends it.
    async fn step(&mut self, step: &RoutedStep, sure: bool) -> Result<(), Fault> {
        match &step.start {
            Some(Start::Replace(name)) => {
                if let Some(mut old) = self.servers.remove(name) {
                    let alive = old.exit().is_none();
                    let complaints = match alive {
                        true => {
                            old.shut_down(self.stage.config.limits.shutdown)
                                .await
                                .complaints
                        }
                        false => Vec::new(),
                    };
                    self.ended.push(old);
                    if let Some(complaint) = complaints.into_iter().next() {
                        return Err(Fault::new(Outcome::Failed, complaint));
                    }
                }
                self.start(std::slice::from_ref(name)).await?;
            }
            Some(Start::Another(name)) => self.start(std::slice::from_ref(name)).await?,
            None => {}
        }
        let targets: Vec<ProcessName> = match &step.to {
            Destination::One(name) => vec![name.clone()],
            Destination::Both(a, b) => vec![a.clone(), b.clone()],
            Destination::All => self.servers.keys().cloned().collect(),
            Destination::Runner(deed) => return self.deed(deed).await,
        };
        let changes = tokio::select! {
            biased;
            changes = self.send(step, &targets, sure) => changes?,
            died = self.death_beside(&targets) => return Err(self.crashed(&died)),
        };
        context::merge(&mut self.context, changes);
        Ok(())
    }

    /// Sends a step to its processes; yields what each one added to the context.
    async fn send(
        &self,
        step: &RoutedStep,
        targets: &[ProcessName],
        sure: bool,
    ) -> Result<Vec<(String, StringMap)>, Fault> {
        let broadcast = step.to == Destination::All;
        let one = |name: ProcessName| async move {
            let changes = self.send_to(step, &name, broadcast, sure).await?;
            Ok((name.to_string(), changes))
        };
        if !broadcast {
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

    async fn send_to(
        &self,
        step: &RoutedStep,
        name: &ProcessName,
        is_broadcast: bool,
        sure: bool,
    ) -> Result<StringMap, Fault> {
        let Some(server) = self.servers.get(name) else {
            let message = format!("the {name} does not run any more");
            return Err(Fault::new(Outcome::Failed, message));
        };
        if step.awaits_death && server.exit().is_some() {
            return Ok(StringMap::new());
        }
        let params = ExecuteStepParams {
            process: name.to_string(),
            step_type: step.step.kind,
            step: step.step.text.clone(),
            parameters: context::parameters(&step.step),
            context: self.context.clone(),
            is_broadcast,
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
        self.emit_attachments(&result);
        if !result.success {
            return Err(Fault::of_result(result, sure));
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

    fn emit_attachments(&self, result: &StepResult) {
        for entry in &result.logs {
            if let Some(text) = entry.message.strip_prefix(ATTACHMENT) {
                self.emit(Event::Attachment {
                    execution: self.number,
                    text: text.to_owned(),
                });
            }
        }
    }

    /// What the runner does itself.
    async fn deed(&mut self, deed: &Deed) -> Result<(), Fault> {
        let name = match deed {
            Deed::Wait(time) => {
                return tokio::select! {
                    () = tokio::time::sleep(*time) => Ok(()),
                    died = self.death_beside(&[]) => Err(self.crashed(&died)),
                };
            }
            Deed::Kill(name) | Deed::ShutDown(name) => name,
        };
        let Some(mut server) = self.servers.remove(name) else {
            let message = format!("the {name} does not run, so it cannot be ended");
            return Err(Fault::new(Outcome::Failed, message));
        };
        let mut complaints = Vec::new();
        match (server.exit(), deed) {
            (Some(exit), _) => complaints.push(format!(
                "{} had already died: it {}",
                server.who(),
                exit.how
            )),
            (None, Deed::Kill(_)) => {
                server.kill().await;
                self.killed = true;
            }
            (None, _) => {
                complaints = server
                    .shut_down(self.stage.config.limits.shutdown)
                    .await
                    .complaints;
            }
        }
        self.ended.push(server);
        match complaints.into_iter().next() {
            Some(complaint) => Err(Fault::new(Outcome::Failed, complaint)),
            None => Ok(()),
        }
    }

    fn may_die(&self, name: &ProcessName) -> bool {
        self.execution.scenario.mortal.contains(&name.role)
    }

    fn first_unexpected_death(&self) -> Option<ProcessName> {
        let mut servers = self.servers.iter();
        let dead = servers.find(|(name, server)| !self.may_die(name) && server.exit().is_some());
        dead.map(|(name, _)| name.clone())
    }

    /// Waits for the death of a process that is neither among `targets` nor expected to die.
    async fn death_beside(&self, targets: &[ProcessName]) -> Trouble {
        let watched = self
            .servers
            .iter()
            .filter(|(name, _)| !targets.contains(name) && !self.may_die(name))
            .map(|(_, server)| Box::pin(server.gone()));
        let watched: Vec<_> = watched.collect();
        match watched.is_empty() {
            true => std::future::pending().await,
            false => select_all(watched).await.0,
        }
    }

    fn crashed(&self, trouble: &Trouble) -> Fault {
        Fault::new(Outcome::Crashed, trouble.to_string())
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
        let complaints = self.end_all().await;
        for server in &mut self.ended {
            let who = server.who();
            let odd = |what: String| format!("{who} sent {what}");
            ended
                .warnings
                .extend(server.oddities().into_iter().map(odd));
            ended.tails.push((server.who(), server.tail().await));
        }
        ended.evidence.fault = fault;
        for complaint in complaints {
            match &ended.evidence.fault {
                Some(fault) if fault.is_failure() => ended.warnings.push(complaint),
                _ => ended.evidence.fault = Some(Fault::new(Outcome::Failed, complaint)),
            }
        }
        let left = self.sweep();
        if let Some(sandbox) = self.sandbox.take() {
            ended.warnings.extend(sandbox.end().await.err());
        }
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

    /// Ends every process that is left; yields what was wrong with their ends.
    async fn end_all(&mut self) -> Vec<String> {
        let limit = self.stage.config.limits.shutdown;
        let mut servers: Vec<_> = std::mem::take(&mut self.servers).into_values().collect();
        let endings = servers.iter_mut().map(|server| async move {
            if server.exit().is_some() {
                return (true, Vec::new());
            }
            // One that hangs in a step would let `cleanup` wait as well.
            if server.is_busy() {
                server.end(limit).await;
                return (true, Vec::new());
            }
            let farewell = server.shut_down(limit).await;
            (!farewell.in_order, farewell.complaints)
        });
        let mut complaints = Vec::new();
        for (killed, complaint) in join_all(endings).await {
            self.killed |= killed;
            complaints.extend(complaint);
        }
        self.ended.extend(servers);
        complaints
    }

    fn sweep(&self) -> Leftovers {
        let roles = self.execution.scenario.roles.iter();
        let globs = roles.flat_map(|role| self.platform(role).leaves_of(role));
        let known =
            leftover::known(globs).expect("globs are checked when the configuration is read");
        match &self.sandbox {
            Some(sandbox) => leftover::look_around(&sandbox.root(), &known, self.killed),
            None => leftover::sweep(self.run, &known, self.killed),
        }
    }
}

/// The environment variables that give a step server its run id.
pub fn environment(run: RunId) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("HARMONY_HOST_PID".to_owned(), run.host.to_string()),
        ("HARMONY_FEATURE_ID".to_owned(), run.feature.to_string()),
    ])
}
