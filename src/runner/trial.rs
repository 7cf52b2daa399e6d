//! One running of a scenario in which something is wrong, so that it has to fail.

use std::fmt;
use std::path::Path;

use super::event::FailedStep;
use super::execute::Ended;
use super::mutant::Change;
use super::outcome::{Outcome, decide};
use super::plan::Execution;
use crate::rpc::message::FAULT_COMMITTED;

/// A mutant of a scenario on one combination.
#[derive(Debug)]
pub struct Trial {
    /// What is run.
    pub execution: Execution,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong in a trial.
#[derive(Debug)]
pub enum Wrong {
    /// What a step expects.
    Expectation {
        /// The step as it was.
        step: String,
        /// Its line in the feature file.
        line: usize,
        /// What was changed.
        change: Change,
    },
    /// The step servers commit this fault.
    Fault(String),
}

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It failed where it had to, with this error.
    Caught(String),
    /// It passed.
    Survived,
    /// It passed, because nothing in it gave an occasion for the fault.
    NoOccasion,
    /// It says nothing, for this reason.
    Void(String),
}

impl Trial {
    /// The scenario's id.
    pub fn id(&self) -> String {
        self.execution.scenario.scenario.id.to_string()
    }

    /// The step that was changed, or the fault that is committed.
    pub fn what(&self) -> &str {
        match &self.wrong {
            Wrong::Expectation { step, .. } => step,
            Wrong::Fault(fault) => fault,
        }
    }

    /// What was changed in the step.
    pub fn changed(&self) -> Option<&str> {
        match &self.wrong {
            Wrong::Expectation { change, .. } => Some(&change.from),
            Wrong::Fault(_) => None,
        }
    }

    /// Judges what was seen; the logs of the processes are in `folder`. A changed step has to fail
    /// itself. A fault has to be committed, and may be noticed anywhere.
    pub fn judge(&self, ended: &Ended, folder: &Path) -> Verdict {
        let verdict = decide(&ended.evidence, None);
        let error = verdict.reason.unwrap_or_default();
        let error = error.lines().next().unwrap_or_default();
        let error = format!("{}: {error}", verdict.outcome.words());
        let is_red = match verdict.outcome {
            outcome if outcome.is_own_failure() => true,
            Outcome::Passed => false,
            _ => return Verdict::Void(error),
        };
        match (&self.wrong, &ended.failed_step) {
            (Wrong::Fault(fault), _) if !is_committed(fault, folder) => match is_red {
                true => Verdict::Void(format!("the fault was not committed; {error}")),
                false => Verdict::NoOccasion,
            },
            (Wrong::Expectation { line, .. }, Some(FailedStep { line: failed, .. }))
                if is_red && failed == line =>
            {
                Verdict::Caught(error)
            }
            (Wrong::Expectation { .. }, _) if is_red => {
                Verdict::Void(format!("it is not the changed step that failed; {error}"))
            }
            _ if is_red => Verdict::Caught(error),
            _ => Verdict::Survived,
        }
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let execution = &self.execution;
        match &self.wrong {
            Wrong::Expectation { step, change, .. } => write!(f, "{execution}: {step} ({change})"),
            Wrong::Fault(fault) => write!(f, "{execution}: with the fault {fault}"),
        }
    }
}

/// Whether a process says in its log that it has committed the fault.
fn is_committed(fault: &str, folder: &Path) -> bool {
    let mark = format!("{FAULT_COMMITTED}{fault}");
    let logs = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut texts = logs.filter_map(|log| std::fs::read(log.path()).ok());
    texts.any(|text| String::from_utf8_lossy(&text).contains(&mark))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runner::fault::Fault;
    use crate::runner::{feature, route};
    use std::sync::Arc;

    /// A trial of scenario 1.1, whose step in line 3 is changed or which commits a fault.
    pub fn trial(fault: Option<&str>) -> Trial {
        let text = "Feature: F\nScenario: 1.1 - S\nThen the 'a' process has '7'\n";
        let scenario = feature::parse(Path::new("1.feature"), text).unwrap();
        let scenario = Arc::new(route::route(scenario.into_iter().next().unwrap()));
        let wrong = match fault {
            Some(fault) => Wrong::Fault(fault.to_owned()),
            None => Wrong::Expectation {
                step: scenario.steps[0].step.to_string(),
                line: 3,
                change: Change {
                    from: "7".into(),
                    to: "71".into(),
                    row: None,
                },
            },
        };
        let platforms = vec!["rust".to_owned()];
        let execution = Execution {
            scenario,
            platforms,
        };
        Trial { execution, wrong }
    }

    fn ended(outcome: Option<Outcome>, line: Option<usize>) -> Ended {
        let mut ended = Ended::default();
        ended.evidence.fault = outcome.map(|outcome| Fault::new(outcome, "why\nmore"));
        ended.failed_step = line.map(|line| FailedStep {
            step: "Then x".into(),
            line,
            to: "a".into(),
        });
        ended
    }

    fn void(reason: &str) -> Verdict {
        Verdict::Void(reason.to_owned())
    }

    #[test]
    fn a_changed_step_has_to_fail_itself() {
        let judge = |outcome, line| trial(None).judge(&ended(outcome, line), Path::new("/none"));
        let caught = Verdict::Caught("failed: why".to_owned());
        assert_eq!(judge(Some(Outcome::Failed), Some(3)), caught);
        let elsewhere = void("it is not the changed step that failed; failed: why");
        assert_eq!(judge(Some(Outcome::Failed), Some(4)), elsewhere);
        assert_eq!(judge(Some(Outcome::Failed), None), elsewhere);
        assert_eq!(judge(None, None), Verdict::Survived);
        for outcome in [Outcome::Unsupported, Outcome::Skipped, Outcome::SetupError] {
            let expected = void(&format!("{}: why", outcome.words()));
            assert_eq!(judge(Some(outcome), Some(3)), expected);
        }
    }

    #[test]
    fn what_is_left_behind_is_not_found_by_a_step() {
        let mut leaked = ended(None, None);
        leaked.evidence.leaks = vec!["/dev/shm/x".into()];
        let verdict = trial(None).judge(&leaked, Path::new("/none"));
        assert!(matches!(verdict, Verdict::Void(_)), "{verdict:?}");
    }

    #[test]
    fn a_fault_counts_only_when_it_is_committed() {
        let logs = tempfile::tempdir().unwrap();
        let judge = |outcome, line| trial(Some("slow")).judge(&ended(outcome, line), logs.path());
        assert_eq!(judge(None, None), Verdict::NoOccasion);
        let failed = void("the fault was not committed; failed: why");
        assert_eq!(judge(Some(Outcome::Failed), Some(4)), failed);
        std::fs::write(
            logs.path().join("0-a-rust.log"),
            "x fault committed: slow\n",
        )
        .unwrap();
        assert_eq!(judge(None, None), Verdict::Survived);
        let caught = Verdict::Caught("crashed: why".to_owned());
        assert_eq!(judge(Some(Outcome::Crashed), None), caught);
    }
}
