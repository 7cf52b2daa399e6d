//! A writer in a process of its own, which tries once to attach and tells what came of it.

use crate::BufferName;
use crate::serve::errand::Errand;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// What came of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondWriter {
    /// [`CONNECTED`](crate::serve::errand::CONNECTED), or what kind of error it was.
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
        let buffer = buffer.to_string();
        let told = Errand::ConnectOnce { buffer }.start()?.finish()?;
        Self::parse(&told).ok_or_else(|| {
            Failure::new(format!(
                "expected a second writer's outcome, found {told:?}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_was_turned_away_for_this_writer_is_right() {
        let told = "WriterAlreadyConnected: buffer 'b' already has a writer, process 17\n";
        let second = SecondWriter::parse(told).unwrap();
        second.expect_turned_away(17).unwrap();
        assert!(second.expect_turned_away(7).is_err());
        let second = SecondWriter::parse("Connected: to 'b'").unwrap();
        let failure = second.expect_turned_away(17).unwrap_err().to_string();
        assert!(failure.contains("found Connected"), "{failure}");
        assert_eq!(SecondWriter::parse(""), None);
    }
}
