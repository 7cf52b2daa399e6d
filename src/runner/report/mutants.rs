//! The report on mutants: how far it is, and which of them nobody noticed.

use std::time::{Duration, Instant};

use super::console::Verbosity;
use super::line::seconds;
use super::progress::Progress;
use crate::runner::event::{Event, Reporter};
use crate::runner::outcome::Outcome;
use crate::runner::tally::{ENOUGH, Tally};
use crate::runner::terminal::{say, warn};
use crate::runner::trial::Verdict;

/// How often a line says how far it is, where no bar does.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

/// Prints events; see the module's page.
pub struct Mutants {
    verbosity: Verbosity,
    bar: Progress,
    /// What is being run.
    what: String,
    done: usize,
    total: usize,
    survived: usize,
    told: Instant,
}

impl Mutants {
    /// A report on standard output; how far it is goes to standard error.
    pub fn new(verbosity: Verbosity) -> Mutants {
        Mutants {
            verbosity,
            bar: Progress::new(verbosity),
            what: String::new(),
            done: 0,
            total: 0,
            survived: 0,
            told: Instant::now(),
        }
    }

    fn line(&self, text: &str) {
        self.bar.above(|| say(text));
    }

    fn one_done(&mut self) {
        self.done += 1;
        let survived = match self.survived {
            0 => String::new(),
            count => format!(", {count} survived so far"),
        };
        let (done, total, what) = (self.done, self.total, &self.what);
        let is_due = self.told.elapsed() >= NOW_AND_THEN;
        if self.bar.is_shown() {
            self.bar.show(done, total, format!("{what}{survived}"));
        } else if is_due && self.verbosity > Verbosity::Quiet {
            warn(&format!("{done} of {total} {what}{survived} …"));
            self.told = Instant::now();
        }
    }

    fn left_out(&self, execution: &str, outcome: Outcome, reason: &str) {
        if self.verbosity > Verbosity::Quiet || !outcome.is_green() {
            let reason = reason.lines().next().unwrap_or_default();
            let outcome = outcome.words();
            self.line(&format!("left out  {execution}: {outcome}: {reason}"));
        }
    }
}

impl Reporter for Mutants {
    fn on(&mut self, event: &Event) {
        let verbose = self.verbosity == Verbosity::Verbose;
        self.bar.notice(event);
        match event {
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::Note { text } if verbose => self.line(text),
            Event::TrialsStarted { trials, what } => {
                (self.done, self.total, self.what) = (0, *trials, what.clone());
                if self.verbosity > Verbosity::Quiet && !self.bar.is_shown() {
                    warn(&format!("{trials} {what} …"));
                }
            }
            Event::UnchangedFinished {
                execution,
                left_out,
            } => {
                if let Some((outcome, reason)) = left_out {
                    self.left_out(execution, *outcome, reason);
                }
                self.one_done();
            }
            Event::TrialFinished { trial, verdict } => {
                self.survived += usize::from(*verdict == Verdict::Survived);
                if verbose {
                    self.line(&result(trial, verdict));
                }
                self.one_done();
            }
            Event::MutationFinished { tally, took } => {
                self.bar.end();
                match tally {
                    Some(tally) => lines(tally, *took, self.verbosity)
                        .iter()
                        .for_each(|line| say(line)),
                    None => say("interrupted: not all mutants were run"),
                }
            }
            _ => {}
        }
    }
}

/// What became of one mutant.
fn result(trial: &str, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Caught(error) => format!("caught    {trial}: {error}"),
        Verdict::Survived => format!("survived  {trial}"),
        Verdict::NoOccasion => format!("no chance {trial}"),
        Verdict::Void(why) => format!("void      {trial}: {why}"),
    }
}

/// What became of all of them.
fn lines(tally: &Tally, took: Duration, verbosity: Verbosity) -> Vec<String> {
    let void = tally.void.iter();
    let mut lines: Vec<String> = void
        .map(|(trial, why)| result(trial, &Verdict::Void(why.clone())))
        .collect();
    for (trial, reason) in &tally.survived {
        if reason.is_some() && verbosity == Verbosity::Quiet {
            continue;
        }
        lines.push(result(trial, &Verdict::Survived));
        let reason = reason.as_deref().unwrap_or("without a reason");
        lines.push(format!("          {reason}"));
    }
    let stale = tally.stale.iter();
    lines.extend(stale.map(|(entry, why)| format!("stale     {entry}: {why}")));
    lines.push(format!("{} (in {})", counts(tally), seconds(took)));
    lines
}

/// The numbers, and what makes them red.
fn counts(tally: &Tally) -> String {
    let (caught, all, percent) = (tally.caught, tally.all, tally.percent());
    let failing = tally.left_out.iter().filter(|outcome| !outcome.is_green());
    let failing = failing.count();
    let mut counts = match (all, failing) {
        (0, 0) => {
            let what = "there is nothing to change: no `Then` expects a value, and no step gives \
                        occasion for a fault";
            what.to_owned()
        }
        (0, _) => "no mutants".to_owned(),
        _ => format!(
            "{caught} of {all} mutants caught ({percent} %), {} survived, {} of them without a \
             reason, {} void",
            tally.survived.len(),
            tally.unexplained(),
            tally.void.len()
        ),
    };
    if all > 0 && percent < ENOUGH {
        counts.push_str(&format!("; at least {ENOUGH} % have to be caught"));
    }
    if failing > 0 {
        counts.push_str(&format!("; {failing} scenario(s) fail as they are"));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_secs(2);

    fn tally() -> Tally {
        Tally {
            all: 40,
            no_occasion: 3,
            caught: 37,
            survived: vec![("a".into(), None), ("b".into(), Some("because".into()))],
            void: vec![("c".into(), "no fault".into())],
            stale: vec![("d".into(), "no mutant survives there")],
            left_out: vec![Outcome::Skipped, Outcome::Failed],
        }
    }

    #[test]
    fn everything_that_was_not_caught_is_told() {
        let expected = [
            "void      c: no fault",
            "survived  a",
            "          without a reason",
            "survived  b",
            "          because",
            "stale     d: no mutant survives there",
            "37 of 40 mutants caught (92 %), 2 survived, 1 of them without a reason, 1 void; at \
             least 95 % have to be caught; 1 scenario(s) fail as they are (in 2.000 s)",
        ];
        assert_eq!(lines(&tally(), TOOK, Verbosity::Normal), expected);
        let quiet = lines(&tally(), TOOK, Verbosity::Quiet);
        assert!(!quiet.contains(&"survived  b".to_owned()), "{quiet:?}");
        assert!(quiet.contains(&"survived  a".to_owned()), "{quiet:?}");
    }

    #[test]
    fn nothing_to_change_is_told() {
        let lines = lines(&Tally::default(), TOOK, Verbosity::Normal);
        assert!(lines[0].starts_with("there is nothing to change"));
    }
}
