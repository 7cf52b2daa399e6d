//! Scenarios with one expectation changed, to see whether their checks bite.
//!
//! What a `Then` expects is what its definition captures from its text, and the cells of its
//! table. One of them at a time is changed so that the step, if it means what it says, has to
//! fail.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::catalogue::Catalogue;
use super::route::{Destination, RoutedScenario, RoutedStep};
use super::scenario::Step;
use crate::rpc::message::StepType;

/// A scenario with one change in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The changed scenario.
    pub scenario: RoutedScenario,
    /// The index of the changed step.
    pub step: usize,
    /// What was changed.
    pub change: Change,
}

/// One value in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the step said.
    pub from: String,
    /// What it says now.
    pub to: String,
    /// The row of the step's table, from 1, where a cell was changed.
    pub row: Option<usize>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' became '{}'", self.from, self.to)?;
        match self.row {
            Some(row) => write!(f, " in row {row}"),
            None => Ok(()),
        }
    }
}

/// Every scenario that differs from `scenario` in one expectation of one `Then`. `catalogue_of` has
/// the definitions of whoever a step goes to.
pub fn mutants<'c>(
    scenario: &RoutedScenario,
    catalogue_of: impl Fn(&RoutedStep) -> Option<&'c Catalogue>,
) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (index, routed) in scenario.steps.iter().enumerate() {
        let runs_itself = matches!(routed.to, Destination::Runner(_));
        if routed.step.kind != StepType::Then || runs_itself {
            continue;
        }
        let Some(catalogue) = catalogue_of(routed) else {
            continue;
        };
        for (step, change) in changed(&routed.step, catalogue) {
            let mut scenario = scenario.clone();
            scenario.steps[index].step = step;
            mutants.push(Mutant {
                scenario,
                step: index,
                change,
            });
        }
    }
    mutants
}

/// The step with one value changed, in every way.
fn changed(step: &Step, catalogue: &Catalogue) -> Vec<(Step, Change)> {
    let values = catalogue.values(step);
    let mut all: Vec<_> = values
        .into_iter()
        .filter(|range| !is_name(&step.text, range))
        .map(|range| {
            let from = &step.text[range.clone()];
            let to = other_value(from, &step.text);
            let mut changed = step.clone();
            changed.text.replace_range(range.clone(), &to);
            (changed, Change::new(from, to, None))
        })
        .collect();
    let table = step.table.as_deref().unwrap_or_default();
    for (row, cells) in table.iter().enumerate().skip(1) {
        for (column, from) in cells.iter().enumerate() {
            if !is_expected(&table[0], column) {
                continue;
            }
            let to = other_word(table, row, column).unwrap_or_else(|| other_value(from, from));
            let mut changed = step.clone();
            if let Some(table) = &mut changed.table {
                table[row][column].clone_from(&to);
            }
            all.push((changed, Change::new(from, to, Some(row))));
        }
    }
    // There is nothing below a bound of 0.
    all.retain(|(_, change)| change.from != change.to);
    all
}

impl Change {
    fn new(from: &str, to: String, row: Option<usize>) -> Change {
        let from = from.to_owned();
        Change { from, to, row }
    }
}

/// Whether what stands there says who does the step, or to which buffer, and not what is expected.
fn is_name(text: &str, range: &Range<usize>) -> bool {
    let before = &text[..range.start];
    text[range.end..].starts_with("' process")
        || before.ends_with("buffer '")
        || before.ends_with("channel '")
}

/// What another row has in the place of a cell that is no number. A word that nobody understands
/// would be refused, whatever is compared.
fn other_word(table: &[Vec<String>], row: usize, column: usize) -> Option<String> {
    let cell = &table[row][column];
    if cell.parse::<f64>().is_ok() {
        return None;
    }
    let (before, behind) = table.split_at(row);
    let others = behind.iter().chain(before.iter().skip(1));
    let mut others = others.filter_map(|cells| cells.get(column));
    others.find(|other| *other != cell).cloned()
}

/// Whether a column of a table says what is expected: one whose header says so, or any where none
/// does.
fn is_expected(header: &[String], column: usize) -> bool {
    let says_so = |name: &String| {
        let words = ["expect", "condition", "result"];
        words.iter().any(|word| name.to_lowercase().contains(word))
    };
    !header.iter().any(says_so) || header.get(column).is_some_and(says_so)
}

/// A value that cannot be true where `value` is: its last number, else its text, changed. A
/// number that bounds something from above becomes 0, every other one much larger.
fn other_value(value: &str, text: &str) -> String {
    static UPPER_BOUND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(?:less than|at most|within|under|up to|timeout|sub-)")
            .expect("a constant")
    });
    let is_digit = |c: char| c.is_ascii_digit();
    let Some(last) = value.rfind(is_digit) else {
        return format!("{value}x");
    };
    let end = last + 1;
    let start = value[..end].rfind(|c| !is_digit(c)).map_or(0, |at| at + 1);
    let number = match UPPER_BOUND.is_match(text) {
        true => "0".to_owned(),
        false => format!("{}1", &value[start..end]),
    };
    format!("{}{number}{}", &value[..start], &value[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::StepPattern;
    use crate::runner::{feature, route};
    use std::path::Path;

    fn catalogue() -> Catalogue {
        let patterns = [
            r"^(?:the '([^']+)' process )?should read frame with sequence '(\d+)' and size '(\d+)'$",
            r"^the error says '([^']+)'$",
            r"^sizes are '([^']+)'$",
            r"^it takes less than '(\d+)' ms$",
            r"^each field holds:$",
            r"^nothing is lost$",
            r"^the test can create buffer '([^']+)'$",
        ];
        let pattern = |pattern: &str| StepPattern {
            kind: "then".into(),
            pattern: pattern.into(),
        };
        Catalogue::new(&patterns.map(pattern))
    }

    fn changes(steps: &str) -> Vec<(String, String)> {
        let text = format!("Feature: F\nScenario: 1.1 - S\n{steps}\n");
        let scenario = feature::parse(Path::new("1.feature"), &text).unwrap();
        let routed = route::route(scenario.into_iter().next().unwrap());
        let catalogue = catalogue();
        let mutants = mutants(&routed, |_| Some(&catalogue));
        let told = |m: &Mutant| {
            let step = &m.scenario.steps[m.step].step;
            let table = step.table.as_ref().map(|rows| format!("{rows:?}"));
            (m.change.to_string(), table.unwrap_or(step.text.clone()))
        };
        mutants.iter().map(told).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = expected.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        owned.collect()
    }

    #[test]
    fn every_expectation_of_a_then_is_changed_and_no_name() {
        let expected = [
            (
                "'1' became '11'",
                "the 'reader' process should read frame with sequence '11' and size '1024'",
            ),
            (
                "'1024' became '10241'",
                "the 'reader' process should read frame with sequence '1' and size '10241'",
            ),
        ];
        let step = "the 'reader' process should read frame with sequence '1' and size '1024'";
        assert_eq!(changes(&format!("Then {step}")), pairs(&expected));
        assert_eq!(changes(&format!("Given {step}")), []);
        assert_eq!(
            changes("Then nothing is lost\nThen wait for '2' seconds"),
            []
        );
        assert_eq!(changes("Then the test can create buffer 'b'"), []);
    }

    #[test]
    fn texts_lists_and_bounds_are_changed_so_that_they_cannot_hold() {
        let expected = [
            ("'full' became 'fullx'", "the error says 'fullx'"),
            ("'1,20,3' became '1,20,31'", "sizes are '1,20,31'"),
            ("'50' became '0'", "it takes less than '0' ms"),
        ];
        let steps = "Then the error says 'full'\nThen sizes are '1,20,3'\n\
                     Then it takes less than '50' ms\nThen it takes less than '0' ms";
        assert_eq!(changes(steps), pairs(&expected));
    }

    #[test]
    fn cells_are_changed_and_headers_are_not() {
        let steps = "Then each field holds:\n| field | value |\n| a | by 1 |";
        let expected = [
            (
                "'a' became 'ax' in row 1",
                r#"[["field", "value"], ["ax", "by 1"]]"#,
            ),
            (
                "'by 1' became 'by 11' in row 1",
                r#"[["field", "value"], ["a", "by 11"]]"#,
            ),
        ];
        assert_eq!(changes(steps), pairs(&expected));
        let steps = "Then each field holds:\n| field | expected |\n| a | 1 |";
        let expected = [(
            "'1' became '11' in row 1",
            r#"[["field", "expected"], ["a", "11"]]"#,
        )];
        assert_eq!(changes(steps), pairs(&expected));
    }

    #[test]
    fn words_of_a_table_take_the_place_of_one_another() {
        let steps = "Then each field holds:\n| field | value |\n| a | by 1 |\n| a | 2 |\n\
                     | b | larger |";
        let found = changes(steps).into_iter().map(|(change, _)| change);
        let expected = [
            "'a' became 'b' in row 1",
            "'by 1' became '2' in row 1",
            "'a' became 'b' in row 2",
            "'2' became '21' in row 2",
            "'b' became 'a' in row 3",
            "'larger' became 'by 1' in row 3",
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
