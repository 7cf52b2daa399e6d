//! What the tests of the library share: names of their own, processes of their own, no leftovers.

#![allow(dead_code, unused_imports)]

pub mod duplex;
pub mod notice;
pub mod servers;

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

pub use notice::{NOTICED, notices_in_time};

/// Long enough for anything that is going to happen.
pub const LONG: Duration = Duration::from_secs(20);

/// Well before [`LONG`] has passed: whatever ends so soon was not waited for.
pub const SOON: Duration = Duration::from_secs(5);

/// Names the role that a child process of a test plays.
const ROLE: &str = "ZEROBUFFER_TEST_ROLE";
/// Names the buffer or channel that it plays it on.
const NAME: &str = "ZEROBUFFER_TEST_NAME";

/// A name that no other test and no other test run uses.
pub fn unique(label: &str) -> String {
    format!("zb-it-{label}-{}", std::process::id())
}

/// Everything in shared memory and the lock folder that bears `name`, and not a longer one that
/// ends in another number.
pub fn leftovers(name: &str) -> Vec<PathBuf> {
    ["/dev/shm", "/tmp/zerobuffer"]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let path = path.to_string_lossy();
            path.match_indices(name).any(|(at, _)| {
                let behind = path[at + name.len()..].chars().next();
                !behind.is_some_and(|next| next.is_ascii_digit())
            })
        })
        .collect()
}

/// Waits until `condition` holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The role and name that this process was started for, if it is a child of a test.
pub fn role() -> Option<(String, String)> {
    Some((std::env::var(ROLE).ok()?, std::env::var(NAME).ok()?))
}

/// Another process, most often of this test program; killed, if need be, when dropped.
pub struct Peer(Child);

impl Peer {
    /// Starts this test program again; its test `play_a_role` plays `role` on `name`.
    pub fn start(role: &str, name: &str) -> Peer {
        let program = std::env::current_exe().expect("this test program");
        let mut command = Command::new(program);
        command.args(["--exact", "play_a_role", "--nocapture"]);
        Peer::spawn(command.env(ROLE, role).env(NAME, name))
    }

    /// Starts another program.
    pub fn spawn(command: &mut Command) -> Peer {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        Peer(command.spawn().expect("a child process"))
    }

    /// How much processor time the threads that the process has now have used, to the nanosecond.
    pub fn cpu_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("alive");
        let used = threads.filter_map(|thread| {
            // One that ends meanwhile is none.
            let times = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            times.split_ascii_whitespace().next()?.parse::<u64>().ok()
        });
        let used = used.sum();
        assert!(used > 0, "this system does not count what threads use");
        Duration::from_nanos(used)
    }

    /// Kills the process, which gets no chance to clean up, and reaps it.
    pub fn kill(&mut self) {
        self.0.kill().expect("a child to kill");
        self.0.wait().expect("a child to reap");
    }

    /// The process's id.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("an id that fits"))
    }

    /// Kills the process and waits until it is dead, but does not reap it: a zombie is left.
    pub fn kill_unreaped(&self) {
        kill(self.id(), Signal::SIGKILL).expect("a child to kill");
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(self.id()), flags).expect("a child to wait for");
    }

    /// Reaps the process, which has been killed or is about to end.
    pub fn reap(&mut self) -> ExitStatus {
        self.0.wait().expect("a child to reap")
    }

    /// Whether the process has ended; it is not reaped.
    pub fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let status = waitid(Id::Pid(self.id()), flags).expect("a child to look at");
        status != WaitStatus::StillAlive
    }

    /// Waits until the process has ended by itself.
    pub fn finish(&mut self) {
        let status = self.0.wait().expect("a child to reap");
        assert!(status.success(), "the other process failed: {status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
