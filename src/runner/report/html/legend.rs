//! What each outcome means, in a sentence.

use crate::runner::outcome::Outcome;

/// An outcome and what it means.
pub struct Meaning {
    /// Its character.
    pub symbol: char,
    /// Its name, as in logs and in links.
    pub name: String,
    /// Its name, in words.
    pub words: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// All outcomes.
pub fn meanings() -> Vec<Meaning> {
    let all = Outcome::ALL.into_iter().map(|outcome| Meaning {
        symbol: outcome.symbol(),
        name: name(outcome),
        words: outcome.words(),
        meaning: meaning(outcome),
    });
    all.collect()
}

/// The name of an outcome, as in logs and in links.
pub fn name(outcome: Outcome) -> String {
    outcome.words().replace(' ', "-")
}

fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Every step did what it says.",
        Outcome::Failed => "A step did not do what it says.",
        Outcome::TimedOut => "A step, or all of them together, took too long.",
        Outcome::Crashed => "A process died that should not have.",
        Outcome::Leaked => "Shared memory or lock files were left behind.",
        Outcome::Undefined => "No platform knows one of the steps.",
        Outcome::Unsupported => "A platform of the combination does not know one of the steps.",
        Outcome::Skipped => "Not run, for a reason that the scenario or a step gave.",
        Outcome::SetupError => "A platform could not be set up or started.",
        Outcome::KnownFailure => "Failed as the list of known failures says.",
        Outcome::UnexpectedPass => "Passed, though the list of known failures says that it fails.",
        Outcome::Flaky => "Failed at first, and passed when it was tried again.",
        Outcome::FlakyFailure => {
            "Failed at first and passed later, and the run was told to take that for a failure."
        }
        Outcome::Unavailable => "A platform that a run may do without is not there.",
        Outcome::NotRun => "The run ended before it began.",
        Outcome::Interrupted => "The run was ended in the middle of it.",
        Outcome::Incomplete => "The run was killed, or goes on still; its end is not known.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_called_as_in_logs() {
        for outcome in Outcome::ALL {
            let logged = serde_json::to_value(outcome).unwrap();
            assert_eq!(logged, name(outcome));
        }
    }
}
