//! How many frames cross in a second.

use std::fmt;
use std::time::{Duration, Instant};

use super::activity::BothEnds;
use super::own::bytes;
use crate::Writer;
use crate::serve::cpu_time::Usage;
use crate::serve::failure::Failure;
use crate::serve::pattern::Stock;
use crate::serve::reading::READ_TIMEOUT;

/// The part of what one core copies that has to cross at the best size. Both ends copy every byte,
/// each with half of the memory's bandwidth at most where the memory is the limit; the rest allows
/// for cores that are somebody else's for a part of the time.
pub const SATURATING: f64 = 0.25;

/// Frames of one size.
#[derive(Debug)]
pub struct Throughput {
    /// The size, as the step names it.
    pub size: String,
    frame_bytes: usize,
    frames: usize,
    /// Until the last frame was read.
    elapsed: Duration,
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
        let stock = Stock::new(frame_bytes);
        let ends = BothEnds::start(writer.name())?;
        let begun = Instant::now();
        let mut frames = 0;
        while begun.elapsed() < time {
            writer.write(stock.sequenced(frame_bytes, writer.next_sequence()))?;
            frames += 1;
        }
        writer.wait_until_read(READ_TIMEOUT)?;
        Ok(Throughput {
            size: size.to_owned(),
            frame_bytes,
            frames,
            elapsed: begun.elapsed(),
            usage: ends.usage()?,
        })
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> f64 {
        (self.frames * self.frame_bytes) as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5}: {:9.0} frames/s {:7.0} MB/s, CPU {:3.0} %",
            self.size,
            self.frames as f64 / self.elapsed.as_secs_f64(),
            self.bytes_per_second() / 1e6,
            self.usage.percent(),
        )
    }
}

/// The size at which most bytes cross.
///
/// # Errors
///
/// If that is less than the part of `memcpy` (bytes a second) that is called saturating.
pub fn expect_saturation(all: &[Throughput], memcpy: f64) -> Result<(), Failure> {
    let speeds = all.iter().map(Throughput::bytes_per_second);
    let best = speeds.fold(0.0, f64::max);
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

    #[test]
    fn the_best_size_has_to_saturate() {
        let at = |size: &str, frames| Throughput {
            size: size.into(),
            frame_bytes: 1_000_000,
            frames,
            elapsed: Duration::from_secs(1),
            usage: Usage {
                cpu: Duration::from_secs(2),
                elapsed: Duration::from_secs(1),
            },
        };
        let all = [at("a", 10), at("b", 1000), at("c", 500)];
        assert_eq!(expect_saturation(&all, 4e9), Ok(()));
        let failure = expect_saturation(&all, 4.1e9).unwrap_err().to_string();
        assert!(failure.ends_with("found 1000 MB/s"), "{failure}");
        let told = all[1].to_string();
        assert!(
            told.contains("1000 frames/s") && told.contains("200 %"),
            "{told}"
        );
    }
}
