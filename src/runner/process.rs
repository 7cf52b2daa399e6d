//! One step server: a program and what it writes to its standard error, or somebody else's program,
//! and the connection to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::fault::Fault;
use super::limits::Limits;
use super::outcome::Outcome;
use super::platform::{Access, Platform};
use super::spawn::{Ending, Exit, Namespaces, Spawner};
use super::stderr::{Log, StandardError};
use super::transcript::Part;
use crate::rpc::client::{CallError, Client};
use crate::rpc::message::{LogEntry, method};

/// How long to wait for what must follow at once: the last bytes of a pipe whose writer has
/// ended, the end of a process that has closed its output.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How much of what a step server told may wait to be written to its log, in bytes.
const UNWRITTEN: usize = 64 * 1024;

/// What to start or to connect to, and as whom.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// Name in messages, for example `reader#2`.
    pub name: String,
    /// The platform that is started.
    pub platform: &'a Platform,
    /// Environment variables beside the platform's own, for a program.
    pub env: BTreeMap<String, String>,
    /// The sandbox that a program is started in.
    pub inside: Option<Arc<Namespaces>>,
    /// Where its standard error is kept, or else the records that come with its answers.
    pub log: PathBuf,
    /// Where it is told what happens to it, and the role that it plays then.
    pub transcript: Option<(Part, &'a str)>,
}

impl Launch<'_> {
    /// Tells that it is there, with its process id where that is known.
    fn tell_start(&self, pid: Option<i32>) -> Option<Part> {
        let (part, role) = self.transcript.as_ref()?;
        part.started(&self.name, role, &self.platform.name, pid, &self.log);
        Some(part.clone())
    }
}

/// Why a step server has not done what it was asked to.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// The program could not be started, or there is nobody to connect to.
    #[error("{0}")]
    NotStarted(String),
    /// The process has died, or is out of reach.
    #[error("{who} {}", exit.how)]
    Died {
        /// Role, platform and process.
        who: String,
        /// How it ended.
        exit: Exit,
    },
    /// The process lives, but the call has no result.
    #[error("{who}: {error}")]
    Call {
        /// Role, platform and process.
        who: String,
        /// What it did instead.
        error: CallError,
    },
}

/// How a step server took being shut down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Farewell {
    /// Whether it ended by itself and well.
    pub in_order: bool,
    /// What went wrong.
    pub faults: Vec<Fault>,
}

/// A running step server.
#[derive(Debug)]
pub struct StepServer {
    /// Name in messages.
    pub name: String,
    /// The platform's name.
    pub platform: String,
    /// Its part of the transcript, where there is one.
    pub transcript: Option<Part>,
    host: Host,
    client: Option<Client>,
    /// Whether a call was made and not answered.
    busy: AtomicBool,
    exit: watch::Receiver<Option<Exit>>,
    stderr: StandardError,
    /// Tells how it has ended.
    epitaph: Option<JoinHandle<()>>,
    /// What the connection had to tell when it was closed.
    oddities: Vec<String>,
}

/// Who runs a step server.
#[derive(Debug)]
enum Host {
    /// The runner, as a process of its own.
    Runner { pid: i32, spawner: Spawner },
    /// Somebody else: all that the runner has is a connection.
    Elsewhere {
        url: String,
        /// Where its records go, until its end.
        records: Mutex<Option<DuplexStream>>,
    },
}

impl StepServer {
    /// Starts a step server, or connects to one, and waits until it answers `health`.
    ///
    /// # Errors
    ///
    /// Why it does not; the process is gone then.
    pub async fn start(
        spawner: &Spawner,
        launch: Launch<'_>,
        limits: &Limits,
    ) -> Result<StepServer, (Trouble, Vec<String>)> {
        let made = match &launch.platform.access {
            Ok(Access::Command(words)) => Self::spawn(spawner, words, &launch).await,
            Ok(Access::Url(url)) => Self::connect(url, &launch, limits.start).await,
            Err(why) => Err(why.clone()),
        };
        let mut server = match made {
            Ok(server) => server,
            Err(why) => return Err((Trouble::NotStarted(why), Vec::new())),
        };
        match server
            .call::<bool>(method::HEALTH, None::<&()>, limits.start)
            .await
        {
            Ok(true) => Ok(server),
            Ok(false) => {
                let who = server.who();
                server.end(limits.shutdown).await;
                let why = format!("{who} answered `health` with false");
                Err((Trouble::NotStarted(why), server.tail().await))
            }
            Err(trouble) => {
                server.end(limits.shutdown).await;
                Err((trouble, server.tail().await))
            }
        }
    }

    async fn spawn(
        spawner: &Spawner,
        words: &[String],
        launch: &Launch<'_>,
    ) -> Result<StepServer, String> {
        let platform = launch.platform;
        let (program, arguments) = words.split_first().ok_or("the command is empty")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&platform.cwd)
            .envs(&platform.env)
            .envs(&launch.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let log = Log::create(launch.log.clone())?;
        let child = spawner.spawn_inside(command, launch.inside.clone()).await;
        let child = child.map_err(|error| {
            // The system's error is the same for a program and for a folder that is not there.
            match platform.cwd.is_dir() {
                true => format!("{program} cannot be started: {error}"),
                false => format!(
                    "there is no folder {} to start it in",
                    platform.cwd.display()
                ),
            }
        })?;
        let piped = "all three streams are piped above";
        let stdin = ChildStdin::from_std(child.stdin.expect(piped));
        let stdout = ChildStdout::from_std(child.stdout.expect(piped));
        let stderr = ChildStderr::from_std(child.stderr.expect(piped));
        let pipe_error = |error: std::io::Error| format!("{program}: {error}");
        let transcript = launch.tell_start(Some(child.pid));
        let epitaph = tell_end(&transcript, &child.exit);
        let stderr = StandardError::keep(stderr.map_err(pipe_error)?, log, transcript.clone());
        Ok(StepServer {
            name: launch.name.clone(),
            platform: platform.name.clone(),
            transcript,
            host: Host::Runner {
                pid: child.pid,
                spawner: spawner.clone(),
            },
            client: Some(Client::new(
                stdout.map_err(pipe_error)?,
                stdin.map_err(pipe_error)?,
            )),
            busy: AtomicBool::new(false),
            exit: child.exit,
            stderr,
            epitaph,
            oddities: Vec::new(),
        })
    }

    async fn connect(
        url: &str,
        launch: &Launch<'_>,
        limit: Duration,
    ) -> Result<StepServer, String> {
        let client = Client::connect(url, limit).await.map_err(|why| {
            let address = url.trim_start_matches("ws://").trim_end_matches('/');
            format!(
                "there is no step server at {url}: {why}; start one there, for example \
                 `zerobuffer-serve --listen {address}`"
            )
        })?;
        let log = Log::create(launch.log.clone())?;
        let (records, recorded) = tokio::io::duplex(UNWRITTEN);
        let (ended, exit) = watch::channel(None);
        let end = client.end();
        tokio::spawn(async move {
            end.cancelled().await;
            ended.send_replace(Some(Exit {
                how: Ending::Disconnected,
                left_behind: 0,
            }));
        });
        let transcript = launch.tell_start(None);
        let epitaph = tell_end(&transcript, &exit);
        Ok(StepServer {
            name: launch.name.clone(),
            platform: launch.platform.name.clone(),
            transcript,
            host: Host::Elsewhere {
                url: url.to_owned(),
                records: Mutex::new(Some(records)),
            },
            client: Some(client),
            busy: AtomicBool::new(false),
            exit,
            // The transcript has the records already.
            stderr: StandardError::keep(recorded, log, None),
            epitaph,
            oddities: Vec::new(),
        })
    }

    /// Its process id, if the runner has started it.
    pub fn pid(&self) -> Option<i32> {
        match &self.host {
            Host::Runner { pid, .. } => Some(*pid),
            Host::Elsewhere { .. } => None,
        }
    }

    /// Role, platform and process, for messages.
    pub fn who(&self) -> String {
        match &self.host {
            Host::Runner { pid, .. } => {
                format!("the {} ({}, pid {pid})", self.name, self.platform)
            }
            Host::Elsewhere { url, .. } => format!("the {} ({}, {url})", self.name, self.platform),
        }
    }

    /// Keeps the records that came with an answer, of a step server whose standard error is
    /// somebody else's.
    pub async fn keep(&self, records: &[LogEntry]) {
        let Host::Elsewhere { records: log, .. } = &self.host else {
            return;
        };
        if let Some(log) = log.lock().await.as_mut() {
            for record in records {
                let line = format!("{} {}\n", record.timestamp, record.message);
                // Whoever reads it reads to the end, whatever becomes of the file.
                let _ = log.write_all(line.as_bytes()).await;
            }
        }
    }

    /// Calls a method; the death of the process ends the call at once.
    ///
    /// # Errors
    ///
    /// What the process did instead of answering.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Option<&(impl Serialize + Sync)>,
        limit: Duration,
    ) -> Result<T, Trouble> {
        let Some(client) = &self.client else {
            return Err(self.gone().await);
        };
        // Stays set where the call is given up, by its limit or by whoever waits for it.
        self.busy.store(true, Ordering::Relaxed);
        let answer = client.call(method, params, limit);
        tokio::pin!(answer);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = self.exited() => {
                // What it wrote before its end may still be in the pipe.
                match tokio::time::timeout(AT_ONCE, answer).await {
                    Ok(Ok(result)) => return Ok(result),
                    _ => return Err(self.gone().await),
                }
            }
        };
        let is_closed = matches!(answer, Err(CallError::Closed { .. }));
        let is_lost = is_closed || matches!(answer, Err(CallError::NoAnswer { .. }));
        self.busy.store(is_lost, Ordering::Relaxed);
        if is_closed && let Ok(died) = tokio::time::timeout(AT_ONCE, self.gone()).await {
            return Err(died);
        }
        let who = self.who();
        answer.map_err(|error| Trouble::Call { who, error })
    }

    /// Waits for the end of the process, or of the connection to it, and says how it came.
    pub async fn gone(&self) -> Trouble {
        let exit = self.exited().await;
        let who = self.who();
        Trouble::Died { who, exit }
    }

    async fn exited(&self) -> Exit {
        end_of(self.exit.clone()).await
    }

    /// Whether it has not answered a call, so that it may not answer another either.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Kills the process group and waits until it is reaped. Of what is elsewhere, only the
    /// connection can be ended.
    pub async fn kill(&mut self) -> Exit {
        self.close();
        self.signal(Signal::SIGKILL);
        self.exited().await
    }

    fn signal(&self, signal: Signal) {
        if let Host::Runner { pid, spawner } = &self.host {
            spawner.signal(*pid, signal);
        }
    }

    /// Lets it clean up and end by itself; past the limits, ends it.
    pub async fn shut_down(&mut self, limit: Duration) -> Farewell {
        let mut farewell = Farewell::default();
        let answer = self.call::<serde_json::Value>(method::CLEANUP, None::<&()>, limit);
        farewell
            .faults
            .extend(answer.await.map_err(Fault::from).err());
        self.take_leave(farewell, limit).await
    }

    /// Lets it end by itself, having cleaned up as `farewell` says; past the limits, ends it.
    pub async fn take_leave(&mut self, mut farewell: Farewell, limit: Duration) -> Farewell {
        // One that hangs in `cleanup` does not hear it.
        if !self.is_busy() {
            let answer = self.call::<serde_json::Value>(method::SHUTDOWN, None::<&()>, limit);
            match answer.await {
                // A server that ends instead of answering has done what it was asked to.
                Ok(_) | Err(Trouble::Died { .. }) => {}
                Err(trouble) => farewell.faults.push(trouble.into()),
            }
        }
        if self.is_busy() && self.exit().is_none() {
            self.end(limit).await;
            return farewell;
        }
        if matches!(self.host, Host::Runner { .. }) {
            self.close();
        }
        let who = self.who();
        let Ok(exit) = tokio::time::timeout(limit, self.exited()).await else {
            let seconds = limit.as_secs_f64();
            let how = self.end(limit).await.how;
            let what = format!("{who} did not end within {seconds} s of `shutdown`; it {how}");
            farewell.faults.push(Fault::new(Outcome::Failed, what));
            return farewell;
        };
        let how = exit.how;
        let is_told = !farewell.faults.is_empty();
        farewell.in_order = how == Ending::Code(0) || how == Ending::Disconnected && !is_told;
        if !farewell.in_order && !is_told {
            let what = format!("{who} {how} on `shutdown`");
            farewell.faults.push(match how {
                Ending::Signal(_) => Fault::new(Outcome::Crashed, what),
                _ => Fault::new(Outcome::Failed, what),
            });
        }
        if exit.left_behind > 0 {
            let what = format!(
                "{who} left {} process(es) of its group behind",
                exit.left_behind
            );
            farewell.faults.push(Fault::new(Outcome::Failed, what));
        }
        farewell
    }

    /// Ends its standard input, and waits for its end; `None` if it does not end within the limit.
    pub async fn hang_up(&mut self, limit: Duration) -> Option<Exit> {
        self.close();
        tokio::time::timeout(limit, self.exited()).await.ok()
    }

    /// Ends the process group: SIGTERM, then, past `limit`, SIGKILL.
    pub async fn end(&mut self, limit: Duration) -> Exit {
        self.close();
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(limit, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => self.kill().await,
        }
    }

    /// Closes the connection, and with it the standard input of a process.
    fn close(&mut self) {
        if let Some(client) = self.client.take() {
            self.oddities = client.oddities();
        }
    }

    /// What it sent that was no answer.
    pub fn oddities(&self) -> Vec<String> {
        match &self.client {
            Some(client) => client.oddities(),
            None => self.oddities.clone(),
        }
    }

    /// The last lines of its standard error.
    pub async fn tail(&mut self) -> Vec<String> {
        if self.exit().is_some() {
            if let Host::Elsewhere { records, .. } = &self.host {
                *records.lock().await = None;
            }
            self.stderr.finish(AT_ONCE).await;
            if let Some(epitaph) = self.epitaph.take() {
                // It has nothing to wait for any more.
                let _ = epitaph.await;
            }
        }
        self.stderr.last_lines()
    }
}

async fn end_of(mut exit: watch::Receiver<Option<Exit>>) -> Exit {
    let ended = exit.wait_for(Option::is_some).await;
    let ended = ended.expect("the reaper sets the exit before it lets go of the sender");
    ended.clone().expect("waited for it to be set")
}

/// Has the end told once it comes.
fn tell_end(
    transcript: &Option<Part>,
    exit: &watch::Receiver<Option<Exit>>,
) -> Option<JoinHandle<()>> {
    let exit = exit.clone();
    let telling = |part: Part| tokio::spawn(async move { part.exited(&end_of(exit).await) });
    transcript.clone().map(telling)
}

impl Drop for StepServer {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
