//! Waiting for what another process does: spinning, then sleeping, looking around between.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a wait sleeps before it looks around: a peer's death is noticed within twice this.
pub(crate) const TICK: Duration = Duration::from_millis(80);

/// How many looks lie between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 32;

/// How often one side looks at what the other one changes: each look takes the memory from its
/// cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The other side has nothing else to do: as soon as can be.
    Eager,
    /// The other side is at work, and goes on faster the less it is disturbed: some 300 nanoseconds
    /// between two looks, or a few times as much.
    Patient,
}

impl Pace {
    fn pauses(self) -> u32 {
        match self {
            Pace::Eager => 1,
            Pace::Patient => 32,
        }
    }
}

/// What is left of a spin that has not paid for long: one part in so many.
const LEAST: u32 = 32;

/// What a waiting side does until the other one has done its part.
///
/// A post costs no system call unless somebody sleeps, so the waiting side alone decides how fast
/// an answer is seen: some 75 microseconds after a sleep, well under one after a spin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Sleep at once.
    Block,
    /// Look for so long at most, then sleep. Waits that spin in vain make the next spin shorter, up
    /// to a thirty-second part; one that would have paid makes it as long as it may be. Where this
    /// process may use only one CPU, sleep at once: the peer could not run meanwhile. 80
    /// milliseconds is the most: a spin does not see that the peer has died.
    SpinThenBlock(Duration),
    /// Never sleep: the fastest answer, for a whole CPU. Where this process may use only one,
    /// the peer is let run between two looks.
    BusyPoll,
}

impl Default for WaitStrategy {
    /// Spin for 250 microseconds, then block.
    fn default() -> Self {
        WaitStrategy::SpinThenBlock(Duration::from_micros(250))
    }
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

/// How one side waits, and what it has learned from its waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    strategy: WaitStrategy,
    /// How long the next spin may take.
    spin: Duration,
    /// When the last one began.
    spun_since: Instant,
}

impl Waiter {
    pub(crate) fn new(strategy: WaitStrategy) -> Waiter {
        Waiter {
            strategy,
            spin: strategy.longest_spin(),
            spun_since: Instant::now(),
        }
    }

    /// Waits differently from now on; what was learned stays if nothing changes.
    pub(crate) fn set_strategy(&mut self, strategy: WaitStrategy) {
        if self.strategy != strategy {
            *self = Waiter::new(strategy);
        }
    }

    /// Looks whether a wait `is_over`, as long as the strategy says; whether it is.
    pub(crate) fn spin(
        &mut self,
        deadline: Deadline,
        pace: Pace,
        is_over: impl FnMut() -> bool,
    ) -> bool {
        let begun = Instant::now();
        let is_over = spin(begun, self.spin.min(deadline.left()), pace, is_over);
        if is_over {
            self.learn(true);
        }
        self.spun_since = begun;
        is_over
    }

    /// After a spin in vain: has `sleep` sleep up to the time that it is given and say whether it
    /// was woken, unless the strategy is never to sleep.
    pub(crate) fn sleep(
        &mut self,
        deadline: Deadline,
        sleep: impl FnOnce(Duration) -> bool,
    ) -> bool {
        let left = deadline.left();
        if left.is_zero() || self.strategy == WaitStrategy::BusyPoll {
            return false;
        }
        let woken = sleep(left.min(TICK));
        // Would a longer spin have seen it?
        self.learn(woken && self.spun_since.elapsed() < self.strategy.longest_spin());
        woken
    }

    /// Makes the next spin as long as one that pays, or shorter.
    fn learn(&mut self, pays: bool) {
        let longest = self.strategy.longest_spin();
        self.spin = if pays {
            longest
        } else {
            (self.spin / 2).max(longest / LEAST)
        };
    }
}

impl WaitStrategy {
    fn longest_spin(self) -> Duration {
        match self {
            WaitStrategy::BusyPoll => TICK,
            WaitStrategy::SpinThenBlock(time) if !single_cpu() => time.min(TICK),
            WaitStrategy::SpinThenBlock(_) | WaitStrategy::Block => Duration::ZERO,
        }
    }
}

/// Looks whether a wait `is_over` for `time` from `begun`; whether it is.
fn spin(begun: Instant, time: Duration, pace: Pace, mut is_over: impl FnMut() -> bool) -> bool {
    if time.is_zero() {
        return is_over();
    }
    loop {
        if single_cpu() {
            // The others may take a long time.
            if is_over() {
                return true;
            }
            std::thread::yield_now();
        } else {
            for _ in 0..SPINS_PER_CLOCK {
                if is_over() {
                    return true;
                }
                (0..pace.pauses()).for_each(|_| std::hint::spin_loop());
            }
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
    use std::cell::Cell;

    const LONG: Duration = Duration::from_secs(20);

    fn far() -> Deadline {
        Deadline::after(LONG)
    }

    /// A wait in which nothing happens before the sleep, which ends `woken` or not; how long the next
    /// spin may take then.
    fn next_spin(waiter: &mut Waiter, woken: bool) -> Duration {
        assert!(!waiter.spin(far(), Pace::Eager, || false));
        waiter.sleep(far(), |_| woken);
        waiter.spin
    }

    #[test]
    fn what_is_over_is_seen_in_every_strategy() {
        for strategy in [
            WaitStrategy::Block,
            WaitStrategy::default(),
            WaitStrategy::BusyPoll,
        ] {
            assert!(Waiter::new(strategy).spin(far(), Pace::Eager, || true));
        }
    }

    #[test]
    fn a_block_does_not_spin_and_a_busy_poll_does_not_sleep() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            false
        };
        assert!(!Waiter::new(WaitStrategy::Block).spin(far(), Pace::Eager, look));
        assert_eq!(looks.get(), 1);
        let mut busy = Waiter::new(WaitStrategy::BusyPoll);
        assert!(!busy.sleep(far(), |_| panic!("it slept")));
    }

    #[test]
    fn a_spin_ends_before_a_death_would_go_unnoticed() {
        for strategy in [WaitStrategy::SpinThenBlock(LONG), WaitStrategy::BusyPoll] {
            assert!(strategy.longest_spin() <= TICK);
            assert!(!Waiter::new(strategy).spin(far(), Pace::Eager, || false));
        }
    }

    #[test]
    fn a_spin_ends_at_the_deadline() {
        let begun = Instant::now();
        let soon = Deadline::after(Duration::from_millis(1));
        let mut waiter = Waiter::new(WaitStrategy::SpinThenBlock(LONG));
        assert!(!waiter.spin(soon, Pace::Patient, || false));
        assert!(begun.elapsed() >= Duration::from_millis(1));
        let never = Deadline::after(Duration::ZERO);
        assert!(!waiter.sleep(never, |_| panic!("it slept")));
    }

    #[test]
    fn spins_in_vain_become_shorter_and_one_that_would_have_paid_makes_them_long_again() {
        if single_cpu() {
            return;
        }
        let longest = Duration::from_millis(64);
        let mut waiter = Waiter::new(WaitStrategy::SpinThenBlock(longest));
        assert_eq!(next_spin(&mut waiter, false), longest / 2);
        assert_eq!(next_spin(&mut waiter, false), longest / 4);
        for _ in 0..10 {
            next_spin(&mut waiter, false);
        }
        assert_eq!(waiter.spin, longest / LEAST);
        assert_eq!(next_spin(&mut waiter, true), longest, "woken soon after");
        next_spin(&mut waiter, false);
        assert!(waiter.spin(far(), Pace::Eager, || true));
        assert_eq!(waiter.spin, longest);
    }

    #[test]
    fn a_sleep_is_no_longer_than_a_tick() {
        let mut waiter = Waiter::new(WaitStrategy::Block);
        assert!(!waiter.spin(far(), Pace::Eager, || false));
        waiter.sleep(far(), |time| {
            assert_eq!(time, TICK);
            false
        });
    }

    #[test]
    fn setting_the_same_strategy_again_forgets_nothing() {
        let mut waiter = Waiter::new(WaitStrategy::BusyPoll);
        next_spin(&mut waiter, false);
        let strategy = WaitStrategy::SpinThenBlock(Duration::from_millis(64));
        waiter.set_strategy(strategy);
        let shorter = next_spin(&mut waiter, false);
        waiter.set_strategy(strategy);
        assert_eq!(waiter.spin, shorter);
    }
}
