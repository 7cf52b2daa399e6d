//! Memory, semaphores and names that run out; structures and patterns that arrive whole.

use cucumber::{given, then, when};

use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::outside::segment::{Field, HEADER, RawSegment};
use crate::serve::pattern;
use crate::serve::strain::crowd::{Crowd, SMALLEST};
use crate::serve::strain::hindrance::{Cause, Refusal};
use crate::serve::strain::structure::{self, Sightings};
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Error, Reader};

/// The attempt is made by the step that lets it fail.
#[given(regex = r"^attempt to create buffer '([^']+)' with default config$")]
fn attempt_to_create_buffer_with_default_config(world: &mut World, buffer: String) -> StepOutcome {
    let name = world.buffer_name(&buffer)?;
    world.strain.planned = Some((name, BufferConfig::default()));
    Ok(())
}

#[given(regex = r"^create maximum allowed shared memory segments$")]
fn create_maximum_allowed_segments(world: &mut World) -> StepOutcome {
    world.strain.crowd = Some(Crowd::of_buffers(world)?);
    Ok(())
}

#[when(regex = r"^attempt to create one more buffer '([^']+)'$")]
fn attempt_to_create_one_more_buffer(world: &mut World, buffer: String) -> StepOutcome {
    attempt_one_more(world, &buffer)
}

/// Attempts to make a buffer of the smallest size.
pub(super) fn attempt_one_more(world: &mut World, buffer: &str) -> StepOutcome {
    world.begin_census()?;
    let name = world.buffer_name(buffer)?;
    let part = BufferFiles::of(&name).data_semaphore;
    // Of what is left, there may be enough for a semaphore or two.
    let folder = part.with_file_name("");
    let (why, cause) = ("with shared memory full", Cause::NoSpace);
    let refusal = Refusal::witness(why, cause, &folder, &world.mark(), || {
        create_and_drop(world, &name, &SMALLEST)
    })?;
    world.strain.refusals.note(refusal);
    Ok(())
}

pub(super) fn create_and_drop(
    world: &World,
    name: &BufferName,
    config: &BufferConfig,
) -> Result<(), Error> {
    world.registry().note_reader(name);
    Reader::create(name, config).map(drop)
}

#[then(regex = r"^the creation should fail with system error$")]
fn the_creation_should_fail_with_system_error(world: &mut World) -> StepOutcome {
    world.strain.refusals.expect(Refusal::expect_no_space)
}

#[then(regex = r"^an appropriate error message should be returned$")]
fn an_appropriate_error_message_should_be_returned(world: &mut World) -> StepOutcome {
    let mark = world.mark();
    world.strain.refusals.expect(|refusal| {
        refusal.expect_cause()?;
        let message = refusal.error()?.to_string();
        for part in ["no room in shared memory", mark.as_str()] {
            if !message.contains(part) {
                return Err(Failure::new(format!(
                    "expected a message with '{part}', found: {message}"
                )));
            }
        }
        Ok(())
    })
}

#[when(regex = r"^(?:the '([^']+)' process )?writes complex structure with multiple fields$")]
fn writes_complex_structure(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let writer = writing.take_writer("it writes structures, and leaves after the last one")?;
    world.structures.writing = Some(structure::write_in_background(writer)?);
    Ok(())
}

/// What is published must be there for whoever looks, before the reader has.
#[when(regex = r"^the system ensures memory barriers are in place$")]
fn the_system_ensures_memory_barriers(world: &mut World) -> StepOutcome {
    let writing = world.writers.find("", None)?;
    let segment = RawSegment::open(writing.buffer())?;
    structure::expect_published(&segment)
}

#[then(regex = r"^(?:the '([^']+)' process )?should read structure after semaphore signal$")]
fn should_read_structure_after_semaphore_signal(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let seen = Sightings::read(reading.reader()?)?;
    let all = seen.expect_all();
    world.structures.seen = Some(seen);
    all
}

#[then(regex = r"^all fields should be fully visible$")]
fn all_fields_should_be_fully_visible(world: &mut World) -> StepOutcome {
    world.structures.seen()?.expect_every_field()
}

#[then(regex = r"^no partially visible writes should occur$")]
fn no_partially_visible_writes_should_occur(world: &mut World) -> StepOutcome {
    world.structures.seen()?.expect_none_torn()
}

#[when(
    regex = r"^(?:the '([^']+)' process )?writes frame with size '(\d+)' using incrementing pattern$"
)]
fn writes_frame_using_incrementing_pattern(
    world: &mut World,
    role: String,
    size: usize,
) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.data(size, 0)?;
    writing.write(&data)?;
    Ok(())
}

/// How many frames there are, and how many bytes they have, is told by the segment.
#[then(regex = r"^(?:the '([^']+)' process )?should validate each byte matches expected pattern$")]
fn should_validate_each_byte(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let segment = RawSegment::open(reading.buffer())?;
    let frames = segment.get(Field::PayloadWrittenCount)? - segment.get(Field::PayloadReadCount)?;
    if frames == 0 {
        return Err(Failure::new("expected unread frames, found none"));
    }
    let used = segment.used()?;
    let mut read = 0;
    for _ in 0..frames {
        let frame = reading.read()?;
        frame.expect_data(&pattern::plain(frame.data.len())?)?;
        read += frame.data.len() as u64 + HEADER;
    }
    expect_equal("bytes of all frames with their headers", used, read)
}

#[then(regex = r"^no data corruption should be detected$")]
fn no_data_corruption_should_be_detected(world: &mut World) -> StepOutcome {
    let reading = world.readers.find("", None)?;
    reading.history().expect_no_sequence_errors()?;
    reading.history().expect_sequential(Some(1))?;
    reading.release()?;
    let segment = RawSegment::open(reading.buffer())?;
    let (size, free) = (
        segment.get(Field::PayloadSize)?,
        segment.get(Field::PayloadFreeBytes)?,
    );
    expect_equal("free bytes once all is read", size, free)
}
