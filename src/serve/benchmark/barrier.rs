//! What memory barriers cost, and what they are for.

use std::fmt;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Instant;

use super::scale::Scale;
use crate::serve::failure::Failure;

/// Operations that are measured at a time.
const OPERATIONS: usize = 5_000_000;

/// The fewest from which something can be told.
const LEAST: usize = 100_000;

/// Messages from one thread to another.
const MESSAGES: usize = 1_000_000;

/// The fewest of them.
const LEAST_MESSAGES: usize = 10_000;

/// In how many rounds they are measured, short ones: the best counts, as what others do meanwhile
/// only adds.
const ROUNDS: usize = 50;

/// Words of a message.
const WORDS: usize = 7;

/// The barriers that there are.
const ORDERINGS: [Ordering; 4] = [
    Ordering::Acquire,
    Ordering::Release,
    Ordering::AcqRel,
    Ordering::SeqCst,
];

/// Nanoseconds that one operation takes.
fn nanoseconds(operations: usize, mut operation: impl FnMut(u64)) -> f64 {
    let mut best = f64::MAX;
    let operations = operations / ROUNDS;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for number in 0..operations {
            operation(black_box(number as u64));
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    best * 1e9 / operations as f64
}

/// The cost of each barrier alone, in nanoseconds.
#[derive(Debug)]
pub struct Fences(Vec<(Ordering, f64)>);

impl Fences {
    /// Measures them.
    pub fn measure(scale: Scale) -> Fences {
        let operations = scale.iterations(OPERATIONS, LEAST);
        let nothing = nanoseconds(operations, |_| {});
        let cost = |ordering| {
            let with = nanoseconds(operations, |_| fence(ordering));
            (ordering, (with - nothing).max(0.0))
        };
        Fences(ORDERINGS.map(cost).to_vec())
    }

    /// The most expensive one's.
    pub fn worst(&self) -> f64 {
        self.0.iter().map(|(_, cost)| *cost).fold(0.0, f64::max)
    }
}

impl fmt::Display for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(ordering, cost): &(Ordering, f64)| format!("{ordering:?} {cost:.2} ns");
        let all: Vec<_> = self.0.iter().map(one).collect();
        write!(f, "a barrier alone: {}", all.join(", "))
    }
}

/// A message, and the number that tells of it; each on cache lines of its own.
#[repr(align(64))]
#[derive(Default)]
struct Message {
    words: [AtomicU64; WORDS],
    told: AtomicU64,
    seen: Apart,
}

#[repr(align(64))]
#[derive(Default)]
struct Apart(AtomicU64);

impl Message {
    fn fill(&self, number: u64) {
        for word in &self.words {
            word.store(number, Ordering::Relaxed);
        }
    }

    /// How many words are not those of message `number`.
    fn wrong(&self, number: u64) -> usize {
        let words = self.words.iter();
        words
            .filter(|word| word.load(Ordering::Relaxed) != number)
            .count()
    }
}

/// Messages made and told of with barriers and without.
#[derive(Debug)]
pub struct Compared {
    with: f64,
    without: f64,
    /// How many crossed between two threads, with barriers.
    crossed: usize,
    /// Words of them that were not the message's.
    wrong: usize,
}

impl Compared {
    /// Measures what a barrier adds to a message, in one thread; then has messages cross between
    /// two.
    ///
    /// # Errors
    ///
    /// When threads run out.
    pub fn measure(scale: Scale) -> Result<Compared, Failure> {
        let operations = scale.iterations(OPERATIONS, LEAST);
        let message = Message::default();
        let without = nanoseconds(operations, |number| {
            message.fill(number);
            message.told.store(number, Ordering::Relaxed);
        });
        let with = nanoseconds(operations, |number| {
            message.fill(number);
            fence(Ordering::SeqCst);
            message.told.store(number, Ordering::Relaxed);
        });
        let crossed = scale.iterations(MESSAGES, LEAST_MESSAGES);
        Ok(Compared {
            with,
            without,
            crossed,
            wrong: cross(crossed, Message::wrong)?,
        })
    }

    /// Nanoseconds that the barrier adds.
    pub fn barrier(&self) -> f64 {
        self.with - self.without
    }

    /// Checks that every word of every message arrived.
    ///
    /// # Errors
    ///
    /// If one did not.
    pub fn expect_integrity(&self) -> Result<(), Failure> {
        if self.wrong == 0 && self.crossed > 0 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected all words of all messages as they were written, found {} wrong in {} messages",
            self.wrong, self.crossed
        )))
    }
}

/// Has messages cross from one thread to another, one at a time, ordered by barriers alone; how
/// many words were wrong, as `look` finds.
fn cross(messages: usize, look: impl Fn(&Message, u64) -> usize + Sync) -> Result<usize, Failure> {
    let message = Message::default();
    let wrong = std::thread::scope(|scope| {
        let receiving = || {
            let mut wrong = 0;
            for number in 1..=messages as u64 {
                wait_for(&message.told, number);
                wrong += look(&message, number);
                fence(Ordering::SeqCst);
                message.seen.0.store(number, Ordering::Relaxed);
            }
            wrong
        };
        let receiver = std::thread::Builder::new().spawn_scoped(scope, receiving)?;
        for number in 1..=messages as u64 {
            message.fill(number);
            fence(Ordering::SeqCst);
            message.told.store(number, Ordering::Relaxed);
            wait_for(&message.seen.0, number);
        }
        std::io::Result::Ok(receiver.join())
    })?;
    wrong.map_err(|_| Failure::new("the receiving thread panicked"))
}

fn wait_for(number: &AtomicU64, wanted: u64) {
    let mut looks = 0u32;
    while number.load(Ordering::Relaxed) != wanted {
        spin_loop();
        looks += 1;
        // The other thread may have no CPU.
        if looks.is_multiple_of(1 << 10) {
            std::thread::yield_now();
        }
    }
    // Pairs with the barrier of the other thread before its store.
    fence(Ordering::SeqCst);
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a message of {WORDS} words: {:.2} ns with a barrier, {:.2} ns without, so {:.2} ns for \
             the barrier; {} messages from thread to thread, {} wrong words",
            self.with,
            self.without,
            self.barrier(),
            self.crossed,
            self.wrong
        )
    }
}

/// Checks the cost of a barrier, alone and where it is used.
///
/// # Errors
///
/// If it is not less than `limit` nanoseconds.
pub fn expect_less(fences: &Fences, compared: &Compared, limit: f64) -> Result<(), Failure> {
    let worst = fences.worst().max(compared.barrier());
    if worst < limit {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected less than {limit} ns per barrier, found {worst:.1} ns"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_wrong_are_counted() {
        assert_eq!(cross(1000, Message::wrong).unwrap(), 0);
        assert_eq!(
            cross(10, |message, number| message.wrong(number + 1)).unwrap(),
            10 * WORDS
        );
        let compared = |wrong| Compared {
            with: 10.0,
            without: 4.0,
            crossed: 10,
            wrong,
        };
        assert!(compared(0).expect_integrity().is_ok());
        assert!(compared(1).expect_integrity().is_err());
    }

    #[test]
    fn the_most_expensive_barrier_counts() {
        let fences = Fences(vec![(Ordering::Acquire, 0.0), (Ordering::SeqCst, 8.0)]);
        let compared = Compared {
            with: 10.0,
            without: 1.0,
            crossed: 1,
            wrong: 0,
        };
        assert!(expect_less(&fences, &compared, 9.5).is_ok());
        assert!(expect_less(&fences, &compared, 9.0).is_err());
        let fences = Fences(vec![(Ordering::SeqCst, 10.0)]);
        assert!(expect_less(&fences, &compared, 9.5).is_err());
    }

    #[test]
    fn a_full_barrier_costs_something() {
        let fences = Fences::measure(Scale::of_environment().unwrap());
        assert!(fences.worst() > 0.1, "{fences}");
    }
}
