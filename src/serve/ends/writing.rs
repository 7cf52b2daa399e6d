//! A buffer that this process writes.

use std::time::{Duration, Instant};

use super::Writer;
use super::audit::audit_orphan;
use super::background::{Background, Job, Progress};
use super::lending::OpenLoan;
use super::occupation::{Occupation, WaitingFrame};
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::outside::ring_state::RingState;
use crate::serve::outside::segment::{Field, RawSegment};
use crate::serve::outside::written::{Written, expect_last};
use crate::serve::pattern;
use crate::{BufferName, Error};

/// How long a write waits for space, unless its step is about a full buffer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// A writer, and what it is being used for.
#[derive(Debug)]
pub struct WritingEnd {
    buffer: BufferName,
    occupation: Occupation,
    /// The frame last written by a step that another one asks about.
    last: Option<Written>,
    /// How far writing in the background came that is over.
    progress: Option<Progress>,
    /// The size that steps call large.
    large: Option<usize>,
}

impl WritingEnd {
    /// A writer that has written nothing yet.
    pub fn new(writer: impl Into<Writer>) -> Self {
        let writer = writer.into();
        WritingEnd {
            buffer: writer.name().clone(),
            occupation: Occupation::Ready(Box::new(writer)),
            last: None,
            progress: None,
            large: None,
        }
    }

    /// The buffer that it writes to.
    pub fn buffer(&self) -> &BufferName {
        &self.buffer
    }

    /// The writer. A frame that waits for room is waited for; writing without end is stopped.
    ///
    /// # Errors
    ///
    /// A failure that says what the writer is doing instead, or how what it did in the background
    /// has failed.
    pub fn writer(&mut self) -> Result<&mut Writer, Failure> {
        self.settle()?;
        let what = self.what();
        match &mut self.occupation {
            Occupation::Ready(writer) => Ok(writer),
            _ => Err(Failure::new(what)),
        }
    }

    /// Checks what it wrote for a reader that has died before it read anything.
    ///
    /// # Errors
    ///
    /// A failure that says what is wrong.
    pub fn audit(&self) -> StepOutcome {
        match &self.occupation {
            Occupation::Ready(writer) => audit_orphan(writer),
            _ => Ok(()),
        }
    }

    /// Writes one frame, and looks at it in the ring; its sequence number.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::write`]; if something else stands there.
    pub fn write(&mut self, data: &[u8]) -> Result<u64, Failure> {
        let sequence = self.writer()?.write(data)?;
        self.look_at(sequence, data)?;
        Ok(sequence)
    }

    /// Checks that the frame last written stands in the ring as it was given: nobody overwrites it
    /// before the next one is written. A buffer that has gone since cannot be looked at.
    pub(super) fn look_at(&self, sequence: u64, data: &[u8]) -> StepOutcome {
        let Some(raw) = RawSegment::find(&self.buffer)? else {
            return Ok(());
        };
        if raw.get(Field::WriterPid)? != u64::from(std::process::id()) {
            return Ok(());
        }
        let found = expect_last(&raw, sequence, data);
        found.map_err(|failure| failure.while_doing("looking at the frame just written"))?;
        Ok(())
    }

    /// Writes one frame with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::write`].
    pub fn write_own(&mut self, size: usize) -> Result<u64, Failure> {
        let data = self.own_data(size)?;
        self.write(&data)
    }

    /// The data that the next frame gets if it is made of its sequence number.
    ///
    /// # Errors
    ///
    /// As [`data`](Self::data).
    pub fn own_data(&mut self, size: usize) -> Result<Vec<u8>, Failure> {
        let sequence = self.writer()?.next_sequence();
        self.data(size, sequence)
    }

    /// The data that is made of a sequence number, for the next frame.
    ///
    /// # Errors
    ///
    /// If the writer is not there, or refuses a frame of that size in any case.
    pub fn data(&mut self, size: usize, sequence: u64) -> Result<Vec<u8>, Failure> {
        frame_data(self.writer()?, size, sequence)
    }

    /// Writes one frame, which later steps can ask about: at once, or if there is no room in the
    /// background.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::write`] but for a full buffer. If there is no room for
    /// [`WRITE_TIMEOUT`], the next step on this writer fails.
    pub fn write_or_wait(&mut self, data: Vec<u8>) -> StepOutcome {
        let writer = self.writer()?;
        let before = RingState::now(writer.name())?;
        writer.set_write_timeout(Duration::ZERO);
        let written = writer.write(&data);
        writer.set_write_timeout(WRITE_TIMEOUT);
        match written {
            Ok(sequence) => {
                self.look_at(sequence, &data)?;
                self.last = Some(Written {
                    sequence,
                    data,
                    before,
                    waited: false,
                });
                Ok(())
            }
            Err(Error::BufferFull { .. }) => self.wait_with(data, before),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_with(&mut self, data: Vec<u8>, before: RingState) -> StepOutcome {
        tracing::info!("no room for {} bytes yet: waiting", data.len());
        let writer = self.take_writer("a background thread that could not be started")?;
        self.occupation = Occupation::Waiting(WaitingFrame::start(writer, data, before)?);
        Ok(())
    }

    /// The frame last written with [`write_or_wait`](Self::write_or_wait), now that it is.
    ///
    /// # Errors
    ///
    /// If it could not be written, or there is none.
    pub fn last_written(&mut self) -> Result<&Written, Failure> {
        self.settle()?;
        let last = self.last.as_ref();
        last.ok_or_else(|| Failure::new("expected a frame to have been written, found none"))
    }

    /// Sets what [`large`](Self::large) frames are, in bytes.
    pub fn set_large(&mut self, size: usize) {
        self.large = Some(size);
    }

    /// The size of a large frame.
    ///
    /// # Errors
    ///
    /// If no step has said what is large.
    pub fn large(&self) -> Result<usize, Failure> {
        let unknown = || Failure::new("expected a large frame to have been written, found none");
        self.large.ok_or_else(unknown)
    }

    /// Checks that a frame waits for room, has done so for a while, and has changed nothing yet.
    ///
    /// # Errors
    ///
    /// If no frame waits, or it was written meanwhile.
    pub fn expect_waiting_frame(&self) -> StepOutcome {
        let Occupation::Waiting(frame) = &self.occupation else {
            return Err(Failure::new(format!(
                "expected a frame that waits for room, but {}",
                self.what()
            )));
        };
        frame.expect_waiting(&self.buffer)
    }

    /// Borrows memory for a frame of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the writer does not lend it, or is not there.
    pub fn lend(&mut self, size: usize) -> StepOutcome {
        let writer = self.take_writer("a loan that was refused")?;
        self.occupation = Occupation::Lending(OpenLoan::open(writer, size)?);
        Ok(())
    }

    /// Fills the borrowed memory with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed.
    pub fn fill_loan(&mut self) -> StepOutcome {
        self.loan()?.fill()
    }

    /// Fills the first half of the borrowed memory.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed.
    pub fn fill_half_loan(&mut self) -> StepOutcome {
        self.loan()?.fill_half()
    }

    fn loan(&mut self) -> Result<&mut OpenLoan, Failure> {
        let none = self.no_loan();
        match &mut self.occupation {
            Occupation::Lending(loan) => Ok(loan),
            _ => Err(none),
        }
    }

    /// Sends what was borrowed.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed, or the reader has gone.
    pub fn commit_loan(&mut self) -> StepOutcome {
        Ok(self.try_commit_loan()??)
    }

    /// Sends what was borrowed; the error if the reader has gone.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed.
    pub fn try_commit_loan(&mut self) -> Result<Result<(), Error>, Failure> {
        let gone = Occupation::Gone("a loan that could not be committed".into());
        match std::mem::replace(&mut self.occupation, gone) {
            Occupation::Lending(loan) => {
                let filled = loan.filled();
                let (writer, committed) = loan.commit()?;
                let sequence = writer.next_sequence() - 1;
                self.occupation = Occupation::Ready(Box::new(writer));
                if let (Ok(()), Some(size)) = (&committed, filled) {
                    self.look_at(sequence, &pattern::sequenced(size, sequence)?)?;
                }
                Ok(committed)
            }
            other => {
                self.occupation = other;
                Err(self.no_loan())
            }
        }
    }

    /// Whether memory was borrowed and not sent yet.
    pub fn has_loan(&self) -> bool {
        matches!(self.occupation, Occupation::Lending(_))
    }

    /// Writes `count` frames of `size` bytes on a thread of their own; the writer is closed when
    /// they are written.
    ///
    /// # Errors
    ///
    /// If the writer is not there. A failing write is an error in the log, and what any later step
    /// on this writer fails with.
    pub fn write_in_background(&mut self, count: usize, size: usize) -> StepOutcome {
        self.start(Job::Frames { count, size })
    }

    /// Writes frames of `size` bytes on a thread of their own, until another step needs the writer.
    ///
    /// # Errors
    ///
    /// If the writer is not there.
    pub fn write_endlessly(&mut self, size: usize) -> StepOutcome {
        self.start(Job::Endless { size })
    }

    fn start(&mut self, job: Job) -> StepOutcome {
        let writer = self.take_writer("a background thread that could not be started")?;
        self.progress = None;
        self.occupation = Occupation::Background(Background::start(writer, job)?);
        Ok(())
    }

    /// How far writing in the background is, or came.
    ///
    /// # Errors
    ///
    /// If nothing was written there.
    pub fn progress(&self) -> Result<Progress, Failure> {
        let progress = match &self.occupation {
            Occupation::Background(background) => Some(background.progress()),
            _ => self.progress.clone(),
        };
        progress.ok_or_else(|| {
            Failure::new(format!(
                "expected frames to be written in the background, but {}",
                self.what()
            ))
        })
    }

    /// Waits until the frame being written in the background has found no room for a while.
    ///
    /// # Errors
    ///
    /// If it finds room all the time, or nothing is being written.
    pub fn await_full(&self) -> StepOutcome {
        match &self.occupation {
            Occupation::Background(background) => background.await_waiting(),
            _ => Err(Failure::new(format!(
                "expected the writer to wait for room, but {}",
                self.what()
            ))),
        }
    }

    /// The number of frames that were written, now that none is being written any more.
    ///
    /// # Errors
    ///
    /// If writing in the background has failed, or goes on to an end of its own.
    pub fn count_written(&mut self) -> Result<u64, Failure> {
        if let Occupation::Background(background) = &self.occupation {
            // The reader may see the writer go a moment before its thread has ended.
            let begun = Instant::now();
            while !background.is_endless()
                && !background.is_finished()
                && begun.elapsed() < WRITE_TIMEOUT
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.settle()?;
        match (&self.occupation, &self.progress) {
            (Occupation::Ready(writer), _) => Ok(writer.next_sequence() - 1),
            (Occupation::Gone(_), Some(progress)) => {
                progress.expect_no_failure()?;
                Ok(progress.last)
            }
            _ => Err(Failure::new(self.what())),
        }
    }

    /// Closes the writer.
    pub fn close(&mut self, why: &str) {
        self.occupation = Occupation::Gone(why.to_owned());
    }

    /// Takes the writer out, leaving why it is gone if it does not come back.
    ///
    /// # Errors
    ///
    /// A failure that says what the writer is doing instead.
    pub fn take_writer(&mut self, why: &str) -> Result<Writer, Failure> {
        self.writer()?;
        match std::mem::replace(&mut self.occupation, Occupation::Gone(why.to_owned())) {
            Occupation::Ready(writer) => Ok(*writer),
            other => {
                self.occupation = other;
                Err(Failure::new(self.what()))
            }
        }
    }

    /// Takes note of writing in the background that has come to its end, or comes to it now.
    fn settle(&mut self) -> StepOutcome {
        match &self.occupation {
            Occupation::Waiting(_) => {}
            Occupation::Background(background) if background.is_endless() => background.stop(),
            Occupation::Background(background) if background.is_finished() => {}
            _ => return Ok(()),
        }
        let ended = std::mem::replace(&mut self.occupation, Occupation::Gone(String::new()));
        match ended {
            Occupation::Waiting(frame) => self.settle_frame(frame),
            Occupation::Background(background) => self.settle_background(background),
            other => {
                self.occupation = other;
                Ok(())
            }
        }
    }

    fn settle_frame(&mut self, frame: WaitingFrame) -> StepOutcome {
        let (writer, written) = frame.finish();
        let outcome = written.map(|written| self.last = Some(written));
        self.occupation = Occupation::after(writer, &outcome);
        outcome
    }

    fn settle_background(&mut self, mut background: Background) -> StepOutcome {
        let (writer, outcome) = background.finish();
        self.progress = Some(background.progress());
        let is_closed = writer.is_none();
        self.occupation = Occupation::after(writer, &outcome);
        // A writer that is gone says why, to this step and to every later one.
        if is_closed { Ok(()) } else { outcome }
    }

    fn what(&self) -> String {
        self.occupation.of_writer(&self.buffer)
    }

    fn no_loan(&self) -> Failure {
        Failure::new(format!("expected an open loan, but {}", self.what()))
    }
}

/// The data that is made of a sequence number, for the next frame of a writer. One that the ring is too
/// small for is refused before memory is taken for its data.
pub(super) fn frame_data(
    writer: &mut Writer,
    size: usize,
    sequence: u64,
) -> Result<Vec<u8>, Failure> {
    if size > writer.payload_size() {
        let _ = writer.loan(size)?;
    }
    pattern::sequenced(size, sequence)
}

#[cfg(test)]
mod tests;
