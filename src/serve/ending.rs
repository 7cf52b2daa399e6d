//! The signals that ask a step server to end, and what happens if it does not get to it.

use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use tokio::sync::oneshot;

use super::registry;

/// How long the process may take to end once it has been asked to, however stuck it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// The signals by which a process is asked to end.
const SIGNALS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Holds the signals back for [`next_signal`]. To be called before any thread is started, so that
/// all of them leave the signals to one.
///
/// # Errors
///
/// Those of the system.
pub fn hold_back_signals() -> nix::Result<()> {
    signals().thread_block()
}

fn signals() -> SigSet {
    SIGNALS.into_iter().collect()
}

/// The signal that asks this process to end. A thread waits for it, whatever the others are doing,
/// and is the last resort if they do not get on.
///
/// # Errors
///
/// Those of the system, when threads run out.
pub fn next_signal() -> std::io::Result<oneshot::Receiver<Signal>> {
    let (tell, signal) = oneshot::channel();
    let wait = move || match signals().wait() {
        Ok(signal) => {
            // If nobody listens any more, the process is about to end already.
            let _ = tell.send(signal);
            last_resort(status_after(signal));
        }
        Err(error) => tracing::error!("cannot wait for signals: {error}"),
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)?;
    Ok(signal)
}

/// Ends the process if it has not ended by itself in time. Says nothing, because that nobody reads
/// what it says may be why it has not.
pub fn last_resort(status: u8) {
    std::thread::sleep(PATIENCE);
    registry::release_all();
    std::process::exit(status.into());
}

/// The status of a process ended by a signal, as a shell would say it.
pub fn status_after(signal: Signal) -> u8 {
    128 + signal as u8
}
