//! Repetitions of an execution, taken together.

use std::time::Duration;

use crate::runner::event::{ExecutionInfo, ExecutionReport};
use crate::runner::outcome::Outcome;

/// All repetitions of one execution.
#[derive(Debug)]
pub struct Repetitions<'a> {
    /// The one that stands for all: the first of the worst.
    pub worst: &'a ExecutionReport,
    /// How many there are.
    pub count: u32,
    /// How many of them have passed.
    pub passed: u32,
    /// How long all of them took together.
    took: Duration,
}

impl Repetitions<'_> {
    /// How long one took on average.
    pub fn average(&self) -> Duration {
        self.took / self.count
    }
}

/// Whether both are the same scenario on the same combination.
pub fn is_same(a: &ExecutionInfo, b: &ExecutionInfo) -> bool {
    (&a.id, &a.combination) == (&b.id, &b.combination)
}

/// The executions that the reports are of, in the order of the plan.
pub fn grouped<'a>(reports: impl IntoIterator<Item = &'a ExecutionReport>) -> Vec<Repetitions<'a>> {
    let mut sorted: Vec<&ExecutionReport> = reports.into_iter().collect();
    sorted.sort_by_key(|report| report.info.number);
    let mut groups: Vec<Repetitions<'a>> = Vec::new();
    for report in sorted {
        let known = |group: &Repetitions<'_>| is_same(&group.worst.info, &report.info);
        let index = groups.iter().position(known).unwrap_or_else(|| {
            groups.push(Repetitions {
                worst: report,
                count: 0,
                passed: 0,
                took: Duration::ZERO,
            });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.count += 1;
        group.passed += u32::from(report.outcome == Outcome::Passed);
        group.took += report.took;
        if report.outcome.badness() > group.worst.outcome.badness() {
            group.worst = report;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::console::tests::report;

    fn numbered(number: usize, id: &str, outcome: Outcome) -> ExecutionReport {
        let mut report = report(id, "a_b", outcome);
        report.info.number = number;
        report
    }

    #[test]
    fn the_worst_stands_for_all() {
        let reports = [
            numbered(3, "1.2", Outcome::Passed),
            numbered(0, "1.1", Outcome::Passed),
            numbered(2, "1.1", Outcome::Failed),
            numbered(1, "1.2", Outcome::Skipped),
            numbered(4, "1.1", Outcome::Crashed),
        ];
        let found: Vec<_> = grouped(&reports)
            .iter()
            .map(|group| {
                let worst = group.worst;
                (
                    worst.info.id.as_str(),
                    worst.outcome,
                    group.passed,
                    group.count,
                )
            })
            .collect();
        let expected = [
            ("1.1", Outcome::Failed, 1, 3),
            ("1.2", Outcome::Skipped, 1, 2),
        ];
        assert_eq!(found, expected);
        assert_eq!(grouped(&reports)[0].average(), Duration::from_millis(1500));
    }
}
