//! What it costs that a frame has to begin anew at the beginning of the ring.
//!
//! Both ends are in one thread, which writes a frame and reads it: nobody has to be woken, so that
//! only the ring's own work is measured. Two rings are compared in which frames touch the same
//! memory: one is as large as a frame, which ends where the ring does; in the other one half a
//! frame is left behind it, too little for the next one, and has to be skipped each time.

use std::fmt;
use std::time::{Duration, Instant};

use crate::serve::failure::{Failure, expect_equal};
use crate::serve::figures::{Figures, Short};
use crate::serve::pattern::Stock;
use crate::serve::scale::Scale;
use crate::serve::segment::{Field, HEADER, RawSegment};
use crate::{BufferConfig, BufferName, Reader, Writer};

/// Bytes of a frame with its header.
pub const FRAME: usize = 256 << 10;

/// Frames through one ring before it is the other one's turn.
const TURN: usize = 20;

/// Frames through each ring.
const FRAMES: usize = 100_000;

/// The fewest from which something can be told.
const LEAST: usize = 2_000;

/// A ring with both ends.
#[derive(Debug)]
pub struct Lane {
    writer: Writer,
    reader: Reader,
    raw: RawSegment,
    stock: Stock,
    copy: Vec<u8>,
}

impl Lane {
    /// Makes a buffer with a ring of `size` bytes.
    ///
    /// # Errors
    ///
    /// Those of both ends.
    pub fn new(name: &BufferName, size: usize) -> Result<Lane, Failure> {
        let reader = Reader::create(name, &BufferConfig::new(0, size))?;
        let writer = Writer::connect(name, Duration::ZERO)?;
        let data = FRAME - HEADER as usize;
        let mut lane = Lane {
            writer,
            reader,
            raw: RawSegment::open(name)?,
            stock: Stock::new(data),
            copy: vec![0; data],
        };
        // From now on the write position is one frame behind the beginning, or there.
        lane.turn()?;
        Ok(lane)
    }

    /// How long frames take through it, and by how much each adds to the count of what was written.
    fn turn(&mut self) -> Result<(Figures, u64), Failure> {
        let before = self.raw.get(Field::PayloadWrittenCount)?;
        let mut took = Vec::with_capacity(TURN);
        for _ in 0..TURN {
            let sequence = self.writer.next_sequence();
            let data = self.stock.sequenced(self.copy.len(), sequence);
            let begun = Instant::now();
            self.writer.write(data)?;
            let frame = self.reader.read(Duration::ZERO)?;
            let frame = frame.ok_or_else(|| Failure::new("expected the frame, found none"))?;
            frame.copy_to(&mut self.copy);
            drop(frame);
            took.push(begun.elapsed());
            expect_equal("a frame is what was written", true, data == self.copy)?;
        }
        let counted = self.raw.get(Field::PayloadWrittenCount)? - before;
        let figures = Figures::of(took).ok_or_else(|| Failure::new("expected frames"))?;
        Ok((figures, counted / TURN as u64))
    }
}

/// Two rings, and what was measured.
#[derive(Debug)]
pub struct Wrapping {
    with: Lane,
    without: Option<Lane>,
    /// The median of each turn.
    medians_with: Vec<Duration>,
    medians_without: Vec<Duration>,
}

impl Wrapping {
    /// Frames will go through `lane`, in which each is to wrap.
    pub fn of(lane: Lane) -> Wrapping {
        Wrapping {
            with: lane,
            without: None,
            medians_with: Vec::new(),
            medians_without: Vec::new(),
        }
    }

    /// Measures the ring in which frames wrap.
    ///
    /// # Errors
    ///
    /// If a frame does not wrap.
    pub fn measure_with(&mut self) -> Result<(), Failure> {
        let (figures, counted) = self.with.turn()?;
        // A wrap is counted like a frame.
        expect_equal("written_count for each frame that wraps", 2, counted)?;
        self.medians_with.push(figures.median());
        Ok(())
    }

    /// Measures `lane`, in which none is to wrap, and in turns with it the other ring, so that
    /// whatever else the machine does hits both of them.
    ///
    /// # Errors
    ///
    /// If a frame wraps where it should not, or the other way round.
    pub fn measure_without(&mut self, lane: Lane, scale: Scale) -> Result<(), Failure> {
        let lane = self.without.insert(lane);
        self.medians_with.clear();
        for _ in 0..scale.iterations(FRAMES, LEAST) / TURN {
            let (figures, counted) = self.with.turn()?;
            expect_equal("written_count for each frame that wraps", 2, counted)?;
            self.medians_with.push(figures.median());
            let (figures, counted) = lane.turn()?;
            expect_equal(
                "written_count for each frame that does not wrap",
                1,
                counted,
            )?;
            self.medians_without.push(figures.median());
        }
        Ok(())
    }

    /// How much longer frames take that wrap, in per cent: the median of all pairs of turns.
    ///
    /// # Errors
    ///
    /// If not both were measured.
    pub fn overhead(&self) -> Result<f64, Failure> {
        median_overhead(&self.medians_with, &self.medians_without)
    }
}

fn median_overhead(with: &[Duration], without: &[Duration]) -> Result<f64, Failure> {
    let ratio =
        |(with, without): (&Duration, &Duration)| with.as_secs_f64() / without.as_secs_f64();
    let mut ratios: Vec<f64> = with.iter().zip(without).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    match ratios.get(ratios.len() / 2) {
        Some(median) => Ok(100.0 * (median - 1.0)),
        None => Err(Failure::new(
            "expected measurements with and without wrap-around, found none to compare",
        )),
    }
}

impl fmt::Display for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = |medians: &[Duration]| {
            Figures::of(medians.to_vec()).map_or(Duration::ZERO, |figures| figures.median())
        };
        write!(
            f,
            "a frame of {} KiB written, read and given back in one thread: {} with wrap-around, {} \
             without (medians of {} turns of {TURN} frames each)",
            FRAME >> 10,
            Short(median(&self.medians_with)),
            Short(median(&self.medians_without)),
            self.medians_without.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(test: &str, size: usize) -> Lane {
        let name = format!("serve-wrap-{test}-{}", std::process::id());
        Lane::new(&BufferName::new(name).unwrap(), size).unwrap()
    }

    #[test]
    fn every_frame_wraps_in_one_ring_and_none_in_the_other() {
        let mut wrapping = Wrapping::of(lane("with", FRAME + FRAME / 2));
        assert!(wrapping.overhead().is_err());
        wrapping.measure_with().unwrap();
        assert!(wrapping.overhead().is_err());
        let scale = Scale::of_environment().unwrap();
        wrapping
            .measure_without(lane("without", FRAME), scale)
            .unwrap();
        assert!(wrapping.overhead().unwrap() < 100.0, "{wrapping}");
    }

    #[test]
    fn a_ring_of_the_wrong_size_is_noticed() {
        let mut wrapping = Wrapping::of(lane("no-wrap", FRAME));
        let failure = wrapping.measure_with().unwrap_err().to_string();
        assert!(failure.contains("expected 2, found 1"), "{failure}");
    }

    #[test]
    fn the_overhead_is_that_of_most_turns() {
        let millis = |numbers: [u64; 3]| numbers.map(Duration::from_millis);
        let overhead = median_overhead(&millis([103, 300, 104]), &millis([100, 100, 100]));
        assert!((overhead.unwrap() - 4.0).abs() < 1e-9);
    }
}
