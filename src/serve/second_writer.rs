//! A writer in a process of its own, which tries once to attach and tells what came of it.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use super::attempt::kind_of;
use super::failure::{Failure, StepOutcome, expect_equal};
use crate::{BufferName, Writer};

/// The sub-command of the step server that is this process.
pub const CONNECT_ONCE: &str = "connect-once";

/// What it tells when it was attached.
const ATTACHED: &str = "attached";

/// What came of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondWriter {
    /// [`ATTACHED`], or what kind of error it was.
    outcome: String,
    message: String,
}

impl SecondWriter {
    /// Starts the process and waits for its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or does not tell what came of the attempt.
    pub fn attempt(buffer: &BufferName) -> Result<SecondWriter, Failure> {
        let output = Command::new(std::env::current_exe()?)
            .args([CONNECT_ONCE, buffer.as_str()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let parsed = Self::parse(&told).filter(|_| output.status.success());
        parsed.ok_or_else(|| {
            let status = output.status;
            Failure::new(format!(
                "expected a second writer's outcome, found {told:?} and {status}"
            ))
        })
    }

    fn parse(told: &str) -> Option<SecondWriter> {
        let (outcome, message) = told.trim_end().split_once(": ")?;
        Some(SecondWriter {
            outcome: outcome.to_owned(),
            message: message.to_owned(),
        })
    }

    /// Checks that it was turned away because there is a writer, the one of process `pid`.
    ///
    /// # Errors
    ///
    /// A failure that says what came of it instead.
    pub fn expect_turned_away(&self, pid: u32) -> StepOutcome {
        let what = format!("outcome of the second writer ({})", self.message);
        expect_equal(&what, "WriterAlreadyConnected", self.outcome.as_str())?;
        let process = format!("process {pid}");
        if self.message.ends_with(&process) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected the writer to be {process}, found {:?}",
            self.message
        )))
    }
}

/// The process itself.
pub fn connect_once(buffer: &str) -> ExitCode {
    let name = BufferName::new(buffer);
    match name.and_then(|name| Writer::connect(&name, Duration::ZERO)) {
        Ok(writer) => println!("{ATTACHED}: to '{}'", writer.name()),
        Err(error) => println!("{}: {error}", kind_of(&error)),
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_was_turned_away_for_this_writer_is_right() {
        let told = "WriterAlreadyConnected: buffer 'b' already has a writer, process 17\n";
        let second = SecondWriter::parse(told).unwrap();
        second.expect_turned_away(17).unwrap();
        assert!(second.expect_turned_away(7).is_err());
        let second = SecondWriter::parse("attached: to 'b'").unwrap();
        let failure = second.expect_turned_away(17).unwrap_err().to_string();
        assert!(failure.contains("found attached"), "{failure}");
        assert_eq!(SecondWriter::parse(""), None);
    }
}
