//! How this process dies as by an accident, and whether another one has died.

use std::fs;
use std::io;
use std::process::Command;

use nix::sys::signal::{Signal, raise};

use super::failure::StepOutcome;
use super::sharing::expect_alone;

/// Checks that this process may [`die`].
///
/// # Errors
///
/// The failure of a step that cannot be carried out here.
pub fn expect_allowed() -> StepOutcome {
    expect_alone("nobody can die here")
}

/// Dies by `SIGKILL`: nothing is released, and nobody is told.
pub fn die() -> ! {
    if let Err(error) = raise(Signal::SIGKILL) {
        tracing::error!("cannot kill this process: {error}");
    }
    std::process::abort();
}

/// Whether a process is there, and no zombie.
pub fn is_alive(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, can hold anything; the state stands behind it.
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The id of a process that has ended.
///
/// # Errors
///
/// Those of the system, when none can be started.
pub fn ended_pid() -> io::Result<u32> {
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    Ok(child.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_is_dead() {
        assert!(is_alive(std::process::id().into()));
        assert!(!is_alive(ended_pid().unwrap().into()));
    }
}
