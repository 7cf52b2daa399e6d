//! How long it takes until a frame has been read.

use std::fmt;
use std::time::{Duration, Instant};

use super::figures::{Figures, Short};
use super::limits::Limits;
use super::own::bytes;
use super::scale::Scale;
use crate::serve::ends::Writer;
use crate::serve::ends::reading::READ_TIMEOUT;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::pattern::Stock;
use crate::serve::room::room_for;

/// What "low milliseconds" are.
const LOW_MILLISECONDS: Duration = Duration::from_millis(10);

/// In how many rounds they are measured: on a machine that has more to do, the best one counts.
const ROUNDS: usize = 5;

/// Frames that are not measured, before those that are.
const WARM_UP: usize = 10;

/// The fewest frames from which something can be told.
const LEAST: usize = 50;

/// Frames of one size.
#[derive(Debug)]
pub struct Latency {
    /// The size, as the step names it.
    pub size: String,
    /// How long each took from before it was written until the reader had copied it out and its
    /// space was given back: longer than until the reader had it.
    pub figures: Figures,
    /// The median of each round.
    medians: Vec<Duration>,
    frame_bytes: usize,
    iterations: usize,
}

impl Latency {
    /// Writes frames one by one, each after the one before was read.
    ///
    /// # Errors
    ///
    /// If a size is none, or nobody reads.
    pub fn measure(
        writer: &mut Writer,
        size: &str,
        iterations: usize,
        scale: Scale,
    ) -> Result<Latency, Failure> {
        let length = bytes(size)?;
        let iterations = scale.iterations(iterations, LEAST);
        let stock = Stock::new(length)?;
        let mut took = room_for(iterations)?;
        for number in 0..WARM_UP + iterations {
            let data = stock.sequenced(length, writer.next_sequence());
            let begun = Instant::now();
            writer.write(data)?;
            writer.wait_until_read(READ_TIMEOUT)?;
            if number >= WARM_UP {
                took.push(begun.elapsed());
            }
        }
        let rounds = took.chunks(iterations.div_ceil(ROUNDS));
        let medians = rounds.filter_map(|round| Some(Figures::of(round.to_vec())?.median()));
        Ok(Latency {
            size: size.to_owned(),
            medians: medians.collect(),
            frame_bytes: length,
            iterations,
            figures: Figures::of(took)
                .ok_or_else(|| Failure::new("expected iterations, found 0"))?,
        })
    }

    /// Checks the median of the best round against what a table expects.
    ///
    /// # Errors
    ///
    /// If it is longer, or the expectation is none that is known.
    pub fn expect(&self, expected: &str) -> Result<(), Failure> {
        let limit = match expected {
            "sub-millisecond" => Duration::from_millis(1),
            "low milliseconds" => LOW_MILLISECONDS,
            _ => {
                let text = format!("'{expected}' is no expectation that is known here");
                return Err(Failure::new(text));
            }
        };
        if self.medians.iter().any(|median| *median < limit) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{}: expected {expected}, so half of the frames of a round in less than {}, found {self}",
            self.size,
            Short(limit)
        )))
    }
}

/// Checks that every frame was measured, none faster than bytes can cross, and that the largest frames
/// took longer than the smallest.
///
/// # Errors
///
/// A failure that names the size.
pub fn expect_possible(all: &[Latency], limits: &Limits) -> StepOutcome {
    for latency in all {
        let (size, figures) = (&latency.size, &latency.figures);
        figures.expect_sound(size, latency.iterations)?;
        let fastest = latency.frame_bytes as f64 / figures.quantile(0.0).as_secs_f64();
        limits.expect_possible(size, fastest)?;
    }
    let by_size = |latency: &&Latency| latency.frame_bytes;
    let ends = all
        .iter()
        .min_by_key(by_size)
        .zip(all.iter().max_by_key(by_size));
    match ends {
        Some((least, most)) if least.frame_bytes < most.frame_bytes => {
            let (shorter, longer) = (least.figures.median(), most.figures.median());
            if shorter < longer {
                return Ok(());
            }
            Err(Failure::new(format!(
                "expected frames of {} to take longer than those of {}, found {} and {}",
                most.size,
                least.size,
                Short(longer),
                Short(shorter)
            )))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, count) = (&self.size, self.figures.count());
        write!(f, "{size:>5} × {count:<6} {}", self.figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_best_round_is_judged() {
        let latency = |medians: [u64; 3]| Latency {
            size: "1KB".into(),
            figures: Figures::of(vec![Duration::ZERO]).unwrap(),
            medians: medians.map(Duration::from_millis).to_vec(),
            frame_bytes: 1024,
            iterations: 1,
        };
        assert_eq!(latency([20, 0, 20]).expect("sub-millisecond"), Ok(()));
        let failure = latency([2, 1, 1]).expect("sub-millisecond").unwrap_err();
        assert!(failure.to_string().contains("1KB"), "{failure}");
        assert_eq!(latency([30, 9, 20]).expect("low milliseconds"), Ok(()));
        assert!(latency([30, 10, 20]).expect("low milliseconds").is_err());
        assert!(latency([0, 0, 0]).expect("fast").is_err());
    }

    #[test]
    fn what_is_reported_can_have_been_measured() {
        let of = |frame_bytes, micros| Latency {
            size: format!("{frame_bytes} B"),
            figures: Figures::of(vec![Duration::from_micros(micros)]).unwrap(),
            medians: Vec::new(),
            frame_bytes,
            iterations: 1,
        };
        let limits = Limits::measure(&name("possible")).unwrap();
        let judge = |all: &[Latency]| expect_possible(all, &limits);
        assert_eq!(judge(&[of(10_000, 200), of(10, 100)]), Ok(()));
        assert!(judge(&[of(10_000, 100), of(10, 100)]).is_err());
        assert!(judge(&[of(1 << 40, 100)]).is_err());
        assert!(judge(&[of(10, 0)]).is_err());
        let iterations = 2;
        let one = of(10, 100);
        assert!(judge(&[Latency { iterations, ..one }]).is_err());
    }

    fn name(test: &str) -> crate::BufferName {
        crate::BufferName::new(format!("serve-latency-{test}-{}", std::process::id())).unwrap()
    }
}
