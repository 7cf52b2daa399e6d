//! The order of things: every contender at every size, and all of it again and again, so that a
//! slow minute of the machine hits all of them alike.

use crate::Result;
use crate::arguments::Arguments;
use crate::contender::{Contender, Course};
use crate::heat::Heat;
use crate::interrupt::{self, Interrupt};
use crate::progress::Progress;
use crate::results::Results;
use crate::transport::Place;

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
                    name: format!("zb-bench-{}-{round}-{number}", std::process::id()),
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
/// Never such that a row of frames ends at its end or less than a header before it: that is where
/// the Python package loses its way.
fn ring(wanted: Option<usize>, size: usize) -> usize {
    let frame = HEADER + size;
    let mut ring = wanted.unwrap_or(SMALLEST_RING.max(4 * frame));
    ring = ring.next_multiple_of(BLOCK);
    while ring % frame < HEADER {
        ring += BLOCK;
    }
    ring
}
