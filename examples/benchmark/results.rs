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
    /// Frames one way, and the nanoseconds that they took.
    pub frames: u64,
    pub nanoseconds: u64,
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
                Course::OneWay => {
                    line.frames += first;
                    line.nanoseconds += second;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, contender: &'static Contender, size: usize) -> Result<&mut Line> {
        let place = self.0.iter().position(|line| line.is(contender.name, size));
        let place = match place {
            Some(place) => place,
            None => {
                self.0.push(Line {
                    contender,
                    size,
                    // Three digits, up to as much as is needed.
                    round_trips: Histogram::new(3)?,
                    frames: 0,
                    nanoseconds: 0,
                });
                self.0.len() - 1
            }
        };
        Ok(&mut self.0[place])
    }

    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.0.iter()
    }

    /// A quantile of a contender's round trips, in microseconds.
    pub fn round_trip(&self, name: &str, size: usize, quantile: f64) -> Option<f64> {
        let line = self.0.iter().find(|line| line.is(name, size))?;
        let histogram = &line.round_trips;
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Frames in a second, one way.
    pub fn frames_per_second(&self, name: &str, size: usize) -> Option<f64> {
        let line = self.0.iter().find(|line| line.is(name, size))?;
        (line.nanoseconds > 0).then(|| line.frames as f64 / (line.nanoseconds as f64 / 1e9))
    }
}

impl Line {
    fn is(&self, name: &str, size: usize) -> bool {
        self.contender.name == name && self.size == size
    }
}
