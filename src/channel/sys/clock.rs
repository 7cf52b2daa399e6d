//! A clock for looks that come often.

use std::time::Duration;

/// Time since the system started, some milliseconds behind: a few nanoseconds a look, because the
/// kernel keeps it in memory that every process may read.
pub(crate) fn coarse_now() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is ours to be written; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn it_goes_on_and_is_not_far_behind() {
        let (begun, coarse) = (Instant::now(), coarse_now());
        while coarse_now() == coarse {
            assert!(begun.elapsed() < Duration::from_secs(10), "it stands still");
        }
        assert!(coarse_now() > coarse);
    }
}
