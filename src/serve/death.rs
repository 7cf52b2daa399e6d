//! How this process dies as by an accident.

use nix::sys::signal::{Signal, raise};

/// Dies by `SIGKILL`: nothing is released, and nobody is told.
pub fn die() -> ! {
    if let Err(error) = raise(Signal::SIGKILL) {
        tracing::error!("cannot kill this process: {error}");
    }
    std::process::abort();
}
