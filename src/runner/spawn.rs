//! Starting programs in process groups of their own, and reaping whole groups.
//!
//! All children are started from one thread that lives as long as the runner: the signal that
//! they get when their parent dies (`PR_SET_PDEATHSIG`) is sent when the *thread* that started
//! them ends. The runner also adopts orphans (`PR_SET_CHILD_SUBREAPER`), so that what a step
//! server leaves behind in its group can be killed and reaped like the server itself.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgid};
use tokio::sync::{oneshot, watch};

use super::terminal::warn;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code or signal.
    pub how: Ending,
    /// How many other processes of its group were still there, and were killed.
    pub left_behind: usize,
}

/// An exit code or a signal, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended itself with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(Signal),
    /// Somebody else reaped it.
    Unknown,
    /// It was not started here, and all that is seen is the end of the connection.
    Disconnected,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Code(code) => write!(f, "exited with code {code}"),
            Ending::Signal(signal) => write!(f, "was killed by {signal}"),
            Ending::Unknown => f.write_str("ended"),
            Ending::Disconnected => f.write_str("ended the connection"),
        }
    }
}

/// A running program, leader of its process group.
#[derive(Debug)]
pub struct Child {
    /// Process id, and process group id.
    pub pid: i32,
    /// Its standard input, where the command pipes it.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, where the command pipes it.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, where the command pipes it.
    pub stderr: Option<ChildStderr>,
    /// Set once it has ended and its whole group is reaped.
    pub exit: watch::Receiver<Option<Exit>>,
}

/// Starts programs; see the module's page. Clones share the thread.
#[derive(Debug, Clone)]
pub struct Spawner {
    requests: mpsc::Sender<Request>,
    groups: Arc<Groups>,
}

/// The namespaces that make up a sandbox.
#[derive(Debug)]
pub struct Namespaces {
    /// A user namespace; `None` where it is that of the runner.
    user: Option<File>,
    mount: File,
}

impl Namespaces {
    /// Those of a running process.
    ///
    /// # Errors
    ///
    /// When they cannot be opened.
    pub fn of(pid: i32) -> io::Result<Namespaces> {
        let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}"));
        let user = open("user")?;
        let own = std::fs::metadata("/proc/self/ns/user")?;
        let theirs = user.metadata()?;
        let differs = (own.dev(), own.ino()) != (theirs.dev(), theirs.ino());
        Ok(Namespaces {
            // Entering the one that a process is in already is an error.
            user: differs.then_some(user),
            mount: open("mnt")?,
        })
    }

    /// Whether a process is in them.
    pub fn has(&self, pid: i32) -> bool {
        let theirs = std::fs::metadata(format!("/proc/{pid}/ns/mnt"));
        let of = |file: std::fs::Metadata| (file.dev(), file.ino());
        match (self.mount.metadata(), theirs) {
            (Ok(own), Ok(theirs)) => of(own) == of(theirs),
            _ => false,
        }
    }

    /// Moves the process into them; only one without other threads can.
    fn enter(&self) -> nix::Result<()> {
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        setns(&self.mount, CloneFlags::CLONE_NEWNS)
    }
}

struct Request {
    command: Command,
    inside: Option<Arc<Namespaces>>,
    reply: oneshot::Sender<io::Result<Child>>,
}

#[derive(Debug, Default)]
struct Groups {
    /// The process groups whose leaders are not yet reaped: only these may be signalled, because
    /// the numbers of others may belong to somebody else by now.
    leaders: Mutex<BTreeSet<i32>>,
    /// How many groups are not yet reaped whole.
    alive: watch::Sender<usize>,
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, pid: i32, signal: Signal) {
        if self.lock().contains(&pid) {
            send(pid, signal);
        }
    }

    fn signal_all(&self, signal: Signal) {
        for pid in self.lock().iter() {
            send(*pid, signal);
        }
    }
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system refuses it.
    pub fn new() -> io::Result<Spawner> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let (requests, inbox) = mpsc::channel::<Request>();
        let groups = Arc::new(Groups::default());
        let known = groups.clone();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for request in inbox {
                    // Locked for the whole start: whoever signals all groups finds this one among
                    // them, and what nobody waits for any more by then is not started at all.
                    let mut leaders = known.lock();
                    if request.reply.is_closed() {
                        continue;
                    }
                    let started = start(request.command, request.inside, &known, &mut leaders);
                    drop(leaders);
                    let unclaimed = request.reply.send(started);
                    if let Err(Ok(child)) = unclaimed {
                        known.signal(child.pid, Signal::SIGTERM);
                    }
                }
            })?;
        Ok(Spawner { requests, groups })
    }

    /// Starts `command` in a process group of its own.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        self.spawn_inside(command, None).await
    }

    /// Starts `command` in a process group of its own, inside of namespaces where some are given.
    ///
    /// # Errors
    ///
    /// When the program cannot be started, or may not enter the namespaces.
    pub async fn spawn_inside(
        &self,
        command: Command,
        inside: Option<Arc<Namespaces>>,
    ) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread has ended");
        let request = Request {
            command,
            inside,
            reply,
        };
        self.requests.send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Whether a process is in one of the groups that were started and are not yet reaped.
    pub fn looks_after(&self, pid: Pid) -> bool {
        getpgid(Some(pid)).is_ok_and(|group| self.groups.lock().contains(&group.as_raw()))
    }

    /// Sends `signal` to the group that `pid` leads, unless it is already reaped.
    pub fn signal(&self, pid: i32, signal: Signal) {
        self.groups.signal(pid, signal);
    }

    /// Kills every group at once, for an end without delay.
    pub fn kill_all(&self) {
        self.groups.signal_all(Signal::SIGKILL);
    }

    /// Ends every group: SIGTERM, then, past `limit`, SIGKILL. A set-up command may be installing
    /// packages, which must not be cut off in the middle. Whether all of them have ended.
    pub async fn end_all(&self, limit: Duration) -> bool {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            self.groups.signal_all(signal);
            if tokio::time::timeout(limit, self.drained()).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Waits until everything that was started has ended and is reaped.
    pub async fn drained(&self) {
        let mut alive = self.groups.alive.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = alive.wait_for(|alive| *alive == 0).await;
    }
}

/// Signals a group that is known to exist, though all of it may be dead.
fn send(pid: i32, signal: Signal) {
    match killpg(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => warn(&format!(
            "harmony: {signal} to process group {pid}: {error}"
        )),
    }
}

/// Starts `command` and enters it among the `leaders`.
fn start(
    mut command: Command,
    inside: Option<Arc<Namespaces>>,
    groups: &Arc<Groups>,
    leaders: &mut BTreeSet<i32>,
) -> io::Result<Child> {
    let parent = std::process::id();
    command.process_group(0);
    // Entering a mount namespace moves a process to the root folder.
    let folder = match command.get_current_dir() {
        Some(folder) => folder.to_owned(),
        None => std::env::current_dir()?,
    };
    let folder = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: between fork and exec the closure makes a few system calls and builds an error from a
    // number; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            if let Some(namespaces) = &inside {
                namespaces.enter()?;
                nix::unistd::chdir(folder.as_c_str())?;
            }
            // SIGTERM, so that a step server can still release what it holds.
            nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
            if nix::unistd::getppid().as_raw().unsigned_abs() == parent {
                Ok(())
            } else {
                Err(Errno::ESRCH.into())
            }
        });
    }
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    leaders.insert(pid);
    groups.alive.send_modify(|alive| *alive += 1);
    let (ended, exit) = watch::channel(None);
    let known = groups.clone();
    let reaper = std::thread::Builder::new().name(format!("reaper {pid}"));
    reaper.spawn(move || {
        ended.send_replace(Some(reap(pid, &known)));
        known.alive.send_modify(|alive| *alive -= 1);
    })?;
    Ok(Child {
        pid,
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        exit,
    })
}

/// Waits until the leader ends, kills what is left of its group, and reaps all of it.
fn reap(pid: i32, groups: &Groups) -> Exit {
    let leader = Pid::from_raw(pid);
    // Without reaping yet: as long as the leader is a zombie, its number is nobody else's.
    while waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR)
    {
    }
    {
        let mut groups = groups.lock();
        send(pid, Signal::SIGKILL);
        groups.remove(&pid);
    }
    let mut exit = Exit {
        how: Ending::Unknown,
        left_behind: 0,
    };
    loop {
        match waitpid(Pid::from_raw(-pid), None) {
            Ok(WaitStatus::Exited(who, code)) if who == leader => exit.how = Ending::Code(code),
            Ok(WaitStatus::Signaled(who, signal, _)) if who == leader => {
                exit.how = Ending::Signal(signal);
            }
            Ok(WaitStatus::Signaled(_, Signal::SIGKILL, _)) => exit.left_behind += 1,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Stdio;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    async fn exit_of(child: &mut Child) -> Exit {
        let exit = child.exit.wait_for(Option::is_some).await.unwrap();
        exit.clone().unwrap()
    }

    #[tokio::test]
    async fn the_ending_is_told() {
        let spawner = Spawner::new().unwrap();
        for (script, how) in [
            ("exit 7", Ending::Code(7)),
            ("kill -SEGV $$", Ending::Signal(Signal::SIGSEGV)),
        ] {
            let mut child = spawner.spawn(shell(script)).await.unwrap();
            let left_behind = 0;
            assert_eq!(exit_of(&mut child).await, Exit { how, left_behind });
        }
        let missing = spawner.spawn(Command::new("/does/not/exist")).await;
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn what_is_left_of_a_group_is_killed_and_reaped() {
        let spawner = Spawner::new().unwrap();
        let mut child = spawner
            .spawn(shell("sleep 600 & echo $!; exit 0"))
            .await
            .unwrap();
        assert_eq!(
            exit_of(&mut child).await,
            Exit {
                how: Ending::Code(0),
                left_behind: 1
            }
        );
        let mut text = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let orphan = format!("/proc/{}", text.trim());
        assert!(
            !std::path::Path::new(&orphan).exists(),
            "{orphan} is still there"
        );
    }

    #[tokio::test]
    async fn a_signal_reaches_the_whole_group() {
        let spawner = Spawner::new().unwrap();
        let mut child = spawner.spawn(shell("sleep 600 & wait")).await.unwrap();
        spawner.signal(child.pid, Signal::SIGKILL);
        let exit = exit_of(&mut child).await;
        assert_eq!(exit.how, Ending::Signal(Signal::SIGKILL));
        assert!(!spawner.groups.lock().contains(&child.pid));
        spawner.signal(child.pid, Signal::SIGKILL);
    }

    #[tokio::test]
    async fn a_child_that_nobody_waits_for_does_not_stay() {
        let spawner = Spawner::new().unwrap();
        let command = shell("sleep 600");
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let inside = None;
        spawner
            .requests
            .send(Request {
                command,
                inside,
                reply,
            })
            .unwrap();
        // The thread takes requests in turn, so the one before is started now.
        let mut next = spawner.spawn(shell("exit 0")).await.unwrap();
        exit_of(&mut next).await;
        let drained = tokio::time::timeout(Duration::from_secs(20), spawner.drained());
        assert!(drained.await.is_ok());
    }

    #[tokio::test]
    async fn a_child_that_is_just_being_started_is_ended_as_well() {
        let spawner = Spawner::new().unwrap();
        let start = Duration::from_millis(400);
        let mut command = shell("sleep 600");
        // SAFETY: the closure makes one system call.
        unsafe {
            command.pre_exec(move || {
                std::thread::sleep(start);
                Ok(())
            });
        }
        let began = std::time::Instant::now();
        let given_up = tokio::time::timeout(start / 4, spawner.spawn(command)).await;
        assert!(given_up.is_err());
        assert!(spawner.end_all(Duration::from_secs(20)).await);
        assert!(began.elapsed() >= start, "it had not been started yet");
        assert!(spawner.groups.lock().is_empty());
    }

    #[tokio::test]
    async fn everything_is_asked_to_end_before_it_is_killed() {
        let spawner = Spawner::new().unwrap();
        // No program is being started when the signal comes: some shells lose it then.
        let polite = shell("trap 'exit 5' TERM; sleep 600 & echo ready; wait");
        let deaf = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        let mut exits = Vec::new();
        for command in [polite, deaf] {
            let mut child = spawner.spawn(command).await.unwrap();
            let mut ready = [0; 6];
            child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
            exits.push(child);
        }
        assert!(spawner.end_all(Duration::from_millis(500)).await);
        let how: Vec<_> = exits
            .iter()
            .map(|c| c.exit.borrow().clone().unwrap().how)
            .collect();
        assert_eq!(how, [Ending::Code(5), Ending::Signal(Signal::SIGKILL)]);
        assert!(spawner.end_all(Duration::ZERO).await);
    }

    #[tokio::test]
    async fn everything_can_be_killed_and_waited_for() {
        let spawner = Spawner::new().unwrap();
        spawner.drained().await;
        let mut children = Vec::new();
        for _ in 0..3 {
            children.push(spawner.spawn(shell("sleep 600")).await.unwrap());
        }
        spawner.kill_all();
        spawner.drained().await;
        for child in children {
            let exit = child.exit.borrow().clone().unwrap();
            assert_eq!(exit.how, Ending::Signal(Signal::SIGKILL));
        }
    }
}
