//! A read that waits on a thread of its own while later steps run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Frame, Reader};
use crate::Error;
use crate::channel::Interrupt;
use crate::serve::death::is_alive;
use crate::serve::failure::Failure;
use crate::serve::outside::segment::{Field, RawSegment};
use crate::span::in_current_span;

/// How often the writer's process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A read that waits, and somebody who watches the writer meanwhile. Dropped, it is ended.
#[derive(Debug)]
pub struct WaitingRead {
    begun: Instant,
    interrupt: Interrupt,
    has_ended: Arc<AtomicBool>,
    /// `None` once they were joined.
    threads: Option<(JoinHandle<EndedRead>, JoinHandle<Option<Instant>>)>,
}

/// A read that has waited.
#[derive(Debug)]
pub struct EndedRead {
    /// The reader, free again.
    pub reader: Reader,
    /// What came of it.
    pub result: Result<Option<Frame>, Error>,
    /// When it ended.
    ended: Instant,
}

/// How long a read took.
#[derive(Debug, Clone, Copy)]
pub struct ReadTimes {
    /// From its beginning to its end.
    pub took: Duration,
    /// From the moment at which the writer's process was seen to be gone to its end; `None` if
    /// that process was there until the end.
    pub since_death: Option<Duration>,
}

impl WaitingRead {
    /// Begins to read, and waits until the thread sleeps at the semaphore.
    ///
    /// # Errors
    ///
    /// If it does not, or there is no writer that could be watched.
    pub fn start(mut reader: Reader, timeout: Duration) -> Result<WaitingRead, Failure> {
        let raw = RawSegment::open(reader.name())?;
        let writer = raw.get(Field::WriterPid)?;
        if !is_alive(writer) {
            return Err(Failure::new(format!(
                "expected a living writer, found process {writer}"
            )));
        }
        let begun = Instant::now();
        let interrupt = reader.interrupt();
        let has_ended = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&has_ended);
        let watch = std::thread::Builder::new()
            .name("writer-watch".into())
            .spawn(move || death_of(writer, &watched))?;
        let read = std::thread::Builder::new()
            .name("waiting-reader".into())
            .spawn(in_current_span(move || {
                let result = reader.read(timeout);
                EndedRead {
                    reader,
                    result,
                    ended: Instant::now(),
                }
            }))?;
        let waiting = WaitingRead {
            begun,
            interrupt,
            has_ended,
            threads: Some((read, watch)),
        };
        waiting.await_sleep(&raw, timeout)?;
        Ok(waiting)
    }

    fn await_sleep(&self, raw: &RawSegment, patience: Duration) -> Result<(), Failure> {
        while raw.data_waiters()? == 0 {
            if self.is_finished() || self.begun.elapsed() > patience {
                return Err(Failure::new(
                    "expected the reader to wait at the semaphore, but it did not",
                ));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.threads
            .as_ref()
            .is_none_or(|(read, _)| read.is_finished())
    }

    /// Waits for its end. A panic of the read goes on here.
    ///
    /// # Errors
    ///
    /// If the watch panicked.
    pub fn join(mut self) -> Result<(EndedRead, ReadTimes), Failure> {
        self.end()
    }

    fn end(&mut self) -> Result<(EndedRead, ReadTimes), Failure> {
        let gone = || Failure::new("the threads of a waiting read are gone");
        let (read, watch) = self.threads.take().ok_or_else(gone)?;
        let ended = read.join();
        self.has_ended.store(true, Ordering::Relaxed);
        let death = watch.join().map_err(|_| gone())?;
        let ended = match ended {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let times = ReadTimes {
            took: ended.ended - self.begun,
            since_death: death.map(|death| ended.ended.saturating_duration_since(death)),
        };
        Ok((ended, times))
    }
}

impl Drop for WaitingRead {
    fn drop(&mut self) {
        if let Some((read, watch)) = self.threads.take() {
            self.interrupt.raise();
            self.has_ended.store(true, Ordering::Relaxed);
            if read.join().is_err() || watch.join().is_err() {
                tracing::error!("a waiting read panicked");
            }
        }
    }
}

/// When this process was last seen before it was seen to be gone; `None` if it was there until the
/// watch has ended.
fn death_of(pid: u64, has_ended: &AtomicBool) -> Option<Instant> {
    let mut seen = Instant::now();
    loop {
        // In this order, so that a death is seen that ended what is watched.
        let ends = has_ended.load(Ordering::Relaxed);
        let looked = Instant::now();
        if !is_alive(pid) {
            return Some(seen);
        }
        if ends {
            return None;
        }
        seen = looked;
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName, Writer};
    use std::process::Command;

    fn pair(test: &str) -> (Reader, Writer) {
        let name = format!("serve-waiting-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let reader = Reader::create(&name, &BufferConfig::new(0, 1024)).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, writer)
    }

    #[test]
    fn a_frame_ends_the_wait() {
        let (reader, mut writer) = pair("frame");
        let waiting = WaitingRead::start(reader, Duration::from_secs(5)).unwrap();
        writer.write(b"x").unwrap();
        let (ended, times) = waiting.join().unwrap();
        assert_eq!(ended.result.unwrap().unwrap().to_vec(), b"x");
        assert!(times.took < Duration::from_secs(5));
        assert!(times.since_death.is_none());
    }

    #[test]
    fn dropped_it_ends() {
        let (reader, _writer) = pair("dropped");
        let begun = Instant::now();
        drop(WaitingRead::start(reader, Duration::from_secs(60)).unwrap());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn without_a_writer_there_is_nobody_to_watch() {
        let (reader, writer) = pair("none");
        drop(writer);
        assert!(WaitingRead::start(reader, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_zombie_and_a_reaped_process_are_dead() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = u64::from(child.id());
        assert!(is_alive(pid));
        let watch = std::thread::spawn(move || death_of(pid, &AtomicBool::new(false)));
        let killed = Instant::now();
        child.kill().unwrap();
        let death = watch.join().unwrap().unwrap();
        assert!(death <= killed + Duration::from_secs(5));
        assert!(!is_alive(pid), "a zombie");
        child.wait().unwrap();
        assert!(!is_alive(pid));
        assert!(!is_alive(0));
    }
}
