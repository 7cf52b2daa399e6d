//! A ring that fills up because its reader is slower than its writer, and empties again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::figures::{Figures, Short};
use crate::serve::ends::Writer;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::{Field, HEADER, RawSegment};
use crate::serve::pattern::Stock;

/// Bytes of a frame.
const FRAME: usize = 64 << 10;

/// How long the writer does nothing after each frame.
pub const PAUSE: Duration = Duration::from_micros(300);

/// How often the ring is looked at.
const LOOK: Duration = Duration::from_micros(200);

/// The part of the ring from which it counts as degraded, as full, and below which it has recovered.
pub const DEGRADED: f64 = 0.8;
const FULL: f64 = 0.95;
const RECOVERED: f64 = 0.5;

/// How long the writer goes on against a full ring.
const AGAINST_FULL: Duration = Duration::from_millis(200);

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many writes are looked at together: a reader may give several frames back at once, so that of
/// the writes that it holds up some do not wait, and others the longer.
const TURN: usize = 16;

/// How much longer writes take, at least, once the reader sets the pace.
const SLOWER: u32 = 5;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    at: Duration,
    /// The part of the ring that is in use.
    used: f64,
    read_count: u64,
}

/// One write.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Write {
    at: Duration,
    took: Duration,
}

/// What was seen, from an empty ring to one that has recovered.
#[derive(Debug)]
pub struct Utilization {
    /// Bytes of the ring.
    size: f64,
    samples: Vec<Sample>,
    writes: Vec<Write>,
}

impl Utilization {
    /// Writes, with a pause after each frame, until the ring has been full for some time, and
    /// watches it until it has recovered.
    ///
    /// # Errors
    ///
    /// If it does not fill up, or does not recover.
    pub fn monitor(writer: &mut Writer, pause: Duration) -> Result<Utilization, Failure> {
        let raw = RawSegment::open(writer.name())?;
        let (begun, stop) = (Instant::now(), AtomicBool::new(false));
        let (samples, writes) = std::thread::scope(|scope| {
            let watching = || {
                let watched = watch(&raw, begun, &stop);
                stop.store(true, Ordering::Relaxed);
                watched
            };
            let watcher = std::thread::Builder::new().spawn_scoped(scope, watching)?;
            let writes = write_until(writer, pause, begun, &stop);
            std::io::Result::Ok((watcher.join(), writes))
        })?;
        let samples = samples.map_err(|_| Failure::new("the watching thread panicked"))?;
        Ok(Utilization {
            size: raw.get(Field::PayloadSize)? as f64,
            writes: writes?,
            samples: samples?,
        })
    }

    /// When the ring was degraded: the first look that found it so, which must not have been the
    /// first of all.
    fn degraded(&self, limit: f64) -> Result<Sample, Failure> {
        let mut pairs = self.samples.windows(2);
        let crossing = pairs.find(|pair| pair[0].used < limit && pair[1].used >= limit);
        crossing.map(|pair| pair[1]).ok_or_else(|| {
            Failure::new(format!(
                "expected the ring to go beyond {:.0} %, found at most {:.1} %",
                100.0 * limit,
                100.0
                    * self
                        .samples
                        .iter()
                        .map(|sample| sample.used)
                        .fold(0.0, f64::max)
            ))
        })
    }

    fn full(&self) -> Result<Sample, Failure> {
        let found = self.samples.iter().find(|sample| sample.used >= FULL);
        found
            .copied()
            .ok_or_else(|| Failure::new("expected a full ring, found none"))
    }

    /// How long it took until the ring was degraded.
    ///
    /// # Errors
    ///
    /// If it never was.
    pub fn time_to_degradation(&self) -> Result<Duration, Failure> {
        Ok(self.degraded(DEGRADED)?.at)
    }

    /// Checks that the ring was degraded by frames: as many as that takes were written before, with
    /// the `pause` after each.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_filled_by_writing(&self, pause: Duration) -> StepOutcome {
        let degraded = self.degraded(DEGRADED)?.at;
        let before = self.writes.iter().filter(|write| write.at < degraded);
        let (least, written) = (self.frames(DEGRADED), before.count() as u64);
        let soonest = pause * least.saturating_sub(1) as u32;
        if written >= least && degraded >= soonest {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected {least} frames to be written and {soonest:?} to pass before the ring is degraded, \
             found {written} and {degraded:?}"
        )))
    }

    /// Checks that the ring has recovered by frames that were read after the last write: by most of
    /// what went, as a reader may give back a little later what it has read.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_emptied_by_reading(&self) -> StepOutcome {
        let last = self.last_write()?;
        let mut before = self.samples.iter().rev().filter(|sample| sample.at <= last);
        let (from, to) = before
            .next()
            .zip(self.samples.last())
            .ok_or_else(|| Failure::new("expected looks at the ring, found none"))?;
        let gone = self.frames((from.used - to.used).max(0.0));
        let read = to.read_count.saturating_sub(from.read_count);
        if gone > 0 && 2 * read >= gone {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected at least half of {gone} frames, by which the ring has emptied, to have been read \
             meanwhile, found {read}"
        )))
    }

    /// How many frames take this part of the ring.
    fn frames(&self, part: f64) -> u64 {
        (part * self.size / (FRAME as f64 + HEADER as f64)) as u64
    }

    fn last_write(&self) -> Result<Duration, Failure> {
        let last = self.writes.last().map(|write| write.at + write.took);
        last.ok_or_else(|| Failure::new("expected writes, found none"))
    }

    /// How long it took from the last write until the ring had recovered.
    ///
    /// # Errors
    ///
    /// If it never did.
    pub fn recovery_time(&self) -> Result<Duration, Failure> {
        let last = self.last_write()?;
        let full = self.full()?.at;
        let mut later = self.samples.iter().filter(|sample| sample.at > full);
        let recovered = later.find(|sample| sample.used < RECOVERED);
        let at = recovered.map(|sample| sample.at);
        let time = at.and_then(|at| at.checked_sub(last));
        time.filter(|time| !time.is_zero()).ok_or_else(|| {
            Failure::new(format!(
                "expected the ring to be below {:.0} % after the last write at {last:?}, found {at:?}",
                100.0 * RECOVERED
            ))
        })
    }

    /// How long a write took of those that are `chosen`: in the turn in the middle.
    fn median(&self, chosen: impl Fn(&Write) -> bool) -> Result<Duration, Failure> {
        let writes = self.writes.iter().filter(|write| chosen(write));
        let took: Vec<_> = writes.map(|write| write.took).collect();
        let turns = took.chunks_exact(TURN);
        let turns = turns.map(|turn| turn.iter().sum::<Duration>() / TURN as u32);
        let figures = Figures::of(turns.collect()).ok_or_else(|| {
            Failure::new(format!(
                "expected at least {TURN} writes before the limit and in a full ring, found {}",
                took.len()
            ))
        })?;
        Ok(figures.median())
    }

    /// Checks that the limit was crossed while the writer was faster than the reader, and that
    /// beyond it writing was degraded indeed: as slow as reading.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn expect_detection(&self, percent: f64) -> Result<(), Failure> {
        expect_equal("the limit", 100.0 * DEGRADED, percent)?;
        let degraded = self.degraded(percent / 100.0)?;
        let written = self
            .writes
            .iter()
            .filter(|write| write.at < degraded.at)
            .count() as u64;
        let read = degraded.read_count - self.samples[0].read_count;
        if read >= written {
            return Err(Failure::new(format!(
                "expected the writer to be faster than the reader, found {written} frames written and \
                 {read} read"
            )));
        }
        let full = self.full()?.at;
        let before = self.median(|write| write.at < degraded.at)?;
        let after = self.median(|write| write.at > full)?;
        if after >= before * SLOWER {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected writes to take at least {SLOWER} times as long in a full ring, found {} before \
             and {} in it",
            Short(before),
            Short(after)
        )))
    }
}

impl fmt::Display for Utilization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "utilization by time:")?;
        let last = self
            .samples
            .last()
            .map_or(Duration::ZERO, |sample| sample.at);
        // A dozen of looks are enough for a picture.
        for part in 0..=12 {
            let at = last * part / 12;
            let found = self.samples.iter().find(|sample| sample.at >= at);
            if let Some(sample) = found {
                write!(f, "\n{} {:5.1} %", Short(sample.at), 100.0 * sample.used)?;
            }
        }
        Ok(())
    }
}

fn write_until(
    writer: &mut Writer,
    pause: Duration,
    begun: Instant,
    stop: &AtomicBool,
) -> Result<Vec<Write>, Failure> {
    let stock = Stock::new(FRAME)?;
    let mut writes = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = begun.elapsed();
        writer.write(stock.sequenced(FRAME, writer.next_sequence()))?;
        let took = begun.elapsed() - at;
        writes.push(Write { at, took });
        std::thread::sleep(pause);
    }
    Ok(writes)
}

/// Looks at the ring until it has been full for some time, stops the writer, and goes on until the
/// ring has recovered.
fn watch(raw: &RawSegment, begun: Instant, stop: &AtomicBool) -> Result<Vec<Sample>, Failure> {
    let size = raw.get(Field::PayloadSize)? as f64;
    let mut samples = Vec::new();
    let mut full_since = None;
    loop {
        let sample = Sample {
            at: begun.elapsed(),
            used: raw.used()? as f64 / size,
            read_count: raw.get(Field::PayloadReadCount)?,
        };
        samples.push(sample);
        match full_since {
            None if sample.used >= FULL => full_since = Some(sample.at),
            Some(since) if sample.at - since > AGAINST_FULL => stop.store(true, Ordering::Relaxed),
            _ => {}
        }
        if stop.load(Ordering::Relaxed) && sample.used < RECOVERED {
            return Ok(samples);
        }
        if sample.at > PATIENCE {
            return Err(Failure::new(format!(
                "expected the ring to fill up and to empty again within {PATIENCE:?}, found it {:.1} % \
                 full",
                100.0 * sample.used
            )));
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utilization(used: &[f64], slow: u64) -> Utilization {
        let millis = Duration::from_millis;
        let samples = (0..).zip(used).map(|(number, used)| Sample {
            at: millis(number * 10),
            used: *used,
            read_count: number,
        });
        let writes = (0..50).map(|number| Write {
            at: millis(number),
            took: Duration::from_micros(if number > 30 { slow } else { 100 }),
        });
        Utilization {
            size: 10.0 * (FRAME as f64 + HEADER as f64),
            samples: samples.collect(),
            writes: writes.collect(),
        }
    }

    #[test]
    fn degradation_and_recovery_are_found() {
        let seen = utilization(&[0.0, 0.4, 0.81, 0.97, 0.96, 0.7, 0.49], 1000);
        assert_eq!(seen.time_to_degradation(), Ok(Duration::from_millis(20)));
        assert_eq!(seen.recovery_time(), Ok(Duration::from_millis(10)));
        assert_eq!(seen.expect_detection(80.0), Ok(()));
        assert!(seen.expect_detection(90.0).is_err());
    }

    #[test]
    fn filling_takes_frames_and_pauses_and_emptying_takes_reads() {
        let millis = Duration::from_millis;
        let mut seen = utilization(&[0.0, 0.4, 0.81, 0.97, 0.96, 0.96, 0.7, 0.49], 1000);
        // Eight frames make eighty per cent, and seven pauses, in 20 ms.
        assert_eq!(seen.expect_filled_by_writing(millis(2)), Ok(()));
        assert!(seen.expect_filled_by_writing(millis(3)).is_err());
        assert_eq!(seen.expect_emptied_by_reading(), Ok(()));
        for sample in &mut seen.samples {
            sample.read_count = 7;
        }
        assert!(seen.expect_emptied_by_reading().is_err());
        seen.writes.drain(..13);
        assert!(seen.expect_filled_by_writing(millis(0)).is_err());
    }

    #[test]
    fn a_writer_that_is_not_slowed_down_is_not_degraded() {
        let seen = utilization(&[0.0, 0.4, 0.81, 0.97, 0.96, 0.7, 0.49], 400);
        let failure = seen.expect_detection(80.0).unwrap_err().to_string();
        assert!(failure.contains("5 times"), "{failure}");
    }

    #[test]
    fn a_turn_that_is_held_up_by_others_does_not_count() {
        let mut seen = utilization(&[0.0, 0.4, 0.41, 0.42, 0.43, 0.81, 0.97], 0);
        let writes = (0..128).map(|number| Write {
            at: Duration::from_millis(number),
            // Every second one waits, in a full ring; one waits long before it is.
            took: Duration::from_micros(match number {
                1 => 1_000_000,
                60.. if number % 2 == 0 => 1000,
                _ => 10,
            }),
        });
        seen.writes = writes.collect();
        assert_eq!(seen.expect_detection(80.0), Ok(()));
    }

    #[test]
    fn what_did_not_happen_is_not_found() {
        let never = utilization(&[0.0, 0.79], 1000);
        assert!(never.time_to_degradation().is_err() && never.recovery_time().is_err());
        let at_once = utilization(&[0.9, 0.97, 0.97, 0.97, 0.97, 0.97], 1000);
        assert!(at_once.time_to_degradation().is_err());
        assert!(at_once.recovery_time().is_err());
    }
}
