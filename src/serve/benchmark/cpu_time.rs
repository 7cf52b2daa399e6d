//! CPU time, as the system accounts it to a process or a thread.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::serve::failure::Failure;

/// The largest number that Linux gives to a process; a larger one would make another clock's number.
const MOST: u64 = 1 << 22;

/// A clock that goes only while somebody computes, beside one that always goes.
#[derive(Debug)]
pub struct CpuClock {
    clock: ClockId,
    cpu: Duration,
    begun: Instant,
}

/// What was used of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// CPU time.
    pub cpu: Duration,
    /// How long the stretch was.
    pub elapsed: Duration,
}

impl CpuClock {
    /// Begins to measure all threads of a process.
    ///
    /// # Errors
    ///
    /// If there is no such process.
    pub fn of_process(pid: u64) -> Result<CpuClock, Failure> {
        let told = |error| Failure::from(error).while_doing(format!("CPU time of process {pid}"));
        if pid == 0 || pid > MOST {
            return Err(told(Errno::ESRCH));
        }
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid as i32));
        Self::start(clock.map_err(told)?)
    }

    /// Begins to measure this process.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn of_this_process() -> Result<CpuClock, Failure> {
        Self::start(ClockId::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// Begins to measure this thread; to be asked on the same thread.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn of_this_thread() -> Result<CpuClock, Failure> {
        Self::start(ClockId::CLOCK_THREAD_CPUTIME_ID)
    }

    fn start(clock: ClockId) -> Result<CpuClock, Failure> {
        Ok(CpuClock {
            clock,
            cpu: clock.now()?.into(),
            begun: Instant::now(),
        })
    }

    /// What was used since the beginning.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub fn usage(&self) -> Result<Usage, Failure> {
        let cpu: Duration = self.clock.now()?.into();
        Ok(Usage {
            cpu: cpu.saturating_sub(self.cpu),
            elapsed: self.begun.elapsed(),
        })
    }
}

impl Usage {
    /// Per cent of one CPU.
    pub fn percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Duration = Duration::from_millis(2);

    /// Computes until a clock says so; on a busy machine that takes a while.
    fn compute_until(says_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !says_so() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the clock stands"
            );
        }
    }

    #[test]
    fn a_thread_that_sleeps_uses_none_and_one_that_computes_uses_some() {
        let clock = CpuClock::of_this_thread().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(clock.usage().unwrap().percent() < 20.0);
        compute_until(|| clock.usage().unwrap().cpu > LITTLE);
        let usage = clock.usage().unwrap();
        assert!(usage.cpu <= usage.elapsed, "{usage:?}");
    }

    #[test]
    fn all_threads_of_a_process_count_and_one_can_be_seen_from_another() {
        let pid = u64::from(std::process::id());
        let clock = CpuClock::of_process(pid).unwrap();
        let own = CpuClock::of_this_process().unwrap();
        let other = move || {
            let others = [clock, own];
            let is_used = |clock: &CpuClock| clock.usage().unwrap().cpu > LITTLE;
            compute_until(|| others.iter().all(is_used));
        };
        std::thread::spawn(other).join().unwrap();
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        for pid in [0, MOST, u64::from(u32::MAX >> 1), u64::MAX] {
            let failure = CpuClock::of_process(pid).unwrap_err().to_string();
            assert!(failure.contains(&pid.to_string()), "{failure}");
        }
    }
}
