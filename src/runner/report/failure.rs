//! Everything about an execution that is not as it should be.

use std::path::Path;

use crate::runner::event::{ExecutionInfo, ExecutionReport};
use crate::runner::header::Again;
use crate::runner::outcome::Outcome;
use crate::runner::record::{ExecutionRecord, Record};

/// The command with which an execution is run once more.
pub fn command_again(again: &Again, info: &ExecutionInfo) -> String {
    let Again { command, options } = again;
    format!("{command} -v{options} {} {}", info.combination, info.id)
}

/// Whether there is something to be told about how an execution ended. What was cut off in the middle
/// of a step may hang there; what was not begun, or ended in between, tells nothing.
pub fn is_failure(report: &ExecutionReport) -> bool {
    match report.outcome {
        outcome if outcome.is_cut_short() => report.failed_step.is_some(),
        outcome => !outcome.is_green(),
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// What became of it.
    pub report: &'a ExecutionReport,
    /// Whether it was the last one of its execution.
    pub is_last: bool,
    /// What became of its execution.
    pub execution: &'a ExecutionReport,
}

impl Failure<'_> {
    /// That another attempt passed, and what follows from that, where that is so.
    pub fn later(&self) -> Option<String> {
        let counts_as = match self.execution.outcome {
            Outcome::Flaky => "",
            Outcome::FlakyFailure => "; flaky counts as a failure in this run",
            _ => return None,
        };
        let passed = self.execution.reason.as_deref().unwrap_or_default();
        Some(format!("  later:    {passed}{counts_as}"))
    }
}

/// Everything that failed in a run, attempts that were not the last included.
pub fn failures(record: &Record) -> Vec<Failure<'_>> {
    let of = |execution| of_execution(execution).collect::<Vec<_>>();
    record.executions.iter().flat_map(of).collect()
}

fn of_execution(execution: &ExecutionRecord) -> impl Iterator<Item = Failure<'_>> {
    let last = &execution.report;
    let failure = move |report, is_last| Failure {
        report,
        is_last,
        execution: last,
    };
    let earlier = execution.earlier.iter();
    let earlier = earlier.map(move |attempt| failure(&attempt.report, false));
    // There is nothing more to be told of one that passed in the end.
    let is_told = is_failure(last) && last.outcome != Outcome::FlakyFailure;
    earlier.chain(is_told.then(|| failure(last, true)))
}

/// What failed, in one line. `repeat` says how often each execution is run, `is_last` whether the
/// attempt is its last.
pub fn headline(report: &ExecutionReport, repeat: u32, is_last: bool) -> String {
    let info = &report.info;
    let outcome = report.outcome.words();
    let repetition = match repeat {
        1 => String::new(),
        _ => format!(" (repetition {} of {repeat})", info.repetition),
    };
    let attempt = match (is_last, report.attempt) {
        (true, 1) => String::new(),
        (_, attempt) => format!(" (attempt {attempt})"),
    };
    format!(
        "{} {}: {outcome}{repetition}{attempt}",
        info.id, info.combination
    )
}

/// How it failed, line by line. The folders with the logs are in `run`.
pub fn details(report: &ExecutionReport, again: &Again, run: &Path) -> Vec<String> {
    let info = &report.info;
    let mut lines = vec![format!(
        "  scenario: {} - {} ({})",
        info.id, info.name, info.place
    )];
    if let Some(step) = &report.failed_step {
        lines.push(format!(
            "  step:     {} (line {}, to {})",
            step.step, step.line, step.to
        ));
    }
    if let Some(reason) = &report.reason {
        let mut reason = reason.lines();
        lines.push(format!("  error:    {}", reason.next().unwrap_or_default()));
        lines.extend(reason.map(|line| format!("            {line}")));
    }
    for (who, tail) in &report.tails {
        let nothing = if tail.is_empty() { " nothing" } else { "" };
        lines.push(format!("  {who} wrote last:{nothing}"));
        let tail = tail.iter().flat_map(|text| text.lines());
        lines.extend(tail.map(|line| format!("    | {line}")));
    }
    if let Some(folder) = &report.folder {
        lines.push(format!("  logs:     {}", run.join(folder).display()));
    }
    lines.push(format!("  again:    {}", command_again(again, info)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::console::tests::report;

    #[test]
    fn a_repetition_is_told_with_its_number() {
        let mut failed = report("1.2", "a_b", Outcome::Failed);
        failed.info.repetition = 3;
        assert_eq!(headline(&failed, 1, true), "1.2 a_b: failed");
        assert_eq!(
            headline(&failed, 20, true),
            "1.2 a_b: failed (repetition 3 of 20)"
        );
        let first = headline(&failed, 1, false);
        assert_eq!(first, "1.2 a_b: failed (attempt 1)");
        failed.attempt = 2;
        let second = headline(&failed, 1, true);
        assert_eq!(second, "1.2 a_b: failed (attempt 2)");
    }

    #[test]
    fn it_is_run_again_in_the_same_manner() {
        let again = Again {
            command: "./test.sh".into(),
            options: " --same-process --repeat 5".into(),
        };
        let lines = details(
            &report("1.2", "a_b", Outcome::Failed),
            &again,
            Path::new(""),
        );
        let last = lines.last().unwrap();
        let expected = "  again:    ./test.sh -v --same-process --repeat 5 a_b 1.2";
        assert_eq!(last, expected);
    }
}
