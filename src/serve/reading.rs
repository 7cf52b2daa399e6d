//! A buffer that this process reads, and what it has read.

use std::time::Duration;

use super::ends::{Frame, Reader};
use super::failure::{Failure, StepOutcome, expect_equal};
use super::pattern;
use crate::Error;

/// How long a step waits for a frame.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A reader and its history.
#[derive(Debug)]
pub struct ReadingEnd {
    reader: Reader,
    /// The frame last read, as long as its memory has not been given back.
    held: Option<Frame>,
    last: Option<ReadFrame>,
    sequences: Vec<u64>,
    sequence_errors: Vec<String>,
}

/// A copy of a frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrame {
    /// Its sequence number.
    pub sequence: u64,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl ReadFrame {
    fn of(frame: &Frame) -> Self {
        ReadFrame {
            sequence: frame.sequence(),
            data: frame.to_vec(),
        }
    }

    /// Compares every byte with what a frame of this sequence number holds.
    ///
    /// # Errors
    ///
    /// A failure that names the first difference.
    pub fn expect_sequenced_data(&self) -> StepOutcome {
        let expected = pattern::sequenced(self.data.len(), self.sequence);
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

impl ReadingEnd {
    /// A reader that has read nothing yet.
    pub fn new(reader: Reader) -> Self {
        ReadingEnd {
            reader,
            held: None,
            last: None,
            sequences: Vec::new(),
            sequence_errors: Vec::new(),
        }
    }

    /// The reader itself.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Reads the next frame and keeps its memory until [`release`](Self::release) or the next
    /// read.
    ///
    /// # Errors
    ///
    /// If the read fails, or no frame comes within [`READ_TIMEOUT`].
    pub fn read(&mut self) -> Result<&ReadFrame, Failure> {
        self.held = None;
        let frame = self.next_frame()?.ok_or_else(|| {
            Failure::new(format!(
                "expected a frame, found none within {READ_TIMEOUT:?} ({} read before)",
                self.sequences.len()
            ))
        })?;
        let copy = self.last.insert(ReadFrame::of(&frame));
        self.held = Some(frame);
        Ok(copy)
    }

    /// The frame last read.
    ///
    /// # Errors
    ///
    /// If none was read yet.
    pub fn last(&self) -> Result<&ReadFrame, Failure> {
        self.last
            .as_ref()
            .ok_or_else(|| Failure::new("expected a frame to have been read, found none"))
    }

    /// Gives the memory of the frame last read back to the writer.
    ///
    /// # Errors
    ///
    /// If none is held.
    pub fn release(&mut self) -> StepOutcome {
        match self.held.take() {
            Some(_) => Ok(()),
            None => Err(Failure::new(
                "expected a frame whose space can be given back, found none held",
            )),
        }
    }

    /// Reads frame after frame, compares every byte and releases it, until the writer has left and
    /// nothing is unread. Sequence errors are kept for a later step to find. The history begins
    /// anew.
    ///
    /// # Errors
    ///
    /// If a frame holds other data than its sequence number asks for, or a read fails otherwise.
    pub fn read_to_end(&mut self, pause: Duration) -> StepOutcome {
        self.held = None;
        self.sequences.clear();
        loop {
            match self.next_frame() {
                Ok(Some(frame)) => {
                    let copy = ReadFrame::of(&frame);
                    drop(frame);
                    copy.expect_sequenced_data()?;
                    self.last = Some(copy);
                }
                Ok(None) => {
                    return Err(Failure::new(format!(
                        "expected a frame or the writer to leave, found neither within \
                         {READ_TIMEOUT:?} ({} read)",
                        self.sequences.len()
                    )));
                }
                Err(Error::WriterDead { .. }) => break,
                Err(Error::Sequence { .. }) => break,
                Err(error) => return Err(error.into()),
            }
            std::thread::sleep(pause);
        }
        tracing::info!("read {} frames", self.sequences.len());
        Ok(())
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let frame = self.reader.read(READ_TIMEOUT);
        match &frame {
            Ok(Some(frame)) => self.sequences.push(frame.sequence()),
            Err(error @ Error::Sequence { .. }) => {
                tracing::error!("{error}");
                self.sequence_errors.push(error.to_string());
            }
            _ => {}
        }
        frame
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
        if self.sequences.is_empty() {
            return Err(Failure::new(
                "expected frames to have been read, found none",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName, Writer};

    fn pair(test: &str) -> (ReadingEnd, Writer) {
        let name = format!("serve-reading-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let config = BufferConfig {
            metadata_size: 64,
            payload_size: 4096,
        };
        let reader = Reader::create(&name, &config).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (ReadingEnd::new(reader), writer)
    }

    #[test]
    fn a_frame_is_held_until_it_is_released() {
        let (mut reading, mut writer) = pair("held");
        writer.set_write_timeout(Duration::from_millis(10));
        assert!(reading.last().is_err());
        writer.write(&pattern::sequenced(4000, 1)).unwrap();
        reading.read().unwrap().expect_sequenced_data().unwrap();
        assert!(matches!(
            writer.write(&[0; 4000]),
            Err(Error::BufferFull { .. } | Error::FrameTooLarge { .. })
        ));
        reading.release().unwrap();
        writer.write(&[0; 16]).unwrap();
        assert!(reading.release().is_err());
        assert_eq!(reading.last().unwrap().sequence, 1);
    }

    #[test]
    fn the_next_read_gives_the_earlier_frame_back() {
        let (mut reading, mut writer) = pair("next");
        for sequence in 1..=10 {
            writer.write(&pattern::sequenced(1900, sequence)).unwrap();
            reading.read().unwrap().expect_sequenced_data().unwrap();
        }
    }

    #[test]
    fn what_was_read_is_compared() {
        let (mut reading, mut writer) = pair("compared");
        writer.write(&pattern::sequenced(100, 7)).unwrap();
        let frame = reading.read().unwrap().clone();
        assert!(frame.expect_sequenced_data().is_err());
        assert!(frame.expect_size(99).is_err());
        assert!(frame.expect_size(100).is_ok());
        assert!(frame.expect_data(&pattern::sequenced(100, 7)).is_ok());
        assert!(reading.expect_count(2).is_err());
        assert!(reading.expect_sequential(None).is_err());
        assert!(reading.expect_sequential(Some(2)).is_err());
        assert!(reading.expect_sequential(Some(1)).is_ok());
        assert!(reading.expect_no_sequence_errors().is_ok());
    }

    #[test]
    fn reading_ends_when_the_writer_has_left_and_nothing_is_unread() {
        let (mut reading, mut writer) = pair("end");
        for sequence in 1..=3 {
            writer.write(&pattern::sequenced(10, sequence)).unwrap();
        }
        drop(writer);
        reading.read_to_end(Duration::ZERO).unwrap();
        reading.expect_count(3).unwrap();
        reading.expect_sequential(Some(1)).unwrap();
        reading.expect_sequential(None).unwrap();
    }

    #[test]
    fn wrong_data_fails_the_reading() {
        let (mut reading, mut writer) = pair("wrong");
        writer.write(&pattern::sequenced(10, 1)).unwrap();
        writer.write(&pattern::sequenced(10, 1)).unwrap();
        drop(writer);
        let failure = reading.read_to_end(Duration::ZERO).unwrap_err();
        assert!(failure.to_string().contains("frame 2: byte 0"), "{failure}");
    }

    #[test]
    fn nothing_read_is_no_order() {
        let (reading, _writer) = pair("nothing");
        assert!(reading.expect_no_sequence_errors().is_err());
        assert!(reading.expect_sequential(Some(1)).is_err());
    }
}
