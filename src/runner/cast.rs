//! The step servers of one execution: started, replaced, ended, and what is left of them.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::{join_all, select_all};

use super::deaths::Deaths;
use super::execute::{Stage, Task};
use super::fault::Fault;
use super::leftover::{self, Leftovers, Place, RunId};
use super::limits::ScenarioLimits;
use super::outcome::Outcome;
use super::platform::Platform;
use super::process::{Farewell, Launch, StepServer, Trouble};
use super::route::ProcessName;
use super::sandbox::Sandbox;
use super::transcript::Transcript;
use crate::rpc::message::{InitializeParams, method};

/// The step servers of one execution.
pub struct Cast<'a> {
    stage: &'a Stage<'a>,
    task: &'a Task<'a>,
    limits: ScenarioLimits,
    run: RunId,
    /// What they run in, if they do not run in the open.
    sandbox: Option<Sandbox>,
    servers: BTreeMap<ProcessName, StepServer>,
    /// What they do and say.
    transcript: Transcript,
    /// Those that have ended, kept for what they wrote.
    ended: Vec<StepServer>,
    /// Those that ended without the chance to release what they held.
    deaths: Deaths,
    /// How many were started, to tell their logs apart.
    starts: usize,
}

impl<'a> Cast<'a> {
    /// Nobody yet.
    pub fn new(stage: &'a Stage<'a>, task: &'a Task<'a>, limits: ScenarioLimits) -> Cast<'a> {
        let transcript = Transcript::new(stage.events, task.number, task.folder, task.executions);
        Cast {
            transcript,
            stage,
            task,
            limits,
            run: RunId::next(task.execution.scenario.scenario.id.feature),
            sandbox: None,
            servers: BTreeMap::new(),
            ended: Vec::new(),
            deaths: Deaths::default(),
            starts: 0,
        }
    }

    /// Makes the sandbox that everybody is started in, where there is to be one.
    pub async fn enter_sandbox(&mut self) -> Result<(), Fault> {
        if self.task.sandboxed {
            let size = self.task.execution.scenario.scenario.shm_size();
            let size = size.unwrap_or(self.stage.config.shm_size);
            let sandbox = Sandbox::start(self.stage.spawner, size).await;
            let no = |why| Fault::new(Outcome::SetupError, format!("there is no sandbox: {why}"));
            self.sandbox = Some(sandbox.map_err(no)?);
        }
        Ok(())
    }

    /// Starts processes side by side.
    pub async fn start(&mut self, names: &[ProcessName]) -> Result<(), Fault> {
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
                Ok(server) => {
                    self.deaths.born(server.pid());
                    self.servers.insert(name.clone(), server);
                }
                Err(fault) => {
                    self.deaths.add(None, &self.place());
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
                .task
                .folder
                .join(format!("{index}-{name}-{}.log", platform.name)),
            transcript: Some((self.transcript.of(index), &name.role)),
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
        if let Some(part) = &server.transcript {
            part.ready(server.who(), began.elapsed());
        }
        Ok(server)
    }

    /// Starts a process in the place of the one of that name, which is shut down if it lives.
    pub async fn replace(&mut self, name: &ProcessName) -> Result<(), Fault> {
        self.notice_the_dead();
        if let Some(old) = self.servers.remove(name) {
            if old.exit().is_none() {
                self.dismiss(old).await?;
            } else {
                let died = old.gone().await;
                self.ended.push(old);
                if !self.may_die(name) {
                    return Err(died.into());
                }
            }
        }
        self.start(std::slice::from_ref(name)).await
    }

    /// Kills a process with SIGKILL.
    pub async fn kill(&mut self, name: &ProcessName) -> Result<(), Fault> {
        let mut server = self.take_living(name)?;
        server.kill().await;
        self.deaths.add(server.pid(), &self.place());
        self.ended.push(server);
        Ok(())
    }

    /// Cleans a process up and shuts it down.
    pub async fn shut_down(&mut self, name: &ProcessName) -> Result<(), Fault> {
        let server = self.take_living(name)?;
        self.dismiss(server).await
    }

    async fn dismiss(&mut self, mut server: StepServer) -> Result<(), Fault> {
        let farewell = server.shut_down(self.stage.config.limits.shutdown).await;
        if !farewell.in_order {
            self.deaths.add(server.pid(), &self.place());
        }
        self.ended.push(server);
        // The first fault is what went wrong.
        farewell.faults.into_iter().next().map_or(Ok(()), Err)
    }

    fn take_living(&mut self, name: &ProcessName) -> Result<StepServer, Fault> {
        self.notice_the_dead();
        let Some(server) = self.servers.remove(name) else {
            let message = format!("the {name} does not run, so it cannot be ended");
            return Err(Fault::new(Outcome::Failed, message));
        };
        match server.exit() {
            None => Ok(server),
            Some(exit) => {
                let message = format!("{} had already died: it {}", server.who(), exit.how);
                self.ended.push(server);
                Err(Fault::new(Outcome::Failed, message))
            }
        }
    }

    /// The process of that name, if it was not ended.
    pub fn get(&self, name: &ProcessName) -> Option<&StepServer> {
        self.servers.get(name)
    }

    /// The names of all that were not ended.
    pub fn names(&self) -> Vec<ProcessName> {
        self.servers.keys().cloned().collect()
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
            scenario: self.task.execution.scenario.scenario.name.clone(),
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
        let name = self.task.execution.platform_of(role);
        let platforms = &self.stage.config.platforms;
        let found = platforms.iter().find(|platform| platform.name == name);
        found.expect("combinations are made of configured platforms")
    }

    fn may_die(&self, name: &ProcessName) -> bool {
        self.task.execution.scenario.mortal.contains(&name.role)
    }

    /// A death that is not part of the scenario, if there was one.
    pub async fn unexpected_death(&self) -> Option<Trouble> {
        let mut servers = self.servers.iter();
        let dead = servers.find(|(name, server)| !self.may_die(name) && server.exit().is_some());
        match dead {
            Some((_, server)) => Some(server.gone().await),
            None => None,
        }
    }

    /// Waits for the death of a process that is neither among `targets` nor expected to die.
    pub async fn death_beside(&self, targets: &[ProcessName]) -> Trouble {
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

    /// Takes note of those that have died since it was done before, and of what was there then.
    pub fn notice_the_dead(&mut self) {
        let place = self.place();
        for server in self.servers.values().filter(|it| it.exit().is_some()) {
            self.deaths.add(server.pid(), &place);
        }
    }

    /// Ends every process that is left; yields what was wrong with their ends.
    pub async fn end_all(&mut self) -> Vec<Fault> {
        self.notice_the_dead();
        let limit = self.stage.config.limits.shutdown;
        let mut servers: Vec<_> = std::mem::take(&mut self.servers).into_values().collect();
        let endings = servers.iter_mut().map(|server| async move {
            if server.exit().is_some() {
                return Farewell::default();
            }
            // One that hangs in a step would let `cleanup` wait as well.
            if server.is_busy() {
                server.end(limit).await;
                return Farewell::default();
            }
            server.shut_down(limit).await
        });
        let farewells = join_all(endings).await;
        let mut faults = Vec::new();
        for (server, farewell) in servers.into_iter().zip(farewells) {
            if !farewell.in_order {
                self.deaths.add(server.pid(), &self.place());
            }
            faults.extend(farewell.faults);
            self.ended.push(server);
        }
        let spawner = self.stage.spawner;
        let escaped = self.sandbox.as_ref().map_or(0, |it| it.evict(spawner));
        if escaped > 0 {
            self.deaths.add(None, &self.place());
            let what = format!(
                "{escaped} process(es) outside of the step servers' groups were left behind"
            );
            faults.push(Fault::new(Outcome::Failed, what));
        }
        faults
    }

    /// Where they leave things.
    fn place(&self) -> Place {
        match &self.sandbox {
            Some(sandbox) => Place::sandbox(&sandbox.root()),
            None => Place::shared(self.run),
        }
    }

    fn sweep(&self) -> Leftovers {
        let roles = self.task.execution.scenario.roles.iter();
        let globs = roles.flat_map(|role| self.platform(role).leaves_of(role));
        let known =
            leftover::known(globs).expect("globs are checked when the configuration is read");
        self.place().sweep(&known, &self.deaths)
    }

    /// Finds what they have left, and lets go of the sandbox.
    pub async fn clear_away(&mut self) -> Leftovers {
        let mut left = self.sweep();
        if let Some(sandbox) = self.sandbox.take() {
            left.stuck.extend(sandbox.end().await.err());
        }
        left
    }

    /// What they do and say.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Those that have ended.
    pub fn ended(&mut self) -> impl Iterator<Item = &mut StepServer> {
        self.ended.iter_mut()
    }
}

/// The environment variables that give a step server its run id.
pub fn environment(run: RunId) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("HARMONY_HOST_PID".to_owned(), run.host.to_string()),
        ("HARMONY_FEATURE_ID".to_owned(), run.feature.to_string()),
    ])
}
