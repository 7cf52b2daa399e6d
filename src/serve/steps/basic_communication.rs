//! One writer, one reader, one buffer.

use std::time::{Duration, Instant};

use cucumber::{given, then, when};
use nix::unistd::{AccessFlags, access};

use crate::BufferConfig;
use crate::serve::ends::told::{is_filling, tell_filling};
use crate::serve::ends::writing::WRITE_TIMEOUT;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;
use crate::serve::world::World;

/// How long a write may take that finds room at once.
const IMMEDIATELY: Duration = Duration::from_millis(50);

#[given(regex = r"^the test environment is initialized$")]
fn the_test_environment_is_initialized(world: &mut World) {
    world.release();
}

/// That this process is ready it shows by executing the step; what it needs is looked for.
#[given(regex = r"^all processes are ready$")]
fn all_processes_are_ready(_: &mut World) -> StepOutcome {
    expect_environment()
}

/// Checks that there is what every buffer needs.
pub fn expect_environment() -> StepOutcome {
    access("/dev/shm", AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| Failure::from(error).while_doing("expected /dev/shm to be writable"))
}

#[given(
    regex = r"^(?:the '([^']+)' process )?creates buffer '([^']+)' with metadata size '(\d+)' and payload size '(\d+)'$"
)]
fn creates_buffer(
    world: &mut World,
    role: String,
    buffer: String,
    metadata_size: usize,
    payload_size: usize,
) -> StepOutcome {
    let config = BufferConfig::new(metadata_size, payload_size);
    Ok(world.create_buffer(&role, &buffer, &config)?)
}

#[given(regex = r"^(?:the '([^']+)' process )?creates buffer '([^']+)' with default config$")]
#[when(regex = r"^(?:the '([^']+)' process )?creates buffer '([^']+)' with default config$")]
fn creates_buffer_with_default_config(
    world: &mut World,
    role: String,
    buffer: String,
) -> StepOutcome {
    Ok(world.create_buffer(&role, &buffer, &BufferConfig::default())?)
}

/// The default, with twice the payload.
#[given(regex = r"^(?:the '([^']+)' process )?creates buffer '([^']+)' with large config$")]
fn creates_buffer_with_large_config(
    world: &mut World,
    role: String,
    buffer: String,
) -> StepOutcome {
    let config = BufferConfig {
        payload_size: 64 * 1024 * 1024,
        ..BufferConfig::default()
    };
    Ok(world.create_buffer(&role, &buffer, &config)?)
}

#[given(regex = r"^(?:the '([^']+)' process )?connects to buffer '([^']+)'$")]
#[when(regex = r"^(?:the '([^']+)' process )?connects to buffer '([^']+)'$")]
fn connects_to_buffer(world: &mut World, role: String, buffer: String) -> StepOutcome {
    Ok(world.connect(&role, &buffer, WRITE_TIMEOUT)?)
}

#[when(regex = r"^(?:the '([^']+)' process )?writes metadata with size '(\d+)'$")]
fn writes_metadata_with_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    write_metadata(world, &role, &pattern::plain(size)?)
}

#[when(regex = r"^(?:the '([^']+)' process )?writes metadata '([^']+)'$")]
fn writes_metadata(world: &mut World, role: String, metadata: String) -> StepOutcome {
    write_metadata(world, &role, metadata.as_bytes())
}

fn write_metadata(world: &mut World, role: &str, metadata: &[u8]) -> StepOutcome {
    let writing = world.writers.find(role, None)?;
    Ok(writing.writer()?.set_metadata(metadata)?)
}

#[then(regex = r"^(?:the '([^']+)' process )?should have metadata '([^']+)'$")]
fn should_have_metadata(world: &mut World, role: String, expected: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let found = reading.reader()?.metadata()?;
    let found = found.ok_or_else(|| Failure::new("expected metadata, found none"))?;
    pattern::compare("metadata", expected.as_bytes(), &found)
}

#[when(regex = r"^(?:the '([^']+)' process )?writes frame with size '(\d+)' and sequence '(\d+)'$")]
fn writes_frame_with_size_and_sequence(
    world: &mut World,
    role: String,
    size: usize,
    sequence: u64,
) -> StepOutcome {
    write_sequenced(world, &role, size, sequence)
}

#[given(regex = r"^(?:the '([^']+)' process )?writes frame with sequence '(\d+)'$")]
#[when(regex = r"^(?:the '([^']+)' process )?writes frame with sequence '(\d+)'$")]
fn writes_frame_with_sequence(world: &mut World, role: String, sequence: u64) -> StepOutcome {
    write_sequenced(world, &role, pattern::DEFAULT_FRAME_SIZE, sequence)
}

/// The step gives the number that the frame must get, and that its data is made of.
fn write_sequenced(world: &mut World, role: &str, size: usize, sequence: u64) -> StepOutcome {
    let writing = world.writers.find(role, None)?;
    let data = writing.data(size, sequence)?;
    let written = writing.write(&data)?;
    expect_equal("sequence number of the frame written", sequence, written)
}

#[when(regex = r"^(?:the '([^']+)' process )?writes frame with size '(\d+)'$")]
fn writes_frame_with_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.data(size, 0)?;
    writing.write_or_wait(data)
}

#[given(regex = r"^(?:the '([^']+)' process )?writes frame with data '([^']+)'$")]
#[when(regex = r"^(?:the '([^']+)' process )?writes frame with data '([^']+)'$")]
fn writes_frame_with_data(world: &mut World, role: String, data: String) -> StepOutcome {
    world.writers.find(&role, None)?.write(data.as_bytes())?;
    Ok(())
}

#[then(
    regex = r"^(?:the '([^']+)' process )?should read frame with sequence '(\d+)' and size '(\d+)'$"
)]
fn should_read_frame_with_sequence_and_size(
    world: &mut World,
    role: String,
    sequence: u64,
    size: usize,
) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.read()?;
    expect_equal("sequence number", sequence, frame.sequence)?;
    frame.expect_size(size)
}

#[then(regex = r"^(?:the '([^']+)' process )?should read frame with sequence '(\d+)';?$")]
fn should_read_frame_with_sequence(world: &mut World, role: String, sequence: u64) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.read()?;
    expect_equal("sequence number", sequence, frame.sequence)
}

#[then(regex = r"^(?:the '([^']+)' process )?should read frame with size '(\d+)'$")]
fn should_read_frame_with_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.read()?;
    frame.expect_size(size)?;
    frame.expect_usual_data()
}

#[then(regex = r"^(?:the '([^']+)' process )?should read frame with data '([^']+)'$")]
fn should_read_frame_with_data(world: &mut World, role: String, data: String) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.read()?;
    frame.expect_data(data.as_bytes())
}

#[then(regex = r"^(?:the '([^']+)' process )?should validate frame data$")]
fn should_validate_frame_data(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.last()?.expect_sequenced_data()
}

#[then(regex = r"^(?:the '([^']+)' process )?should verify frame data matches test pattern$")]
fn should_verify_frame_data_matches_test_pattern(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.last()?.expect_sequenced_data()
}

#[when(regex = r"^(?:the '([^']+)' process )?signals space available$")]
#[then(regex = r"^(?:the '([^']+)' process )?signals space available$")]
fn signals_space_available(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.release()
}

#[then(regex = r"^(?:the '([^']+)' process )?should verify all frames maintain sequential order$")]
fn should_verify_all_frames_maintain_sequential_order(
    world: &mut World,
    role: String,
) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().expect_sequential(None)
}

#[when(regex = r"^(?:the '([^']+)' process )?writes frames until buffer is full$")]
fn writes_frames_until_buffer_is_full(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let first = writing.writer()?.next_sequence();
    let count = writing.fill()?;
    tracing::info!("the buffer was full after {count} frames");
    let last = writing.writer()?.next_sequence() - 1;
    tell_filling(&mut world.context, first, last);
    Ok(())
}

#[then(regex = r"^(?:the '([^']+)' process )?should experience timeout on next write$")]
fn should_experience_timeout_on_next_write(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.expect_full_in_time()
}

#[when(regex = r"^(?:the '([^']+)' process )?reads one frame$")]
fn reads_one_frame(world: &mut World, role: String) -> StepOutcome {
    let frame = world.readers.find(&role, None)?.read()?;
    match is_filling(&world.context, frame.sequence)? {
        true => frame.expect_sequenced_data(),
        false => Ok(()),
    }
}

#[then(regex = r"^(?:the '([^']+)' process )?should write successfully immediately$")]
fn should_write_successfully_immediately(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(pattern::DEFAULT_FRAME_SIZE)?;
    let begun = Instant::now();
    writing.write(&data)?;
    let took = begun.elapsed();
    if took < IMMEDIATELY {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected the write to take under {IMMEDIATELY:?}, found {took:?}"
    )))
}

#[when(regex = r"^(?:the '([^']+)' process )?requests zero-copy frame of size '(\d+)'$")]
fn requests_zero_copy_frame(world: &mut World, role: String, size: usize) -> StepOutcome {
    world.writers.find(&role, None)?.lend(size)
}

#[when(regex = r"^(?:the '([^']+)' process )?fills zero-copy buffer with test pattern$")]
fn fills_zero_copy_buffer(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.fill_loan()
}

#[when(regex = r"^(?:the '([^']+)' process )?commits zero-copy frame$")]
fn commits_zero_copy_frame(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.commit_loan()
}

#[then(
    regex = r"^(?:the '([^']+)' process )?should read (\d+) frames with sizes '([^']+)' in order$"
)]
fn should_read_frames_with_sizes(
    world: &mut World,
    role: String,
    count: usize,
    sizes: String,
) -> StepOutcome {
    let sizes: Vec<usize> = sizes
        .split(',')
        .map(|size| size.trim().parse())
        .collect::<Result<_, _>>()?;
    expect_equal("sizes named in the step", count, sizes.len())?;
    let reading = world.readers.find(&role, None)?;
    for size in sizes {
        reading.read()?.expect_data(&pattern::plain(size)?)?;
    }
    Ok(())
}

#[when(
    regex = r"^(?:the '([^']+)' process )?writes '(\d+)' frames of size '(\d+)' as fast as possible$"
)]
fn writes_frames_as_fast_as_possible(
    world: &mut World,
    role: String,
    count: usize,
    size: usize,
) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.write_in_background(count, size)
}

#[when(
    regex = r"^(?:the '([^']+)' process )?reads frames with '(\d+)' ms delay between each read$"
)]
fn reads_frames_with_delay(world: &mut World, role: String, milliseconds: u64) -> StepOutcome {
    let pause = Duration::from_millis(milliseconds);
    world.readers.find(&role, None)?.read_to_end(pause)
}

#[then(regex = r"^(?:the '([^']+)' process )?should have read '(\d+)' frames$")]
fn should_have_read_frames(world: &mut World, role: String, count: usize) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().expect_count(count)
}

#[then(
    regex = r"^(?:the '([^']+)' process )?should verify all frames have sequential sequence numbers starting from '(\d+)'$"
)]
fn should_verify_sequence_numbers(world: &mut World, role: String, first: u64) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.history().expect_sequential(Some(first))
}

#[then(regex = r"^no sequence errors should have occurred$")]
fn no_sequence_errors_should_have_occurred(world: &mut World) -> StepOutcome {
    let reading = world.readers.find("", None)?;
    reading.history().expect_no_sequence_errors()
}
