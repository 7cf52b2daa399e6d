//! What became of an execution: one enum, decided in one place.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::known::KnownFailure;

/// What became of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step did what it says.
    Passed,
    /// A step failed.
    Failed,
    /// A step, or all of them together, took too long.
    TimedOut,
    /// A process died that should not have.
    Crashed,
    /// Something was left in `/dev/shm` or the lock folder.
    Leaked,
    /// No platform defines one of the steps.
    Undefined,
    /// A platform of the combination does not define one of its steps.
    Unsupported,
    /// Not run, or not to its end, for a reason that its tags or one of its steps gave.
    Skipped,
    /// A platform could not be set up or started.
    SetupError,
    /// It failed as `known-failures.toml` says.
    KnownFailure,
    /// `known-failures.toml` says that it fails, but it passed.
    UnexpectedPass,
    /// The user ended the run before it.
    Interrupted,
    /// Its end is not in the log of a run that has no end itself.
    Incomplete,
}

impl Outcome {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Outcome; 13] = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Crashed,
        Outcome::Leaked,
        Outcome::Undefined,
        Outcome::UnexpectedPass,
        Outcome::SetupError,
        Outcome::Interrupted,
        Outcome::Incomplete,
        Outcome::KnownFailure,
        Outcome::Unsupported,
        Outcome::Skipped,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed out",
            Outcome::Crashed => "crashed",
            Outcome::Leaked => "leaked",
            Outcome::Undefined => "undefined",
            Outcome::Unsupported => "unsupported",
            Outcome::Skipped => "skipped",
            Outcome::SetupError => "setup error",
            Outcome::KnownFailure => "known failure",
            Outcome::UnexpectedPass => "unexpected pass",
            Outcome::Interrupted => "interrupted",
            Outcome::Incomplete => "incomplete",
        }
    }

    /// In one character, each its own shape.
    pub fn symbol(self) -> char {
        match self {
            Outcome::Passed => '✓',
            Outcome::Failed => 'F',
            Outcome::TimedOut => 'T',
            Outcome::Crashed => 'C',
            Outcome::Leaked => 'L',
            Outcome::Undefined => '?',
            Outcome::Unsupported => '-',
            Outcome::Skipped => 's',
            Outcome::SetupError => '!',
            Outcome::KnownFailure => 'k',
            Outcome::UnexpectedPass => 'U',
            Outcome::Interrupted => 'I',
            Outcome::Incomplete => 'X',
        }
    }

    /// Whether it leaves the run green.
    pub fn is_green(self) -> bool {
        matches!(
            self,
            Outcome::Passed | Outcome::KnownFailure | Outcome::Unsupported | Outcome::Skipped
        )
    }
}

/// What was seen of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What went wrong first.
    pub fault: Option<Fault>,
    /// What was left behind that nobody should leave.
    pub leaks: Vec<String>,
}

/// An outcome and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Why; nothing for an execution that passed.
    pub reason: Option<String>,
}

/// Decides the outcome of an execution.
pub fn decide(evidence: &Evidence, known: Option<&KnownFailure>) -> Verdict {
    let (outcome, reason) = match (&evidence.fault, evidence.leaks.as_slice()) {
        (None, []) => (Outcome::Passed, None),
        (Some(fault), leaks) if fault.is_failure() || leaks.is_empty() => {
            (fault.outcome, Some(fault.message.clone()))
        }
        // A step that has to be skipped is no excuse.
        (_, leaks) => (
            Outcome::Leaked,
            Some(format!("left behind: {}", leaks.join(", "))),
        ),
    };
    let can_be_known = matches!(
        outcome,
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Leaked
    );
    let (outcome, reason) = match known {
        Some(known) if outcome == Outcome::Passed => {
            let entry = format!("it is listed as a known failure ({known})");
            (
                Outcome::UnexpectedPass,
                Some(format!("{entry}; remove the entry")),
            )
        }
        Some(known) if can_be_known => {
            let error = reason.unwrap_or_default();
            if error.contains(&known.contains) {
                (Outcome::KnownFailure, Some(known.reason.clone()))
            } else {
                let entry = format!(
                    "not the known failure, whose error contains {:?}",
                    known.contains
                );
                (outcome, Some(format!("{error}\n{entry}")))
            }
        }
        _ => (outcome, reason),
    };
    Verdict { outcome, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(outcome: Option<Outcome>, leaks: &[&str]) -> Evidence {
        Evidence {
            fault: outcome.map(|outcome| Fault::new(outcome, "expected 1, got 2")),
            leaks: leaks.iter().map(|leak| leak.to_string()).collect(),
        }
    }

    fn known(contains: &str) -> KnownFailure {
        KnownFailure {
            scenario: "13.3".into(),
            combination: "a_b".into(),
            reason: "its fault".into(),
            contains: contains.into(),
        }
    }

    #[test]
    fn the_first_fault_decides() {
        assert_eq!(decide(&evidence(None, &[]), None).outcome, Outcome::Passed);
        let verdict = decide(&evidence(None, &["/dev/shm/x"]), None);
        assert_eq!(verdict.outcome, Outcome::Leaked);
        assert_eq!(verdict.reason.as_deref(), Some("left behind: /dev/shm/x"));
        for outcome in [Outcome::Failed, Outcome::Crashed, Outcome::Undefined] {
            let verdict = decide(&evidence(Some(outcome), &["/dev/shm/x"]), None);
            assert_eq!(verdict.outcome, outcome);
        }
        let skipped = |leaks| decide(&evidence(Some(Outcome::Skipped), leaks), None).outcome;
        assert_eq!(skipped(&[]), Outcome::Skipped);
        assert_eq!(skipped(&["/dev/shm/x"]), Outcome::Leaked);
    }

    #[test]
    fn a_known_failure_has_to_fail_as_listed() {
        let listed = known("got 2");
        let outcome = |e: Evidence| decide(&e, Some(&listed)).outcome;
        assert_eq!(
            outcome(evidence(Some(Outcome::Failed), &[])),
            Outcome::KnownFailure
        );
        assert_eq!(
            outcome(evidence(Some(Outcome::Crashed), &[])),
            Outcome::KnownFailure
        );
        assert_eq!(outcome(evidence(None, &[])), Outcome::UnexpectedPass);
        assert_eq!(outcome(evidence(None, &["/dev/shm/x"])), Outcome::Leaked);
        assert_eq!(
            outcome(evidence(Some(Outcome::Skipped), &[])),
            Outcome::Skipped
        );
        assert_eq!(
            outcome(evidence(Some(Outcome::Interrupted), &[])),
            Outcome::Interrupted
        );
        let other = decide(&evidence(Some(Outcome::Failed), &[]), Some(&known("got 3")));
        assert_eq!(other.outcome, Outcome::Failed);
        assert!(other.reason.unwrap().contains("not the known failure"));
    }

    #[test]
    fn every_outcome_has_its_own_shape() {
        let symbols: std::collections::BTreeSet<_> = Outcome::ALL.map(Outcome::symbol).into();
        assert_eq!(symbols.len(), Outcome::ALL.len());
        let green = Outcome::ALL
            .iter()
            .filter(|outcome| outcome.is_green())
            .count();
        assert_eq!(green, 4);
    }
}
