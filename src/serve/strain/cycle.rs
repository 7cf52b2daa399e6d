//! A buffer made and removed again, many times.

use std::time::{Duration, Instant};

use super::census::own_memory;
use crate::serve::ends::Reader;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::{BufferConfig, BufferName, Error};

/// How much longer a cycle may take at the end than at the beginning, in the middle of a quarter of
/// all cycles: what is left behind makes every cycle longer than the one before.
const SLOWER: u32 = 5;

/// After which part of all cycles memory is looked at first: one in so many.
const WARM_UP: usize = 10;

/// How much memory the process may have taken since. The allocator's own ups and downs are a few
/// pages; that a thousand cycles each lose 150 bytes is known.
const GROWTH: u64 = 128 * 1024;

/// A buffer's way from not being there to not being there any more, many times over.
#[derive(Debug, Default)]
pub struct Cycles {
    /// How many are wanted.
    pub wanted: usize,
    took: Vec<Duration>,
    /// Memory of the process after the first part of them, and after the last one.
    memory: [u64; 2],
}

impl Cycles {
    /// None yet, of so many.
    pub fn of(wanted: usize) -> Cycles {
        Cycles {
            wanted,
            ..Cycles::default()
        }
    }

    /// Whether all were made.
    pub fn is_done(&self) -> bool {
        self.took.len() >= self.wanted
    }

    /// How many were made.
    pub fn count(&self) -> usize {
        self.took.len()
    }

    /// Makes the buffer, looks that all of it is there, has it `used`, and removes it.
    ///
    /// # Errors
    ///
    /// If it cannot be made, is not whole, or leaves something.
    pub fn run(
        &mut self,
        buffer: &BufferName,
        config: &BufferConfig,
        used: impl FnOnce(&mut Reader) -> StepOutcome,
    ) -> StepOutcome {
        let begun = Instant::now();
        let mut reader = Reader::create(buffer, config).map_err(|error| self.failed(error))?;
        let made = begun.elapsed();
        used(&mut reader)?;
        let begun = Instant::now();
        remove(reader)?;
        self.took.push(made + begun.elapsed());
        if self.count() == self.wanted.div_ceil(WARM_UP) {
            self.memory[0] = own_memory()?;
        }
        if self.is_done() {
            self.memory[1] = own_memory()?;
        }
        Ok(())
    }

    /// Checks that all cycles were made, and that the process has no more memory than after the first
    /// part of them.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_no_growth(&self) -> StepOutcome {
        expect_equal("cycles", self.wanted, self.count())?;
        let [before, after] = self.memory;
        if after <= before + GROWTH {
            return Ok(());
        }
        Err(Failure::new(format!(
            "memory after the first of {} cycles: {before} bytes, expected at most {GROWTH} more after \
             the last, found {} more",
            self.count(),
            after - before
        )))
    }

    fn failed(&self, error: Error) -> Failure {
        Failure::from(error).while_doing(format!("cycle {} of {}", self.count() + 1, self.wanted))
    }

    /// Checks that all cycles were made, and that the last ones took about as long as the first.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_steady(&self) -> StepOutcome {
        expect_equal("cycles", self.wanted, self.count())?;
        let quarter = (self.count() / 4).max(1);
        let first = median(&self.took[..quarter]);
        let last = median(&self.took[self.count() - quarter..]);
        if last <= first * SLOWER {
            return Ok(());
        }
        Err(Failure::new(format!(
            "a cycle took {first:?} in the first quarter: expected at most {SLOWER} times as much in \
             the last, found {last:?}"
        )))
    }

    /// Figures for people.
    pub fn summary(&self) -> String {
        let (min, max) = (self.took.iter().min(), self.took.iter().max());
        format!(
            "{} cycles: shortest {:?}, median {:?}, longest {:?}; {:+} bytes of memory since the first \
             of them",
            self.count(),
            min.copied().unwrap_or_default(),
            median(&self.took),
            max.copied().unwrap_or_default(),
            self.memory[1].wrapping_sub(self.memory[0]) as i64
        )
    }
}

/// Removes a buffer of which all files are there.
///
/// # Errors
///
/// If one is missing before, or still there afterwards.
pub fn remove(reader: Reader) -> StepOutcome {
    let files = BufferFiles::of(reader.name());
    expect_equal("files of the buffer", 4, files.existing().len())?;
    drop(reader);
    match files.existing().first() {
        None => Ok(()),
        Some(path) => Err(Failure::new(format!(
            "expected no file of the buffer to be left, found {}",
            path.display()
        ))),
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_counted_and_leave_nothing() {
        let name = format!("serve-cycle-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let config = BufferConfig::new(0, 64);
        let mut cycles = Cycles::of(3);
        for count in 0..3 {
            assert_eq!((cycles.count(), cycles.is_done()), (count, false));
            assert!(cycles.expect_steady().is_err());
            cycles.run(&name, &config, |_| Ok(())).unwrap();
        }
        assert!(cycles.is_done());
        let summary = cycles.summary();
        assert!(summary.starts_with("3 cycles: "), "{summary}");
        let held = Reader::create(&name, &config).unwrap();
        let failure = cycles.run(&name, &config, |_| Ok(())).unwrap_err();
        assert!(failure.to_string().contains("cycle 4 of 3"), "{failure}");
        std::fs::remove_file(BufferFiles::of(&name).segment).unwrap();
        let failure = remove(held).unwrap_err().to_string();
        assert_eq!(failure, "files of the buffer: expected 4, found 3");
    }

    #[test]
    fn memory_that_every_cycle_keeps_is_known() {
        let mut cycles = Cycles::of(2);
        assert!(cycles.expect_no_growth().is_err());
        cycles.took = vec![Duration::ZERO; 2];
        for (memory, is_right) in [
            ([1 << 20, 0], true),
            ([1 << 20, (1 << 20) + GROWTH], true),
            ([1 << 20, (1 << 20) + GROWTH + 1], false),
        ] {
            cycles.memory = memory;
            assert_eq!(cycles.expect_no_growth().is_ok(), is_right, "{memory:?}");
        }
    }

    #[test]
    fn cycles_that_take_longer_and_longer_are_not_steady() {
        let mut cycles = Cycles::of(100);
        cycles.took = vec![Duration::from_millis(1); 100];
        cycles.expect_steady().unwrap();
        cycles.took[99] = Duration::from_secs(1);
        cycles.expect_steady().unwrap();
        cycles.took = (1..=100).map(Duration::from_millis).collect();
        let failure = cycles.expect_steady().unwrap_err().to_string();
        assert!(failure.contains("13ms"), "{failure}");
    }
}
