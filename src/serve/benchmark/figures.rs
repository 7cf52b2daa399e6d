//! Many durations, told in a few numbers.

use std::fmt;
use std::time::Duration;

use crate::serve::failure::{Failure, StepOutcome, expect_equal};

/// The parts of all durations whose limits are told.
const TOLD: [f64; 6] = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0];

/// Durations in ascending order, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Puts durations in order; `None` if there are none.
    pub fn of(mut durations: Vec<Duration>) -> Option<Figures> {
        durations.sort_unstable();
        (!durations.is_empty()).then_some(Figures(durations))
    }

    /// The least duration that at least `part` of all (from 0 to 1) do not exceed.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// Half of all are no longer.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> Duration {
        self.0.iter().sum::<Duration>() / self.0.len() as u32
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Checks that there are so many, each took some time, and the numbers that are told of them
    /// follow each other.
    ///
    /// # Errors
    ///
    /// A failure that says `what` they are of.
    pub fn expect_sound(&self, what: &str, count: usize) -> StepOutcome {
        expect_equal(
            &format!("{what}: number of measurements"),
            count,
            self.count(),
        )?;
        let told = TOLD.map(|part| self.quantile(part));
        let extremes = told[0]..=told[TOLD.len() - 1];
        if told[0] > Duration::ZERO && told.is_sorted() && extremes.contains(&self.mean()) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{what}: expected durations in ascending order, found {self}"
        )))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, p50, p90, p99, p999, max] = TOLD.map(|part| Short(self.quantile(part)));
        let mean = Short(self.mean());
        write!(
            f,
            "min {min} mean {mean} p50 {p50} p90 {p90} p99 {p99} p99.9 {p999} max {max}"
        )
    }
}

/// A duration in the unit that fits it, of even width so that columns stand below each other.
#[derive(Debug, Clone, Copy)]
pub struct Short(pub Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos() as f64;
        let (value, unit) = match nanos {
            ..1e3 => (nanos, "ns"),
            ..1e6 => (nanos / 1e3, "µs"),
            ..1e9 => (nanos / 1e6, "ms"),
            _ => (nanos / 1e9, "s"),
        };
        let digits = if value < 9.995 { 2 } else { 1 };
        write!(f, "{value:>5.digits$} {unit:<2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(numbers: impl IntoIterator<Item = u64>) -> Figures {
        Figures::of(numbers.into_iter().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn quantiles_are_durations_that_were_seen() {
        let figures = millis((1..=1000).rev());
        let quantile = |part| figures.quantile(part).as_millis();
        assert_eq!((quantile(0.0), quantile(1.0)), (1, 1000));
        assert_eq!((quantile(0.5), quantile(0.9)), (500, 900));
        assert_eq!((quantile(0.99), quantile(0.999)), (990, 999));
        assert_eq!(figures.mean(), Duration::from_micros(500_500));
        assert_eq!(figures.count(), 1000);
    }

    #[test]
    fn figures_are_sound_if_none_is_missing_and_none_took_no_time() {
        let figures = millis([1, 2, 3]);
        assert_eq!(figures.expect_sound("x", 3), Ok(()));
        assert!(figures.expect_sound("x", 4).is_err());
        assert!(millis([0, 1]).expect_sound("x", 2).is_err());
        let unsorted = Figures([3, 1, 2].map(Duration::from_millis).to_vec());
        assert!(unsorted.expect_sound("x", 3).is_err());
    }

    #[test]
    fn few_durations_have_quantiles_too() {
        assert_eq!(Figures::of(Vec::new()), None);
        let one = millis([7]);
        assert_eq!(
            (one.median(), one.quantile(0.999)),
            (one.mean(), one.mean())
        );
        assert_eq!(millis([1, 2, 3]).median(), Duration::from_millis(2));
        assert_eq!(millis([1, 2]).quantile(0.999), Duration::from_millis(2));
    }

    #[test]
    fn units_fit() {
        let told = |nanos| Short(Duration::from_nanos(nanos)).to_string();
        assert_eq!(told(999), "999.0 ns");
        assert_eq!(told(1_234), " 1.23 µs");
        assert_eq!(told(12_345_678), " 12.3 ms");
        assert_eq!(told(2_000_000_000), " 2.00 s ");
    }
}
