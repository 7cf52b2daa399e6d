//! Bytes in the segment that no sound peer writes, and frames where the ring wraps.

use cucumber::gherkin::Step;
use cucumber::{given, then, when};

use super::edge_cases::{attempt_frame, expect_frame_too_large};
use super::process_lifecycle::NOTICED;
use crate::serve::attempt::{Operation, another_error};
use crate::serve::ends::reading::SHORT_TIMEOUT;
use crate::serve::ends::writing::WritingEnd;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::free_space::FreeSpace;
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::{Field, HEADER, RawHeader, RawSegment};
use crate::serve::outside::trial::Trial;
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error};

/// No field that is corrupted has this value.
const WRONG: u64 = 64;

/// Size of the ring where a scenario moves its positions by hand.
const RING: usize = 10240;

/// What stands in a table for "to be worked out".
const CALCULATED: &str = "calculated";

#[when(regex = r"^the test corrupts OIEB field '([^']+)' to wrong value$")]
fn corrupts_oieb_field(world: &mut World, field: String) -> StepOutcome {
    let field = match field.as_str() {
        "operation_size" => Field::OiebSize,
        name => Field::named(name)?,
    };
    let buffer = world.buffer_in_use("")?;
    let raw = RawSegment::open(&buffer)?;
    if raw.get(field)? == WRONG {
        return Err(Failure::new(format!("expected another value than {WRONG}")));
    }
    world.note_broken(&buffer);
    Ok(raw.set(field, WRONG)?)
}

#[then(regex = r"^the connection should fail with invalid OIEB error$")]
fn the_connection_should_fail_with_invalid_oieb(world: &mut World) -> StepOutcome {
    let attempt = world.attempts.last(Operation::Connect)?;
    match world.attempts.error(Operation::Connect)? {
        Error::IncompatibleVersion {
            name, oieb_size, ..
        } => {
            attempt.expect_told_buffer(name)?;
            let stated = RawSegment::open(attempt.buffer()?)?.get(Field::OiebSize)?;
            expect_equal("oieb_size told by the error", stated, (*oieb_size).into())
        }
        other => Err(another_error("IncompatibleVersion", other)),
    }
}

#[when(regex = r"^the test corrupts frame header '([^']+)' to '(\d+)'$")]
fn corrupts_frame_header(world: &mut World, field: String, value: u64) -> StepOutcome {
    corrupt_next_header(world, |header| match field.as_str() {
        "payload_size" => Ok(RawHeader {
            size: value,
            ..header
        }),
        "sequence_number" => Ok(RawHeader {
            sequence: value,
            ..header
        }),
        other => Err(Failure::new(format!(
            "expected payload_size or sequence_number, found '{other}'"
        ))),
    })
}

/// Changes the header of the next unread frame.
pub fn corrupt_next_header(
    world: &mut World,
    change: impl FnOnce(RawHeader) -> Result<RawHeader, Failure>,
) -> StepOutcome {
    let buffer = world.buffer_in_use("")?;
    let raw = RawSegment::open(&buffer)?;
    let frame = Unread::walk(&raw)?.first()?;
    let changed = change(frame.header)?;
    if changed == frame.header {
        return Err(Failure::new(format!(
            "expected another header than {changed}"
        )));
    }
    world.note_broken(&buffer);
    Ok(raw.put_header(frame.offset, changed)?)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to read frame$")]
fn attempts_to_read_frame(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let begun = std::time::Instant::now();
    let read = reading.try_read()?;
    world.attempts.note(Operation::Read, begun.elapsed(), read);
    Ok(())
}

#[then(regex = r"^the read should fail with invalid frame size error$")]
fn the_read_should_fail_with_invalid_size(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::Read)? {
        Error::Corrupt { .. } => expect_no_jump(world),
        other => Err(another_error("Corrupt", other)),
    }
}

/// Has a frame that fills its ring lose its size: where exactly as much as up to the end is unread,
/// a reader that took the header for a wrap marker would go to the beginning without an error.
fn expect_no_jump(world: &World) -> StepOutcome {
    let config = BufferConfig::new(0, 10240);
    let mut trial = Trial::new(world, "header-without-size", &config)?;
    let size = config.payload_size as u64 - HEADER;
    let sequence = trial.connect()?.write(&pattern::plain(size as usize)?)?;
    trial.raw.put_header(0, RawHeader { size: 0, sequence })?;
    match trial.reader.read(SHORT_TIMEOUT) {
        Err(Error::Corrupt { .. }) => {}
        Err(other) => return Err(another_error("Corrupt", &other)),
        Ok(_) => {
            return Err(Failure::new(
                "expected a header without a size to be corrupt, found it taken for a wrap marker",
            ));
        }
    }
    expect_equal("payload_read_pos", 0, trial.raw.get(Field::PayloadReadPos)?)?;
    let count = trial.raw.get(Field::PayloadReadCount)?;
    expect_equal("payload_read_count", 0, count)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?starts writing large frame (?:of )?'(\d+)' bytes$"
)]
fn starts_writing_large_frame(world: &mut World, role: String, size: usize) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.lend(size)?;
    writing.fill_half_loan()
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?completes write operation$")]
fn completes_write_operation(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.fill_loan()?;
    match writing.try_commit_loan()? {
        Ok(()) | Err(Error::ReaderDead { .. }) => Ok(()),
        Err(other) => Err(another_error("ReaderDead, or none", &other)),
    }
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts next operation$")]
fn attempts_next_operation(world: &mut World, role: String) -> StepOutcome {
    attempt_frame(world, &role, pattern::DEFAULT_FRAME_SIZE)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?should detect reader death$")]
fn should_detect_reader_death(world: &mut World) -> StepOutcome {
    expect_reader_dead(world)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?should throw reader dead exception$"
)]
fn should_throw_reader_dead(world: &mut World) -> StepOutcome {
    expect_reader_dead(world)
}

/// Checks that a write has failed because the reader is dead.
pub fn expect_reader_dead(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::Write)? {
        Error::ReaderDead { .. } => {}
        other => return Err(another_error("ReaderDead", other)),
    }
    let took = world.attempts.last(Operation::Write)?.took;
    match took < NOTICED {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected the death to be noticed within {NOTICED:?}, found {took:?}"
        ))),
    }
}

/// What the data is made of that a pattern's name stands for, of a frame with this sequence number.
fn named_pattern(name: &str, sequence: u64) -> Result<u64, Failure> {
    match name {
        "incremental" => Ok(0),
        "sequential" => Ok(sequence),
        other => Err(Failure::new(format!(
            "expected a pattern 'incremental' or 'sequential', found '{other}'"
        ))),
    }
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frame that leaves '(\d+)' bytes at end with '([^']+)' pattern$"
)]
fn writes_frame_that_leaves(
    world: &mut World,
    role: String,
    left: usize,
    name: String,
) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let to_end = RingState::now(writing.buffer())?.to_end() as usize;
    let size = to_end
        .checked_sub(left + HEADER as usize)
        .ok_or_else(|| Failure::new(format!("expected room before the end, found {to_end}")))?;
    write_named(writing, size, &name)?;
    let to_end = RingState::now(writing.buffer())?.to_end();
    expect_equal("bytes left at the end", left as u64, to_end)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write '(\d+)' byte frame with '([^']+)' pattern$"
)]
fn attempts_to_write_frame_with_pattern(
    world: &mut World,
    role: String,
    size: usize,
    name: String,
) -> StepOutcome {
    write_named(world.writers.find(&role, None)?, size, &name)
}

fn write_named(writing: &mut WritingEnd, size: usize, name: &str) -> StepOutcome {
    let sequence = writing.writer()?.next_sequence();
    let data = writing.data(size, named_pattern(name, sequence)?)?;
    writing.write_or_wait(data)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should write wrap marker at current position$"
)]
fn should_write_wrap_marker(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_marker(&raw)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should see payload_free_bytes reduced by wasted space$"
)]
fn should_see_free_bytes_reduced(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_alone_with_skipped(&raw)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?frame should be written at buffer start$"
)]
fn frame_should_be_written_at_start(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_at_beginning(&raw)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads next frame$")]
fn reads_next_frame(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.read_observed()?;
    Ok(())
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should detect wrap marker$")]
fn should_detect_wrap_marker(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let before = reading.before()?;
    let raw = world.segment_in_use(&role)?;
    let after = RingState::of(&raw)?;
    let read = after.read_count.wrapping_sub(before.read_count);
    expect_equal("frames and wraps read by one read", 2, read)?;
    let what = format!("wrap marker at {}", before.read_pos);
    expect_equal(&what, RawHeader::WRAP, raw.header_at(before.read_pos)?)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should jump to buffer start$")]
fn should_jump_to_buffer_start(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let end = HEADER + reading.last()?.data.len() as u64;
    let position = RingState::now(reading.buffer())?.read_pos;
    expect_equal("read position", end, position)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should read '(\d+)' byte frame successfully with '([^']+)' pattern$"
)]
fn should_read_frame_with_pattern(
    world: &mut World,
    role: String,
    size: usize,
    name: String,
) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.last()?;
    let sequence = named_pattern(&name, frame.sequence)?;
    frame.expect_data(&pattern::sequenced(size, sequence)?)
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates buffer '([^']+)' with specific configuration$"
)]
fn creates_specific_buffer(world: &mut World, role: String, buffer: String) -> StepOutcome {
    Ok(world.create_buffer(&role, &buffer, &BufferConfig::new(0, RING))?)
}

#[when(regex = r"^the system tests continuous_free_bytes calculation with:$")]
fn tests_free_space(world: &mut World, step: &Step) -> StepOutcome {
    let size = world.segment_in_use("")?.get(Field::PayloadSize)?;
    for row in rows(step)? {
        let [write_pos, read_pos, expected, scenario] = row.as_slice() else {
            return Err(Failure::new(format!(
                "expected four columns, found {row:?}"
            )));
        };
        let name = format!("free-space-{write_pos}-{read_pos}");
        let found = FreeSpace::find(world, &name, size, write_pos.parse()?, read_pos.parse()?)?;
        tracing::info!("{scenario}: up to {} bytes", found.expected);
        if expected != CALCULATED {
            expect_equal(scenario, expected.parse()?, found.expected)?;
        }
        world.findings.free_space.push(found);
    }
    Ok(())
}

/// The rows of a step's table, without its headers.
pub fn rows(step: &Step) -> Result<&[Vec<String>], Failure> {
    match step.table.as_ref().map(|table| table.rows.as_slice()) {
        Some([_, rows @ ..]) if !rows.is_empty() => Ok(rows),
        _ => Err(Failure::new("expected a table with rows, found none")),
    }
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?calculations should match specification$"
)]
fn calculations_should_match(world: &mut World) -> StepOutcome {
    if world.findings.free_space.is_empty() {
        return Err(Failure::new("expected calculations, found none"));
    }
    let mut rows = world.findings.free_space.iter();
    rows.try_for_each(FreeSpace::expect_agreement)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frame matching exactly payload size minus header$"
)]
fn writes_largest_frame(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let size = writing.writer()?.payload_size() - HEADER as usize;
    let data = writing.own_data(size)?;
    writing.write_or_wait(data)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should verify frame was written successfully$"
)]
fn should_verify_frame_was_written(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_in_ring(&raw)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write frame exceeding payload size$"
)]
fn attempts_to_write_too_large_frame(world: &mut World, role: String) -> StepOutcome {
    let writer = world.writers.find(&role, None)?.writer()?;
    let size = writer.payload_size() - HEADER as usize + 1;
    attempt_frame(world, &role, size)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?write should be rejected with appropriate error$"
)]
fn write_should_be_rejected(world: &mut World) -> StepOutcome {
    expect_frame_too_large(world)
}
