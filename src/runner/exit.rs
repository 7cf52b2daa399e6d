//! Exit codes, and ends before anything ran.

use std::process::ExitCode;

use super::halt::CutShort;
use super::outcome::Outcome;

/// What the runner's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Green = 0,
    /// Something ran and is not.
    Red = 1,
    /// The command line, the configuration or a feature file is wrong.
    Usage = 2,
    /// A platform could not be set up or started.
    Setup = 3,
    /// Nothing matched.
    Nothing = 4,
    /// The user ended the run.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of a run whose executions had these outcomes, and that was `cut_short` if so.
    pub fn of(outcomes: &[Outcome], cut_short: Option<&CutShort>) -> Exit {
        if cut_short == Some(&CutShort::Interrupted) {
            Exit::Interrupted
        } else if outcomes.contains(&Outcome::SetupError) {
            Exit::Setup
        } else if cut_short.is_none() && outcomes.iter().all(|outcome| outcome.is_green()) {
            Exit::Green
        } else {
            Exit::Red
        }
    }
}

impl Exit {
    /// This one, or where everything is as it should be, the other.
    pub fn or(self, other: Exit) -> Exit {
        match self {
            Exit::Green => other,
            exit => exit,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An end before anything ran: what to say, and the exit code.
pub struct Refusal(pub Exit, pub String);

impl Refusal {
    /// A refusal for what is wrong with the input.
    pub fn usage(why: impl ToString) -> Refusal {
        Refusal(Exit::Usage, why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides() {
        use Outcome::{Failed, Interrupted, KnownFailure, Passed, SetupError, Skipped};
        let by_user = Some(&CutShort::Interrupted);
        assert_eq!(
            Exit::of(&[Passed, Skipped, KnownFailure], None),
            Exit::Green
        );
        assert_eq!(Exit::of(&[Passed, Failed], None), Exit::Red);
        assert_eq!(Exit::of(&[Failed, SetupError], None), Exit::Setup);
        assert_eq!(
            Exit::of(&[SetupError, Interrupted], by_user),
            Exit::Interrupted
        );
        let by_itself = Some(&CutShort::FirstFailure);
        assert_eq!(Exit::of(&[Passed], by_itself), Exit::Red);
        assert_eq!(Exit::of(&[SetupError], by_itself), Exit::Setup);
    }
}
