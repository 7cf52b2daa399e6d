//! What must not be done is refused, and what was there stays as it was.

use cucumber::{then, when};

use crate::Error;
use crate::serve::attempt::{Operation, another_error};
use crate::serve::failure::{StepOutcome, expect_equal};
use crate::serve::outside::segment::Field;
use crate::serve::pattern;
use crate::serve::world::World;
use std::time::Duration;

/// How many frames are written where a step says "frames" and no number.
const SOME_FRAMES: usize = 3;

/// What metadata's length takes in its block, in bytes.
const METADATA_PREFIX: u64 = 8;

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should have metadata with size '(\d+)'$"
)]
fn should_have_metadata_with_size(world: &mut World, role: String, size: usize) -> StepOutcome {
    let found = world.readers.find(&role, None)?.see_metadata()?;
    pattern::compare("metadata", &pattern::plain(size)?, &found)
}

/// With other bytes than those of a first write, so that a change would be seen.
#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write metadata again with size '(\d+)'$"
)]
fn attempts_to_write_metadata_again(world: &mut World, role: String, size: usize) -> StepOutcome {
    let mut other = pattern::plain(size)?;
    for byte in &mut other {
        *byte = byte.wrapping_mul(7).wrapping_add(3);
    }
    attempt_metadata(world, &role, other)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to write metadata with size '(\d+)'$"
)]
fn attempts_to_write_metadata_with_size(
    world: &mut World,
    role: String,
    size: usize,
) -> StepOutcome {
    attempt_metadata(world, &role, pattern::plain(size)?)
}

/// Attempts to write metadata.
pub fn attempt_metadata(world: &mut World, role: &str, metadata: Vec<u8>) -> StepOutcome {
    let writer = world.writers.find(role, None)?.writer()?;
    let attempt = || writer.set_metadata(&metadata);
    let attempts = &mut world.attempts;
    attempts.make_sized(Operation::WriteMetadata, metadata.len(), attempt);
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?verifies the second metadata write should fail$"
)]
fn verifies_the_second_metadata_write_should_fail(world: &mut World) -> StepOutcome {
    match world.attempts.error(Operation::WriteMetadata)? {
        Error::MetadataAlreadyWritten { .. } => Ok(()),
        other => Err(another_error("MetadataAlreadyWritten", other)),
    }
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?verifies the original metadata should remain unchanged$"
)]
fn verifies_the_original_metadata(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let original = reading.seen_metadata()?.to_vec();
    pattern::compare("metadata", &original, &reading.see_metadata()?)
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?verifies the metadata write should fail with size error$"
)]
fn verifies_the_metadata_write_should_fail(world: &mut World, role: String) -> StepOutcome {
    expect_metadata_too_large(world, &role)
}

/// Checks that metadata was refused because it is larger than its block, with the right numbers.
pub fn expect_metadata_too_large(world: &mut World, role: &str) -> StepOutcome {
    let block = world.segment_in_use(role)?.get(Field::MetadataSize)?;
    let attempt = world.attempts.last(Operation::WriteMetadata)?;
    match world.attempts.error(Operation::WriteMetadata)? {
        Error::MetadataTooLarge { size, capacity, .. } => {
            attempt.expect_told_size(*size)?;
            let room = block.saturating_sub(METADATA_PREFIX);
            expect_equal("room for metadata told by the error", room, *capacity)
        }
        other => Err(another_error("MetadataTooLarge", other)),
    }
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes frames without metadata$")]
fn writes_frames_without_metadata(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    for _ in 0..SOME_FRAMES {
        writing.write_own(pattern::DEFAULT_FRAME_SIZE)?;
    }
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should read frames successfully$"
)]
fn should_read_frames_successfully(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    reading.read_many(SOME_FRAMES, Duration::ZERO)?;
    reading.history().expect_intact()?;
    reading.history().expect_sequential(Some(1))
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?verifies the system should work without metadata$"
)]
fn verifies_the_system_should_work_without_metadata(
    world: &mut World,
    role: String,
) -> StepOutcome {
    expect_no_metadata(world, &role)?;
    world.readers.find(&role, None)?.history().expect_intact()
}

/// Checks that there is no metadata, and no block for it.
pub fn expect_no_metadata(world: &mut World, role: &str) -> StepOutcome {
    let reading = world.readers.find(role, None)?;
    let found = reading.reader()?.metadata()?.map(|metadata| metadata.len());
    let found = found.map_or("none".to_owned(), |length| format!("{length} bytes"));
    expect_equal("metadata", "none", found.as_str())?;
    let raw = world.segment_in_use(role)?;
    for field in [Field::MetadataSize, Field::MetadataWrittenBytes] {
        expect_equal(&format!("{field:?}"), 0, raw.get(field)?)?;
    }
    Ok(())
}
