//! Readers that set the pace of their writers.

use std::time::Duration;

use cucumber::{then, when};

use crate::serve::ends::told::{tell_pace, told_pace};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::pattern;
use crate::serve::world::World;

/// Size of the frames that are written at high speed, in bytes.
const FAST_FRAME: usize = 128;

/// How many frames are read at a pace whose step gives no number.
const PACED_FRAMES: usize = 20;

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes continuously at high speed$"
)]
fn writes_continuously_at_high_speed(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.write_endlessly(FAST_FRAME)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads with '(\d+)' ms delay per frame$"
)]
fn reads_with_delay(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let pace = Duration::from_millis(milliseconds);
    world.readers.find(&role, None)?.set_pace(pace);
    tell_pace(&mut world.context, pace);
    Ok(())
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?the test runs for '(\d+)' frames$"
)]
fn the_test_runs_for_frames(world: &mut World, role: String, count: usize) -> StepOutcome {
    world.readers.find(&role, None)?.read_at_pace(count)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should receive all frames without loss$"
)]
fn should_receive_all_frames(world: &mut World, role: String) -> StepOutcome {
    let history = world.readers.find(&role, None)?.history();
    history.expect_sequential(Some(1))?;
    history.expect_no_sequence_errors()?;
    history.expect_intact()
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should block appropriately$")]
fn should_block_appropriately(world: &mut World, role: String) -> StepOutcome {
    let pace = told_pace(&world.context)?;
    let progress = world.writers.find(&role, None)?.progress()?;
    progress.expect_paced(pace)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?flow control should work correctly$"
)]
fn flow_control_should_work(world: &mut World, role: String) -> StepOutcome {
    let state = RingState::of(&world.segment_in_use(&role)?)?;
    if let Ok(reading) = world.readers.find(&role, None) {
        reading.history().expect_no_sequence_errors()?;
        return state.expect_within_bounds(reading.last()?.data.len() as u64);
    }
    let progress = world.writers.find(&role, None)?.progress()?;
    progress.expect_no_failure()?;
    state.expect_within_bounds(progress.size as u64)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frames continuously$")]
fn writes_frames_continuously(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.write_endlessly(pattern::DEFAULT_FRAME_SIZE)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads one frame every '(\d+)' ms$"
)]
fn reads_one_frame_every(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let pace = Duration::from_millis(milliseconds);
    let reading = world.readers.find(&role, None)?;
    reading.read_many(PACED_FRAMES, pace)?;
    reading.history().expect_intact()?;
    tell_pace(&mut world.context, pace);
    Ok(())
}

/// It went at the reader's pace as long as that went on, and waits again now that it has stopped: the
/// ring has no room for the next frame.
#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should block when buffer full$")]
fn should_block_when_buffer_full(world: &mut World, role: String) -> StepOutcome {
    let pace = told_pace(&world.context)?;
    let writing = world.writers.find(&role, None)?;
    writing.await_full()?;
    let progress = writing.progress()?;
    progress.expect_paced(pace)?;
    let state = RingState::now(writing.buffer())?;
    let needed = state.needed_for(progress.size as u64);
    if state.free < needed {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected less than {needed} free bytes, found {}",
        state.free
    )))
}

/// What this process can tell: as the reader, as the writer, or as both.
#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?no frames should be lost$")]
fn no_frames_should_be_lost(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    if let Ok(writing) = world.writers.find(&role, None) {
        let written = writing.count_written()?;
        let unread = Unread::walk(&raw)?;
        unread.expect_sequence_up_to(written)?;
        tracing::info!("{written} frames written, {} unread", unread.frames.len());
        if written == 0 {
            return Err(Failure::new(
                "expected frames to have been written, found none",
            ));
        }
    }
    let Ok(reading) = world.readers.find(&role, None) else {
        return Ok(());
    };
    reading.history().expect_sequential(Some(1))?;
    reading.history().expect_no_sequence_errors()?;
    let next = reading.history().last()? + 1;
    match Unread::first_in(&raw)? {
        None => Ok(()),
        Some(frame) if reading.history().has_ended() => Err(Failure::new(format!(
            "expected an empty ring, found a frame with sequence {}",
            frame.header.sequence
        ))),
        Some(frame) => expect_equal("next sequence number", next, frame.header.sequence),
    }
}
