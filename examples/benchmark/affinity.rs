//! CPUs for processes.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::Result;

/// Gives every thread of process `pid` that CPU of those that this process may use, and no other.
///
/// From outside and while it runs, as a process that may use one CPU from the beginning on does not
/// spin.
pub fn pin(pid: u32, index: usize) -> Result<()> {
    let Some(cpu) = usable()?.into_iter().nth(index) else {
        return Ok(());
    };
    let mut only = CpuSet::new();
    only.set(cpu)?;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let id = thread?.file_name().to_string_lossy().parse()?;
        match sched_setaffinity(Pid::from_raw(id), &only) {
            // It has ended meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The CPUs that this process may use.
fn usable() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu) == Ok(true))
        .collect())
}
