//! What the CPUs do while an end waits, and while both are at work.

use std::fmt;
use std::time::{Duration, Instant};

use super::cpu_time::{CpuClock, Usage};
use crate::BufferName;
use crate::serve::ends::Writer;
use crate::serve::ends::reading::READ_TIMEOUT;
use crate::serve::failure::Failure;
use crate::serve::outside::segment::{Field, RawSegment};
use crate::serve::pattern::Stock;

/// How long it is measured.
const MEASURED: Duration = Duration::from_secs(1);

/// How often it is looked whether the waiting end is asleep.
const LOOK: Duration = Duration::from_millis(20);

/// How long an end may take to fall asleep.
const FALLING_ASLEEP: Duration = Duration::from_secs(2);

/// Per cent of a CPU that are nearly none.
const NEAR_ZERO: f64 = 1.0;

/// Bytes of a frame.
const FRAME: usize = 1 << 20;

/// How much more CPU time a transfer may take than the two copies of which it consists.
const EFFICIENT: f64 = 4.0;

/// The CPU time of the processes at both ends of a buffer.
#[derive(Debug)]
pub struct BothEnds(Vec<CpuClock>);

impl BothEnds {
    /// Begins to measure.
    ///
    /// # Errors
    ///
    /// If one end has none.
    pub fn start(buffer: &BufferName) -> Result<BothEnds, Failure> {
        let raw = RawSegment::open(buffer)?;
        let mut pids = vec![raw.get(Field::WriterPid)?, raw.get(Field::ReaderPid)?];
        pids.dedup();
        let clocks = pids.into_iter().map(CpuClock::of_process);
        Ok(BothEnds(clocks.collect::<Result<_, _>>()?))
    }

    /// What all of them together have used.
    ///
    /// # Errors
    ///
    /// If a process has ended.
    pub fn usage(&self) -> Result<Usage, Failure> {
        let mut all = Usage {
            cpu: Duration::ZERO,
            elapsed: Duration::ZERO,
        };
        for clock in &self.0 {
            let own = clock.usage()?;
            all.cpu += own.cpu;
            all.elapsed = all.elapsed.max(own.elapsed);
        }
        Ok(all)
    }
}

/// A reader that waits for frames.
#[derive(Debug)]
pub struct Idleness {
    usage: Usage,
    /// How often it was looked, and how often somebody was asleep on the data semaphore.
    looks: u32,
    asleep: u32,
}

impl Idleness {
    /// Measures the reader's process once it is asleep.
    ///
    /// # Errors
    ///
    /// If it does not fall asleep on the data semaphore.
    pub fn measure(buffer: &BufferName) -> Result<Idleness, Failure> {
        let raw = RawSegment::open(buffer)?;
        let begun = Instant::now();
        while raw.data_waiters()? == 0 {
            if begun.elapsed() > FALLING_ASLEEP {
                return Err(Failure::new(
                    "expected the reader to be blocked on the data semaphore, found nobody waiting",
                ));
            }
            std::thread::sleep(LOOK);
        }
        let clock = CpuClock::of_process(raw.get(Field::ReaderPid)?)?;
        let (mut looks, mut asleep) = (0, 0);
        let begun = Instant::now();
        while begun.elapsed() < MEASURED {
            std::thread::sleep(LOOK);
            looks += 1;
            asleep += u32::from(raw.data_waiters()? > 0);
        }
        Ok(Idleness {
            usage: clock.usage()?,
            looks,
            asleep,
        })
    }

    /// Checks that the reader was asleep nearly always, and used nearly no CPU time.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn expect_near_zero(&self) -> Result<(), Failure> {
        // It wakes up now and then to look whether the writer lives.
        if self.asleep * 10 < self.looks * 9 {
            return Err(Failure::new(format!(
                "expected the reader to be blocked all the time, found {self}"
            )));
        }
        if self.usage.percent() < NEAR_ZERO {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected less than {NEAR_ZERO} % of a CPU, found {self}"
        )))
    }
}

impl fmt::Display for Idleness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.3} % of a CPU in {:.2} s, asleep at {} of {} looks",
            self.usage.percent(),
            self.usage.elapsed.as_secs_f64(),
            self.asleep,
            self.looks
        )
    }
}

/// Frames that cross at full speed.
#[derive(Debug)]
pub struct Activity {
    bytes: usize,
    usage: Usage,
}

impl Activity {
    /// Writes as much as the reader takes, for a second.
    ///
    /// # Errors
    ///
    /// If nobody reads.
    pub fn measure(writer: &mut Writer) -> Result<Activity, Failure> {
        let stock = Stock::new(FRAME)?;
        let ends = BothEnds::start(writer.name())?;
        let begun = Instant::now();
        let mut bytes = 0;
        while begun.elapsed() < MEASURED {
            bytes += FRAME;
            writer.write(stock.sequenced(FRAME, writer.next_sequence()))?;
        }
        writer.wait_until_read(READ_TIMEOUT)?;
        Ok(Activity {
            bytes,
            usage: ends.usage()?,
        })
    }

    /// Checks that the ends were at work: more than when they wait, and no more than CPUs there
    /// are.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn expect_at_work(&self, idle: &Idleness) -> Result<(), Failure> {
        let cpus = std::thread::available_parallelism()?.get();
        let (least, most) = (10.0 * idle.usage.percent(), 100.0 * cpus as f64);
        let found = self.usage.percent();
        // The clocks of processes and the one of the machine are read one after another.
        if found > least && found < most * 1.02 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected more than {least:.1} % and at most {most:.0} % of a CPU, found {found:.1} %"
        )))
    }

    /// Checks the CPU time of both ends against what copying every byte twice takes, at `memcpy`
    /// bytes a second.
    ///
    /// # Errors
    ///
    /// If it takes several times as much.
    pub fn expect_efficient(&self, memcpy: f64) -> Result<(), Failure> {
        if self.to_copies(memcpy) <= EFFICIENT {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected at most {EFFICIENT} times the CPU time of two copies, found {}",
            self.told(memcpy)
        )))
    }

    /// CPU time in relation to that of two copies.
    fn to_copies(&self, memcpy: f64) -> f64 {
        self.usage.cpu.as_secs_f64() / (2.0 * self.bytes as f64 / memcpy)
    }

    /// The figures, beside `memcpy` bytes a second.
    pub fn told(&self, memcpy: f64) -> String {
        format!(
            "{:.0} MB/s, CPU {:.0} %, {:.0} MB for a second of CPU; memcpy {:.0} MB; {:.2} times the \
             CPU time of one copy in and one out",
            self.bytes as f64 / self.usage.elapsed.as_secs_f64() / 1e6,
            self.usage.percent(),
            self.bytes as f64 / self.usage.cpu.as_secs_f64() / 1e6,
            memcpy / 1e6,
            self.to_copies(memcpy)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(percent: f64) -> Usage {
        Usage {
            cpu: MEASURED.mul_f64(percent / 100.0),
            elapsed: MEASURED,
        }
    }

    fn idle(percent: f64, asleep: u32) -> Idleness {
        Idleness {
            usage: usage(percent),
            looks: 50,
            asleep,
        }
    }

    #[test]
    fn idle_is_who_sleeps_and_uses_nothing() {
        assert_eq!(idle(0.9, 45).expect_near_zero(), Ok(()));
        assert!(idle(0.9, 44).expect_near_zero().is_err());
        assert!(idle(1.0, 50).expect_near_zero().is_err());
    }

    #[test]
    fn work_takes_time_but_not_more_than_there_is() {
        let active = |percent| Activity {
            bytes: 1_000_000_000,
            usage: usage(percent),
        };
        let idle = idle(0.5, 50);
        assert!(active(90.0).expect_at_work(&idle).is_ok());
        assert!(active(4.0).expect_at_work(&idle).is_err());
        assert!(active(1e6).expect_at_work(&idle).is_err());
        // Two copies of a gigabyte take a second at 2 GB/s.
        assert!(active(400.0).expect_efficient(2e9).is_ok());
        let failure = active(410.0).expect_efficient(2e9).unwrap_err().to_string();
        assert!(failure.contains("4.10 times"), "{failure}");
    }
}
