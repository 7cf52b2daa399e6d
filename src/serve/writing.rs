//! A buffer that this process writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ends::Writer;
use super::failure::{Failure, StepOutcome};
use super::lending::OpenLoan;
use super::pattern;
use crate::{BufferName, Error};

/// How long a write waits for space, unless its step is about a full buffer.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a write waits that is expected to find the buffer full.
pub const FULL_TIMEOUT: Duration = Duration::from_millis(100);

/// How much longer than its timeout a failing write may take.
const FULL_SLACK: Duration = Duration::from_millis(100);

/// How often a write in the background looks whether it is to stop.
const STOP_TICK: Duration = Duration::from_millis(100);

/// A writer, and what it is being used for.
#[derive(Debug)]
pub struct WritingEnd {
    buffer: BufferName,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready(Box<Writer>),
    Lending(OpenLoan),
    Background(Background),
    /// Why there is no writer any more.
    Gone(String),
}

impl WritingEnd {
    /// A writer that has written nothing yet.
    pub fn new(writer: Writer) -> Self {
        WritingEnd {
            buffer: writer.name().clone(),
            state: State::Ready(Box::new(writer)),
        }
    }

    /// The writer.
    ///
    /// # Errors
    ///
    /// A failure that says what the writer is doing instead.
    pub fn writer(&mut self) -> Result<&mut Writer, Failure> {
        self.settle();
        let what = self.what();
        match &mut self.state {
            State::Ready(writer) => Ok(writer),
            _ => Err(Failure::new(what)),
        }
    }

    /// Writes one frame; its sequence number.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::write`].
    pub fn write(&mut self, data: &[u8]) -> Result<u64, Failure> {
        Ok(self.writer()?.write(data)?)
    }

    /// Writes frames of 1024 bytes until the buffer is full; their number.
    ///
    /// # Errors
    ///
    /// If a write fails otherwise, if not even one frame fits, or if the last write did not wait
    /// for its timeout, and no longer.
    pub fn fill(&mut self) -> Result<usize, Failure> {
        let mut count = 0;
        while self.try_write()? {
            count += 1;
        }
        if count == 0 {
            return Err(Failure::new(
                "expected room for a frame, found the buffer full",
            ));
        }
        Ok(count)
    }

    /// Writes into a buffer that is expected to be full.
    ///
    /// # Errors
    ///
    /// If the write succeeds, fails otherwise, or takes less or more than its timeout.
    pub fn expect_full(&mut self) -> StepOutcome {
        if self.try_write()? {
            return Err(Failure::new("expected the write to fail, but it succeeded"));
        }
        Ok(())
    }

    /// Writes one frame of the default size with a short timeout; false if the buffer is full.
    fn try_write(&mut self) -> Result<bool, Failure> {
        let writer = self.writer()?;
        let data = pattern::sequenced(pattern::DEFAULT_FRAME_SIZE, writer.next_sequence());
        writer.set_write_timeout(FULL_TIMEOUT);
        let begun = Instant::now();
        let written = writer.write(&data);
        let took = begun.elapsed();
        writer.set_write_timeout(WRITE_TIMEOUT);
        match written {
            Ok(_) => Ok(true),
            Err(Error::BufferFull { .. }) => expect_timeout(took).map(|()| false),
            Err(error) => Err(error.into()),
        }
    }

    /// Borrows memory for a frame of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the writer does not lend it, or is not there.
    pub fn lend(&mut self, size: usize) -> StepOutcome {
        let writer = self.take_writer("a loan that was refused")?;
        self.state = State::Lending(OpenLoan::open(writer, size)?);
        Ok(())
    }

    /// Fills the borrowed memory with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed.
    pub fn fill_loan(&mut self) -> StepOutcome {
        match &self.state {
            State::Lending(loan) => loan.fill(),
            _ => Err(self.no_loan()),
        }
    }

    /// Sends what was borrowed.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed, or the reader has gone.
    pub fn commit_loan(&mut self) -> StepOutcome {
        let gone = State::Gone("a loan that could not be committed".into());
        match std::mem::replace(&mut self.state, gone) {
            State::Lending(loan) => {
                self.state = State::Ready(Box::new(loan.commit()?));
                Ok(())
            }
            other => {
                self.state = other;
                Err(self.no_loan())
            }
        }
    }

    /// Writes `count` frames of `size` bytes on a thread of their own; the writer is closed when
    /// they are written.
    ///
    /// # Errors
    ///
    /// If the writer is not there. A failing write is an error in the log, and what any later step
    /// on this writer fails with.
    pub fn write_in_background(&mut self, count: usize, size: usize) -> StepOutcome {
        let writer = self.take_writer("a background thread that could not be started")?;
        self.state = State::Background(Background::start(writer, count, size)?);
        Ok(())
    }

    /// Takes the writer out, leaving why it is gone if it does not come back.
    fn take_writer(&mut self, why: &str) -> Result<Writer, Failure> {
        self.writer()?;
        match std::mem::replace(&mut self.state, State::Gone(why.to_owned())) {
            State::Ready(writer) => Ok(*writer),
            other => {
                self.state = other;
                Err(Failure::new(self.what()))
            }
        }
    }

    /// Takes note of writes in the background that have come to their end.
    fn settle(&mut self) {
        if let State::Background(background) = &mut self.state
            && background.is_finished()
        {
            let why = match background.finish() {
                Ok(()) => "all frames were written in the background, then it was closed".into(),
                Err(failure) => format!("writing in the background failed: {failure}"),
            };
            self.state = State::Gone(why);
        }
    }

    fn what(&self) -> String {
        let buffer = &self.buffer;
        match &self.state {
            State::Ready(_) => format!("the writer of '{buffer}' is ready"),
            State::Lending(_) => format!("the writer of '{buffer}' has an open loan"),
            State::Background(_) => {
                format!("the writer of '{buffer}' is writing in the background")
            }
            State::Gone(why) => format!("the writer of '{buffer}' is gone: {why}"),
        }
    }

    fn no_loan(&self) -> Failure {
        Failure::new(format!("expected an open loan, but {}", self.what()))
    }
}

fn expect_timeout(took: Duration) -> StepOutcome {
    let longest = FULL_TIMEOUT + FULL_SLACK;
    if (FULL_TIMEOUT..longest).contains(&took) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected the write to fail after {FULL_TIMEOUT:?} (at most {longest:?}), found {took:?}"
    )))
}

/// Frames being written on a thread of their own. Dropped, the writing is stopped.
#[derive(Debug)]
struct Background {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<StepOutcome>>,
}

impl Background {
    fn start(writer: Writer, count: usize, size: usize) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("background-writer".into())
            .spawn(move || {
                let written = write_all(writer, count, size, &stopped);
                match &written {
                    Ok(()) => tracing::info!("wrote {count} frames in the background"),
                    Err(failure) => tracing::error!("writing in the background: {failure}"),
                }
                written
            })?;
        Ok(Background {
            stop,
            thread: Some(thread),
        })
    }

    fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(&mut self) -> StepOutcome {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(Failure::new("the thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(failure) = self.finish() {
            tracing::warn!("writing in the background ended with: {failure}");
        }
    }
}

fn write_all(mut writer: Writer, count: usize, size: usize, stop: &AtomicBool) -> StepOutcome {
    writer.set_write_timeout(STOP_TICK);
    for written in 0..count {
        let data = pattern::sequenced(size, writer.next_sequence());
        let begun = Instant::now();
        while let Err(error) = writer.write(&data) {
            let patient = begun.elapsed() < WRITE_TIMEOUT && !stop.load(Ordering::Relaxed);
            if !(patient && matches!(error, Error::BufferFull { .. })) {
                let done = format!("{written} of {count} frames written");
                return Err(Failure::from(error).while_doing(done));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, Reader};

    fn pair(test: &str) -> (Reader, WritingEnd) {
        let name = format!("serve-writing-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let config = BufferConfig {
            metadata_size: 64,
            payload_size: 10240,
        };
        let reader = Reader::create(&name, &config).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, WritingEnd::new(writer))
    }

    #[test]
    fn a_full_buffer_is_one_whose_write_waits_its_timeout() {
        let (mut reader, mut writing) = pair("full");
        assert!(writing.expect_full().is_err());
        assert!(writing.fill().unwrap() >= 7);
        writing.expect_full().unwrap();
        assert!(writing.fill().is_err());
        drop(reader.read(Duration::from_secs(5)).unwrap().unwrap());
        writing.write(&[1; 1024]).unwrap();
    }

    #[test]
    fn a_timeout_is_neither_shorter_nor_longer() {
        assert!(expect_timeout(FULL_TIMEOUT - Duration::from_millis(1)).is_err());
        assert!(expect_timeout(FULL_TIMEOUT).is_ok());
        assert!(expect_timeout(FULL_TIMEOUT + FULL_SLACK).is_err());
    }

    #[test]
    fn a_loan_goes_from_step_to_step() {
        let (mut reader, mut writing) = pair("loan");
        assert!(writing.fill_loan().is_err());
        assert!(writing.commit_loan().is_err());
        writing.lend(4096).unwrap();
        let failure = writing.write(b"x").unwrap_err();
        assert!(failure.to_string().contains("open loan"), "{failure}");
        writing.fill_loan().unwrap();
        writing.commit_loan().unwrap();
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.to_vec(), pattern::sequenced(4096, 1));
        assert_eq!(writing.write(b"x").unwrap(), 2);
    }

    #[test]
    fn writing_in_the_background_closes_the_writer_when_done() {
        let (mut reader, mut writing) = pair("background");
        writing.write_in_background(50, 1024).unwrap();
        for sequence in 1..=50 {
            let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
            assert_eq!(frame.to_vec(), pattern::sequenced(1024, sequence));
        }
        let end = reader.read(Duration::from_secs(5));
        assert!(matches!(end, Err(Error::WriterDead { .. })), "{end:?}");
        // The writer is closed a moment before its thread is seen to have ended.
        let begun = Instant::now();
        while matches!(writing.state, State::Background(_)) && begun.elapsed() < WRITE_TIMEOUT {
            writing.settle();
        }
        let failure = writing.write(b"x").unwrap_err();
        assert!(
            failure.to_string().contains("all frames were written"),
            "{failure}"
        );
    }

    #[test]
    fn writing_in_the_background_stops_when_it_is_dropped() {
        let (_reader, mut writing) = pair("stopped");
        writing.write_in_background(1000, 1024).unwrap();
        let begun = Instant::now();
        drop(writing);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
