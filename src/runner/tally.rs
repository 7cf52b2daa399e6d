//! What became of all mutants, taken together.

use super::exit::Exit;
use super::outcome::Outcome;
use super::survivor::Survivor;
use super::trial::{Trial, Verdict};

/// What part of all mutants has to be caught, in percent.
pub const ENOUGH: usize = 95;

/// What became of all mutants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many mutants there were; faults that had no occasion are none.
    pub all: usize,
    /// How many faults had no occasion.
    pub no_occasion: usize,
    /// How many were caught.
    pub caught: usize,
    /// Those that survived, and why they may.
    pub survived: Vec<(String, Option<String>)>,
    /// Those that say nothing, and why.
    pub void: Vec<(String, String)>,
    /// Entries of the list of survivors that nothing needs, and why.
    pub stale: Vec<(String, &'static str)>,
    /// The outcomes of the executions that do not pass as they are.
    pub left_out: Vec<Outcome>,
}

impl Tally {
    /// Takes the results together. `known` is the list of survivors, `scenarios` the ids of all
    /// scenarios that there are.
    pub fn of(
        results: &[(&Trial, Verdict)],
        left_out: Vec<Outcome>,
        known: &[Survivor],
        scenarios: &[String],
    ) -> Tally {
        let mut tally = Tally {
            left_out,
            ..Tally::default()
        };
        let mut needed = vec![false; known.len()];
        for (trial, verdict) in results {
            let entry = known.iter().position(|entry| entry.is(trial));
            match verdict {
                Verdict::NoOccasion => {
                    tally.no_occasion += 1;
                    continue;
                }
                Verdict::Caught(_) => {
                    tally.caught += 1;
                    continue;
                }
                Verdict::Void(why) => tally.void.push((trial.to_string(), why.clone())),
                Verdict::Survived => {
                    let reason = entry.map(|entry| known[entry].reason.clone());
                    tally.survived.push((trial.to_string(), reason));
                }
            }
            // Nobody knows whether one that says nothing would survive.
            if let Some(entry) = entry {
                needed[entry] = true;
            }
        }
        tally.all = results.len() - tally.no_occasion;
        for (entry, _) in known.iter().zip(needed).filter(|(_, needed)| !needed) {
            if !scenarios.contains(&entry.scenario) {
                let what = (entry.to_string(), "there is no such scenario");
                tally.stale.push(what);
            } else if results.iter().any(|(trial, _)| entry.could_be(trial)) {
                let what = (entry.to_string(), "no mutant survives there");
                tally.stale.push(what);
            }
        }
        tally
    }

    /// What part was caught, in percent.
    pub fn percent(&self) -> usize {
        (100 * self.caught).checked_div(self.all).unwrap_or(0)
    }

    /// How many survived without a reason.
    pub fn unexplained(&self) -> usize {
        let reasons = self.survived.iter().map(|(_, reason)| reason);
        reasons.filter(|reason| reason.is_none()).count()
    }

    /// How it ends. Scenarios that fail as they are make it red, as do mutants that survive without
    /// a reason or say nothing, reasons that nothing needs, and too many survivors.
    pub fn exit(&self) -> Exit {
        let sound = Exit::of(&self.left_out, None);
        let is_clear = self.unexplained() == 0 && self.void.is_empty() && self.stale.is_empty();
        match sound {
            Exit::Green if self.all == 0 => Exit::Nothing,
            Exit::Green if is_clear && self.percent() >= ENOUGH => Exit::Green,
            Exit::Green => Exit::Red,
            worse => worse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::trial::tests::trial;

    fn caught() -> Verdict {
        Verdict::Caught("failed: why".into())
    }

    fn entry(scenario: &str, step: &str) -> Survivor {
        Survivor {
            scenario: scenario.into(),
            what: step.into(),
            is_fault: false,
            change: None,
            reason: "because".into(),
        }
    }

    fn tally(verdicts: Vec<Verdict>, known: &[Survivor], left_out: &[Outcome]) -> Tally {
        let trial = trial(None);
        let results: Vec<_> = verdicts.into_iter().map(|v| (&trial, v)).collect();
        let scenarios = ["1.1".to_owned(), "1.2".to_owned()];
        Tally::of(&results, left_out.to_vec(), known, &scenarios)
    }

    #[test]
    fn only_survivors_with_a_reason_are_green_and_few_of_them() {
        let step = "Then the 'a' process has '7'";
        let mut verdicts = vec![caught(); 19];
        verdicts.push(Verdict::Survived);
        let explained = tally(verdicts.clone(), &[entry("1.1", step)], &[]);
        assert_eq!((explained.percent(), explained.exit()), (95, Exit::Green));
        let unexplained = tally(verdicts.clone(), &[], &[]);
        assert_eq!(unexplained.unexplained(), 1);
        assert_eq!(unexplained.exit(), Exit::Red);
        verdicts.remove(0);
        let many = tally(verdicts, &[entry("1.1", step)], &[]);
        assert_eq!((many.percent(), many.exit()), (94, Exit::Red));
    }

    #[test]
    fn an_entry_has_to_be_needed() {
        let stale = |scenario| {
            let tally = tally(vec![caught()], &[entry(scenario, "Then x")], &[]);
            let why: Vec<_> = tally.stale.iter().map(|(_, why)| *why).collect();
            (why, tally.exit())
        };
        assert_eq!(stale("1.1"), (vec!["no mutant survives there"], Exit::Red));
        assert_eq!(stale("1.2"), (vec![], Exit::Green), "it was not run");
        assert_eq!(stale("9.9"), (vec!["there is no such scenario"], Exit::Red));
    }

    #[test]
    fn a_fault_without_an_occasion_is_no_mutant() {
        let verdicts = vec![caught(), Verdict::NoOccasion, Verdict::NoOccasion];
        let tally = tally(verdicts, &[], &[]);
        assert_eq!((tally.all, tally.caught, tally.no_occasion), (1, 1, 2));
        assert_eq!((tally.percent(), tally.exit()), (100, Exit::Green));
    }

    #[test]
    fn what_says_nothing_is_red_and_makes_no_entry_stale() {
        let known = [entry("1.1", "Then the 'a' process has '7'")];
        let mut verdicts = vec![caught(); 99];
        verdicts.push(Verdict::Void("why".into()));
        let tally = tally(verdicts, &known, &[]);
        assert_eq!((tally.percent(), tally.exit()), (99, Exit::Red));
        assert!(tally.stale.is_empty());
    }

    #[test]
    fn scenarios_are_left_out_as_a_run_takes_them() {
        let exit = |outcome| tally(vec![caught()], &[], &[outcome]).exit();
        assert_eq!(exit(Outcome::Skipped), Exit::Green);
        assert_eq!(exit(Outcome::KnownFailure), Exit::Green);
        assert_eq!(exit(Outcome::Failed), Exit::Red);
        assert_eq!(exit(Outcome::SetupError), Exit::Setup);
        assert_eq!(tally(vec![], &[], &[]).exit(), Exit::Nothing);
    }
}
