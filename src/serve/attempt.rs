//! What came of operations that a step attempts and a later step judges.

use std::time::Duration;

use super::failure::Failure;
use crate::Error;

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
        self.0.push((operation, Attempt { error, took }));
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
        let done = attempts.note(Operation::Create, Duration::ZERO, Ok(7));
        assert_eq!(done, Some(7));
        let failure = attempts.error(Operation::Create).unwrap_err().to_string();
        assert_eq!(
            failure,
            "expected making a buffer to fail, but it succeeded"
        );
    }
}
