//! What it costs that a frame has to begin anew at the beginning of the ring.
//!
//! Both ends are in one thread, which writes a frame and reads it: nobody has to be woken, so that
//! only the ring's own work is measured. Two rings are compared in which frames touch the same
//! memory: one is as large as a frame, which ends where the ring does; in the other one half a
//! frame is left behind it, too little for the next one, and has to be skipped each time.
//!
//! How fast memory is depends a little on which pages the system has given, and who asks first gets
//! those that were given back last. So many pairs of rings are made, each anew; in every other one
//! the ring without wraps comes first, and what counts is half way between the pair in the middle of
//! those and the one in the middle of the others.

use std::fmt;
use std::time::{Duration, Instant};

use super::figures::{Figures, Short};
use super::limits::Limits;
use super::scale::Scale;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::{Field, HEADER, RawSegment};
use crate::serve::pattern::Stock;
use crate::{BufferConfig, BufferName, Reader, Writer};

/// Bytes of a frame with its header: both rings and what is copied to and from fit into a core's
/// own cache.
pub const FRAME: usize = 192 << 10;

/// Frames through one ring before it is the other one's turn.
const TURN: usize = 20;

/// How many pairs of rings are compared, half of them in either order.
const PAIRS: usize = 30;

/// Frames through each ring of all pairs together.
const FRAMES: usize = 100_000;

/// The fewest from which something can be told.
const LEAST: usize = 4_000;

/// What is written, and where to it is read.
#[derive(Debug)]
struct Data {
    stock: Stock,
    copy: Vec<u8>,
}

impl Data {
    fn new() -> Result<Data, Failure> {
        let size = FRAME - HEADER as usize;
        Ok(Data {
            stock: Stock::new(size)?,
            copy: vec![0; size],
        })
    }
}

/// A ring with both ends.
#[derive(Debug)]
struct Lane {
    writer: Writer,
    reader: Reader,
    raw: RawSegment,
    /// By how much each frame is to add to the count of what was written: a wrap is counted like a
    /// frame.
    counted: u64,
}

impl Lane {
    fn new(name: &BufferName, size: usize, counted: u64, data: &mut Data) -> Result<Lane, Failure> {
        let mut lane = Lane {
            reader: Reader::create(name, &BufferConfig::new(0, size))?,
            writer: Writer::connect(name, Duration::ZERO)?,
            raw: RawSegment::open(name)?,
            counted,
        };
        // The first frame begins at the beginning in any case.
        lane.frame(data)?;
        Ok(lane)
    }

    /// How long a frame takes through it: the median of a turn.
    fn turn(&mut self, data: &mut Data) -> Result<Duration, Failure> {
        let before = self.raw.get(Field::PayloadWrittenCount)?;
        let mut took = Vec::with_capacity(TURN);
        for _ in 0..TURN {
            took.push(self.frame(data)?);
        }
        let counted = self.raw.get(Field::PayloadWrittenCount)? - before;
        let expected = self.counted * TURN as u64;
        expect_equal("frames and wraps, as they are counted", expected, counted)?;
        let figures = Figures::of(took).ok_or_else(|| Failure::new("expected frames"))?;
        Ok(figures.median())
    }

    fn frame(&mut self, data: &mut Data) -> Result<Duration, Failure> {
        let sequence = self.writer.next_sequence();
        let written = data.stock.sequenced(data.copy.len(), sequence);
        let begun = Instant::now();
        self.writer.write(written)?;
        let frame = self.reader.read(Duration::ZERO)?;
        let frame = frame.ok_or_else(|| Failure::new("expected the frame, found none"))?;
        frame.copy_to(&mut data.copy);
        drop(frame);
        let took = begun.elapsed();
        expect_equal("a frame is what was written", true, written == data.copy)?;
        Ok(took)
    }
}

/// Rings in which frames wrap and rings in which they do not, and what was measured.
#[derive(Debug)]
pub struct Wrapping {
    name: BufferName,
    /// Bytes of a ring in which each frame is to wrap.
    size: usize,
    alone: Option<Duration>,
    pairs: Vec<Pair>,
}

/// The medians of two rings: of all turns, and of what one turn took more than the other one's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair {
    with: Duration,
    without: Duration,
    overhead: f64,
}

impl Wrapping {
    /// Frames are to wrap in rings of `size` bytes, which are called `name`.
    pub fn of(name: BufferName, size: usize) -> Wrapping {
        Wrapping {
            name,
            size,
            alone: None,
            pairs: Vec::new(),
        }
    }

    /// Measures a ring in which frames wrap.
    ///
    /// # Errors
    ///
    /// If a frame does not wrap.
    pub fn measure_with(&mut self) -> Result<(), Failure> {
        let mut data = Data::new()?;
        let mut lane = Lane::new(&self.name, self.size, 2, &mut data)?;
        self.alone = Some(lane.turn(&mut data)?);
        Ok(())
    }

    /// Measures rings in which frames do not wrap, called `name`, each in turns with one in which
    /// they do, so that whatever else the machine does hits both.
    ///
    /// # Errors
    ///
    /// If a frame wraps where it should not, or the other way round.
    pub fn measure_without(&mut self, name: &BufferName, scale: Scale) -> Result<(), Failure> {
        let mut data = Data::new()?;
        let turns = scale.iterations(FRAMES, LEAST) / TURN / PAIRS;
        for number in 0..PAIRS {
            let wraps = |data: &mut Data| Lane::new(&self.name, self.size, 2, data);
            let fits = |data: &mut Data| Lane::new(name, FRAME, 1, data);
            let (mut with, mut without) = if number % 2 == 0 {
                (wraps(&mut data)?, fits(&mut data)?)
            } else {
                let without = fits(&mut data)?;
                (wraps(&mut data)?, without)
            };
            let mut medians = Vec::with_capacity(turns);
            for _ in 0..turns {
                medians.push((with.turn(&mut data)?, without.turn(&mut data)?));
            }
            self.pairs.extend(Pair::of(&medians));
        }
        Ok(())
    }

    /// Checks that all pairs were measured, and no ring took frames faster than bytes can cross.
    ///
    /// # Errors
    ///
    /// A failure with the numbers.
    pub fn expect_possible(&self, limits: &Limits) -> StepOutcome {
        expect_equal("pairs of rings", PAIRS, self.pairs.len())?;
        let took = self.pairs.iter().flat_map(|pair| [pair.with, pair.without]);
        for took in took.chain(self.alone) {
            limits.expect_possible("frames through a ring", FRAME as f64 / took.as_secs_f64())?;
        }
        Ok(())
    }

    /// How much longer frames take that wrap, in per cent.
    ///
    /// # Errors
    ///
    /// If not both were measured.
    pub fn overhead(&self) -> Result<f64, Failure> {
        let in_order = |from| {
            let pairs = self.pairs.iter().skip(from).step_by(2);
            median(pairs.map(|pair| pair.overhead))
        };
        match (self.alone, in_order(0), in_order(1)) {
            (Some(_), Some(one), Some(other)) => Ok((one + other) / 2.0),
            _ => Err(Failure::new(
                "expected measurements with and without wrap-around, found none to compare",
            )),
        }
    }
}

impl Pair {
    /// Of the turns of two rings; `None` if there were none.
    fn of(turns: &[(Duration, Duration)]) -> Option<Pair> {
        let (with, without) = turns.iter().copied().unzip();
        let more = turns
            .iter()
            .map(|(with, without)| 100.0 * (with.as_secs_f64() / without.as_secs_f64() - 1.0));
        Some(Pair {
            with: Figures::of(with)?.median(),
            without: Figures::of(without)?.median(),
            overhead: median(more)?,
        })
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

impl fmt::Display for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a frame of {} KiB written, read and given back in one thread, with wrap-around and without, in \
             {} pairs of rings:",
            FRAME >> 10,
            self.pairs.len()
        )?;
        for pair in &self.pairs {
            let (with, without) = (Short(pair.with), Short(pair.without));
            write!(f, "\n{with} {without} {:+.2} %", pair.overhead)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(test: &str) -> BufferName {
        BufferName::new(format!("serve-wrap-{test}-{}", std::process::id())).unwrap()
    }

    #[test]
    fn every_frame_wraps_in_one_ring_and_none_in_the_other() {
        let mut wrapping = Wrapping::of(name("with"), FRAME + FRAME / 2);
        assert!(wrapping.overhead().is_err());
        wrapping.measure_with().unwrap();
        assert!(wrapping.overhead().is_err());
        let scale = Scale::of_environment().unwrap();
        wrapping.measure_without(&name("without"), scale).unwrap();
        assert!(wrapping.overhead().unwrap() < 100.0, "{wrapping}");
        let limits = Limits::measure(&name("limits")).unwrap();
        wrapping.expect_possible(&limits).unwrap();
        wrapping.alone = Some(Duration::ZERO);
        assert!(wrapping.expect_possible(&limits).is_err());
        wrapping.alone = None;
        wrapping.pairs.pop();
        assert!(wrapping.expect_possible(&limits).is_err());
    }

    #[test]
    fn a_ring_of_the_wrong_size_is_noticed() {
        let mut wrapping = Wrapping::of(name("no-wrap"), FRAME);
        let failure = wrapping.measure_with().unwrap_err().to_string();
        assert!(failure.contains("expected 40, found 20"), "{failure}");
    }

    #[test]
    fn the_overhead_is_that_of_most_turns_and_of_the_pairs_in_the_middle() {
        let millis = |numbers: [u64; 2]| {
            (
                Duration::from_millis(numbers[0]),
                Duration::from_millis(numbers[1]),
            )
        };
        let pair = Pair::of(&[[103, 100], [300, 100], [208, 200]].map(millis)).unwrap();
        assert!((pair.overhead - 4.0).abs() < 1e-9);
        assert_eq!(Pair::of(&[]), None);
        let mut wrapping = Wrapping::of(name("none"), FRAME);
        wrapping.alone = Some(Duration::ZERO);
        for overhead in [3.0, -2.0, 90.0, -70.0, -5.0, 1.0] {
            wrapping.pairs.push(Pair { overhead, ..pair });
        }
        assert_eq!(wrapping.overhead(), Ok(0.5));
    }
}
