//! What a reader has read, for later steps to judge.

use std::time::Duration;

use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;

/// A copy of a frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrame {
    /// Its sequence number.
    pub sequence: u64,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl ReadFrame {
    /// Compares every byte with what a frame of this sequence number holds.
    ///
    /// # Errors
    ///
    /// A failure that names the first difference.
    pub fn expect_sequenced_data(&self) -> StepOutcome {
        let expected = pattern::sequenced(self.data.len(), self.sequence)?;
        self.expect_data(&expected)
    }

    /// Compares every byte.
    ///
    /// # Errors
    ///
    /// A failure that names the first difference.
    pub fn expect_data(&self, expected: &[u8]) -> StepOutcome {
        let what = format!("data of frame {}", self.sequence);
        pattern::compare(&what, expected, &self.data)
    }

    /// Compares every byte with what a frame of some size holds: steps that write one make its data of
    /// the size alone, or of its number as well.
    ///
    /// # Errors
    ///
    /// A failure that names the first difference from the latter.
    pub fn expect_usual_data(&self) -> StepOutcome {
        let plain = self.expect_data(&pattern::plain(self.data.len())?);
        plain.or_else(|_| self.expect_sequenced_data())
    }

    /// Compares the size.
    ///
    /// # Errors
    ///
    /// A failure with both sizes.
    pub fn expect_size(&self, expected: usize) -> StepOutcome {
        let what = format!("size of frame {}", self.sequence);
        expect_equal(&what, expected, self.data.len())
    }
}

/// The frames that were read, without their bytes.
#[derive(Debug, Default)]
pub struct History {
    sequences: Vec<u64>,
    sequence_errors: Vec<String>,
    /// How many frames were compared with the data of their sequence numbers.
    compared: usize,
    differences: Vec<Failure>,
    longest_wait: Duration,
    writer_left: bool,
}

impl History {
    /// Forgets the frames, but no sequence error.
    pub fn begin_anew(&mut self) {
        *self = History {
            sequence_errors: std::mem::take(&mut self.sequence_errors),
            ..History::default()
        };
    }

    /// Notes a frame that came after `waited`.
    pub fn note_frame(&mut self, sequence: u64, waited: Duration) {
        self.sequences.push(sequence);
        self.longest_wait = self.longest_wait.max(waited);
    }

    /// Notes a frame out of sequence.
    pub fn note_sequence_error(&mut self, error: String) {
        self.sequence_errors.push(error);
    }

    /// Notes that the writer has left and everything was read.
    pub fn note_writer_left(&mut self) {
        self.writer_left = true;
    }

    /// Compares every byte of a frame with the data of its sequence number, and notes a difference.
    pub fn compare(&mut self, frame: &ReadFrame) {
        self.compared += 1;
        self.differences.extend(frame.expect_sequenced_data().err());
    }

    /// How many frames were read.
    pub fn count(&self) -> usize {
        self.sequences.len()
    }

    /// The sequence number that was read last.
    ///
    /// # Errors
    ///
    /// If none was read.
    pub fn last(&self) -> Result<u64, Failure> {
        let last = self.sequences.last().copied();
        last.ok_or_else(|| Failure::new("expected frames to have been read, found none"))
    }

    /// Whether the writer has left and everything was read.
    pub fn has_ended(&self) -> bool {
        self.writer_left
    }

    /// Compares the number of frames read.
    ///
    /// # Errors
    ///
    /// A failure with both numbers.
    pub fn expect_count(&self, expected: usize) -> StepOutcome {
        let outcome = expect_equal("number of frames read", expected, self.sequences.len());
        outcome.map_err(|failure| match self.sequence_errors.last() {
            Some(error) => Failure::new(format!("{failure} ({error})")),
            None => failure,
        })
    }

    /// Compares the sequence numbers of all frames read with `first`, `first` + 1 and so on; of
    /// the first one, if none is given, with its successors only.
    ///
    /// # Errors
    ///
    /// A failure that names the first gap, or says that there are too few frames to have an order.
    pub fn expect_sequential(&self, first: Option<u64>) -> StepOutcome {
        let enough = if first.is_some() { 1 } else { 2 };
        if self.sequences.len() < enough {
            return Err(Failure::new(format!(
                "expected at least {enough} frames to have been read, found {}",
                self.sequences.len()
            )));
        }
        let first = first.unwrap_or(self.sequences[0]);
        for (index, (expected, found)) in (first..).zip(&self.sequences).enumerate() {
            let what = format!("sequence number of frame {index} in the order of reading");
            expect_equal(&what, expected, *found)?;
        }
        Ok(())
    }

    /// Checks that frames were read and none was out of sequence.
    ///
    /// # Errors
    ///
    /// A failure with the sequence errors, or saying that nothing was read.
    pub fn expect_no_sequence_errors(&self) -> StepOutcome {
        if !self.sequence_errors.is_empty() {
            return Err(Failure::new(format!(
                "expected no sequence errors, found {}: {}",
                self.sequence_errors.len(),
                self.sequence_errors.join("; ")
            )));
        }
        self.last().map(drop)
    }

    /// Checks that frames were read, and that every byte of every one was as it should be.
    ///
    /// # Errors
    ///
    /// A failure with the first difference, or saying that frames were not compared.
    pub fn expect_intact(&self) -> StepOutcome {
        self.last()?;
        expect_equal("frames compared", self.sequences.len(), self.compared)?;
        match self.differences.as_slice() {
            [] => Ok(()),
            [first, ..] => Err(Failure::new(format!(
                "expected no differences, found {}; the first is: {first}",
                self.differences.len()
            ))),
        }
    }

    /// Checks that reading ended because the writer had left, and that no frame was waited for
    /// longer than `longest`.
    ///
    /// # Errors
    ///
    /// A failure that says which is not so.
    pub fn expect_no_standstill(&self, longest: Duration) -> StepOutcome {
        if !self.writer_left {
            return Err(Failure::new(format!(
                "expected the reading to end because the writer left, but it did not ({} read)",
                self.sequences.len()
            )));
        }
        if self.longest_wait >= longest {
            return Err(Failure::new(format!(
                "expected every frame within {longest:?}, found one that took {:?}",
                self.longest_wait
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, data: Vec<u8>) -> ReadFrame {
        ReadFrame { sequence, data }
    }

    #[test]
    fn usual_data_are_made_of_the_size_or_of_the_number_too() {
        frame(3, pattern::plain(100).unwrap())
            .expect_usual_data()
            .unwrap();
        frame(3, pattern::sequenced(100, 3).unwrap())
            .expect_usual_data()
            .unwrap();
        for wrong in [pattern::sequenced(100, 2).unwrap(), vec![0; 100]] {
            assert!(frame(3, wrong).expect_usual_data().is_err());
        }
    }

    #[test]
    fn nothing_read_proves_nothing() {
        let history = History::default();
        assert!(history.last().is_err());
        assert!(history.expect_no_sequence_errors().is_err());
        assert!(history.expect_sequential(Some(1)).is_err());
        assert!(history.expect_intact().is_err());
        assert!(history.expect_no_standstill(Duration::MAX).is_err());
    }

    #[test]
    fn every_byte_of_every_frame_counts() {
        let mut history = History::default();
        history.note_frame(1, Duration::ZERO);
        assert!(history.expect_intact().is_err(), "not compared");
        history.compare(&frame(1, pattern::sequenced(100, 1).unwrap()));
        history.expect_intact().unwrap();
        history.note_frame(2, Duration::ZERO);
        history.compare(&frame(2, pattern::sequenced(100, 1).unwrap()));
        let failure = history.expect_intact().unwrap_err().to_string();
        assert!(failure.contains("found 1"), "{failure}");
        assert!(failure.contains("frame 2: byte 0"), "{failure}");
    }

    #[test]
    fn gaps_and_sequence_errors_are_found() {
        let mut history = History::default();
        history.note_frame(2, Duration::ZERO);
        assert!(history.expect_sequential(None).is_err());
        history.note_frame(3, Duration::ZERO);
        history.expect_sequential(None).unwrap();
        assert!(history.expect_sequential(Some(1)).is_err());
        history.note_frame(5, Duration::ZERO);
        assert!(history.expect_sequential(None).is_err());
        assert_eq!(history.last(), Ok(5));
        history.expect_no_sequence_errors().unwrap();
        history.note_sequence_error("expected 6, got 8".into());
        assert!(history.expect_no_sequence_errors().is_err());
        history.begin_anew();
        assert_eq!(history.count(), 0);
        assert!(history.expect_no_sequence_errors().is_err());
        let failure = history.expect_count(1).unwrap_err().to_string();
        assert!(failure.contains("got 8"), "{failure}");
    }

    #[test]
    fn a_standstill_is_a_long_wait_or_an_end_without_the_writers() {
        let mut history = History::default();
        history.note_frame(1, Duration::from_millis(10));
        let limit = Duration::from_millis(20);
        assert!(history.expect_no_standstill(limit).is_err());
        history.note_writer_left();
        history.expect_no_standstill(limit).unwrap();
        history.note_frame(2, limit);
        assert!(history.expect_no_standstill(limit).is_err());
    }
}
