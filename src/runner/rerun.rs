//! Running again what was not green in a run before.

use std::collections::BTreeSet;

use super::exit::{Exit, Refusal};
use super::plan::Execution;
use super::record::Record;
use super::workload::Workload;

/// Scenario ids and combinations.
pub type Wanted = BTreeSet<(String, String)>;

/// The executions of a run that were not green, whatever the reason. Those that never ran are among
/// them.
pub fn not_green(record: &Record) -> Wanted {
    let reports = record.executions.iter().map(|execution| &execution.report);
    let red = reports.filter(|report| !report.outcome.is_green());
    red.map(|report| (report.info.id.clone(), report.info.combination.clone()))
        .collect()
}

/// Leaves nothing of `work`, which is everything that there is, but what is wanted. Yields what is
/// wanted and not there any more.
///
/// # Errors
///
/// A platform that is wanted and missing, or that nothing is left.
pub fn narrow(work: &mut Workload, wanted: &Wanted) -> Result<Vec<String>, Refusal> {
    let key = |e: &Execution| (e.scenario.scenario.id.to_string(), e.combination());
    let is_wanted = |execution: &Execution| wanted.contains(&key(execution));
    if let Some(execution) = work.unavailable.iter().find(|e| is_wanted(e)) {
        let missing = work.config.missing(&execution.platforms).join("; ");
        let why = format!("{execution} cannot be run again: {missing}");
        return Err(Refusal(Exit::Setup, why));
    }
    work.unavailable.clear();
    work.executions.retain(is_wanted);
    let found: Wanted = work.executions.iter().map(key).collect();
    let lost = wanted.difference(&found);
    let lost: Vec<_> = lost
        .map(|(id, combination)| format!("{id} {combination}"))
        .collect();
    if work.executions.is_empty() {
        let lost = lost.join(", ");
        let why = format!("nothing is left to run again: there is no more {lost}");
        return Err(Refusal(Exit::Nothing, why));
    }
    Ok(lost)
}
