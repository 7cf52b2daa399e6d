//! Who cannot talk to whom, about what, and why: what did not pass, grouped by its error.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::legend::name;
use crate::runner::event::{ExecutionInfo, ExecutionReport};
use crate::runner::outcome::Outcome;
use crate::runner::record::Record;
use crate::runner::report::failure::is_failure;

/// How many lines of an error are shown; all of them are in the details.
const LINES: usize = 6;

/// How many groups are in sight.
const OPEN: usize = 6;

/// How many pairs of a group are in sight.
const PAIRS: usize = 8;

/// What is different in the same error of two executions: numbers, process ids and addresses.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let number = Regex::new(r"0x[0-9a-fA-F]+|[0-9]+([.,][0-9]+)*");
    number.expect("the expression is valid")
});

/// What did not pass.
pub struct Summary {
    /// What failed.
    pub failures: Vec<Group>,
    /// What failed as well, and is folded up because there is much of it.
    pub more: Vec<Group>,
    /// What was in the middle of a step when the run ended, and may have hung there.
    pub running: Vec<Group>,
    /// What did not pass, and did not fail either.
    pub others: Vec<Group>,
}

/// Executions with the same outcome for the same reason.
pub struct Group {
    /// The outcome's name.
    pub name: String,
    /// Its character.
    pub symbol: char,
    /// Its name, in words.
    pub words: &'static str,
    /// The reason, as the first of them has it.
    pub reason: String,
    /// Whether numbers are different in others.
    pub varies: bool,
    /// The steps that they ended with.
    pub steps: Vec<String>,
    /// How many they are.
    pub count: usize,
    /// They themselves, by pair.
    pub pairs: Vec<Pair>,
    /// The same, of pairs that are folded up because there are many.
    pub more: Vec<Pair>,
}

/// Executions of the same roles on the same platforms.
pub struct Pair {
    /// Each role and its platform.
    pub roles: Vec<(String, String)>,
    /// The executions.
    pub executions: Vec<Link>,
}

/// An execution that can be opened.
pub struct Link {
    /// Where it is found in the page.
    pub target: String,
    /// The scenario's id, and the repetition where there are several.
    pub id: String,
    /// The scenario's name.
    pub name: String,
}

impl Summary {
    /// That of a run.
    pub fn of(record: &Record) -> Summary {
        let repeat = record.header.repeat;
        let reports = record.executions.iter().map(|execution| &execution.report);
        let (told, others): (Vec<_>, Vec<_>) = reports
            .filter(|report| report.outcome != Outcome::Passed)
            .partition(|report| is_failure(report));
        let (running, failed): (Vec<_>, Vec<_>) = told
            .into_iter()
            .partition(|report| report.outcome.is_cut_short());
        let mut failures = groups(&failed, repeat);
        let mut more = Vec::new();
        // Folding up one would save nothing.
        if failures.len() > OPEN + 1 {
            more = failures.split_off(OPEN);
        }
        Summary {
            failures,
            more,
            running: groups(&running, repeat),
            others: groups(&others, repeat),
        }
    }

    /// How many executions are folded up.
    pub fn hidden(&self) -> usize {
        self.more.iter().map(|group| group.count).sum()
    }
}

/// The largest group first.
fn groups(reports: &[&ExecutionReport], repeat: u32) -> Vec<Group> {
    let mut places: BTreeMap<(Outcome, String), usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for report in reports {
        let reason = report.reason.as_deref().unwrap_or_default();
        let key = (report.outcome, NUMBER.replace_all(reason, "#").into_owned());
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Group::of(report, reason));
            groups.len() - 1
        });
        groups[place].add(report, reason, repeat);
    }
    for group in &mut groups {
        if group.pairs.len() > PAIRS + 1 {
            group.more = group.pairs.split_off(PAIRS);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

impl Group {
    /// One without executions.
    fn of(report: &ExecutionReport, reason: &str) -> Group {
        let outcome = report.outcome;
        Group {
            name: name(outcome),
            symbol: outcome.symbol(),
            words: outcome.words(),
            reason: beginning(reason),
            varies: false,
            steps: Vec::new(),
            count: 0,
            pairs: Vec::new(),
            more: Vec::new(),
        }
    }

    fn add(&mut self, report: &ExecutionReport, reason: &str, repeat: u32) {
        let info = &report.info;
        self.count += 1;
        self.varies |= self.reason != beginning(reason);
        if let Some(step) = &report.failed_step
            && !self.steps.contains(&step.step)
        {
            self.steps.push(step.step.clone());
        }
        let link = Link::to(info, repeat);
        let mut pairs = self.pairs.iter_mut();
        match pairs.find(|pair| pair.roles == info.roles) {
            Some(pair) => pair.executions.push(link),
            None => self.pairs.push(Pair {
                roles: info.roles.clone(),
                executions: vec![link],
            }),
        }
    }
}

impl Link {
    fn to(info: &ExecutionInfo, repeat: u32) -> Link {
        let path = format!("{}/{}", encoded(&info.id), encoded(&info.combination));
        let (target, id) = match repeat {
            1 => (path, info.id.clone()),
            _ => (
                format!("{path}/{}", info.repetition),
                format!("{} ({})", info.id, info.repetition),
            ),
        };
        Link {
            target: format!("#run={target}"),
            id,
            name: info.name.clone(),
        }
    }
}

/// The text as a part of a link.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let bytes = text.bytes();
    bytes
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn beginning(reason: &str) -> String {
    let mut lines: Vec<&str> = reason.lines().take(LINES + 1).collect();
    if lines.len() > LINES {
        lines[LINES] = "…";
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::report::console::tests::report;

    fn failed(id: &str, combination: &str, reason: &str) -> ExecutionReport {
        let mut report = report(id, combination, Outcome::Failed);
        report.reason = Some(reason.to_owned());
        report
    }

    #[test]
    fn numbers_make_no_other_error() {
        let reports = [
            failed("1.1", "a_b", "pid 12: expected 1.5, got 0x1f"),
            failed("1.2", "a_b", "something else"),
            failed("1.3", "b_a", "pid 99: expected 2, got 3"),
        ];
        let reports: Vec<_> = reports.iter().collect();
        let groups = groups(&reports, 1);
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.count, group.varies))
            .collect();
        assert_eq!(found, [(2, true), (1, false)]);
        assert_eq!(groups[0].reason, "pid 12: expected 1.5, got 0x1f");
    }

    #[test]
    fn a_long_error_is_cut() {
        assert_eq!(beginning("1\n2\n3\n4\n5\n6"), "1\n2\n3\n4\n5\n6");
        assert_eq!(beginning("1\n2\n3\n4\n5\n6\n7\n8"), "1\n2\n3\n4\n5\n6\n…");
    }

    #[test]
    fn a_link_has_nothing_that_means_something_else() {
        let mut info = report("1.2#3", "a_b", Outcome::Failed).info;
        info.repetition = 4;
        assert_eq!(Link::to(&info, 1).target, "#run=1.2%233/a_b");
        assert_eq!(Link::to(&info, 5).target, "#run=1.2%233/a_b/4");
        assert_eq!(encoded("ä&"), "%C3%A4%26");
    }
}
