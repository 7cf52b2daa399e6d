//! What went wrong in an execution, or kept it from running.

use super::outcome::Outcome;
use super::preflight::Definition;
use super::process::Trouble;
use super::transcript::shortened;
use crate::rpc::client::CallError;
use crate::rpc::message::{self, StepResult};

/// How long a message may be, in bytes: step servers may write what they like.
const LONGEST: usize = 64 * 1024;

/// Something that went wrong, or that kept an execution from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Of what kind it is: the outcome of the execution, unless it is known to fail.
    pub outcome: Outcome,
    /// What happened.
    pub message: String,
}

impl Fault {
    /// A fault of the given kind.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Fault {
        let message = shortened(&message.into(), LONGEST);
        Fault { outcome, message }
    }

    /// Whether something went wrong, and not only kept the execution from going on.
    pub fn is_failure(&self) -> bool {
        !self.outcome.is_green()
    }

    /// The same with the last lines that a process wrote, for one that no report lists.
    pub fn with_tail(mut self, tail: &[String]) -> Fault {
        for line in tail {
            self.message.push_str("\n  | ");
            self.message.push_str(line);
        }
        self
    }

    /// The fault of a step whose server says that it failed. What was known of the step's
    /// `definition` decides what it is worth that there should be none.
    pub fn of_result(result: StepResult, definition: Definition) -> Fault {
        let error = result.error.filter(|error| !error.trim().is_empty());
        let error = error.unwrap_or_else(|| "it failed without saying why".to_owned());
        if let Some(reason) = error.strip_prefix(message::SKIPPED) {
            return Fault::new(Outcome::Skipped, reason);
        }
        let outcome = if error.starts_with(message::STEP_TIMEOUT) {
            Outcome::TimedOut
        } else if error.starts_with(message::NO_MATCHING_STEP) {
            match definition {
                Definition::Certain => {
                    let message = format!("{error}; its `discover` told of a definition that fits");
                    return Fault::new(Outcome::Failed, message);
                }
                Definition::Possible => Outcome::Unsupported,
                Definition::Doubtful => Outcome::Undefined,
            }
        } else {
            Outcome::Failed
        };
        Fault::new(outcome, error)
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Fault {
        let outcome = match &trouble {
            Trouble::NotStarted(_) => Outcome::SetupError,
            Trouble::Died { .. } => Outcome::Crashed,
            Trouble::Call {
                error: CallError::NoAnswer { .. },
                ..
            } => Outcome::TimedOut,
            Trouble::Call { .. } => Outcome::Failed,
        };
        Fault::new(outcome, trouble.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_step_decides_its_kind() {
        use Definition::{Certain, Doubtful, Possible};
        let outcome = |error: Option<&str>, definition| {
            let result = StepResult {
                error: error.map(str::to_owned),
                ..StepResult::default()
            };
            Fault::of_result(result, definition).outcome
        };
        assert_eq!(outcome(Some("expected 1, got 2"), Certain), Outcome::Failed);
        assert_eq!(outcome(None, Certain), Outcome::Failed);
        let timeout = "Step execution timeout after 30 s";
        assert_eq!(outcome(Some(timeout), Certain), Outcome::TimedOut);
        let unknown = "No matching step definition found for: When x";
        assert_eq!(outcome(Some(unknown), Possible), Outcome::Unsupported);
        assert_eq!(outcome(Some(unknown), Doubtful), Outcome::Undefined);
        assert_eq!(outcome(Some(unknown), Certain), Outcome::Failed);
        let skipped = "Skipped: only root can do that";
        assert_eq!(outcome(Some(skipped), Certain), Outcome::Skipped);
        let late = "it said Skipped: none";
        assert_eq!(outcome(Some(late), Certain), Outcome::Failed);
    }

    #[test]
    fn the_trouble_with_a_process_decides_its_kind() {
        let call = |error| Trouble::Call {
            who: "the a".into(),
            error,
        };
        let closed = CallError::Closed {
            method: "m".into(),
            oddities: Vec::new(),
        };
        let silent = CallError::NoAnswer {
            method: "m".into(),
            limit: std::time::Duration::from_secs(1),
            oddities: Vec::new(),
        };
        assert_eq!(Fault::from(call(closed)).outcome, Outcome::Failed);
        assert_eq!(Fault::from(call(silent)).outcome, Outcome::TimedOut);
        let missing = Trouble::NotStarted("none".into());
        assert_eq!(Fault::from(missing).outcome, Outcome::SetupError);
    }
}
