//! A buffer that this process reads, and what it has read.

use std::time::{Duration, Instant};

use super::audit::left_out;
use super::history::{History, ReadFrame};
use super::waiting::{ReadTimes, WaitingRead};
use super::{Frame, Reader};
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::outside::ring_state::RingState;
use crate::serve::outside::space::Space;
use crate::{BufferName, Error};

/// How long a step waits for a frame.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a step waits for a frame that may not come.
pub const SHORT_TIMEOUT: Duration = Duration::from_millis(200);

/// A reader and its history.
#[derive(Debug)]
pub struct ReadingEnd {
    buffer: BufferName,
    state: State,
    /// The frame last read, as long as its memory has not been given back.
    held: Option<Frame>,
    last: Option<ReadFrame>,
    /// The ring before the frame last read, where a step asked for it.
    before: Option<RingState>,
    history: History,
    /// Metadata that a step has seen, for a later one to compare.
    seen_metadata: Option<Vec<u8>>,
    /// The pause after each frame that a step has asked for.
    pub(super) pace: Option<Duration>,
    /// What the reader has found wrong with the buffer.
    flaw: Flaw,
}

/// How far a buffer can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The frames' numbers are wrong.
    Numbers,
    /// Nothing can be said of it.
    Corrupt,
}

#[derive(Debug)]
enum State {
    Ready(Box<Reader>),
    Waiting(WaitingRead),
    /// The read that waited has panicked.
    Lost,
}

impl ReadingEnd {
    /// A reader that has read nothing yet.
    pub fn new(reader: impl Into<Reader>) -> Self {
        let reader = reader.into();
        ReadingEnd {
            buffer: reader.name().clone(),
            state: State::Ready(Box::new(reader)),
            held: None,
            last: None,
            before: None,
            history: History::default(),
            seen_metadata: None,
            pace: None,
            flaw: Flaw::None,
        }
    }

    /// The buffer that it reads.
    pub fn buffer(&self) -> &BufferName {
        &self.buffer
    }

    /// The reader itself.
    ///
    /// # Errors
    ///
    /// If it waits for a frame in the background.
    pub fn reader(&mut self) -> Result<&mut Reader, Failure> {
        match &mut self.state {
            State::Ready(reader) => Ok(reader),
            State::Waiting(_) => Err(still_waiting()),
            State::Lost => Err(lost()),
        }
    }

    /// What has been read.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The reader alone: the history ends.
    ///
    /// # Errors
    ///
    /// If it waits for a frame in the background.
    pub fn into_reader(self) -> Result<Reader, Failure> {
        match self.state {
            State::Ready(reader) => Ok(*reader),
            State::Waiting(_) => Err(still_waiting()),
            State::Lost => Err(lost()),
        }
    }

    /// Reads the next frame and keeps its memory until [`release`](Self::release) or the next
    /// read.
    ///
    /// # Errors
    ///
    /// If the read fails, or no frame comes within [`READ_TIMEOUT`].
    pub fn read(&mut self) -> Result<&ReadFrame, Failure> {
        self.held = None;
        let frame = self.next_frame(READ_TIMEOUT)??.ok_or_else(|| {
            Failure::new(format!(
                "expected a frame, found none within {READ_TIMEOUT:?} ({} read before)",
                self.history.count()
            ))
        })?;
        let copy = self.last.insert(copy_of(&frame));
        self.held = Some(frame);
        Ok(copy)
    }

    /// As [`read`](Self::read), and keeps what the ring's account was before.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_observed(&mut self) -> Result<&ReadFrame, Failure> {
        // The account after the release, which the read itself does not change.
        self.held = None;
        self.before = Some(RingState::now(&self.buffer)?);
        self.read()
    }

    /// The ring before the frame last read with [`read_observed`](Self::read_observed).
    ///
    /// # Errors
    ///
    /// If none was.
    pub fn before(&self) -> Result<RingState, Failure> {
        let unknown = || Failure::new("expected a frame to have been read by a step before");
        self.before.ok_or_else(unknown)
    }

    /// Reads the next frame; what came of it is the caller's to judge.
    ///
    /// # Errors
    ///
    /// If neither a frame nor an error comes within [`READ_TIMEOUT`].
    pub fn try_read(&mut self) -> Result<Result<(), Error>, Failure> {
        self.held = None;
        match self.next_frame(READ_TIMEOUT)? {
            Ok(Some(frame)) => {
                self.last = Some(copy_of(&frame));
                self.held = Some(frame);
                Ok(Ok(()))
            }
            Ok(None) => Err(Failure::new(format!(
                "expected a frame or an error, found neither within {READ_TIMEOUT:?}"
            ))),
            Err(error) => Ok(Err(error)),
        }
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

    /// The frame last read, whose memory has not been given back.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn held(&self) -> Result<&Frame, Failure> {
        let none = || Failure::new("expected a frame that is held, found none");
        self.held.as_ref().ok_or_else(none)
    }

    /// Gives the memory of the frame last read back to the writer, and looks that it has it.
    ///
    /// # Errors
    ///
    /// If none is held, or the memory is not free or the writer not told.
    pub fn release(&mut self) -> StepOutcome {
        let none =
            || Failure::new("expected a frame whose space can be given back, found none held");
        let frame = self.held.take().ok_or_else(none)?;
        let space = Space::of(&self.buffer)?;
        drop(frame);
        space.expect_given_back()
    }

    /// Waits a moment for a frame that is not expected.
    ///
    /// # Errors
    ///
    /// If one comes, or the read fails.
    pub fn expect_no_frame(&mut self) -> StepOutcome {
        self.held = None;
        match self.next_frame(SHORT_TIMEOUT)?? {
            None => Ok(()),
            Some(frame) => Err(Failure::new(format!(
                "expected no frame, found one of {} bytes with sequence {}",
                frame.len(),
                frame.sequence()
            ))),
        }
    }

    /// Begins to wait for a frame in the background.
    ///
    /// # Errors
    ///
    /// If it does not come to wait.
    pub fn wait_in_background(&mut self) -> StepOutcome {
        self.reader()?;
        self.held = None;
        if let State::Ready(reader) = std::mem::replace(&mut self.state, State::Lost) {
            self.state = State::Waiting(WaitingRead::start(*reader, READ_TIMEOUT)?);
        }
        Ok(())
    }

    /// Waits until the read in the background has ended; what came of it, a frame or not, and how
    /// long it took.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn join_wait(&mut self) -> Result<(Result<bool, Error>, ReadTimes), Failure> {
        match std::mem::replace(&mut self.state, State::Lost) {
            State::Waiting(waiting) => {
                let (ended, times) = waiting.join()?;
                self.state = State::Ready(Box::new(ended.reader));
                let result = ended.result.map(|frame| {
                    self.held = frame;
                    self.held.is_some()
                });
                Ok((result, times))
            }
            other => {
                self.state = other;
                Err(Failure::new("expected a read that waits, found none"))
            }
        }
    }

    /// Whether the reader has found something wrong, which a check of the account leaves out.
    pub fn has_found_flaw(&self) -> bool {
        self.flaw != Flaw::None
    }

    /// The reader, holding no frame, for a check of its buffer's account, and whether the frames'
    /// numbers are to be looked at. Says so in the log where there is nothing to be checked.
    pub(super) fn auditable(&mut self) -> Option<(&mut Reader, bool)> {
        self.held = None;
        let why = match (&mut self.state, self.flaw) {
            (State::Ready(reader), Flaw::None) => return Some((reader, true)),
            (State::Ready(reader), Flaw::Numbers) => return Some((reader, false)),
            (State::Ready(_), Flaw::Corrupt) => "its reader has found it corrupt",
            (State::Waiting(_), _) => "its reader waits in the background",
            (State::Lost, _) => "its reader was lost in a read that panicked",
        };
        left_out(self.buffer.as_str(), why);
        None
    }

    /// Remembers the metadata that is there; a copy.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn see_metadata(&mut self) -> Result<Vec<u8>, Failure> {
        let found = self.reader()?.metadata()?;
        let found = found.ok_or_else(|| Failure::new("expected metadata, found none"))?;
        Ok(self.seen_metadata.insert(found).clone())
    }

    /// The metadata seen by an earlier step.
    ///
    /// # Errors
    ///
    /// If none was.
    pub fn seen_metadata(&self) -> Result<&[u8], Failure> {
        let seen = self.seen_metadata.as_deref();
        seen.ok_or_else(|| Failure::new("expected metadata to have been read before, found none"))
    }

    /// Gives the memory of the frame last read back, and begins a history.
    pub(super) fn begin_anew(&mut self) {
        self.held = None;
        self.history.begin_anew();
    }

    /// Reads a frame, compares and releases it; whether one came.
    pub(super) fn take_frame(&mut self, timeout: Duration) -> Result<Result<bool, Error>, Failure> {
        let frame = match self.next_frame(timeout)? {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Ok(false)),
            Err(error) => return Ok(Err(error)),
        };
        let copy = copy_of(&frame);
        drop(frame);
        self.history.compare(&copy);
        self.last = Some(copy);
        Ok(Ok(true))
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Result<Option<Frame>, Error>, Failure> {
        let begun = Instant::now();
        let frame = self.reader()?.read(timeout);
        match &frame {
            Ok(Some(frame)) => self.history.note_frame(frame.sequence(), begun.elapsed()),
            Ok(None) => {}
            Err(Error::WriterDead { .. }) => self.history.note_writer_left(),
            Err(Error::Corrupt { .. }) => self.flaw = Flaw::Corrupt,
            Err(error @ Error::Sequence { .. }) => {
                self.flaw = Flaw::Numbers;
                tracing::error!("{error}");
                self.history.note_sequence_error(error.to_string());
            }
            Err(_) => {}
        }
        Ok(frame)
    }
}

fn copy_of(frame: &Frame) -> ReadFrame {
    ReadFrame {
        sequence: frame.sequence(),
        data: frame.to_vec(),
    }
}

fn still_waiting() -> Failure {
    Failure::new("the reader waits in the background")
}

fn lost() -> Failure {
    Failure::new("the reader was lost in a read that panicked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::pattern;
    use crate::{BufferConfig, Writer};

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
        writer.write(&pattern::sequenced(4000, 1).unwrap()).unwrap();
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
            writer
                .write(&pattern::sequenced(1900, sequence).unwrap())
                .unwrap();
            reading.read().unwrap().expect_sequenced_data().unwrap();
        }
    }

    #[test]
    fn what_was_read_is_compared() {
        let (mut reading, mut writer) = pair("compared");
        writer.write(&pattern::sequenced(100, 7).unwrap()).unwrap();
        let frame = reading.read().unwrap().clone();
        assert!(frame.expect_sequenced_data().is_err());
        assert!(frame.expect_size(99).is_err());
        assert!(frame.expect_size(100).is_ok());
        assert!(
            frame
                .expect_data(&pattern::sequenced(100, 7).unwrap())
                .is_ok()
        );
        assert!(reading.history().expect_count(2).is_err());
        assert!(reading.history().expect_sequential(None).is_err());
        assert!(reading.history().expect_sequential(Some(2)).is_err());
        assert!(reading.history().expect_sequential(Some(1)).is_ok());
        assert!(reading.history().expect_no_sequence_errors().is_ok());
    }

    #[test]
    fn what_was_before_a_read_is_known() {
        let (mut reading, mut writer) = pair("before");
        assert!(reading.before().is_err());
        writer.write(&[1; 84]).unwrap();
        writer.write(&[1; 84]).unwrap();
        reading.read().unwrap();
        reading.read_observed().unwrap();
        let before = reading.before().unwrap();
        assert_eq!((before.read_pos, before.read_count), (100, 1));
        assert_eq!(before.free, 4096 - 100);
        assert_eq!(reading.held().unwrap().len(), 84);
        reading.release().unwrap();
        assert!(reading.held().is_err());
    }

    #[test]
    fn a_wait_goes_on_from_step_to_step() {
        let (mut reading, mut writer) = pair("wait");
        assert!(reading.join_wait().is_err());
        reading.wait_in_background().unwrap();
        assert!(reading.read().is_err());
        assert!(reading.wait_in_background().is_err());
        writer.write(b"x").unwrap();
        let (result, _) = reading.join_wait().unwrap();
        assert!(result.unwrap());
        assert_eq!(reading.held().unwrap().to_vec(), b"x");
        drop(writer);
        assert!(matches!(
            reading.try_read().unwrap(),
            Err(Error::WriterDead { .. })
        ));
    }

    #[test]
    fn metadata_is_remembered() {
        let (mut reading, mut writer) = pair("metadata");
        assert!(reading.see_metadata().is_err());
        assert!(reading.seen_metadata().is_err());
        writer.set_metadata(b"abc").unwrap();
        assert_eq!(reading.see_metadata().unwrap(), b"abc");
        assert_eq!(reading.seen_metadata().unwrap(), b"abc");
    }
}
