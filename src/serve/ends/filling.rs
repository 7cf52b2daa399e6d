//! Writing until a buffer is full, or as full as a step asks for, or nobody reads it any more.

use std::time::{Duration, Instant};

use super::writing::{WRITE_TIMEOUT, WritingEnd};
use crate::Error;
use crate::serve::attempt::another_error;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::RingState;
use crate::serve::outside::segment::HEADER;
use crate::serve::pattern;

/// How long a write waits that is expected to find the buffer full.
pub const FULL_TIMEOUT: Duration = Duration::from_millis(100);

/// How much longer than its timeout a failing write may take.
const FULL_SLACK: Duration = Duration::from_millis(100);

impl WritingEnd {
    /// Writes frames of 1024 bytes until the buffer is full; their number.
    ///
    /// # Errors
    ///
    /// If a write fails otherwise, if not even one frame fits, or if the last write did not wait
    /// for its timeout.
    pub fn fill(&mut self) -> Result<usize, Failure> {
        let mut count = 0;
        while let Filled::Written = self.try_write()? {
            count += 1;
        }
        if count == 0 {
            return Err(Failure::new(
                "expected room for a frame, found the buffer full",
            ));
        }
        Ok(count)
    }

    /// Writes frames of 1024 bytes until this part of the buffer is in use.
    ///
    /// # Errors
    ///
    /// If a write fails, for example because the buffer is full before.
    pub fn fill_to(&mut self, percent: u64) -> StepOutcome {
        loop {
            let state = RingState::now(self.buffer())?;
            if (state.size - state.free) * 100 >= state.size * percent {
                return Ok(());
            }
            self.write_own(pattern::DEFAULT_FRAME_SIZE)?;
        }
    }

    /// Writes frames of 1024 bytes, and a last one of the size that leaves no byte free.
    ///
    /// # Errors
    ///
    /// If a write fails, or the free bytes cannot all be written, because they lie apart or are too
    /// few.
    pub fn fill_to_the_last_byte(&mut self) -> StepOutcome {
        let total = HEADER + pattern::DEFAULT_FRAME_SIZE as u64;
        loop {
            let free = RingState::now(self.buffer())?.free;
            // As long as there is room for one more frame behind this one.
            if free <= total + HEADER {
                let rest = free.checked_sub(HEADER).filter(|rest| *rest > 0);
                let rest = rest.ok_or_else(|| {
                    let message = format!("expected room for a frame, found {free} free bytes");
                    Failure::new(message)
                })?;
                self.write_own(rest as usize)?;
                let free = RingState::now(self.buffer())?.free;
                return expect_equal("free bytes", 0, free);
            }
            self.write_own(pattern::DEFAULT_FRAME_SIZE)?;
        }
    }

    /// Writes until the reader's death is noticed.
    ///
    /// # Errors
    ///
    /// If writing ends otherwise.
    pub fn write_until_reader_death(&mut self) -> StepOutcome {
        loop {
            let data = self.own_data(pattern::DEFAULT_FRAME_SIZE)?;
            match self.writer()?.write(&data) {
                Ok(_) => {}
                Err(Error::ReaderDead { .. }) => return Ok(()),
                Err(other) => return Err(another_error("ReaderDead", &other)),
            }
        }
    }

    /// Writes into a buffer that is expected to be full.
    ///
    /// # Errors
    ///
    /// If the write succeeds, fails otherwise, or takes less than its timeout. How long it took.
    pub fn expect_full(&mut self) -> Result<Duration, Failure> {
        match self.try_write()? {
            Filled::Full(took) => Ok(took),
            Filled::Written => Err(Failure::new("expected the write to fail, but it succeeded")),
        }
    }

    /// As [`expect_full`](Self::expect_full), and no longer than the timeout.
    ///
    /// # Errors
    ///
    /// As there; if it takes longer.
    pub fn expect_full_in_time(&mut self) -> StepOutcome {
        let took = self.expect_full()?;
        let longest = FULL_TIMEOUT + FULL_SLACK;
        match took < longest {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "expected the write to fail within {longest:?}, found {took:?}"
            ))),
        }
    }

    /// Writes one frame of the default size with a short timeout.
    fn try_write(&mut self) -> Result<Filled, Failure> {
        let writer = self.writer()?;
        let data = pattern::sequenced(pattern::DEFAULT_FRAME_SIZE, writer.next_sequence())?;
        writer.set_write_timeout(FULL_TIMEOUT);
        let begun = Instant::now();
        let written = writer.write(&data);
        let took = begun.elapsed();
        writer.set_write_timeout(WRITE_TIMEOUT);
        match written {
            Ok(sequence) => {
                self.look_at(sequence, &data)?;
                Ok(Filled::Written)
            }
            Err(Error::BufferFull { .. }) => expect_timeout(took).map(|()| Filled::Full(took)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What became of a write into a buffer that may be full.
enum Filled {
    Written,
    /// It was full for so long.
    Full(Duration),
}

fn expect_timeout(took: Duration) -> StepOutcome {
    if took >= FULL_TIMEOUT {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected the write to fail after {FULL_TIMEOUT:?}, found {took:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::ends::{Reader, Writer};
    use crate::{BufferConfig, BufferName};

    fn pair(test: &str, size: usize) -> (Reader, WritingEnd) {
        let name = format!("serve-filling-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(64, size)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, WritingEnd::new(writer))
    }

    #[test]
    fn a_full_buffer_is_one_whose_write_waits_its_timeout() {
        let (mut reader, mut writing) = pair("full", 10240);
        assert!(writing.expect_full().is_err());
        assert!(writing.fill().unwrap() >= 7);
        writing.expect_full().unwrap();
        assert!(writing.fill().is_err());
        drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
        writing.write(&[1; 1024]).unwrap();
    }

    #[test]
    fn a_timeout_is_not_shorter() {
        assert!(expect_timeout(FULL_TIMEOUT - Duration::from_millis(1)).is_err());
        assert!(expect_timeout(FULL_TIMEOUT).is_ok());
    }

    #[test]
    fn a_buffer_can_be_filled_in_part_and_to_the_last_byte() {
        for size in [10240_usize, 2 * 1040, 2 * 1040 + 16, 64] {
            let (_reader, mut writing) = pair("part", size.next_multiple_of(64));
            if size > 2000 {
                writing.fill_to(45).unwrap();
                let state = RingState::now(writing.buffer()).unwrap();
                let used = state.size - state.free;
                assert!(used * 100 >= state.size * 45, "{state:?}");
                assert!((used - 1040) * 100 < state.size * 45, "{state:?}");
            }
            writing.fill_to_the_last_byte().unwrap();
            let state = RingState::now(writing.buffer()).unwrap();
            assert_eq!(state.free, 0);
            assert!(writing.fill_to_the_last_byte().is_err());
        }
    }

    #[test]
    fn a_reader_that_has_gone_ends_the_writing() {
        let (reader, mut writing) = pair("gone", 10240);
        drop(reader);
        writing.write_until_reader_death().unwrap();
    }
}
