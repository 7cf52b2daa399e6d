//! How large a frame can be placed without waiting, told in three ways.

use super::ring_state::RingState;
use super::segment::HEADER;
use super::trial::Trial;
use super::written::Written;
use crate::channel::Placement;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error, Writer};

/// The smallest frame, with its header, in bytes.
const SMALLEST: u64 = HEADER + 1;

/// What was found for two positions. Sizes include the header, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Where the writer stands.
    pub write_pos: u64,
    /// Where the reader stands; at the same place, everything was read.
    pub read_pos: u64,
    /// By the protocol's rules, in the few lines of `by_the_rules`.
    pub expected: u64,
    /// By the library's arithmetic.
    pub by_arithmetic: u64,
    /// By a writer that was attached to a ring in that state.
    pub by_writer: u64,
}

impl FreeSpace {
    /// Finds it out for a ring of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the writer refuses a frame for another reason than its size.
    pub fn find(
        world: &World,
        name: &str,
        size: u64,
        write_pos: u64,
        read_pos: u64,
    ) -> Result<FreeSpace, Failure> {
        if write_pos >= size || read_pos >= size {
            return Err(Failure::new(format!(
                "expected positions below {size}, found {write_pos} and {read_pos}"
            )));
        }
        let expected = by_the_rules(size, write_pos, read_pos);
        let free = size - (write_pos + size - read_pos) % size;
        let config = BufferConfig::new(0, size as usize);
        let trial = |total: u64| {
            let trial = Trial::new(world, name, &config)?;
            trial.set_positions(write_pos, read_pos)?;
            fits(&trial, total)
        };
        // The writer is asked only next to what is expected: every question takes a new buffer.
        let by_writer = match expected < SMALLEST {
            // There is room for no frame at all, however much it is.
            true => match trial(SMALLEST)? {
                true => SMALLEST,
                false => expected,
            },
            false => match (trial(expected)?, trial(expected + 1)?) {
                (true, false) => expected,
                (true, true) => expected + 1,
                (false, _) => expected - 1,
            },
        };
        let by_arithmetic = by_arithmetic(size, write_pos, free);
        Ok(FreeSpace {
            write_pos,
            read_pos,
            expected,
            by_arithmetic: by_arithmetic.unwrap_or(expected.min(HEADER)),
            by_writer,
        })
    }

    /// Checks that all three say the same.
    ///
    /// # Errors
    ///
    /// A failure that says what differs.
    pub fn expect_agreement(&self) -> StepOutcome {
        let (write, read) = (self.write_pos, self.read_pos);
        let what = format!("largest frame at write_pos {write}, read_pos {read}");
        let arithmetic = format!("{what}, by the library's arithmetic");
        expect_equal(&arithmetic, self.expected, self.by_arithmetic)?;
        let writer = format!("{what}, by a writer (one byte next to what is expected)");
        expect_equal(&writer, self.expected, self.by_writer)
    }
}

/// The largest frame, with its header, that can be placed at once: before the reader's position
/// if that lies ahead; else up to the end, or skipping that at the beginning, up to the reader.
fn by_the_rules(size: u64, write_pos: u64, read_pos: u64) -> u64 {
    if write_pos < read_pos {
        return read_pos - write_pos;
    }
    let (at_end, at_beginning) = (size - write_pos, read_pos);
    at_end.max(at_beginning)
}

/// The largest frame, with its header, for which the library's placement needs no more than `free`;
/// `None` if there is none.
fn by_arithmetic(size: u64, write_pos: u64, free: u64) -> Option<u64> {
    let fits = |total: &u64| {
        let placement = Placement::find(size, write_pos, total - HEADER);
        placement.is_ok_and(|placement| placement.needed() <= free)
    };
    (SMALLEST..=size).rev().find(fits)
}

/// Whether a new writer can place a frame of `total` bytes, header included, at once: where it has
/// to stand, whole, and with everything in the account as it has to be.
fn fits(trial: &Trial, total: u64) -> Result<bool, Failure> {
    let mut writer: Writer = trial.connect()?;
    writer.set_write_timeout(std::time::Duration::ZERO);
    let before = RingState::of(&trial.raw)?;
    let data = pattern::plain((total - HEADER) as usize)?;
    match writer.write(&data) {
        Ok(sequence) => {
            let written = Written {
                sequence,
                data,
                before,
                waited: false,
            };
            match before.to_end() >= total {
                true => written.expect_behind_the_last(&trial.raw)?,
                false => written.expect_wrapped(&trial.raw)?,
            }
            Ok(true)
        }
        Err(Error::BufferFull { .. } | Error::FrameTooLarge { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::naming::RunId;
    use std::sync::Arc;

    #[test]
    fn the_rules_give_what_was_worked_out_by_hand() {
        for (write_pos, read_pos, expected) in [
            (5000, 2000, 5240),
            (2000, 5000, 3000),
            (5000, 5000, 5240),
            (0, 0, 10240),
            (5000, 0, 5240),
            (9000, 5000, 5000),
        ] {
            assert_eq!(by_the_rules(10240, write_pos, read_pos), expected);
        }
    }

    #[test]
    fn a_writer_agrees_and_a_difference_is_seen() {
        let world = World::for_run(RunId::new(None), Arc::default());
        for (write_pos, read_pos) in [
            (500, 200),
            (200, 500),
            (900, 500),
            (0, 0),
            (500, 0),
            (200, 210),
            (200, 216),
            (200, 217),
        ] {
            let found = FreeSpace::find(&world, "space", 1024, write_pos, read_pos).unwrap();
            found.expect_agreement().unwrap();
            let expected = found.expected + 1;
            let wrong = FreeSpace { expected, ..found };
            assert!(wrong.expect_agreement().is_err());
            let by_writer = found.by_writer - 1;
            let wrong = FreeSpace { by_writer, ..found };
            assert!(wrong.expect_agreement().is_err());
        }
        assert!(FreeSpace::find(&world, "space", 1024, 1024, 0).is_err());
    }
}
