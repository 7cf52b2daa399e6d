//! How much of a delay is the machine's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::NOTICED;

/// How long the thread that measures sleeps each time.
const NAP: Duration = Duration::from_millis(1);

/// Measures how late the threads of this process run: on a machine with more to do than it has
/// processors, whoever wakes up waits for its turn.
pub struct Lateness {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Lateness {
    /// Begins to measure.
    pub fn watch() -> Lateness {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut total = Duration::ZERO;
            while !is_done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(NAP);
                total += begun.elapsed().saturating_sub(NAP);
            }
            total
        });
        Lateness { done, thread }
    }

    /// Ends the measurement and looks whether a death was noticed in time, the machine's own delays
    /// aside: one of `noticed` for each who had to notice it.
    pub fn was_in_time(self, died: Instant, noticed: impl IntoIterator<Item = Instant>) {
        self.done.store(true, Ordering::Relaxed);
        let late = self.thread.join().expect("a thread that measures");
        for noticed in noticed {
            let took = noticed.saturating_duration_since(died);
            assert!(
                took < NOTICED + late,
                "noticed after {took:?}, threads were late by {late:?} in that time"
            );
        }
    }
}
