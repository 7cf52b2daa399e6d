//! Writing that goes on while later steps run, on a thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Writer;
use super::writing::{WRITE_TIMEOUT, frame_data};
use crate::Error;
use crate::serve::failure::{Failure, StepOutcome};
use crate::span::in_current_span;

/// How often a write in the background looks whether it is to stop.
const STOP_TICK: Duration = Duration::from_millis(100);

/// After so long a write that found no room is taken for waiting.
const WAITING: Duration = Duration::from_millis(50);

/// How many writes have to have waited for their reader, where all do: one that goes on for twenty
/// frames holds up no fewer.
const LEAST_WAITS: usize = 15;

/// The fastest pace of a reader that does not tell its own.
const LEAST_PACE: Duration = Duration::from_millis(40);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What is written.
#[derive(Debug)]
pub enum Job {
    /// So many frames of one size, with the data of their sequence numbers. The writer is closed
    /// when they are written.
    Frames {
        /// Number of frames.
        count: usize,
        /// Bytes of each.
        size: usize,
    },
    /// Frames of one size, with the data of their sequence numbers, until the writing is stopped.
    Endless {
        /// Bytes of each.
        size: usize,
    },
    /// One frame.
    One(Vec<u8>),
}

impl Job {
    /// Bytes of each frame.
    fn size(&self) -> usize {
        match self {
            Job::Frames { size, .. } | Job::Endless { size } => *size,
            Job::One(data) => data.len(),
        }
    }
}

/// How far the writing is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Bytes of each frame.
    pub size: usize,
    /// The sequence number of the last frame written; 0 before the first.
    pub last: u64,
    /// How long each write took, from the first on that found no room.
    pub times: Vec<Duration>,
    /// Since when the write in progress has found no room; `None` if it has not.
    pub waiting_since: Option<Instant>,
    /// How the writing failed, if it did.
    pub failure: Option<Failure>,
}

impl Progress {
    /// Checks that the writer was held up by its reader: once the ring had been full, most writes
    /// took at least half as long as the reader takes for a frame; that is its `pace`, if it has told
    /// that.
    ///
    /// # Errors
    ///
    /// If there were too few such writes, or most of them did not wait.
    pub fn expect_paced(&self, pace: Option<Duration>) -> StepOutcome {
        let long = pace.unwrap_or(LEAST_PACE) / 2;
        let count = self.times.len();
        let waited = self.times.iter().filter(|took| **took >= long).count();
        if waited >= LEAST_WAITS.max(count / 2) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected most writes after the ring was full, and at least {LEAST_WAITS}, to have waited \
             for {long:?}, found {waited} of {count}"
        )))
    }

    /// Checks that the writing has not failed.
    ///
    /// # Errors
    ///
    /// How it has.
    pub fn expect_no_failure(&self) -> StepOutcome {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(failure.clone().while_doing("writing in the background")),
        }
    }
}

/// Writing in progress. Dropped, it is stopped.
#[derive(Debug)]
pub struct Background {
    is_endless: bool,
    stop: Arc<AtomicBool>,
    shared: Arc<Mutex<Progress>>,
    /// The writer comes back unless it was to be closed.
    thread: Option<JoinHandle<(Option<Writer>, StepOutcome)>>,
}

impl Background {
    /// Begins to write.
    ///
    /// # Errors
    ///
    /// Those of the system, when threads run out.
    pub fn start(writer: Writer, job: Job) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Mutex::new(Progress {
            size: job.size(),
            ..Progress::default()
        }));
        let is_endless = matches!(job, Job::Endless { .. });
        let scribe = Scribe {
            writer,
            stop: Arc::clone(&stop),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new()
            .name("background-writer".into())
            .spawn(in_current_span(move || scribe.carry_out(job)))?;
        Ok(Background {
            is_endless,
            stop,
            shared,
            thread: Some(thread),
        })
    }

    /// Whether it goes on until it is stopped.
    pub fn is_endless(&self) -> bool {
        self.is_endless
    }

    /// Whether it has come to its end.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// How far it is at this moment.
    pub fn progress(&self) -> Progress {
        lock(&self.shared).clone()
    }

    /// Waits until the frame being written has found no room for a while.
    ///
    /// # Errors
    ///
    /// If it finds room, or the writing ends.
    pub fn await_waiting(&self) -> StepOutcome {
        let begun = Instant::now();
        while begun.elapsed() < WRITE_TIMEOUT {
            let since = self.progress().waiting_since;
            if since.is_some_and(|since| since.elapsed() >= WAITING) {
                return Ok(());
            }
            if self.is_finished() {
                break;
            }
            std::thread::sleep(LOOK);
        }
        let last = self.progress().last;
        Err(Failure::new(format!(
            "expected a write to wait for room for {WAITING:?}, but none did (last frame {last})"
        )))
    }

    /// Has it stop before the next frame, or give up the one that waits for room.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end; the writer, if it was not closed, and how the writing failed, if it did.
    pub fn finish(&mut self) -> (Option<Writer>, StepOutcome) {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(end)) => end,
            Some(Err(_)) => (None, Err(Failure::new("the thread panicked"))),
            None => (None, Ok(())),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
        if let (_, Err(failure)) = self.finish() {
            tracing::warn!("writing in the background ended with: {failure}");
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's side.
struct Scribe {
    writer: Writer,
    stop: Arc<AtomicBool>,
    shared: Arc<Mutex<Progress>>,
}

impl Scribe {
    fn carry_out(mut self, job: Job) -> (Option<Writer>, StepOutcome) {
        let closes = matches!(job, Job::Frames { .. });
        let outcome = match job {
            Job::Frames { count, size } => self.write_many(count, size),
            Job::Endless { size } => self.write_on(size),
            Job::One(data) => self.write(&data, Some(WRITE_TIMEOUT)).map(drop),
        };
        self.writer.set_write_timeout(WRITE_TIMEOUT);
        let mut progress = lock(&self.shared);
        match &outcome {
            Ok(()) => tracing::info!("wrote up to frame {} in the background", progress.last),
            Err(failure) => {
                tracing::error!("writing in the background: {failure}");
                progress.failure = Some(failure.clone());
            }
        }
        drop(progress);
        ((!closes).then_some(self.writer), outcome)
    }

    fn write_many(&mut self, count: usize, size: usize) -> StepOutcome {
        for written in 0..count {
            let data = self.own_data(size);
            let done = data.and_then(|data| self.write(&data, Some(WRITE_TIMEOUT)));
            done.map_err(|failure| {
                failure.while_doing(format!("{written} of {count} frames written"))
            })?;
        }
        Ok(())
    }

    fn write_on(&mut self, size: usize) -> StepOutcome {
        while !self.is_stopped() {
            let data = self.own_data(size)?;
            match self.write(&data, None) {
                Err(_) if self.is_stopped() => break,
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn own_data(&mut self, size: usize) -> Result<Vec<u8>, Failure> {
        let sequence = self.writer.next_sequence();
        frame_data(&mut self.writer, size, sequence)
    }

    /// Writes one frame, however long it waits unless there is a limit.
    fn write(&mut self, data: &[u8], limit: Option<Duration>) -> StepOutcome {
        let begun = Instant::now();
        // At once, to learn whether there is room.
        self.writer.set_write_timeout(Duration::ZERO);
        loop {
            match self.writer.write(data) {
                Ok(sequence) => {
                    self.note_written(sequence, begun.elapsed());
                    return Ok(());
                }
                Err(Error::BufferFull { .. }) if self.has_patience(begun, limit) => {
                    lock(&self.shared).waiting_since.get_or_insert(begun);
                    self.writer.set_write_timeout(STOP_TICK);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_written(&self, sequence: u64, took: Duration) {
        let mut progress = lock(&self.shared);
        progress.last = sequence;
        let waited = progress.waiting_since.take().is_some();
        if waited || !progress.times.is_empty() {
            progress.times.push(took);
        }
    }

    fn has_patience(&self, begun: Instant, limit: Option<Duration>) -> bool {
        !self.is_stopped() && limit.is_none_or(|limit| begun.elapsed() < limit)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::pattern;
    use crate::{BufferConfig, BufferName, Reader};

    const PATIENCE: Duration = Duration::from_secs(5);

    fn pair(test: &str) -> (Reader, Writer) {
        let name = format!("serve-background-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, writer)
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_frame_waits_for_room_and_the_writer_comes_back() {
        let (mut reader, mut writer) = pair("one");
        writer.write(&[1; 1008]).unwrap();
        let mut background = Background::start(writer, Job::One(vec![2; 10])).unwrap();
        wait_until(|| background.progress().waiting_since.is_some());
        background.await_waiting().unwrap();
        assert!(!background.is_finished());
        drop(reader.read(PATIENCE).unwrap().unwrap());
        let (writer, outcome) = background.finish();
        outcome.unwrap();
        assert_eq!(writer.unwrap().next_sequence(), 3);
        let progress = background.progress();
        assert_eq!((progress.last, progress.times.len()), (2, 1));
        assert!(progress.waiting_since.is_none());
    }

    #[test]
    fn endless_writing_tells_its_times_and_stops_when_told_to() {
        let (mut reader, writer) = pair("endless");
        let mut background = Background::start(writer, Job::Endless { size: 112 }).unwrap();
        wait_until(|| background.progress().waiting_since.is_some());
        assert_eq!(background.progress().last, 8);
        assert!(background.progress().times.is_empty());
        std::thread::sleep(Duration::from_millis(20));
        let frame = reader.read(PATIENCE).unwrap().unwrap();
        assert_eq!(frame.to_vec(), pattern::sequenced(112, 1).unwrap());
        drop(frame);
        wait_until(|| background.progress().last == 9);
        assert!(background.progress().times[0] >= Duration::from_millis(20));
        background.stop();
        let (writer, outcome) = background.finish();
        outcome.unwrap();
        assert_eq!(writer.unwrap().next_sequence(), 10);
    }

    #[test]
    fn a_failure_is_kept() {
        let (reader, writer) = pair("failure");
        let mut background = Background::start(writer, Job::Endless { size: 112 }).unwrap();
        drop(reader);
        wait_until(|| background.is_finished());
        let failure = background.progress().failure.unwrap().to_string();
        assert!(failure.contains("has gone"), "{failure}");
        assert!(background.finish().1.is_err());
    }

    #[test]
    fn frames_close_their_writer() {
        let (mut reader, writer) = pair("frames");
        let job = Job::Frames {
            count: 20,
            size: 112,
        };
        let mut background = Background::start(writer, job).unwrap();
        for sequence in 1..=20 {
            let frame = reader.read(PATIENCE).unwrap().unwrap();
            assert_eq!(frame.to_vec(), pattern::sequenced(112, sequence).unwrap());
        }
        let end = reader.read(PATIENCE);
        assert!(matches!(end, Err(Error::WriterDead { .. })), "{end:?}");
        let (writer, outcome) = background.finish();
        assert!(writer.is_none());
        outcome.unwrap();
    }

    #[test]
    fn dropped_it_stops() {
        let (_reader, writer) = pair("dropped");
        let job = Job::Frames {
            count: 1000,
            size: 112,
        };
        let begun = Instant::now();
        drop(Background::start(writer, job).unwrap());
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_writer_is_paced_if_most_of_its_writes_waited() {
        let took = |millis, count| vec![Duration::from_millis(millis); count];
        let paced = |waits: usize, short: usize| {
            let times = [took(50, waits), took(49, short)].concat();
            let progress = Progress {
                times,
                ..Progress::default()
            };
            progress.expect_paced(Some(Duration::from_millis(100)))
        };
        paced(15, 0).unwrap();
        paced(15, 15).unwrap();
        for (waits, short) in [(14, 0), (14, 30), (15, 17), (1, 19), (0, 40)] {
            assert!(paced(waits, short).is_err(), "{waits} and {short}");
        }
        let unpaced = |millis| Progress {
            times: took(millis, 15),
            ..Progress::default()
        };
        unpaced(20).expect_paced(None).unwrap();
        assert!(unpaced(19).expect_paced(None).is_err());
        let failure = Some(Failure::new("lost"));
        let failed = Progress {
            failure,
            ..Progress::default()
        };
        assert!(failed.expect_no_failure().is_err());
    }
}
