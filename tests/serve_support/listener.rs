//! A step server as a child process that listens for connections.

// Not every test program that includes this module uses all of it.
#![allow(dead_code)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zerobuffer::serve::listening::LISTENING_ON;

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A step server that listens, and not to the variables of a run.
pub struct Listener {
    child: Child,
    pub address: SocketAddr,
    records: tempfile::NamedTempFile,
}

impl Listener {
    pub fn start() -> Self {
        Self::start_with(&["--listen", "127.0.0.1:0"])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
        command
            .args(arguments)
            .env_remove("HARMONY_HOST_PID")
            .env_remove("HARMONY_FEATURE_ID");
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let records = tempfile::NamedTempFile::new().unwrap();
        let mut child = command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(records.path()).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix(LISTENING_ON);
        let address = address.unwrap_or_else(|| panic!("it says {line:?}"));
        Listener {
            address: address.parse().unwrap(),
            child,
            records,
        }
    }

    pub fn records(&self) -> String {
        std::fs::read_to_string(self.records.path()).unwrap()
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Waits until its records hold this text.
    pub fn await_record(&self, text: &str) {
        let begun = Instant::now();
        while !self.records().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "no {text:?} in its records");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal that ends it, and waits for the end.
    pub fn end_by(&mut self, signal: Signal) -> ExitStatus {
        if self.is_running() {
            self.signal(signal);
        }
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // In good order, so that a failed test leaves nothing behind.
        self.end_by(Signal::SIGTERM);
        if std::thread::panicking() {
            eprintln!("the step server's records:\n{}", self.records());
        }
    }
}
