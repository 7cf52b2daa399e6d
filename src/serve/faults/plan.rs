//! The fault that a process has been told to commit, until it has.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::fault::{self, COMMITTED, Fault};
use crate::serve::failure::Failure;

/// A fault to be committed once; shared by all who could.
#[derive(Debug, Clone, Default)]
pub struct Plan(Option<Arc<Planned>>);

#[derive(Debug)]
struct Planned {
    fault: Fault,
    is_committed: AtomicBool,
}

impl Plan {
    /// To commit this fault.
    pub fn of(fault: Fault) -> Plan {
        Plan(Some(Arc::new(Planned {
            fault,
            is_committed: AtomicBool::new(false),
        })))
    }

    /// What the environment of this process tells it to commit. That it tells nothing else was
    /// seen when the process was started.
    pub fn of_process() -> Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        let plan = || match fault::of_environment() {
            Ok(Some(fault)) => Plan::of(fault),
            _ => Plan::default(),
        };
        PLAN.get_or_init(plan).clone()
    }

    /// Whether `fault` is committed now, to what is described by `to`.
    pub fn strikes(&self, fault: Fault, to: &dyn fmt::Display) -> bool {
        let Some(planned) = &self.0 else { return false };
        if planned.fault != fault {
            return false;
        }
        let again = planned.is_committed.swap(true, Ordering::Relaxed);
        let strikes = !again || fault == Fault::DeathNotNoticed;
        if strikes {
            tracing::warn!("{COMMITTED}{fault}: {to}");
        }
        strikes
    }

    /// Whether a fault is still to be committed that can only be tried: whoever is asked tries it,
    /// and calls [`strikes`](Self::strikes) when that has succeeded.
    pub fn is_to_try(&self, fault: Fault) -> bool {
        let planned = self.0.as_ref();
        planned.is_some_and(|planned| {
            planned.fault == fault && !planned.is_committed.load(Ordering::Relaxed)
        })
    }

    /// Tries `fault`, if it is still to be committed.
    ///
    /// # Errors
    ///
    /// Those of `attempt`, which says whether it has succeeded.
    pub fn attempt(
        &self,
        fault: Fault,
        to: &dyn fmt::Display,
        attempt: impl FnOnce() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        if self.is_to_try(fault) && attempt()? {
            self.strikes(fault, to);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_committed_once_by_whoever_comes_first() {
        let plan = Plan::of(Fault::ByteFlipped);
        let other = plan.clone();
        assert!(!plan.strikes(Fault::FrameDropped, &"frame 1"));
        assert!(plan.is_to_try(Fault::ByteFlipped));
        assert!(other.strikes(Fault::ByteFlipped, &"frame 1"));
        assert!(!plan.strikes(Fault::ByteFlipped, &"frame 2"));
        assert!(!plan.is_to_try(Fault::ByteFlipped));
        assert!(!Plan::default().strikes(Fault::ByteFlipped, &"frame 1"));
    }

    #[test]
    fn a_fault_is_tried_until_it_succeeds() {
        let plan = Plan::of(Fault::PostMissing);
        let try_it = |outcome: Result<bool, Failure>| {
            let mut tried = false;
            let _ = plan.attempt(Fault::PostMissing, &"frame", || {
                tried = true;
                outcome
            });
            tried
        };
        assert!(try_it(Ok(false)));
        assert!(try_it(Err(Failure::new("on purpose"))));
        assert!(try_it(Ok(true)));
        assert!(!try_it(Ok(true)));
    }

    #[test]
    fn a_death_is_never_noticed() {
        let plan = Plan::of(Fault::DeathNotNoticed);
        assert!(plan.strikes(Fault::DeathNotNoticed, &"reader"));
        assert!(plan.strikes(Fault::DeathNotNoticed, &"reader"));
    }
}
