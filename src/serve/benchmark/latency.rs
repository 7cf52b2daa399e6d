//! How long it takes until a frame has been read.

use std::fmt;
use std::time::{Duration, Instant};

use super::figures::{Figures, Short};
use super::own::bytes;
use super::scale::Scale;
use crate::Writer;
use crate::serve::ends::reading::READ_TIMEOUT;
use crate::serve::failure::Failure;
use crate::serve::pattern::Stock;

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
        let stock = Stock::new(length);
        let mut took = Vec::with_capacity(iterations);
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
        };
        assert_eq!(latency([20, 0, 20]).expect("sub-millisecond"), Ok(()));
        let failure = latency([2, 1, 1]).expect("sub-millisecond").unwrap_err();
        assert!(failure.to_string().contains("1KB"), "{failure}");
        assert_eq!(latency([30, 9, 20]).expect("low milliseconds"), Ok(()));
        assert!(latency([30, 10, 20]).expect("low milliseconds").is_err());
        assert!(latency([0, 0, 0]).expect("fast").is_err());
    }
}
