//! Ctrl-C and its kin, as something that can be waited for.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::{Error, Result};

/// Takes the signals that ask this process to end, so that it can clean up before.
///
/// Processes started later get them as ever.
pub struct Interrupt(SignalFd);

impl Interrupt {
    /// Before any thread is started, so that none of them gets the signals.
    pub fn take() -> Result<Interrupt> {
        let mut ending = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            ending.add(signal);
        }
        ending.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Interrupt(SignalFd::with_flags(&ending, flags)?))
    }

    /// Readable once there was a signal.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sleeps, unless there is a signal.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let mut source = [PollFd::new(self.fd(), PollFlags::POLLIN)];
        poll(&mut source, PollTimeout::try_from(time)?)?;
        self.check()
    }

    /// An error if there was one.
    pub fn check(&self) -> Result<()> {
        match self.0.read_signal() {
            Ok(None) | Err(Errno::EAGAIN) => Ok(()),
            Ok(Some(_)) => Err(Interrupted.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The user has had enough.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Says in an error what it came up in, unless it is that the user has had enough.
pub fn or_in(what: &str, error: Error) -> Error {
    if error.is::<Interrupted>() {
        error
    } else {
        format!("{what}: {error}").into()
    }
}
