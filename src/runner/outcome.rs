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
    /// It failed, and passed when it was run again.
    Flaky,
    /// The same in a run that is to be red then.
    FlakyFailure,
    /// A platform that a run may do without is missing.
    Unavailable,
    /// The run was ended while it ran.
    Interrupted,
    /// The run was ended before it began.
    NotRun,
    /// Its end is not in the log of a run that has no end itself.
    Incomplete,
}

impl Outcome {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Outcome; 17] = [
        Outcome::Passed,
        Outcome::Flaky,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Crashed,
        Outcome::Leaked,
        Outcome::Undefined,
        Outcome::UnexpectedPass,
        Outcome::FlakyFailure,
        Outcome::SetupError,
        Outcome::Interrupted,
        Outcome::NotRun,
        Outcome::Incomplete,
        Outcome::KnownFailure,
        Outcome::Unsupported,
        Outcome::Skipped,
        Outcome::Unavailable,
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
            Outcome::Flaky => "flaky",
            Outcome::FlakyFailure => "flaky failure",
            Outcome::Unavailable => "unavailable",
            Outcome::Interrupted => "interrupted",
            Outcome::NotRun => "not run",
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
            Outcome::Flaky => '~',
            Outcome::FlakyFailure => '%',
            Outcome::Unavailable => 'n',
            Outcome::Interrupted => 'I',
            Outcome::NotRun => '·',
            Outcome::Incomplete => 'X',
        }
    }

    /// Whether it leaves the run green.
    pub fn is_green(self) -> bool {
        matches!(
            self,
            Outcome::Passed
                | Outcome::Flaky
                | Outcome::KnownFailure
                | Outcome::Unsupported
                | Outcome::Skipped
                | Outcome::Unavailable
        )
    }

    /// Which of two is worse: the one with the greater number.
    pub fn badness(self) -> u8 {
        match self {
            Outcome::Passed => 0,
            outcome if outcome.is_cut_short() => 2,
            outcome if outcome.is_green() => 1,
            _ => 3,
        }
    }

    /// Whether the execution itself went wrong. Run again it may do better.
    pub fn is_own_failure(self) -> bool {
        matches!(
            self,
            Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Leaked
        )
    }

    /// Whether it says nothing about the scenario, because the run ended too early.
    pub fn is_cut_short(self) -> bool {
        matches!(
            self,
            Outcome::Interrupted | Outcome::NotRun | Outcome::Incomplete
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
    let left_behind = format!("left behind: {}", evidence.leaks.join(", "));
    let (outcome, reason) = match (&evidence.fault, evidence.leaks.is_empty()) {
        (None, true) => (Outcome::Passed, None),
        (Some(fault), is_clean) if fault.is_failure() || is_clean => {
            (fault.outcome, Some(fault.message.clone()))
        }
        // A step that has to be skipped is no excuse.
        _ => (Outcome::Leaked, Some(left_behind.clone())),
    };
    let (outcome, reason) = match known {
        Some(known) if outcome == Outcome::Passed => {
            let entry = format!("it is listed as a known failure ({known})");
            (
                Outcome::UnexpectedPass,
                Some(format!("{entry}; remove the entry")),
            )
        }
        Some(known) if outcome.is_own_failure() => {
            let error = reason.unwrap_or_default();
            let is_known = error.contains(&known.contains);
            // Neither is a failure that is known, unless it is the leak itself.
            let leaks_as_well = !evidence.leaks.is_empty() && outcome != Outcome::Leaked;
            if is_known && leaks_as_well {
                let entry = format!("beside the known failure ({known}): {error}");
                (Outcome::Leaked, Some(format!("{left_behind}\n{entry}")))
            } else if is_known {
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

/// What is thought of an execution that failed and passed when it was run again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlakyIs {
    /// It leaves the run green, with a warning.
    #[default]
    Warn,
    /// It makes the run red.
    Fail,
}

/// The verdict on an execution whose earlier attempts failed: that on its last attempt, unless this
/// one is better.
pub fn after_failures(failed: &[Verdict], last: Verdict, flaky_is: FlakyIs) -> Verdict {
    let Some(first) = failed.first() else {
        return last;
    };
    let attempt = failed.len() + 1;
    match last.outcome {
        Outcome::Passed => Verdict {
            outcome: match flaky_is {
                FlakyIs::Warn => Outcome::Flaky,
                FlakyIs::Fail => Outcome::FlakyFailure,
            },
            reason: Some(format!("passed on attempt {attempt} only")),
        },
        // That it was skipped the next time, for example, takes nothing back.
        other if other.is_green() => {
            let first_reason = first.reason.as_deref().unwrap_or_default();
            let reason = last.reason.as_deref().unwrap_or_default();
            let other = other.words();
            Verdict {
                outcome: first.outcome,
                reason: Some(format!(
                    "{first_reason}\nattempt {attempt} was {other}: {reason}"
                )),
            }
        }
        _ => last,
    }
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
        let unsupported = evidence(Some(Outcome::Unsupported), &["/dev/shm/x"]);
        assert_eq!(decide(&unsupported, None).outcome, Outcome::Leaked);
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
        let beside = evidence(Some(Outcome::Failed), &["/dev/shm/x", "/dev/shm/y"]);
        let beside = decide(&beside, Some(&listed));
        assert_eq!(beside.outcome, Outcome::Leaked);
        assert_eq!(
            beside.reason.as_deref(),
            Some(
                "left behind: /dev/shm/x, /dev/shm/y\n\
                 beside the known failure (13.3 a_b: its fault): expected 1, got 2"
            )
        );
        let leak = known("left behind: /dev/shm/x");
        let leak = decide(&evidence(None, &["/dev/shm/x"]), Some(&leak));
        assert_eq!(leak.outcome, Outcome::KnownFailure);
        let other = decide(&evidence(Some(Outcome::Failed), &[]), Some(&known("got 3")));
        assert_eq!(other.outcome, Outcome::Failed);
        assert!(other.reason.unwrap().contains("not the known failure"));
    }

    #[test]
    fn only_passing_takes_a_failure_back() {
        let verdict = |outcome, reason: Option<&str>| Verdict {
            outcome,
            reason: reason.map(str::to_owned),
        };
        let failed = [
            verdict(Outcome::Failed, Some("got 2")),
            verdict(Outcome::Crashed, Some("died")),
        ];
        let after = |failed: &[Verdict], outcome, flaky_is| {
            after_failures(failed, verdict(outcome, Some("r")), flaky_is)
        };
        let at_once = after(&[], Outcome::Passed, FlakyIs::Fail);
        assert_eq!(at_once, verdict(Outcome::Passed, Some("r")));
        let warned = after(&failed, Outcome::Passed, FlakyIs::Warn);
        let reason = Some("passed on attempt 3 only");
        assert_eq!(warned, verdict(Outcome::Flaky, reason));
        let refused = after(&failed, Outcome::Passed, FlakyIs::Fail);
        assert_eq!(refused, verdict(Outcome::FlakyFailure, reason));
        assert!(warned.outcome.is_green() && !refused.outcome.is_green());
        let again = after(&failed, Outcome::TimedOut, FlakyIs::Warn);
        assert_eq!(again, verdict(Outcome::TimedOut, Some("r")));
        let skipped = after(&failed, Outcome::Skipped, FlakyIs::Warn);
        let reason = Some("got 2\nattempt 3 was skipped: r");
        assert_eq!(skipped, verdict(Outcome::Failed, reason));
    }

    #[test]
    fn every_outcome_has_its_own_shape() {
        let symbols: std::collections::BTreeSet<_> = Outcome::ALL.map(Outcome::symbol).into();
        assert_eq!(symbols.len(), Outcome::ALL.len());
        let green = Outcome::ALL
            .iter()
            .filter(|outcome| outcome.is_green())
            .count();
        assert_eq!(green, 6);
    }
}
