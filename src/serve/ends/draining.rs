//! A buffer that is read in the background, while other steps go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::audit::audit;
use super::reading::{READ_TIMEOUT, ReadingEnd};
use super::{Frame, Reader};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::{Field, RawSegment};
use crate::serve::pattern::{self, Stock};
use crate::span::in_current_span;
use crate::{BufferName, Error};

/// How long one wait for a frame takes before a look whether the reading is to stop.
const STOP_TICK: Duration = Duration::from_millis(100);

/// How many bytes are compared at each end of a frame.
const COMPARED: usize = 64;

/// Frames being read on a thread of their own: each is copied out, compared at both ends, and given
/// back. Dropped, the reading is stopped.
#[derive(Debug)]
pub struct Draining {
    buffer: BufferName,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(ReadingEnd, Drained), Failure>>>,
}

/// What was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Drained {
    frames: u64,
    last_sequence: u64,
}

impl Draining {
    /// Begins to read; after each frame the reader does nothing for the time of a `pause`.
    ///
    /// # Errors
    ///
    /// When threads run out.
    pub fn start(mut reading: ReadingEnd, pause: Duration) -> Result<Draining, Failure> {
        let buffer = reading.buffer().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("background-reader".into())
            .spawn(in_current_span(move || {
                let drained = reading
                    .reader()
                    .and_then(|reader| drain(reader, pause, &stopped));
                if let Err(failure) = &drained {
                    tracing::error!("reading in the background: {failure}");
                }
                // A reader that has failed goes at once, so that its writer learns of it.
                Ok((reading, drained?))
            }))?;
        Ok(Draining {
            buffer,
            stop,
            thread: Some(thread),
        })
    }

    /// The buffer that it reads.
    pub fn buffer(&self) -> &BufferName {
        &self.buffer
    }

    /// Ends the reading once nothing is unread, and checks that every frame was read that was
    /// written: as their numbers say, and as both sides have counted; and that the buffer's account is
    /// in order.
    ///
    /// # Errors
    ///
    /// If frames are left, are missing, or were wrong, or there was none; what is not in order.
    pub fn expect_all_read(&mut self) -> StepOutcome {
        let raw = RawSegment::open(&self.buffer)?;
        let begun = Instant::now();
        while raw.used()? > 0 && begun.elapsed() < READ_TIMEOUT && !self.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let counts = (
            raw.get(Field::PayloadWrittenCount)?,
            raw.get(Field::PayloadReadCount)?,
            raw.used()?,
        );
        let ended = self.finish()?;
        let (mut reading, drained) = ended
            .ok_or_else(|| Failure::new("expected a reader in the background, found it ended"))?;
        tracing::info!("read {} frames in the background", drained.frames);
        if drained.frames == 0 {
            return Err(Failure::new(
                "expected frames to have been read, found none",
            ));
        }
        expect_equal("frames read", drained.last_sequence, drained.frames)?;
        expect_equal("payload_read_count", counts.0, counts.1)?;
        expect_equal("bytes that are still unread", 0, counts.2)?;
        match audit([&mut reading]).pop() {
            None => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    /// Asks the reading to stop, and waits for nothing.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Ends the reading; the reader, if that had not ended before.
    ///
    /// # Errors
    ///
    /// How it has failed.
    pub fn end(&mut self) -> Result<Option<ReadingEnd>, Failure> {
        let ended = self.finish();
        let ended = ended.map_err(|failure| failure.while_doing("reading in the background"));
        Ok(ended?.map(|(reading, _)| reading))
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(&mut self) -> Result<Option<(ReadingEnd, Drained)>, Failure> {
        self.stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(drained)) => drained.map(Some),
            Some(Err(_)) => Err(Failure::new("the thread panicked")),
            None => Ok(None),
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        self.stop();
        // What went wrong is in the log already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn drain(reader: &mut Reader, pause: Duration, stop: &AtomicBool) -> Result<Drained, Failure> {
    // A frame is at most as large as the ring.
    let stock = Stock::new(COMPARED)?;
    let mut copy = vec![0; reader.payload_size()];
    let mut drained = Drained::default();
    while !stop.load(Ordering::Relaxed) {
        match reader.read(STOP_TICK) {
            Ok(Some(frame)) => {
                compare_ends(&frame, &mut copy, &stock)?;
                drained.frames += 1;
                drained.last_sequence = frame.sequence();
                drop(frame);
                if !pause.is_zero() {
                    std::thread::sleep(pause);
                }
            }
            Ok(None) => {}
            Err(Error::WriterDead { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(drained)
}

fn compare_ends(frame: &Frame, copy: &mut [u8], stock: &Stock) -> StepOutcome {
    let copied = frame.copy_to(copy);
    let what = format!("frame {}", frame.sequence());
    let compared = copied.min(COMPARED);
    let tail = copied - compared;
    for begin in [0, tail] {
        let expected = stock.sequenced(compared, frame.sequence().wrapping_add(begin as u64));
        pattern::compare(&what, expected, &copy[begin..][..compared])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BufferConfig;
    use crate::serve::ends::Writer;

    fn pair(test: &str) -> (Draining, Writer) {
        let name = format!("serve-draining-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(64, 4096)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        let draining = Draining::start(ReadingEnd::new(reader), Duration::ZERO);
        (draining.unwrap(), writer)
    }

    #[test]
    fn all_frames_are_read_and_counted() {
        let (mut draining, mut writer) = pair("all");
        for sequence in 1..=100 {
            writer
                .write(&pattern::sequenced(1000, sequence).unwrap())
                .unwrap();
        }
        draining.expect_all_read().unwrap();
        assert!(draining.expect_all_read().is_err());
    }

    #[test]
    fn a_post_too_many_is_told_when_all_is_read() {
        let (mut draining, mut writer) = pair("posts");
        writer.write(&pattern::sequenced(1000, 1).unwrap()).unwrap();
        let raw = RawSegment::open(writer.name()).unwrap();
        let begun = Instant::now();
        while raw.used().unwrap() > 0 {
            assert!(begun.elapsed() < READ_TIMEOUT);
        }
        raw.set_data_posts(2).unwrap();
        let failure = draining.expect_all_read().unwrap_err().to_string();
        assert!(failure.contains("posts for frames"), "{failure}");
    }

    #[test]
    fn the_reader_comes_back_once_at_the_end() {
        let (mut draining, mut writer) = pair("end");
        let reading = draining.end().unwrap().unwrap();
        assert_eq!(reading.buffer(), draining.buffer());
        assert!(draining.end().unwrap().is_none());
        writer.write(b"unread").unwrap();
        let (mut draining, mut writer) = pair("wrong-end");
        writer.write(b"no sequenced data").unwrap();
        // It is gone with its error.
        let begun = Instant::now();
        while !draining.has_ended() {
            assert!(begun.elapsed() < READ_TIMEOUT);
        }
        assert!(matches!(writer.write(b"x"), Err(Error::ReaderDead { .. })));
        let failure = draining.end().unwrap_err().to_string();
        assert!(failure.contains("frame 1: byte"), "{failure}");
    }

    #[test]
    fn nothing_written_is_nothing_read() {
        let (mut draining, _writer) = pair("none");
        let failure = draining.expect_all_read().unwrap_err();
        assert!(failure.to_string().contains("found none"), "{failure}");
    }

    #[test]
    fn both_ends_of_a_frame_are_compared() {
        for wrong in [0, 999] {
            let (mut draining, mut writer) = pair(&format!("wrong-{wrong}"));
            let mut data = pattern::sequenced(1000, 1).unwrap();
            data[wrong] ^= 1;
            writer.write(&data).unwrap();
            let failure = draining.expect_all_read().unwrap_err();
            assert!(failure.to_string().contains("frame 1: byte"), "{failure}");
        }
    }

    #[test]
    fn the_reading_stops_when_it_is_dropped() {
        let (draining, mut writer) = pair("dropped");
        drop(draining);
        assert!(matches!(writer.write(b"x"), Err(Error::ReaderDead { .. })));
    }
}
