//! Single lines of a report.

use std::time::Duration;

use owo_colors::{OwoColorize, Style};

use crate::runner::event::{ExecutionInfo, ExecutionReport};
use crate::runner::outcome::Outcome;

/// What became of an execution, in one line.
pub fn result(report: &ExecutionReport, note: &str) -> String {
    let ExecutionInfo {
        id, name, roles, ..
    } = &report.info;
    let outcome = report.outcome;
    let roles = roles
        .iter()
        .map(|(role, platform)| format!("{role}={platform}"));
    let roles = roles.collect::<Vec<_>>().join(" ");
    let mark = format!("{} {:15}", outcome.symbol(), outcome.words());
    let mark = mark.style(style(outcome));
    let reason = match &report.reason {
        Some(reason) if outcome.is_green() => {
            format!(" – {}", reason.lines().next().unwrap_or_default())
        }
        _ => String::new(),
    };
    format!("{mark} {id:6} {roles}  {name} ({note}){reason}")
}

/// How many executions had each outcome, in colours.
pub fn counts(reports: &[&ExecutionReport]) -> String {
    if reports.is_empty() {
        return "nothing was to be run".to_owned();
    }
    let coloured = |(outcome, text): (Outcome, String)| text.style(style(outcome)).to_string();
    let counted = counted(reports).into_iter().map(coloured);
    counted.collect::<Vec<_>>().join(", ")
}

/// How many executions had each outcome, in words.
pub fn counted(reports: &[&ExecutionReport]) -> Vec<(Outcome, String)> {
    let counted = Outcome::ALL.into_iter().filter_map(|outcome| {
        let own = reports.iter().filter(|report| report.outcome == outcome);
        let count = own.count();
        (count > 0).then(|| (outcome, format!("{count} {}", outcome.words())))
    });
    counted.collect()
}

/// The colour of an outcome.
pub fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Passed => Style::new().green(),
        green if green.is_green() => Style::new().yellow(),
        _ => Style::new().red().bold(),
    }
}

/// A time in seconds.
pub fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
