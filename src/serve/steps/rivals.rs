//! Processes that want what another one has, or wants as well: more of the edge cases.

use cucumber::{given, then, when};

use super::basic_communication::expect_environment;
use super::user_permissions;
use crate::serve::failure::StepOutcome;
use crate::serve::findings::found;
use crate::serve::rivals::race::{self, Race};
use crate::serve::rivals::second_writer::SecondWriter;
use crate::serve::world::World;

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?a second writer process attempts to connect to buffer '([^']+)'$"
)]
fn a_second_writer_process_attempts(world: &mut World, buffer: String) -> StepOutcome {
    let buffer = world.buffer_name(&buffer)?;
    world.findings.second_writer = Some(SecondWriter::attempt(&buffer)?);
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?the second writer should fail with writer exists error$"
)]
fn the_second_writer_should_fail(world: &mut World) -> StepOutcome {
    let second = found(
        &world.findings.second_writer,
        "what a second writer is told",
    )?;
    second.expect_turned_away(std::process::id())
}

/// That this process is one of the two it shows by executing the step.
#[given(regex = r"^two '[^']+' processes$")]
fn two_processes(_: &mut World) -> StepOutcome {
    expect_environment()
}

#[when(regex = r"^both simultaneously attempt to create buffer '([^']+)'$")]
fn both_attempt_to_create(world: &mut World, buffer: String) -> StepOutcome {
    world.findings.raced_for = Some(world.buffer_name(&buffer)?);
    let race = Race::run(world, &buffer)?;
    race.tell(&mut world.context);
    Ok(())
}

#[then(regex = r"^only one should succeed$")]
fn only_one_should_succeed(world: &mut World) -> StepOutcome {
    race::expect_one_winner(&world.context)
}

#[then(regex = r"^other should receive appropriate error$")]
fn other_should_receive_appropriate_error(world: &mut World) -> StepOutcome {
    race::expect_right_errors(&world.context)
}

#[then(regex = r"^no resource corruption should occur$")]
fn no_resource_corruption_should_occur(world: &mut World) -> StepOutcome {
    if user_permissions::is_restricted(world) {
        return user_permissions::expect_unharmed(world);
    }
    let buffer = found(&world.findings.raced_for, "which buffer is raced for")?;
    race::expect_no_corruption(&world.context, buffer)
}
