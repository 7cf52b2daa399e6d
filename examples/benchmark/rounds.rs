//! The order of things: every contender at every size, and all of it again and again, so that a
//! slow minute of the machine hits all of them alike.

use crate::Result;
use crate::arguments::Arguments;
use crate::contender::{Contender, Course};
use crate::heat::Heat;
use crate::interrupt::{self, Interrupt};
use crate::progress::Progress;
use crate::results::Results;
use crate::transport::{self, Place};

/// The least ring, which holds many small frames.
const SMALLEST_RING: usize = 1024 * 1024;

/// Bytes of a frame's header.
const HEADER: usize = 16;

/// Rings are made of blocks of so many bytes.
const BLOCK: usize = 64;

/// One contender at one size and course.
type Turn = (&'static Contender, usize, Course);

pub fn run(
    contenders: &[&'static Contender],
    arguments: &Arguments,
    interrupt: &Interrupt,
) -> Result<Results> {
    let turns = turns(contenders, &arguments.sizes());
    let rounds = arguments.rounds();
    let mut progress = Progress::new(turns.len() * rounds as usize);
    let mut results = Results::default();
    for round in 1..=rounds {
        progress.round(round, rounds);
        for (number, &(contender, size, course)) in turns.iter().enumerate() {
            let what = format!("{} with {size} bytes", contender.name);
            progress.step(&what);
            let heat = Heat {
                contender,
                course,
                place: Place {
                    name: format!("{}-{round}-{number}", transport::own_name()),
                    size,
                    ring: ring(arguments.ring, size),
                },
                time: arguments.time(),
                is_pinned: !arguments.unpinned,
                interrupt,
            };
            let counts = heat.run().map_err(|error| interrupt::or_in(&what, error))?;
            results.add(contender, course, size, counts)?;
        }
    }
    Ok(results)
}

/// All turns of a round.
fn turns(contenders: &[&'static Contender], sizes: &[usize]) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        for &contender in contenders {
            for &course in contender.courses(index == 0) {
                turns.push((contender, size, course));
            }
        }
    }
    turns
}

/// Bytes of a ring for frames of `size` bytes, about as many as asked for.
///
/// If possible not such that a row of frames ends at its end or less than a header before it: that
/// is where the Python package loses its way.
fn ring(wanted: Option<usize>, size: usize) -> usize {
    let frame = HEADER + size;
    let mut ring = wanted.unwrap_or(SMALLEST_RING.max(4 * frame));
    ring = ring.next_multiple_of(BLOCK);
    // Frames that fill blocks fill every ring.
    while !BLOCK.is_multiple_of(frame) && ring % frame < HEADER {
        ring += BLOCK;
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ring_ends_where_a_row_of_frames_does() {
        for size in [8, 9, 47, 49, 64, 1024, 1 << 20, 3_110_400] {
            for wanted in [None, Some(4096), Some(4 * (size + HEADER))] {
                let ring = ring(wanted, size);
                assert_eq!(ring % BLOCK, 0, "{size} {wanted:?}");
                assert!(
                    ring % (size + HEADER) >= HEADER,
                    "{size} {wanted:?}: {ring}"
                );
            }
        }
        assert_eq!(ring(Some(4096), 48), 4096, "64 bytes fit in any case");
    }
}
