//! What this machine can do at best, to be told beside what a benchmark has measured.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::figures::{Figures, Short};
use super::own::OwnSemaphore;
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome};

/// Bytes that are copied: more than caches hold, and as many as a large ring has.
const REGION: usize = 64 << 20;

/// How often it is measured; the best counts.
const ROUNDS: usize = 5;

/// How many round trips are made.
const TRIPS: usize = 2000;

/// How many times as fast as from memory to memory bytes can cross that caches hold: more than any
/// machine's caches give, less than what a measurement that went wrong tells.
const CACHED: f64 = 50.0;

/// How long a thread waits for another one before it gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The machine's limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes a second that one core copies from memory to memory.
    pub memcpy: f64,
    /// From one sleeping thread to another and back, by two semaphores.
    pub semaphores: Figures,
    /// A number from one core to another and back.
    pub cache_line: Figures,
}

impl Limits {
    /// Measures them. The semaphores are those of a buffer `name`, which must not exist.
    ///
    /// # Errors
    ///
    /// If no semaphores can be made, or threads run out.
    pub fn measure(name: &BufferName) -> Result<Limits, Failure> {
        Ok(Limits {
            memcpy: memcpy(),
            semaphores: semaphores(name)?,
            cache_line: cache_line()?,
        })
    }

    /// Checks that so many bytes a second can have crossed: some, and no more than a machine like this
    /// can copy.
    ///
    /// # Errors
    ///
    /// A failure that says `what` was measured, and the bounds.
    pub fn expect_possible(&self, what: &str, bytes_per_second: f64) -> StepOutcome {
        let most = CACHED * self.memcpy;
        if bytes_per_second > 0.0 && bytes_per_second <= most {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{what}: expected more than none and at most {:.0} MB/s, found {:.0}",
            most / 1e6,
            bytes_per_second / 1e6
        )))
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the machine's limits: memcpy {:.0} MB/s by one core; round trip by semaphores p50 {}, by a \
             cache line p50 {}",
            self.memcpy / 1e6,
            Short(self.semaphores.median()),
            Short(self.cache_line.median()),
        )
    }
}

/// Bytes a second that one core copies from memory to memory: the best of several rounds, so that
/// what others do at the same time is left out.
pub fn memcpy() -> f64 {
    let from = vec![1u8; REGION];
    let mut to = vec![0u8; REGION];
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        best = best.min(begun.elapsed().as_secs_f64());
        std::hint::black_box(&mut to);
    }
    REGION as f64 / best
}

fn semaphores(name: &BufferName) -> Result<Figures, Failure> {
    let [there, back] = OwnSemaphore::pair(name)?;
    round_trips(
        || there.wait(PATIENCE).then(|| back.post()).is_some(),
        || {
            there.post();
            back.wait(PATIENCE)
        },
    )
}

#[repr(align(64))]
struct Line(AtomicU64);

fn cache_line() -> Result<Figures, Failure> {
    // Odd numbers are questions, even ones answers.
    let line = Line(AtomicU64::new(0));
    let (mut question, mut answer) = (1, 0);
    round_trips(
        || {
            let asked = wait_for(&line.0, question);
            // Release, here and below: pairs with the acquire in `wait_for`.
            line.0.store(question + 1, Ordering::Release);
            question += 2;
            asked
        },
        || {
            line.0.store(answer + 1, Ordering::Release);
            answer += 2;
            wait_for(&line.0, answer)
        },
    )
}

fn wait_for(number: &AtomicU64, wanted: u64) -> bool {
    let begun = Instant::now();
    loop {
        for _ in 0..1000 {
            // Acquire: pairs with the release stores of the other side.
            if number.load(Ordering::Acquire) == wanted {
                return true;
            }
            spin_loop();
        }
        if begun.elapsed() > PATIENCE {
            return false;
        }
    }
}

/// Has one thread answer what this one asks; how long each question took to be answered.
fn round_trips(
    mut answer: impl FnMut() -> bool + Send,
    mut ask: impl FnMut() -> bool,
) -> Result<Figures, Failure> {
    let trips = std::thread::scope(|scope| {
        let answering = move || (0..TRIPS).all(|_| answer());
        std::thread::Builder::new().spawn_scoped(scope, answering)?;
        let mut trips = Vec::with_capacity(TRIPS);
        for _ in 0..TRIPS {
            let begun = Instant::now();
            if !ask() {
                let late = format!("expected an answer within {PATIENCE:?}, found none");
                return Err(Failure::new(late));
            }
            trips.push(begun.elapsed());
        }
        Ok(trips)
    })?;
    Figures::of(trips).ok_or_else(|| Failure::new("expected round trips, found none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_a_machine_that_exists() {
        let name = BufferName::new(format!("serve-limits-{}", std::process::id())).unwrap();
        let limits = Limits::measure(&name).unwrap();
        assert!(limits.memcpy > 1e8, "{limits}");
        assert_eq!(limits.semaphores.count(), TRIPS);
        assert!(
            limits.cache_line.median() > Duration::from_nanos(5),
            "{limits}"
        );
        assert!(
            limits.semaphores.median() < Duration::from_millis(50),
            "{limits}"
        );
    }

    #[test]
    fn no_bytes_and_too_many_bytes_cannot_have_crossed() {
        let one = Figures::of(vec![Duration::ZERO]).unwrap();
        let limits = Limits {
            memcpy: 1e9,
            semaphores: one.clone(),
            cache_line: one,
        };
        assert_eq!(limits.expect_possible("x", 1.0), Ok(()));
        assert_eq!(limits.expect_possible("x", 1e9 * CACHED), Ok(()));
        for wrong in [0.0, 1.1e9 * CACHED, f64::INFINITY, f64::NAN] {
            assert!(limits.expect_possible("x", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_that_does_not_come_is_a_failure() {
        assert!(round_trips(|| true, || false).is_err());
    }
}
