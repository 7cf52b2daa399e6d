//! Ending a run before everything in it has run, and why.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::event::seconds;

/// Why not everything in a run has run to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutShort {
    /// The user ended it.
    Interrupted,
    /// It took longer than it may.
    TimeLimit {
        /// What it may take.
        #[serde(with = "seconds")]
        limit: Duration,
    },
    /// Something was not green, and the user wants to know no more then.
    FirstFailure,
    /// It was merged of runs that are not all, or not whole.
    Incomplete {
        /// What is missing.
        what: Vec<String>,
    },
}

impl CutShort {
    /// What a report says of the run.
    pub fn words(&self) -> String {
        let why = match self {
            CutShort::Interrupted => "interrupted".to_owned(),
            CutShort::TimeLimit { limit } => {
                let seconds = limit.as_secs_f64();
                format!("stopped by the limit of {seconds} s for the whole run")
            }
            CutShort::FirstFailure => "stopped by the first failure (--fail-fast)".to_owned(),
            CutShort::Incomplete { what } => format!("incomplete ({})", what.join("; ")),
        };
        format!("{why}: this report is not of a whole run")
    }

    /// What is said of an execution that ran and was ended, or did not begin.
    pub fn reason(&self) -> String {
        match self {
            CutShort::Interrupted => "the run was interrupted".to_owned(),
            CutShort::TimeLimit { limit } => {
                format!("the whole run took longer than {} s", limit.as_secs_f64())
            }
            CutShort::FirstFailure => {
                "another execution was not green before it began (--fail-fast)".to_owned()
            }
            CutShort::Incomplete { what } => what.join("; "),
        }
    }
}

/// Ends a run. Clones end the same.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    ending: CancellationToken,
    why: Arc<Mutex<Option<CutShort>>>,
}

impl Halt {
    fn lock(&self) -> MutexGuard<'_, Option<CutShort>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what runs, and lets nothing more begin.
    pub fn end(&self, why: CutShort) {
        let mut known = self.lock();
        if !self.is_ending() {
            *known = Some(why);
            self.ending.cancel();
        }
    }

    /// Lets nothing more begin, and what runs go on.
    pub fn begin_no_more(&self, why: CutShort) {
        self.lock().get_or_insert(why);
    }

    /// Whether what runs is to end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// Waits until what runs is to end.
    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Why nothing more is to begin; nothing as long as everything may.
    pub fn why(&self) -> Option<CutShort> {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_that_ends_what_runs_counts_most() {
        let halt = Halt::default();
        assert_eq!(halt.why(), None);
        halt.begin_no_more(CutShort::FirstFailure);
        halt.begin_no_more(CutShort::Interrupted);
        assert!(!halt.is_ending());
        assert_eq!(halt.why(), Some(CutShort::FirstFailure));
        halt.end(CutShort::Interrupted);
        halt.end(CutShort::FirstFailure);
        assert!(halt.is_ending());
        assert_eq!(halt.why(), Some(CutShort::Interrupted));
    }
}
