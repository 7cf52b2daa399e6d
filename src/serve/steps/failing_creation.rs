//! Creations that fail halfway: because a semaphore cannot be made, or for lack of room.

use std::path::Path;

use cucumber::{given, then, when};
use nix::errno::Errno;

use super::resource_management::create_and_drop;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::files::BufferFiles;
use crate::serve::sharing::expect_alone;
use crate::serve::strain::crowd::{Crowd, cross_everywhere};
use crate::serve::strain::hindrance::{Cause, Hindrance, Refusal};
use crate::serve::world::World;
use crate::{BufferConfig, BufferName, Reader};

/// A buffer whose parts are small enough for a sliver of shared memory.
const SMALL: BufferConfig = BufferConfig {
    metadata_size: 0,
    payload_size: 4096,
};

#[given(regex = r"^the test simulates semaphore creation failure$")]
#[when(regex = r"^the test simulates semaphore creation failure$")]
fn simulates_semaphore_creation_failure(world: &mut World) -> StepOutcome {
    let (name, config) = planned(world)?;
    let files = BufferFiles::of(&name);
    world.begin_census()?;
    fail_at_folder(world, &name, &config, &files.data_semaphore)?;
    fail_at_folder(world, &name, &config, &files.space_semaphore)?;
    fail_without_descriptors(world, &name, &config)
}

#[when(regex = r"^simulate failure creating sem-w semaphore$")]
fn simulate_failure_creating_data_semaphore(world: &mut World) -> StepOutcome {
    let (name, config) = planned(world)?;
    let part = BufferFiles::of(&name).data_semaphore;
    world.begin_census()?;
    fail_at_folder(world, &name, &config, &part)?;
    fail_without_descriptors(world, &name, &config)
}

fn fail_at_folder(
    world: &mut World,
    name: &BufferName,
    config: &BufferConfig,
    part: &Path,
) -> StepOutcome {
    let hindrance = Hindrance::folder_at(part)?;
    let (why, cause) = ("with a folder in its place", Cause::Refused(Errno::EISDIR));
    let refusal = Refusal::witness(why, cause, part, &world.mark(), || {
        create_and_drop(world, name, config)
    });
    drop(hindrance);
    world.strain.refusals.note(refusal?);
    Ok(())
}

/// The lock file takes the last descriptor, so that none is left to make a semaphore with.
fn fail_without_descriptors(
    world: &mut World,
    name: &BufferName,
    config: &BufferConfig,
) -> StepOutcome {
    // They would be taken from everybody in this process.
    expect_alone("file descriptors are not to be withheld here")?;
    let part = BufferFiles::of(name).data_semaphore;
    // The folders are listed before and after, with a descriptor that is free then.
    let (why, cause) = ("without descriptors", Cause::Refused(Errno::EMFILE));
    let refusal = Refusal::witness(why, cause, &part, &world.mark(), || {
        let _hindrance = Hindrance::descriptors(1).map_err(|error| crate::Error::Io {
            name: name.to_string(),
            doing: "leave it one descriptor".into(),
            source: error,
        })?;
        create_and_drop(world, name, config)
    })?;
    world.strain.refusals.note(refusal);
    Ok(())
}

fn planned(world: &World) -> Result<(BufferName, BufferConfig), Failure> {
    world
        .strain
        .planned
        .clone()
        .ok_or_else(|| Failure::new("expected a buffer that is to be made, found none"))
}

#[then(regex = r"^the buffer creation should fail$")]
fn the_buffer_creation_should_fail(world: &mut World) -> StepOutcome {
    world.strain.refusals.expect(Refusal::expect_cause)
}

#[then(regex = r"^the shared memory should be cleaned up$")]
fn the_shared_memory_should_be_cleaned_up(world: &mut World) -> StepOutcome {
    expect_cleaned_up(world)
}

#[then(regex = r"^(?:the '([^']+)' process )?should clean up shared memory$")]
fn should_clean_up_shared_memory(world: &mut World, _role: String) -> StepOutcome {
    expect_cleaned_up(world)
}

fn expect_cleaned_up(world: &World) -> StepOutcome {
    let (name, _) = planned(world)?;
    world.strain.refusals.expect(Refusal::expect_nothing_left)?;
    expect_no_files(&name)
}

fn expect_no_files(name: &BufferName) -> StepOutcome {
    match BufferFiles::of(name).existing().first() {
        None => Ok(()),
        Some(path) => Err(Failure::new(format!(
            "expected no file of the buffer, found {}",
            path.display()
        ))),
    }
}

#[then(regex = r"^(?:the '([^']+)' process )?should throw appropriate exception$")]
fn should_throw_appropriate_exception(world: &mut World, _role: String) -> StepOutcome {
    world.strain.refusals.expect(Refusal::expect_cause)
}

#[then(regex = r"^no resources should be leaked$")]
fn no_resources_should_be_leaked(world: &mut World) -> StepOutcome {
    world.expect_nothing_left().map(drop)
}

#[then(regex = r"^the test should verify no resources leaked$")]
fn the_test_should_verify_no_resources_leaked(world: &mut World) -> StepOutcome {
    world.expect_nothing_left().map(drop)
}

/// Made, used from its first byte to its last, and removed.
#[then(regex = r"^the test should be able to create buffer '([^']+)'$")]
fn the_test_should_be_able_to_create_buffer(world: &mut World, buffer: String) -> StepOutcome {
    let name = world.buffer_name(&buffer)?;
    prove_creation(world, &name, &SMALL)
}

#[given(regex = r"^the test creates shared memory successfully for '([^']+)'$")]
fn the_test_creates_shared_memory_successfully(world: &mut World, buffer: String) -> StepOutcome {
    let name = world.buffer_name(&buffer)?;
    prove_creation(world, &name, &SMALL)?;
    world.strain.planned = Some((name, SMALL));
    Ok(())
}

fn prove_creation(world: &World, name: &BufferName, config: &BufferConfig) -> StepOutcome {
    world.registry().note_reader(name);
    let mut reader = Reader::create(name, config)?;
    let files = BufferFiles::of(name);
    expect_equal("files of the buffer", 4, files.existing().len())?;
    cross_everywhere(&mut reader)?;
    drop(reader);
    expect_no_files(name)
}

#[given(regex = r"^create maximum allowed semaphores$")]
fn create_maximum_allowed_semaphores(world: &mut World) -> StepOutcome {
    world.strain.crowd = Some(Crowd::of_semaphores(world)?);
    Ok(())
}

/// Three times: there is room for no semaphore, for one, and for two but not for the segment.
#[when(regex = r"^attempt to create buffer '([^']+)'$")]
fn attempt_to_create_buffer(world: &mut World, buffer: String) -> StepOutcome {
    let name = world.buffer_name(&buffer)?;
    let files = BufferFiles::of(&name);
    world.strain.planned = Some((name.clone(), SMALL));
    for (room, part) in [
        &files.data_semaphore,
        &files.space_semaphore,
        &files.segment,
    ]
    .into_iter()
    .enumerate()
    {
        if room > 0 {
            let crowd = world.strain.crowd.as_mut();
            let crowd = crowd.ok_or_else(|| Failure::new("expected shared memory to be full"))?;
            crowd.make_room()?;
        }
        world.begin_census()?;
        let why = format!("with room for {room} semaphores");
        let refusal = Refusal::witness(&why, Cause::NoSpace, part, &world.mark(), || {
            create_and_drop(world, &name, &SMALL)
        })?;
        world.strain.refusals.note(refusal);
    }
    Ok(())
}

#[then(regex = r"^appropriate error handling should occur$")]
fn appropriate_error_handling_should_occur(world: &mut World) -> StepOutcome {
    world.strain.refusals.expect(Refusal::expect_cause)
}

#[then(regex = r"^partial resources should be cleaned up$")]
fn partial_resources_should_be_cleaned_up(world: &mut World) -> StepOutcome {
    expect_cleaned_up(world)?;
    world.expect_nothing_left().map(drop)
}
