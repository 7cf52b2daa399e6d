//! How many frames cross in a second.

use std::fmt;
use std::time::{Duration, Instant};

use super::activity::BothEnds;
use super::cpu_time::Usage;
use super::limits::Limits;
use super::own::bytes;
use crate::serve::ends::Writer;
use crate::serve::ends::reading::READ_TIMEOUT;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::pattern::Stock;

/// The part of what one core copies that has to cross at the best size. Both ends copy every byte,
/// the second one out of the first one's cache or out of memory that both of them are using.
pub const SATURATING: f64 = 0.25;

/// Bytes after which the writer waits until all has been read. Of many such rounds there is one, even
/// on a machine that has more to do, during which both ends had a CPU.
const ROUND: usize = 32 << 20;

/// Frames of one size.
#[derive(Debug)]
pub struct Throughput {
    /// The size, as the step names it.
    pub size: String,
    frame_bytes: usize,
    frames: usize,
    /// Until the last frame was read.
    elapsed: Duration,
    /// Bytes a second of the best round.
    best: f64,
    /// CPU time of writer and reader.
    pub usage: Usage,
}

impl Throughput {
    /// Writes as much as the reader takes, for some time.
    ///
    /// # Errors
    ///
    /// If a size is none, or nobody reads.
    pub fn measure(writer: &mut Writer, size: &str, time: Duration) -> Result<Throughput, Failure> {
        let frame_bytes = bytes(size)?;
        let stock = Stock::new(frame_bytes)?;
        let ends = BothEnds::start(writer.name())?;
        let begun = Instant::now();
        let each = ROUND.div_ceil(frame_bytes);
        let (mut frames, mut best) = (0, 0.0);
        while begun.elapsed() < time {
            let round = Instant::now();
            for _ in 0..each {
                writer.write(stock.sequenced(frame_bytes, writer.next_sequence()))?;
            }
            writer.wait_until_read(READ_TIMEOUT)?;
            best = f64::max(
                best,
                (each * frame_bytes) as f64 / round.elapsed().as_secs_f64(),
            );
            frames += each;
        }
        Ok(Throughput {
            size: size.to_owned(),
            frame_bytes,
            frames,
            elapsed: begun.elapsed(),
            best,
            usage: ends.usage()?,
        })
    }

    /// Bytes a second, all rounds together.
    pub fn bytes_per_second(&self) -> f64 {
        (self.frames * self.frame_bytes) as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5}: {:9.0} frames/s {:7.0} MB/s ({:.0} MB/s in the best round), CPU {:3.0} %",
            self.size,
            self.frames as f64 / self.elapsed.as_secs_f64(),
            self.bytes_per_second() / 1e6,
            self.best / 1e6,
            self.usage.percent(),
        )
    }
}

/// Checks that at each size frames crossed, no faster than bytes can, and that the best round is none
/// of the worse ones.
///
/// # Errors
///
/// A failure that names the size.
pub fn expect_possible(all: &[Throughput], limits: &Limits) -> StepOutcome {
    for at in all {
        limits.expect_possible(&at.size, at.bytes_per_second())?;
        limits.expect_possible(&at.size, at.best)?;
        if at.best < at.bytes_per_second() {
            return Err(Failure::new(format!(
                "expected the best round to be the best, found {at}"
            )));
        }
    }
    Ok(())
}

/// Checks how many bytes cross at the best size, in its best round: `memcpy` is the best of several
/// rounds too.
///
/// # Errors
///
/// If that is less than the part of `memcpy` (bytes a second) that is called saturating.
pub fn expect_saturation(all: &[Throughput], memcpy: f64) -> Result<(), Failure> {
    let best = all.iter().map(|at| at.best).fold(0.0, f64::max);
    if best >= SATURATING * memcpy {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected at least {:.0} % of memcpy's {:.0} MB/s at the best size, found {:.0} MB/s",
        100.0 * SATURATING,
        memcpy / 1e6,
        best / 1e6
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(size: &str, frames: usize) -> Throughput {
        Throughput {
            size: size.into(),
            frame_bytes: 1_000_000,
            frames,
            elapsed: Duration::from_secs(2),
            best: frames as f64 * 1e6,
            usage: Usage {
                cpu: Duration::from_secs(2),
                elapsed: Duration::from_secs(1),
            },
        }
    }

    #[test]
    fn what_is_reported_can_have_been_measured() {
        let name = format!("serve-throughput-{}", std::process::id());
        let limits = Limits::measure(&crate::BufferName::new(name).unwrap()).unwrap();
        let judge = |at: Throughput| expect_possible(&[at], &limits);
        assert_eq!(judge(at("a", 10)), Ok(()));
        assert!(judge(at("a", 0)).is_err());
        assert!(judge(at("a", 1 << 40)).is_err());
        let best = 1.0;
        assert!(
            judge(Throughput {
                best,
                ..at("a", 10)
            })
            .is_err()
        );
    }

    #[test]
    fn the_best_size_has_to_saturate() {
        let all = [at("a", 10), at("b", 1000), at("c", 500)];
        assert_eq!(expect_saturation(&all, 4e9), Ok(()));
        let failure = expect_saturation(&all, 4.1e9).unwrap_err().to_string();
        assert!(failure.ends_with("found 1000 MB/s"), "{failure}");
        let told = all[1].to_string();
        assert!(
            told.contains("500 frames/s") && told.contains("200 %"),
            "{told}"
        );
    }
}
