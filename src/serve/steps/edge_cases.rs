//! Frames at the limits of the ring.

use std::time::Duration;

use cucumber::{given, then, when};

use super::basic_communication::expect_environment;
use super::error_handling::{attempt_metadata, expect_metadata_too_large, expect_no_metadata};
use super::process_lifecycle::attempt_to_connect;
use crate::serve::attempt::{Operation, another_error};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::ring_state::{RingState, Unread};
use crate::serve::outside::segment::Field;
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error};

/// How long an attempt may take that waits for nothing.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Size of metadata whose step gives none.
const SOME_METADATA: usize = 100;

/// No frame takes longer where both sides are as fast as they can be.
const STANDSTILL: Duration = Duration::from_secs(1);

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes large frame using '(\d+)%' of buffer$"
)]
fn writes_large_frame(world: &mut World, role: String, percent: usize) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let size = writing.writer()?.payload_size() * percent / 100;
    writing.set_large(size);
    let data = writing.own_data(size)?;
    writing.write_or_wait(data)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes small frame of '(\d+)' bytes?$"
)]
fn writes_small_frame(world: &mut World, role: String, size: usize) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(size)?;
    writing.write_or_wait(data)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write large frame again$"
)]
fn attempts_to_write_large_frame_again(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(writing.large()?)?;
    writing.write_or_wait(data)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?proper wrap-around handling should occur$"
)]
fn proper_wrap_around_handling(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_wrapped(&raw)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?no deadlocks should happen$")]
fn no_deadlocks_should_happen(world: &mut World, role: String) -> StepOutcome {
    let written = world.writers.find(&role, None)?.last_written()?;
    match written.waited {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected a write that had to wait and was then done, found frame {} written at once",
            written.sequence
        ))),
    }
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes '(\d+)' frames rapidly without reader consuming$"
)]
fn writes_frames_rapidly(world: &mut World, role: String, count: usize) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    for _ in 0..count {
        writing.write_own(pattern::DEFAULT_FRAME_SIZE)?;
    }
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?the semaphore count should represent pending frames$"
)]
fn the_semaphore_count_should_represent_pending_frames(
    world: &mut World,
    role: String,
) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let pending = Unread::walk(&raw)?.frames.len() as u64;
    if pending == 0 {
        return Err(Failure::new("expected frames to be pending, found none"));
    }
    let posts = raw.data_posts()?.into();
    expect_equal("value of the data semaphore", pending, posts)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?wakes and processes all frames$")]
fn wakes_and_processes_all_frames(world: &mut World, role: String) -> StepOutcome {
    match world.readers.find(&role, None)?.read_what_is_there()? {
        0 => Err(Failure::new("expected frames, found none")),
        count => {
            tracing::info!("read {count} frames");
            Ok(())
        }
    }
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?all frames should be read correctly$"
)]
fn all_frames_should_be_read_correctly(world: &mut World, role: String) -> StepOutcome {
    let history = world.readers.find(&role, None)?.history();
    history.expect_sequential(Some(1))?;
    history.expect_intact()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?the coalesced signals should be handled properly$"
)]
fn the_coalesced_signals_should_be_handled(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().last()?;
    reading.expect_no_frame()?;
    let raw = world.segment_in_use(&role)?;
    expect_equal("value of the data semaphore", 0, raw.data_posts()?)?;
    RingState::of(&raw)?.expect_used(0)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write metadata$")]
fn attempts_to_write_metadata(world: &mut World, role: String) -> StepOutcome {
    attempt_metadata(world, &role, pattern::plain(SOME_METADATA)?)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?metadata write should fail appropriately$"
)]
fn metadata_write_should_fail(world: &mut World, role: String) -> StepOutcome {
    expect_metadata_too_large(world, &role)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frame without metadata$")]
fn writes_frame_without_metadata(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(pattern::DEFAULT_FRAME_SIZE)?;
    writing.write_or_wait(data)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should verify (?:frame )?write succeeded$"
)]
fn should_verify_write_succeeded(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    writing.last_written()?.expect_in_ring(&raw)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should verify system works correctly without metadata$"
)]
fn should_verify_system_works_without_metadata(world: &mut World, role: String) -> StepOutcome {
    expect_no_metadata(world, &role)?;
    let frame = world.readers.find(&role, None)?.read()?;
    frame.expect_size(pattern::DEFAULT_FRAME_SIZE)?;
    frame.expect_sequenced_data()
}

#[given(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?creates buffer '([^']+)' with minimum viable size '(\d+)'$"
)]
fn creates_minimum_buffer(
    world: &mut World,
    role: String,
    buffer: String,
    size: usize,
) -> StepOutcome {
    Ok(world.create_buffer(&role, &buffer, &BufferConfig::new(0, size))?)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes single byte frame$")]
fn writes_single_byte_frame(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(1)?;
    writing.write_or_wait(data)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write '(\d+)' byte frame$"
)]
fn attempts_to_write_frame(world: &mut World, role: String, size: usize) -> StepOutcome {
    attempt_frame(world, &role, size)
}

/// Attempts to write a frame with the data of its sequence number.
pub fn attempt_frame(world: &mut World, role: &str, size: usize) -> StepOutcome {
    let writer = world.writers.find(role, None)?.writer()?;
    let attempts = &mut world.attempts;
    if size > writer.payload_size() {
        // Refused before memory is taken for its data.
        attempts.make_sized(Operation::Write, size, || writer.loan(size).map(drop));
        return Ok(());
    }
    let data = pattern::sequenced(size, writer.next_sequence())?;
    attempts.make_sized(Operation::Write, size, || writer.write(&data));
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?should receive FrameTooLargeException$"
)]
fn should_receive_frame_too_large(world: &mut World) -> StepOutcome {
    expect_frame_too_large(world)
}

/// Checks that a frame was refused because no wait makes room for it, with the right numbers.
pub fn expect_frame_too_large(world: &mut World) -> StepOutcome {
    let ring = RingState::of(&world.segment_in_use("")?)?;
    let attempt = world.attempts.last(Operation::Write)?;
    match world.attempts.error(Operation::Write)? {
        Error::FrameTooLarge {
            size,
            needed,
            capacity,
            ..
        } => {
            attempt.expect_told_size(*size)?;
            let needs = ring.needed_for(*size);
            expect_equal("bytes needed, told by the error", needs, *needed)?;
            expect_equal("size of the ring, told by the error", ring.size, *capacity)
        }
        other => Err(another_error("FrameTooLarge", other)),
    }
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frame with exact size '(\d+)'$"
)]
fn writes_frame_with_exact_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.writers.find(&role, None)?.write_own(size)?;
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?buffer should be completely full$"
)]
fn buffer_should_be_completely_full(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    expect_equal("free bytes", 0, raw.get(Field::PayloadFreeBytes)?)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?no more writes should be possible$"
)]
fn no_more_writes_should_be_possible(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.expect_full().map(drop)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads frame$")]
fn reads_frame(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.read()?;
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?the frame should have size '(\d+)'$"
)]
fn the_frame_should_have_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.last()?;
    frame.expect_size(size)?;
    frame.expect_usual_data()
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should be able to write again$")]
fn should_be_able_to_write_again(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(pattern::DEFAULT_FRAME_SIZE)?;
    writing.write_or_wait(data)?;
    let written = writing.last_written()?;
    written.expect_in_ring(&raw)?;
    written.expect_at_beginning(&raw)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write frame with size '(\d+)'$"
)]
fn attempts_to_write_frame_with_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    attempt_frame(world, &role, size)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?should fail with zero size error$")]
fn should_fail_with_zero_size_error(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::Write)? {
        Error::InvalidFrameSize { .. } => Ok(()),
        other => Err(another_error("InvalidFrameSize", other)),
    }
}

/// Of all that was written only the frame last read has not been given back.
#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?frame overhead should be '(\d+)' bytes$"
)]
fn frame_overhead_should_be(world: &mut World, role: String, overhead: u64) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let data = reading.held()?.len() as u64;
    let used = RingState::now(reading.buffer())?;
    used.expect_used(data + overhead)
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should wait for space$")]
fn should_wait_for_space(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.expect_waiting_frame()
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should complete write at buffer start$"
)]
fn should_complete_write_at_buffer_start(world: &mut World, role: String) -> StepOutcome {
    let raw = world.segment_in_use(&role)?;
    let written = world.writers.find(&role, None)?.last_written()?;
    written.expect_wrapped(&raw)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes '(\d+)' frames of size '(\d+)' rapidly$"
)]
fn writes_many_frames_rapidly(
    world: &mut World,
    role: String,
    count: usize,
    size: usize,
) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.write_in_background(count, size)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?reads all frames and signals immediately$"
)]
fn reads_all_frames_and_signals(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.read_to_end(Duration::ZERO)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?all sequence numbers should be correct$"
)]
fn all_sequence_numbers_should_be_correct(world: &mut World, role: String) -> StepOutcome {
    let history = world.readers.find(&role, None)?.history();
    history.expect_sequential(Some(1))?;
    history.expect_no_sequence_errors()
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?no deadlocks should occur$")]
fn no_deadlocks_should_occur(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().expect_no_standstill(STANDSTILL)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?fills buffer to '(\d+)%' capacity$"
)]
fn fills_buffer_to(world: &mut World, role: String, percent: u64) -> StepOutcome {
    world.writers.find(&role, None)?.fill_to(percent)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?continues filling buffer to '100%'$"
)]
fn continues_filling_buffer(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.fill_to_the_last_byte()
}

#[then(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should block waiting for space$")]
fn should_block_waiting_for_space(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.expect_full().map(drop)
}

#[given(regex = r"^the system is ready$")]
fn the_system_is_ready(_: &mut World) -> StepOutcome {
    expect_environment()
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to connect to non-existent buffer '([^']+)'$"
)]
fn attempts_to_connect_to_nothing(world: &mut World, role: String, buffer: String) -> StepOutcome {
    let name = world.buffer_name(&buffer)?;
    let there = BufferFiles::of(&name).existing().len();
    expect_equal("files of the buffer", 0, there)?;
    attempt_to_connect(world, &role, &buffer)
}

#[then(regex = r"^the connection should fail with appropriate error$")]
fn the_connection_should_fail(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::Connect)? {
        Error::BufferNotFound { .. } => {}
        other => return Err(another_error("BufferNotFound", other)),
    }
    // It was not to wait.
    let took = world.attempts.last(Operation::Connect)?.took;
    match took < AT_ONCE {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected the attempt to end within {AT_ONCE:?}, found {took:?}"
        ))),
    }
}

#[then(regex = r"^error should indicate no shared memory found$")]
fn error_should_indicate_no_shared_memory(world: &mut World) -> StepOutcome {
    let attempt = world.attempts.last(Operation::Connect)?;
    let error = world.attempts.error(Operation::Connect)?;
    let Error::BufferNotFound { name, .. } = error else {
        return Err(another_error("BufferNotFound", error));
    };
    attempt.expect_told_buffer(name)?;
    let told = format!("buffer '{}' does not exist", attempt.buffer()?);
    match error.to_string().starts_with(&told) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected {told:?}, found \"{error}\""
        ))),
    }
}
