//! The matrix of a run: scenarios down, combinations across, one character each.

use std::collections::{BTreeMap, BTreeSet};

use crate::runner::event::ExecutionReport;
use crate::runner::outcome::Outcome;

/// The outcomes of a run, scenario by scenario.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// The combinations.
    pub columns: Vec<&'a str>,
    /// The ids of the scenarios, each with its outcomes in the order of the columns.
    pub rows: Vec<(&'a str, Vec<Option<Outcome>>)>,
}

impl<'a> Matrix<'a> {
    /// Makes a matrix of reports; of two for one cell the last one stands. What is unavailable has no
    /// place in it.
    pub fn new(reports: &[&'a ExecutionReport]) -> Matrix<'a> {
        let mut columns: Vec<&str> = Vec::new();
        let mut ids: Vec<&str> = Vec::new();
        let mut cells: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
        let there = reports.iter().filter(|r| r.outcome != Outcome::Unavailable);
        for report in there {
            let (id, combination) = (report.info.id.as_str(), report.info.combination.as_str());
            if !columns.contains(&combination) {
                columns.push(combination);
            }
            if !ids.contains(&id) {
                ids.push(id);
            }
            cells.insert((id, combination), report.outcome);
        }
        let row = |id| {
            let cells = columns
                .iter()
                .map(|column| cells.get(&(id, *column)).copied());
            (id, cells.collect())
        };
        let rows = ids.into_iter().map(row).collect();
        Matrix { columns, rows }
    }

    /// What the characters in it mean.
    pub fn legend(&self) -> String {
        let cells = self.rows.iter().flat_map(|(_, cells)| cells);
        let seen: BTreeSet<Outcome> = cells.flatten().copied().collect();
        let words = seen
            .iter()
            .map(|outcome| format!("{} {}", outcome.symbol(), outcome.words()));
        words.collect::<Vec<_>>().join("   ")
    }
}

/// Renders the matrix and its legend; nothing for a run of fewer than two executions.
pub fn render(reports: &[&ExecutionReport]) -> Vec<String> {
    let matrix = Matrix::new(reports);
    let cells = matrix.rows.iter().flat_map(|(_, cells)| cells);
    if cells.flatten().count() < 2 {
        return Vec::new();
    }
    let widths = matrix.rows.iter().map(|(id, _)| id.chars().count());
    let width = widths.max().unwrap_or(0);
    let header = matrix.columns.join("  ");
    let mut lines = vec![format!("{:width$}  {header}", "")];
    for (id, cells) in &matrix.rows {
        let mut line = format!("{id:width$}");
        for (cell, combination) in cells.iter().zip(&matrix.columns) {
            let symbol = cell.map_or(' ', Outcome::symbol);
            line.push_str(&format!("  {symbol:^0$}", combination.len()));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(matrix.legend());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::console::tests::report;

    #[test]
    fn scenarios_stand_against_combinations() {
        let reports = [
            report("1.1", "a_b", Outcome::Passed),
            report("1.1", "b_b", Outcome::Failed),
            report("13.10", "a_b", Outcome::Skipped),
            report("13.11", "a", Outcome::KnownFailure),
        ];
        let expected = [
            "       a_b  b_b  a",
            "1.1     ✓    F",
            "13.10   s",
            "13.11            k",
            "✓ passed   F failed   s skipped   k known failure",
        ];
        let reports: Vec<&ExecutionReport> = reports.iter().collect();
        assert_eq!(render(&reports), expected);
        assert!(render(&reports[..1]).is_empty());
    }
}
