//! Frames that a step reads one after the other, each compared and given back.

use std::time::Duration;

use super::reading::{READ_TIMEOUT, ReadingEnd, SHORT_TIMEOUT};
use crate::Error;
use crate::serve::failure::{Failure, StepOutcome};

impl ReadingEnd {
    /// Reads frame after frame, compares every byte and releases it, until the writer has left and
    /// nothing is unread. Sequence errors are kept for a later step to find. The history begins
    /// anew.
    ///
    /// # Errors
    ///
    /// If a frame holds other data than its sequence number asks for, or a read fails otherwise.
    pub fn read_to_end(&mut self, pause: Duration) -> StepOutcome {
        self.begin_anew();
        loop {
            match self.take_frame(READ_TIMEOUT)? {
                Ok(true) => self.history().expect_intact()?,
                Ok(false) => {
                    return Err(Failure::new(format!(
                        "expected a frame or the writer to leave, found neither within \
                         {READ_TIMEOUT:?} ({} read)",
                        self.history().count()
                    )));
                }
                Err(Error::WriterDead { .. } | Error::Sequence { .. }) => break,
                Err(error) => return Err(error.into()),
            }
            std::thread::sleep(pause);
        }
        tracing::info!("read {} frames", self.history().count());
        Ok(())
    }

    /// Reads so many frames, with a pause after each, and releases each. Every byte is compared;
    /// differences are kept for a later step to find. The history begins anew.
    ///
    /// # Errors
    ///
    /// If a read fails, or a frame does not come within [`READ_TIMEOUT`].
    pub fn read_many(&mut self, count: usize, pause: Duration) -> StepOutcome {
        self.begin_anew();
        for _ in 0..count {
            if !self.take_frame(READ_TIMEOUT)?? {
                return Err(Failure::new(format!(
                    "expected {count} frames, found no more than {} within {READ_TIMEOUT:?}",
                    self.history().count()
                )));
            }
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Reads all frames that are there, as [`read_many`](Self::read_many) does; how many.
    ///
    /// # Errors
    ///
    /// If a read fails.
    pub fn read_what_is_there(&mut self) -> Result<usize, Failure> {
        self.begin_anew();
        while self.take_frame(SHORT_TIMEOUT)?? {}
        Ok(self.history().count())
    }

    /// Sets the pause after each frame of [`read_at_pace`](Self::read_at_pace).
    pub fn set_pace(&mut self, pause: Duration) {
        self.pace = Some(pause);
    }

    /// Reads so many frames at the pace set before, as [`read_many`](Self::read_many) does.
    ///
    /// # Errors
    ///
    /// As [`read_many`](Self::read_many); no pace was set.
    pub fn read_at_pace(&mut self, count: usize) -> StepOutcome {
        let none = || Failure::new("expected a pace to have been set, found none");
        self.read_many(count, self.pace.ok_or_else(none)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::ends::Reader;
    use crate::serve::outside::ring_state::RingState;
    use crate::serve::pattern;
    use crate::{BufferConfig, BufferName, Writer};
    use std::time::Instant;

    fn pair(test: &str) -> (ReadingEnd, Writer) {
        let name = format!("serve-series-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(64, 4096)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (ReadingEnd::new(reader), writer)
    }

    #[test]
    fn reading_ends_when_the_writer_has_left_and_nothing_is_unread() {
        let (mut reading, mut writer) = pair("end");
        for sequence in 1..=3 {
            writer
                .write(&pattern::sequenced(10, sequence).unwrap())
                .unwrap();
        }
        drop(writer);
        reading.read_to_end(Duration::ZERO).unwrap();
        reading.history().expect_count(3).unwrap();
        reading.history().expect_sequential(Some(1)).unwrap();
        reading.history().expect_sequential(None).unwrap();
    }

    #[test]
    fn wrong_data_fails_the_reading() {
        let (mut reading, mut writer) = pair("wrong");
        writer.write(&pattern::sequenced(10, 1).unwrap()).unwrap();
        writer.write(&pattern::sequenced(10, 1).unwrap()).unwrap();
        drop(writer);
        let failure = reading.read_to_end(Duration::ZERO).unwrap_err();
        assert!(failure.to_string().contains("frame 2: byte 0"), "{failure}");
    }

    #[test]
    fn many_frames_are_compared_and_given_back() {
        let (mut reading, mut writer) = pair("many");
        for sequence in 1..=3 {
            writer
                .write(&pattern::sequenced(10, sequence).unwrap())
                .unwrap();
        }
        assert!(reading.read_at_pace(2).is_err());
        reading.set_pace(Duration::from_millis(10));
        let begun = Instant::now();
        reading.read_at_pace(2).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20));
        reading.history().expect_intact().unwrap();
        assert!(reading.expect_no_frame().is_err());
        reading.expect_no_frame().unwrap();
        writer.write(&pattern::sequenced(10, 3).unwrap()).unwrap();
        assert_eq!(reading.read_what_is_there().unwrap(), 1);
        assert!(reading.history().expect_intact().is_err());
        assert!(!reading.history().has_ended());
        let state = RingState::now(reading.buffer()).unwrap();
        assert_eq!(state.free, state.size);
    }
}
