//! Sequence numbers, semaphores and free bytes.

use std::time::Duration;

use cucumber::{then, when};

use super::corruption::corrupt_next_header;
use crate::Error;
use crate::serve::attempt::{Operation, another_error};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::RawHeader;
use crate::serve::pattern;
use crate::serve::world::World;

#[when(regex = r"^the test corrupts next frame sequence to '(\d+)'$")]
fn corrupts_next_frame_sequence(world: &mut World, sequence: u64) -> StepOutcome {
    corrupt_next_header(world, |header| Ok(RawHeader { sequence, ..header }))
}

#[then(regex = r"^the read should fail with sequence error$")]
fn the_read_should_fail_with_sequence_error(world: &mut World) -> StepOutcome {
    sequence_error(world).map(drop)
}

#[then(regex = r"^the error should show expected '(\d+)' got '(\d+)'$")]
fn the_error_should_show(world: &mut World, expected: u64, got: u64) -> StepOutcome {
    let told = sequence_error(world)?;
    expect_equal("sequence number expected, in the error", expected, told.0)?;
    expect_equal("sequence number got, in the error", got, told.1)
}

/// The numbers expected and got of a read out of sequence.
fn sequence_error(world: &World) -> Result<(u64, u64), Failure> {
    match world.attempts.error(Operation::Read)? {
        Error::Sequence { expected, got, .. } => Ok((*expected, *got)),
        other => Err(another_error("Sequence", other)),
    }
}

/// A pause, which is what the step says.
#[when(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?waits '(\d+)' seconds? before reading$"
)]
fn waits_before_reading(_: &mut World, seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads all '(\d+)' frames$")]
fn reads_all_frames(world: &mut World, role: String, count: usize) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.read_many(count, Duration::ZERO)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?all frames should be received correctly$"
)]
fn all_frames_should_be_received(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().expect_sequential(Some(1))?;
    reading.history().expect_no_sequence_errors()?;
    // Not one more than was asked for.
    let unread = RingState::now(reading.buffer())?.unread();
    expect_equal("unread frames", 0, unread)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?data integrity should be maintained$"
)]
fn data_integrity_should_be_maintained(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.history().expect_intact()
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frame and signal$")]
fn writes_frame_and_signal(world: &mut World, role: String) -> StepOutcome {
    write_one(world, &role)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?immediately writes another frame before reader wakes$"
)]
fn immediately_writes_another_frame(world: &mut World, role: String) -> StepOutcome {
    write_one(world, &role)
}

fn write_one(world: &mut World, role: &str) -> StepOutcome {
    let writing = world.writers.find(role, None)?;
    writing.write_own(pattern::DEFAULT_FRAME_SIZE)?;
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should process both frames correctly$"
)]
fn should_process_both_frames(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.read_many(2, Duration::ZERO)?;
    reading.history().expect_sequential(Some(1))?;
    reading.history().expect_intact()
}

/// As soon as the reader has found nothing more to read.
#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?the semaphore count should reflect pending frames$"
)]
fn the_semaphore_count_should_reflect_pending_frames(
    world: &mut World,
    role: String,
) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().last()?;
    reading.expect_no_frame()?;
    let raw = world.segment_in_use(&role)?;
    let pending = Unread::walk(&raw)?.frames.len() as u64;
    expect_equal("pending frames", 0, pending)?;
    let posts = raw.data_posts()?.into();
    expect_equal("value of the data semaphore", pending, posts)
}
