//! Readers that set the pace of their writers.

use std::time::Duration;

use cucumber::{then, when};

use crate::serve::ends::reading::ReadingEnd;
use crate::serve::ends::told::{tell_pace, told_pace};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::RawSegment;
use crate::serve::patience::eventually;
use crate::serve::pattern;
use crate::serve::world::World;

/// Size of the frames that are written at high speed, in bytes.
const FAST_FRAME: usize = 128;

/// How long the two sides may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(2);

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
    let reading = world.readers.find(&role, None)?;
    expect_none_lost_to(reading)?;
    reading.history().expect_intact()
}

/// Checks that all frames were read from the first one on, and that those that are unread go on from
/// there.
fn expect_none_lost_to(reading: &ReadingEnd) -> StepOutcome {
    let history = reading.history();
    history.expect_sequential(Some(1))?;
    history.expect_no_sequence_errors()?;
    let (last, raw) = (history.last()?, RawSegment::open(reading.buffer())?);
    // The writer may be in the middle of a frame, until the ring is full.
    eventually(PATIENCE, || {
        let unread = Unread::walk(&raw)?;
        if history.has_ended() {
            expect_equal("unread frames", 0, unread.frames.len())?;
        }
        unread.expect_sequence_from(last + 1)
    })
}

/// Checks that what is unread are the last of the frames that were written, up to this one.
fn expect_none_lost_by(raw: &RawSegment, last: u64) -> StepOutcome {
    let unread = Unread::walk(raw)?;
    tracing::info!("{last} frames written, {} unread", unread.frames.len());
    unread.expect_sequence_up_to(last)
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
    let raw = world.segment_in_use(&role)?;
    let mut size = None;
    if let Ok(reading) = world.readers.find(&role, None) {
        expect_none_lost_to(reading)?;
        size = Some(reading.last()?.data.len());
    }
    if let Ok(writing) = world.writers.find(&role, None) {
        eventually(PATIENCE, || {
            let progress = writing.progress()?;
            progress.expect_no_failure()?;
            expect_none_lost_by(&raw, progress.last)
        })?;
        size = Some(writing.progress()?.size);
    }
    let size = size.ok_or_else(|| Failure::new("expected a reader or a writer, found neither"))?;
    RingState::of(&raw)?.expect_within_bounds(size as u64)
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
        if written == 0 {
            return Err(Failure::new(
                "expected frames to have been written, found none",
            ));
        }
        expect_none_lost_by(&raw, written)?;
    }
    match world.readers.find(&role, None) {
        Ok(reading) => expect_none_lost_to(reading),
        Err(_) => Ok(()),
    }
}
