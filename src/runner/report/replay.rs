//! The report on the terminal, made once more from the log of a run.

use std::path::Path;

use super::Console;
use crate::runner::event::{Event, Reporter};
use crate::runner::event_log::{self, ReadError};
use crate::runner::outcome::Outcome;
use crate::runner::record::Record;

/// Tells the console everything that it was told when the run went on, and of an incomplete run what
/// became of the rest.
///
/// # Errors
///
/// What is wrong with the log.
pub fn replay(log: &Path, record: &Record, console: &mut Console) -> Result<(), ReadError> {
    let own_folder = log.parent().unwrap_or(Path::new(""));
    event_log::read(log, |line| {
        let mut event = line.event;
        if let Event::RunStarted { folder, .. } = &mut event {
            *folder = own_folder.to_owned();
        }
        match &event {
            Event::Compared(_) => return Ok(()),
            Event::RunFinished(_) => compare(record, console),
            _ => {}
        }
        console.on(&event);
        Ok(())
    })?;
    if !record.is_complete() {
        let executions = record.executions.iter();
        let cut_off = executions.filter(|e| e.report.outcome == Outcome::Incomplete);
        for execution in cut_off {
            let report = Box::new(execution.report.clone());
            console.on(&Event::ExecutionFinished(report));
        }
        compare(record, console);
        console.summary(record.shortcoming().as_deref(), record.took());
    }
    Ok(())
}

/// Tells what is different from a run before: that of the record, which may be newer than the log.
fn compare(record: &Record, console: &mut Console) {
    if let Some(comparison) = &record.comparison {
        console.on(&Event::Compared(Box::new(comparison.clone())));
    }
}
