//! The sandbox of one execution: a mount namespace with an empty `/dev/shm` and an empty folder for
//! lock files, so that executions neither see nor disturb each other, and everything that is found
//! in it afterwards was left by this one. Process ids stay comparable: only mounts are private.
//!
//! A [holder](super::holder) process makes the namespaces and keeps them; step servers enter them
//! between fork and exec.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;

use super::cli::HOLD_SANDBOX;
use super::holder::READY;
use super::spawn::{Child, Ending, Namespaces, Spawner};

/// How long a holder may take to get ready, and to end.
const LIMIT: Duration = Duration::from_secs(20);

/// A sandbox; it is gone once it is dropped and nobody is left inside.
#[derive(Debug)]
pub struct Sandbox {
    holder: Child,
    namespaces: Arc<Namespaces>,
    /// Its root folder, which can be looked into even if the holder has died.
    root: File,
}

impl Sandbox {
    /// Makes a sandbox whose shared memory takes `shm_size` MiB.
    ///
    /// # Errors
    ///
    /// Why there can be none.
    pub async fn start(spawner: &Spawner, shm_size: u64) -> Result<Sandbox, String> {
        // The program as it was started, even if another one stands in its place by now.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("harmony")
            .args([HOLD_SANDBOX, &shm_size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let holder = spawner.spawn(command).await;
        let mut holder =
            holder.map_err(|error| format!("its holder cannot be started: {error}"))?;
        let words = first_words(&mut holder);
        let words = tokio::time::timeout(LIMIT, words).await;
        match words.unwrap_or_else(|_| Err("its holder says nothing".to_owned()))? {
            words if words == READY => {}
            why => return Err(why),
        }
        let namespaces = Namespaces::of(holder.pid)
            .map_err(|error| format!("the namespaces of its holder: {error}"))?;
        let root = File::open(format!("/proc/{}/root", holder.pid))
            .map_err(|error| format!("the root folder of its holder: {error}"))?;
        Ok(Sandbox {
            holder,
            namespaces: Arc::new(namespaces),
            root,
        })
    }

    /// What a process enters to be inside.
    pub fn namespaces(&self) -> Arc<Namespaces> {
        self.namespaces.clone()
    }

    /// Its root folder, as seen from outside.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.root.as_raw_fd()))
    }

    /// Kills what is still inside and has left the process groups that `spawner` looks after; says
    /// how many processes there were.
    pub fn evict(&self, spawner: &Spawner) -> usize {
        let mut found = BTreeSet::new();
        // One that is about to die may still start another.
        loop {
            let inside = self.inside().into_iter();
            let inside = inside.filter(|pid| !spawner.looks_after(*pid));
            let new: Vec<Pid> = inside.filter(|pid| found.insert(*pid)).collect();
            if new.is_empty() {
                return found.len();
            }
            let killed = new
                .into_iter()
                .filter(|pid| kill(*pid, Signal::SIGKILL).is_ok());
            for pid in killed.collect::<Vec<_>>() {
                // The runner adopts what its children leave behind.
                while waitpid(pid, None) == Err(Errno::EINTR) {}
            }
        }
    }

    fn inside(&self) -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_inside = |pid: &i32| self.namespaces.has(*pid);
        pids.filter(is_inside).map(Pid::from_raw).collect()
    }

    /// Lets go of it and waits until its holder has ended.
    ///
    /// # Errors
    ///
    /// When it has not, or not by itself.
    pub async fn end(mut self) -> Result<(), String> {
        drop(self.holder.stdin.take());
        let ended = tokio::time::timeout(LIMIT, self.holder.exit.wait_for(Option::is_some)).await;
        match ended.map(|exit| exit.ok().and_then(|exit| exit.clone())) {
            Ok(Some(exit)) if exit.how == Ending::Code(0) => Ok(()),
            Ok(Some(exit)) => Err(format!("the holder of the sandbox {}", exit.how)),
            _ => Err("the holder of the sandbox does not end".to_owned()),
        }
    }
}

/// The first line of what a holder says.
async fn first_words(holder: &mut Child) -> Result<String, String> {
    let lost = |error: std::io::Error| format!("its holder cannot be heard: {error}");
    let stdout = holder.stdout.take().expect("it is piped above");
    let mut stdout = ChildStdout::from_std(stdout).map_err(lost)?;
    let mut words = String::new();
    while !words.ends_with('\n') {
        let mut piece = [0; 1024];
        match stdout.read(&mut piece).await.map_err(lost)? {
            0 => return Err(format!("its holder ended after saying {words:?}")),
            count => words.push_str(&String::from_utf8_lossy(&piece[..count])),
        }
    }
    Ok(words.trim_end().to_owned())
}
