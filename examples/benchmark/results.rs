//! What was measured, of all rounds together.

use hdrhistogram::Histogram;

use crate::Result;
use crate::contender::{Contender, Course};
use crate::heat::Counts;

/// All that was measured.
#[derive(Default)]
pub struct Results(Vec<Line>);

/// One contender at one size.
pub struct Line {
    pub contender: &'static Contender,
    pub size: usize,
    /// Nanoseconds of round trips.
    pub round_trips: Histogram<u64>,
    /// Frames in a second, one way, in each round.
    pub speeds: Vec<f64>,
}

impl Results {
    /// Adds a round.
    pub fn add(
        &mut self,
        contender: &'static Contender,
        course: Course,
        size: usize,
        counts: Counts,
    ) -> Result<()> {
        let line = self.line(contender, size)?;
        for (first, second) in counts {
            match course {
                Course::RoundTrip => line.round_trips.record_n(first, second)?,
                Course::OneWay => line.speeds.push(first as f64 / (second as f64 / 1e9)),
            }
        }
        Ok(())
    }

    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// All sizes that were measured.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<_> = self.0.iter().map(|line| line.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// A quantile of a contender's round trips, in microseconds.
    pub fn round_trip(&self, name: &str, size: usize, quantile: f64) -> Option<f64> {
        let histogram = &self.find(name, size)?.round_trips;
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// A contender's frames in a second, one way.
    pub fn frames_per_second(&self, name: &str, size: usize) -> Option<f64> {
        self.find(name, size)?.frames_per_second()
    }

    fn find(&self, name: &str, size: usize) -> Option<&Line> {
        self.0.iter().find(|line| line.is(name, size))
    }

    /// The line of a contender, a new one if need be.
    fn line(&mut self, contender: &'static Contender, size: usize) -> Result<&mut Line> {
        let known = self.0.iter().position(|line| line.is(contender.name, size));
        let index = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(Line {
                contender,
                size,
                // Three digits.
                round_trips: Histogram::new(3)?,
                speeds: Vec::new(),
            });
        }
        Ok(&mut self.0[index])
    }
}

impl Line {
    /// Frames in a second, one way: the middle one of all rounds.
    pub fn frames_per_second(&self) -> Option<f64> {
        let mut speeds = self.speeds.clone();
        speeds.sort_by(f64::total_cmp);
        speeds.get(speeds.len() / 2).copied()
    }

    fn is(&self, name: &str, size: usize) -> bool {
        self.contender.name == name && self.size == size
    }
}
