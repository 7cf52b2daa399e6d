//! What is different from a run before, line by line.

use anstream::adapter::strip_str;
use owo_colors::OwoColorize;

use super::line::{seconds, style};
use crate::runner::baseline::{Compared, Comparison, Side};
use crate::runner::outcome::Outcome;

/// How many executions are named that are only there, or are not.
const NAMED: usize = 10;

/// The lines.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    let run = &comparison.baseline;
    let mut lines = vec![match comparison.is_empty() {
        true => format!("compared with {run}: nothing is worse, lost, better, slower, new or gone"),
        false => format!("compared with {run}:"),
    }];
    for (word, list) in [
        ("worse", &comparison.worse),
        ("lost", &comparison.lost),
        ("better", &comparison.better),
    ] {
        lines.extend(
            list.iter()
                .map(|it| format!("  {:8}{}", format!("{word}:"), changed(it))),
        );
    }
    lines.extend(
        comparison
            .slower
            .iter()
            .map(|it| format!("  slower: {}", slowed(it))),
    );
    for (word, list) in [("new", &comparison.new), ("gone", &comparison.gone)] {
        if !list.is_empty() {
            lines.push(format!("  {:8}{}", format!("{word}:"), named(list)));
        }
    }
    if comparison.cut_short > 0 {
        let count = comparison.cut_short;
        lines.push(format!(
            "  {count} not compared: cut short in one of the runs"
        ));
    }
    lines
}

/// The lines without colours, for what is no terminal.
pub fn plain(comparison: &Comparison) -> Vec<String> {
    let lines = lines(comparison).into_iter();
    lines.map(|line| strip_str(&line).to_string()).collect()
}

/// In the words of a failure.
fn changed(it: &Compared) -> String {
    let (Some(before), Some(now)) = (&it.before, &it.now) else {
        return name(it);
    };
    let head = format!("{}: {}", name(it), now.outcome.words());
    let head = head.style(style(now.outcome)).to_string();
    let reason = now.reason.as_ref().and_then(|reason| reason.lines().next());
    let why = reason.filter(|_| now.outcome != Outcome::Passed);
    let why = why.map_or(String::new(), |why| format!(": {why}"));
    format!("{head} ({} before){why}", before.outcome.words())
}

fn slowed(it: &Compared) -> String {
    let took =
        |side: &Option<Side>| seconds(side.as_ref().map(|side| side.took).unwrap_or_default());
    format!(
        "{}: {} ({} before)",
        name(it),
        took(&it.now),
        took(&it.before)
    )
}

fn named(list: &[Compared]) -> String {
    let names: Vec<String> = list.iter().take(NAMED).map(name).collect();
    let more = match list.len().checked_sub(NAMED) {
        None | Some(0) => String::new(),
        Some(more) => format!(", and {more} more"),
    };
    format!("{}{more}", names.join(", "))
}

fn name(it: &Compared) -> String {
    format!("{} {}", it.id, it.combination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn compared(id: &str, outcomes: [Option<Outcome>; 2]) -> Compared {
        let took = [1, 3].map(Duration::from_secs);
        let side = |index: usize| {
            let (outcome, took) = (outcomes[index]?, took[index]);
            Some(Side {
                outcome,
                took,
                reason: Some("why\nin full".to_owned()),
            })
        };
        Compared {
            id: id.into(),
            combination: "a_b".into(),
            before: side(0),
            now: side(1),
        }
    }

    #[test]
    fn every_kind_of_change_is_told() {
        use Outcome::{Failed, Passed, Unsupported};
        let gone = (1..=12).map(|number| compared(&format!("2.{number}"), [Some(Passed), None]));
        let comparison = Comparison {
            baseline: "main".into(),
            worse: vec![compared("1.1", [Some(Passed), Some(Failed)])],
            lost: vec![compared("1.5", [Some(Passed), Some(Unsupported)])],
            better: vec![compared("1.2", [Some(Failed), Some(Passed)])],
            slower: vec![compared("1.3", [Some(Passed), Some(Passed)])],
            new: vec![compared("1.4", [None, Some(Passed)])],
            gone: gone.collect(),
            cut_short: 2,
        };
        let expected = [
            "compared with main:",
            "  worse:  1.1 a_b: failed (passed before): why",
            "  lost:   1.5 a_b: unsupported (passed before): why",
            "  better: 1.2 a_b: passed (failed before)",
            "  slower: 1.3 a_b: 3.000 s (1.000 s before)",
            "  new:    1.4 a_b",
            "  gone:   2.1 a_b, 2.2 a_b, 2.3 a_b, 2.4 a_b, 2.5 a_b, 2.6 a_b, 2.7 a_b, 2.8 a_b, \
             2.9 a_b, 2.10 a_b, and 2 more",
            "  2 not compared: cut short in one of the runs",
        ];
        assert_eq!(plain(&comparison), expected);
    }
}
