//! Waiting for a semaphore, with a look around every now and then.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::sys::semaphore::Semaphore;

/// How long a wait sleeps before it looks around: a peer's death is noticed within twice this.
pub(crate) const TICK: Duration = Duration::from_millis(80);

/// How many looks at the semaphore lie between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// What a waiting side does until its semaphore is posted.
///
/// A post costs no system call unless somebody sleeps, so the waiting side alone decides how fast
/// an answer is seen: some 75 microseconds after a sleep, well under one after a spin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Sleep at once.
    Block,
    /// Look at the semaphore for so long, then sleep. Where this process may use only one CPU,
    /// sleep at once: the peer could not run meanwhile. 80 milliseconds is the most: a spin does not
    /// see that the peer has died.
    SpinThenBlock(Duration),
}

impl Default for WaitStrategy {
    /// Spin for 50 microseconds, then block.
    fn default() -> Self {
        WaitStrategy::SpinThenBlock(Duration::from_micros(50))
    }
}

impl WaitStrategy {
    fn spin_time(self) -> Duration {
        match self {
            WaitStrategy::SpinThenBlock(time) if !single_cpu() => time.min(TICK),
            _ => Duration::ZERO,
        }
    }
}

/// What a look around while waiting has found.
pub(crate) enum Look {
    /// Nothing new.
    KeepWaiting,
    /// What the semaphore stands for is there, posted or not.
    Ready,
}

/// The end of a wait; the clock is not looked at before it must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    begun: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Deadline {
        Deadline {
            begun: Instant::now(),
            timeout,
        }
    }

    /// What is left; zero once it has passed.
    pub(crate) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }
}

/// Takes one post of `semaphore`, waiting for it until `deadline`; whether there was one.
///
/// `look` is called before the first sleep, at least once in any case, and between sleeps.
pub(crate) fn acquire<E>(
    semaphore: &Semaphore,
    strategy: WaitStrategy,
    deadline: Deadline,
    mut look: impl FnMut() -> Result<Look, E>,
) -> Result<bool, E> {
    if spin(semaphore, strategy, deadline) {
        return Ok(true);
    }
    loop {
        if let Look::Ready = look()? {
            return Ok(true);
        }
        let left = deadline.left();
        if semaphore.wait(left.min(TICK)) {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// Takes one post of `semaphore` without sleeping, as long as the strategy says; whether there was
/// one.
pub(crate) fn spin(semaphore: &Semaphore, strategy: WaitStrategy, deadline: Deadline) -> bool {
    let time = strategy.spin_time().min(deadline.left());
    if time.is_zero() {
        return semaphore.try_wait();
    }
    let begun = Instant::now();
    loop {
        for _ in 0..SPINS_PER_CLOCK {
            if semaphore.try_wait() {
                return true;
            }
            std::hint::spin_loop();
        }
        if begun.elapsed() >= time {
            return false;
        }
    }
}

fn single_cpu() -> bool {
    static SINGLE: OnceLock<bool> = OnceLock::new();
    *SINGLE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::name::semaphore_path;

    fn semaphore(label: &str) -> Semaphore {
        let name = format!("zb-test-wait-{label}-{}", std::process::id());
        let semaphore = Semaphore::create(&name, semaphore_path(&name)).unwrap();
        semaphore.id().unlink(&semaphore_path(&name)).unwrap();
        semaphore
    }

    fn never(_: ()) -> Result<Look, ()> {
        Ok(Look::KeepWaiting)
    }

    #[test]
    fn a_post_ends_the_wait_in_every_strategy() {
        let semaphore = semaphore("post");
        for strategy in [WaitStrategy::Block, WaitStrategy::default()] {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let deadline = Deadline::after(Duration::from_secs(10));
                    acquire(&semaphore, strategy, deadline, || never(()))
                });
                semaphore.post();
                assert_eq!(waiting.join().unwrap(), Ok(true));
            });
        }
    }

    #[test]
    fn a_spin_ends_before_a_death_would_go_unnoticed() {
        let semaphore = semaphore("spin");
        let begun = Instant::now();
        let long = Duration::from_secs(5);
        let strategy = WaitStrategy::SpinThenBlock(long);
        let waited = acquire(&semaphore, strategy, Deadline::after(long), || Err("dead"));
        assert_eq!(waited, Err("dead"));
        assert!(begun.elapsed() < long / 2, "{:?}", begun.elapsed());
    }

    #[test]
    fn looks_are_taken_in_every_wait_and_end_it() {
        let semaphore = semaphore("look");
        let mut looks = 0;
        let waited = acquire(
            &semaphore,
            WaitStrategy::Block,
            Deadline::after(TICK * 3),
            || {
                looks += 1;
                never(())
            },
        );
        assert_eq!(waited, Ok(false));
        assert!((3..=5).contains(&looks), "{looks} looks");

        let mut looks = 0;
        let at_once = Deadline::after(Duration::ZERO);
        let waited = acquire(&semaphore, WaitStrategy::default(), at_once, || {
            looks += 1;
            never(())
        });
        assert_eq!((waited, looks), (Ok(false), 1));

        let long = Deadline::after(Duration::from_secs(60));
        let waited = acquire(&semaphore, WaitStrategy::Block, long, || Err("dead"));
        assert_eq!(waited, Err("dead"));
        let waited = acquire(&semaphore, WaitStrategy::Block, long, || {
            Ok::<_, ()>(Look::Ready)
        });
        assert_eq!(waited, Ok(true));
    }
}
