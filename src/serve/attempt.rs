//! What came of operations that a step attempts and a later step judges.

use std::time::{Duration, Instant};

use super::failure::{Failure, StepOutcome, expect_equal};
use crate::{BufferName, Error};

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Making a buffer.
    Create,
    /// Attaching to a buffer as its writer.
    Connect,
    /// Reading a frame.
    Read,
    /// Writing a frame.
    Write,
    /// Writing metadata.
    WriteMetadata,
}

impl Operation {
    fn words(self) -> &'static str {
        match self {
            Operation::Create => "making a buffer",
            Operation::Connect => "connecting to a buffer",
            Operation::Read => "reading a frame",
            Operation::Write => "writing a frame",
            Operation::WriteMetadata => "writing metadata",
        }
    }
}

/// One operation that has ended.
#[derive(Debug)]
pub struct Attempt {
    /// How it failed; `None` if it did not.
    pub error: Option<Error>,
    /// How long it took.
    pub took: Duration,
    /// Number of bytes that it was about, where that matters.
    pub size: Option<usize>,
    /// The buffer that it was about, where that matters.
    buffer: Option<BufferName>,
}

impl Attempt {
    /// Compares a size that an error tells with the one that was asked for.
    ///
    /// # Errors
    ///
    /// A failure with both sizes, or if the attempt was not about a number of bytes.
    pub fn expect_told_size(&self, told: u64) -> StepOutcome {
        let asked = self.size.ok_or_else(|| {
            Failure::new("expected an attempt with a number of bytes, found one without")
        })?;
        expect_equal("size told by the error", asked as u64, told)
    }

    /// The buffer that the attempt was about.
    ///
    /// # Errors
    ///
    /// If it was about none.
    pub fn buffer(&self) -> Result<&BufferName, Failure> {
        let none = || Failure::new("expected an attempt at a buffer, found one without");
        self.buffer.as_ref().ok_or_else(none)
    }

    /// Compares the name that an error tells with that of the buffer that was asked for.
    ///
    /// # Errors
    ///
    /// A failure with both names, or if the attempt was not about a buffer.
    pub fn expect_told_buffer(&self, told: &str) -> StepOutcome {
        let what = "buffer told by the error";
        expect_equal(what, self.buffer()?.as_str(), told)
    }
}

/// The attempts of a scenario.
#[derive(Debug, Default)]
pub struct Attempts(Vec<(Operation, Attempt)>);

impl Attempts {
    /// Notes an attempt, and hands on what it yielded.
    pub fn note<T>(
        &mut self,
        operation: Operation,
        took: Duration,
        result: Result<T, Error>,
    ) -> Option<T> {
        let (yielded, error) = match result {
            Ok(yielded) => (Some(yielded), None),
            Err(error) => (None, Some(error)),
        };
        let words = operation.words();
        match &error {
            None => tracing::info!("{words} succeeded after {took:?}"),
            Some(error) => tracing::info!("{words} failed after {took:?}: {error}"),
        }
        let attempt = Attempt {
            error,
            took,
            size: None,
            buffer: None,
        };
        self.0.push((operation, attempt));
        yielded
    }

    /// As [`note`](Self::note), of an attempt that is about a buffer.
    pub fn note_about<T>(
        &mut self,
        buffer: BufferName,
        operation: Operation,
        took: Duration,
        result: Result<T, Error>,
    ) -> Option<T> {
        let yielded = self.note(operation, took, result);
        if let Some((_, attempt)) = self.0.last_mut() {
            attempt.buffer = Some(buffer);
        }
        yielded
    }

    /// Makes an attempt and notes it.
    pub fn make<T>(
        &mut self,
        operation: Operation,
        attempt: impl FnOnce() -> Result<T, Error>,
    ) -> Option<T> {
        let begun = Instant::now();
        let result = attempt();
        self.note(operation, begun.elapsed(), result)
    }

    /// Makes an attempt that is about `size` bytes and notes it.
    pub fn make_sized<T>(
        &mut self,
        operation: Operation,
        size: usize,
        attempt: impl FnOnce() -> Result<T, Error>,
    ) -> Option<T> {
        let yielded = self.make(operation, attempt);
        if let Some((_, attempt)) = self.0.last_mut() {
            attempt.size = Some(size);
        }
        yielded
    }

    /// The last attempt at `operation`.
    ///
    /// # Errors
    ///
    /// If there was none.
    pub fn last(&self, operation: Operation) -> Result<&Attempt, Failure> {
        let mut attempts = self.0.iter().rev();
        let found = attempts.find(|(own, _)| *own == operation);
        found.map(|(_, attempt)| attempt).ok_or_else(|| {
            let words = operation.words();
            Failure::new(format!("expected an attempt at {words}, found none"))
        })
    }

    /// Checks that the last attempt at `operation` succeeded.
    ///
    /// # Errors
    ///
    /// If there was none, or how it failed.
    pub fn expect_success(&self, operation: Operation) -> StepOutcome {
        match &self.last(operation)?.error {
            None => Ok(()),
            Some(error) => {
                let words = operation.words();
                let message = format!("expected {words} to succeed, but it failed: {error}");
                Err(Failure::new(message))
            }
        }
    }

    /// How the last attempt at `operation` failed.
    ///
    /// # Errors
    ///
    /// If there was none, or it did not fail.
    pub fn error(&self, operation: Operation) -> Result<&Error, Failure> {
        self.last(operation)?.error.as_ref().ok_or_else(|| {
            let words = operation.words();
            Failure::new(format!("expected {words} to fail, but it succeeded"))
        })
    }
}

/// That an attempt failed with another error than the `expected` one.
pub fn another_error(expected: &str, found: &Error) -> Failure {
    let kind = kind_of(found);
    Failure::new(format!(
        "expected the error {expected}, found {kind}: {found}"
    ))
}

/// What kind of error it is: the name of its case.
pub fn kind_of(error: &Error) -> String {
    let text = format!("{error:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_last_attempt_of_its_kind_is_judged() {
        let mut attempts = Attempts::default();
        assert!(attempts.last(Operation::Read).is_err());
        let begun = Instant::now();
        let name = crate::BufferName::new("").unwrap_err();
        assert_eq!(
            attempts.note(Operation::Create, begun.elapsed(), Err::<(), _>(name)),
            None
        );
        assert!(matches!(
            attempts.error(Operation::Create),
            Ok(Error::InvalidName { .. })
        ));
        assert!(attempts.error(Operation::Read).is_err());
        assert!(attempts.expect_success(Operation::Create).is_err());
        let done = attempts.note(Operation::Create, Duration::ZERO, Ok(7));
        assert_eq!(done, Some(7));
        attempts.expect_success(Operation::Create).unwrap();
        let failure = attempts.error(Operation::Create).unwrap_err().to_string();
        assert_eq!(
            failure,
            "expected making a buffer to fail, but it succeeded"
        );
    }

    #[test]
    fn an_attempt_knows_what_it_was_about() {
        let mut attempts = Attempts::default();
        let refuse = || {
            Err::<(), _>(Error::InvalidFrameSize {
                name: "b".to_owned(),
            })
        };
        attempts.make_sized(Operation::Write, 7, refuse);
        let attempt = attempts.last(Operation::Write).unwrap();
        assert_eq!(attempt.expect_told_size(7), Ok(()));
        assert!(attempt.expect_told_size(8).is_err());
        assert!(attempt.expect_told_buffer("b").is_err());
        let buffer = BufferName::new("b").unwrap();
        attempts.note_about(buffer, Operation::Connect, Duration::ZERO, refuse());
        let attempt = attempts.last(Operation::Connect).unwrap();
        assert_eq!(attempt.expect_told_buffer("b"), Ok(()));
        assert!(attempt.expect_told_buffer("c").is_err());
        attempts.make(Operation::Write, refuse);
        let attempt = attempts.last(Operation::Write).unwrap();
        assert!(attempt.expect_told_size(7).is_err());
    }

    #[test]
    fn errors_are_told_by_their_kind() {
        let error = crate::BufferName::new("").unwrap_err();
        assert_eq!(kind_of(&error), "InvalidName");
        let failure = another_error("BufferFull", &error).to_string();
        let expected = "expected the error BufferFull, found InvalidName: ";
        assert!(failure.starts_with(expected), "{failure}");
    }
}
