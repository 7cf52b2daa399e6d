//! Whether this process serves many scenarios at once, which must not be in each other's way.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::{Failure, StepOutcome};
use crate::rpc::message::SKIPPED;

/// Why something is not done in a process of many.
pub const SHARED: &str = "this step server's process serves other connections as well";

static IS_SHARED: AtomicBool = AtomicBool::new(false);

/// Says that it does.
pub fn begin() {
    IS_SHARED.store(true, Ordering::Relaxed);
}

/// Whether it does.
pub fn is_shared() -> bool {
    IS_SHARED.load(Ordering::Relaxed)
}

/// Checks that this process is one scenario's alone.
///
/// # Errors
///
/// The failure of a step that cannot be carried out here; `what` says what there is not.
pub fn expect_alone(what: &str) -> StepOutcome {
    match is_shared() {
        true => Err(Failure::new(format!("{SKIPPED}{what}, because {SHARED}"))),
        false => Ok(()),
    }
}
