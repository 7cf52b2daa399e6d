//! The matrix of a run: scenarios down, combinations across, one character each.

use std::collections::BTreeMap;

use crate::runner::event::ExecutionReport;
use crate::runner::outcome::Outcome;

/// Renders the matrix and its legend; nothing for a run of fewer than two executions.
pub fn render(reports: &[&ExecutionReport]) -> Vec<String> {
    if reports.len() < 2 {
        return Vec::new();
    }
    let mut columns: Vec<&str> = Vec::new();
    let mut rows: Vec<&str> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
    for report in reports {
        let (id, combination) = (report.info.id.as_str(), report.info.combination.as_str());
        if !columns.contains(&combination) {
            columns.push(combination);
        }
        if !rows.contains(&id) {
            rows.push(id);
        }
        cells.insert((id, combination), report.outcome);
    }
    let width = rows.iter().map(|id| id.chars().count()).max().unwrap_or(0);
    let header = columns.join("  ");
    let mut lines = vec![format!("{:width$}  {header}", "")];
    for id in rows {
        let mut line = format!("{id:width$}");
        for combination in &columns {
            let cell = cells.get(&(id, *combination));
            let symbol = cell.map_or(' ', |outcome| outcome.symbol());
            line.push_str(&format!("  {symbol:^0$}", combination.len()));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(legend(cells.values().copied()));
    lines
}

fn legend(outcomes: impl Iterator<Item = Outcome>) -> String {
    let seen: std::collections::BTreeSet<Outcome> = outcomes.collect();
    let words = seen
        .iter()
        .map(|outcome| format!("{} {}", outcome.symbol(), outcome.words()));
    words.collect::<Vec<_>>().join("   ")
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
