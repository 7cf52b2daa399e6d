//! Whether another process still lives.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// This process's id, as the protocol stores it.
pub(crate) fn own_pid() -> u64 {
    u64::from(std::process::id())
}

/// One process, watched from the moment it was seen: a later process with the same id is not it.
#[derive(Debug)]
pub(crate) struct Watch {
    pid: u64,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    /// A process descriptor.
    Descriptor(OwnedFd),
    /// Where there are none: when the process began, in clock ticks since boot.
    StartTime(u64),
    /// There was no such process.
    Gone,
}

impl Watch {
    /// Begins to watch the process `pid`.
    pub(crate) fn new(pid: u64) -> Watch {
        Watch {
            pid,
            handle: Handle::open(pid),
        }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.pid
    }

    /// Whether the process lives. One that has ended but was not yet reaped does not.
    pub(crate) fn is_alive(&self) -> bool {
        match &self.handle {
            Handle::Gone => false,
            Handle::Descriptor(descriptor) => !has_ended(descriptor),
            Handle::StartTime(begun) => start_time(self.pid) == Some(*begun),
        }
    }
}

impl Handle {
    fn open(pid: u64) -> Handle {
        let Some(id) = libc::pid_t::try_from(pid).ok().filter(|id| *id > 0) else {
            return Handle::Gone;
        };
        // SAFETY: pidfd_open takes two integers and answers with a new descriptor or -1.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
        if descriptor >= 0 {
            // SAFETY: the system has just made this descriptor for us alone.
            return Handle::Descriptor(unsafe { OwnedFd::from_raw_fd(descriptor as i32) });
        }
        match io::Error::last_os_error().raw_os_error() {
            // No such process, or the id of a thread.
            Some(libc::ESRCH | libc::EINVAL) => Handle::Gone,
            // Refused or out of descriptors: the process table still tells.
            _ => start_time(pid).map_or(Handle::Gone, Handle::StartTime),
        }
    }
}

/// A process descriptor becomes readable when its process ends, reaped or not.
fn has_ended(descriptor: &OwnedFd) -> bool {
    let mut poll_fd = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut poll_fd, PollTimeout::ZERO), Ok(ready) if ready > 0)
}

/// When the living process `pid` began, in clock ticks since boot; `None` if it does not live.
fn start_time(pid: u64) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, is in parentheses and may contain anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn sleeper() -> Child {
        Command::new("sleep").arg("100").spawn().unwrap()
    }

    fn by_start_time(pid: u64) -> Watch {
        Watch {
            pid,
            handle: Handle::StartTime(start_time(pid).expect("alive")),
        }
    }

    #[test]
    fn this_process_lives() {
        assert!(Watch::new(own_pid()).is_alive());
        assert!(by_start_time(own_pid()).is_alive());
    }

    #[test]
    fn ids_that_no_process_can_have_are_dead() {
        for pid in [0, u64::from(u32::MAX), u64::MAX, 1 << 31] {
            assert!(!Watch::new(pid).is_alive(), "{pid}");
        }
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = sleeper();
        let pid = u64::from(child.id());
        let watches = [Watch::new(pid), by_start_time(pid)];
        assert!(watches.iter().all(Watch::is_alive));
        child.kill().unwrap();
        // Killed, but not reaped: wait until the system has carried it out.
        while start_time(pid).is_some() {
            std::thread::yield_now();
        }
        assert!(
            fs::exists(format!("/proc/{pid}")).unwrap(),
            "it is still in the process table"
        );
        assert!(!watches.iter().any(Watch::is_alive));
        assert!(!Watch::new(pid).is_alive());
        child.wait().unwrap();
        assert!(!watches.iter().any(Watch::is_alive));
    }

    #[test]
    fn another_process_with_the_same_id_is_not_it() {
        let watch = Watch {
            pid: own_pid(),
            handle: Handle::StartTime(1),
        };
        assert!(!watch.is_alive());
    }
}
