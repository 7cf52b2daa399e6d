//! A process that plays a role.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Result;
use crate::interrupt::Interrupt;

/// How long a process may take to start and, beyond the time that it measures, to finish.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a process may take to end once nobody wants it any more.
const ENDING: Duration = Duration::from_secs(5);

/// A running process; ended when dropped.
pub struct Player<'i> {
    child: Child,
    /// Held open as long as it is wanted.
    wanted: Option<ChildStdin>,
    output: ChildStdout,
    interrupt: &'i Interrupt,
    said: String,
}

impl<'i> Player<'i> {
    pub fn start(mut command: Command, interrupt: &'i Interrupt) -> Result<Player<'i>> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Of its own, or the terminal's Ctrl-C would end it before it has cleaned up.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        let wanted = child.stdin.take();
        let output = child.stdout.take().expect("standard output is a pipe");
        Ok(Player {
            child,
            wanted,
            output,
            interrupt,
            said: String::new(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said that it is ready.
    pub fn wait_until_ready(&mut self, limit: Duration) -> Result<()> {
        match self.line(limit)?.as_str() {
            "ready\n" => Ok(()),
            other => Err(format!("a process is not ready, but says {other:?}").into()),
        }
    }

    /// The next line that it prints.
    pub fn line(&mut self, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.said.find('\n') {
                return Ok(self.said.drain(..=end).collect());
            }
            if !self.listen(deadline)? {
                return Err("a process ended too early".into());
            }
        }
    }

    /// Waits until it has ended by itself; what it printed.
    pub fn finish(mut self, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        while self.listen(deadline)? {}
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("a process failed: {status}").into());
        }
        Ok(std::mem::take(&mut self.said))
    }

    /// Has it end.
    pub fn end(mut self) -> Result<()> {
        self.wanted = None;
        self.finish(ENDING).map(drop)
    }

    /// Takes what it prints; false once it prints no more.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("a process takes too long".into());
        }
        let mut sources = [
            PollFd::new(self.output.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.interrupt.fd(), PollFlags::POLLIN),
        ];
        poll(&mut sources, PollTimeout::try_from(left)?)?;
        let has_output = sources[0].any() == Some(true);
        self.interrupt.check()?;
        if !has_output {
            return Ok(true);
        }
        let mut chunk = [0; 64 * 1024];
        let count = self.output.read(&mut chunk)?;
        self.said.push_str(std::str::from_utf8(&chunk[..count])?);
        Ok(count > 0)
    }
}

impl Drop for Player<'_> {
    fn drop(&mut self) {
        self.wanted = None;
        let deadline = Instant::now() + ENDING;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                eprintln!("benchmark: had to kill process {}", self.child.id());
                // Both fail only if it has ended meanwhile.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}
