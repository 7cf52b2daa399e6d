//! The order of things: every contender at every size, and all of it again and again, so that a
//! slow minute of the machine hits all of them alike.

use std::time::Duration;

use crate::Result;
use crate::arguments::Arguments;
use crate::contender::{ALL, Contender, Course};
use crate::heat::Heat;
use crate::interrupt::Interrupt;
use crate::results::Results;
use crate::table;
use crate::transport::Place;

/// The least ring, which holds many small frames.
const SMALLEST_RING: usize = 1024 * 1024;

/// Bytes of a frame's header.
const HEADER: usize = 16;

/// Rings are made of blocks of so many bytes.
const BLOCK: usize = 64;

pub fn run(arguments: &Arguments) -> Result<()> {
    let interrupt = Interrupt::take()?;
    let chosen: Vec<_> = ALL.iter().filter(|c| is_chosen(c, arguments)).collect();
    let mut results = Results::default();
    for round in 1..=arguments.rounds {
        for (index, &size) in arguments.sizes.iter().enumerate() {
            for contender in &chosen {
                for course in [Course::RoundTrip, Course::OneWay] {
                    if contender.is_bare && (index > 0 || course == Course::OneWay) {
                        continue;
                    }
                    eprintln!(
                        "{round}/{} {} {size} {course:?}",
                        arguments.rounds, contender.name
                    );
                    let heat = Heat {
                        contender,
                        course,
                        place: Place {
                            name: format!("zb-bench-{}", std::process::id()),
                            size,
                            ring: ring(arguments.ring, size),
                        },
                        time: Duration::from_millis(arguments.milliseconds),
                        is_pinned: !arguments.unpinned,
                        interrupt: &interrupt,
                    };
                    let counts = heat.run().map_err(|error| {
                        format!("{} with {size} bytes: {error}", contender.name)
                    })?;
                    results.add(contender, course, size, counts)?;
                }
            }
        }
    }
    table::print(&chosen, &arguments.sizes, &results);
    Ok(())
}

fn is_chosen(contender: &Contender, arguments: &Arguments) -> bool {
    let only = &arguments.only;
    only.is_empty()
        || only
            .iter()
            .any(|part| contender.name.contains(part.as_str()))
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
