//! Failures in the middle of something: of a write, or of a wait.

use std::time::{Duration, Instant};

use cucumber::gherkin::Step;
use cucumber::{then, when};

use super::corruption::rows;
use crate::serve::attempt::{Operation, another_error};
use crate::serve::ends::reading::READ_TIMEOUT;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::outside::broken_header::BrokenHeader;
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error};

/// How soon a reader that waits notices that its writer is dead: 200 ms, and what a loaded machine
/// takes to run it.
const NOTICED: Duration = Duration::from_millis(300);

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?writes valid frame$")]
fn writes_valid_frame(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    writing.write_own(pattern::DEFAULT_FRAME_SIZE)?;
    Ok(())
}

/// Each row on a new buffer of this process; what was done to the one before is over.
#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?test multiple corruption scenarios:$"
)]
fn test_multiple_corruption_scenarios(world: &mut World, step: &Step) -> StepOutcome {
    for (index, row) in rows(step)?.iter().enumerate() {
        let [corruption, result] = row.as_slice() else {
            return Err(Failure::new(format!("expected two columns, found {row:?}")));
        };
        let broken = BrokenHeader::named(corruption, result)?;
        let name = format!("broken-header-{index}");
        let tried = broken.try_on(world, &name, &BufferConfig::default());
        tried.map_err(|failure| failure.while_doing(corruption))?;
    }
    Ok(())
}

/// The next operation is the end of the write that has begun, then a further one.
#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?detects reader death on next operation$"
)]
fn detects_reader_death_on_next_operation(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    if writing.has_loan() {
        writing.fill_loan()?;
        let begun = Instant::now();
        let committed = writing.try_commit_loan()?;
        let failed = committed.is_err();
        let took = begun.elapsed();
        world.attempts.note(Operation::Write, took, committed);
        if failed {
            return super::corruption::expect_reader_dead(world);
        }
    }
    super::edge_cases::attempt_frame(world, &role, pattern::DEFAULT_FRAME_SIZE)?;
    super::corruption::expect_reader_dead(world)
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?waits on semaphore for data$")]
fn waits_on_semaphore_for_data(world: &mut World, role: String) -> StepOutcome {
    world.readers.find(&role, None)?.wait_in_background()
}

/// Long before the time that it would have waited for.
#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should detect writer death after timeout '(\d+)' seconds$"
)]
fn should_detect_writer_death(world: &mut World, role: String, seconds: u64) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let (result, times) = reading.join_wait()?;
    if matches!(result, Ok(false)) {
        return Err(Failure::new(format!(
            "expected the writer's death to be noticed, but the wait ended after {READ_TIMEOUT:?}"
        )));
    }
    world.attempts.note(Operation::Read, times.took, result);
    expect_writer_dead(world)?;
    let since = times.since_death.ok_or_else(|| {
        Failure::new("expected the writer's process to have died before the wait ended")
    })?;
    tracing::info!(
        "waited {:?}, {since:?} of it after the writer's death",
        times.took
    );
    let limit = NOTICED.min(Duration::from_secs(seconds));
    match since < limit && times.took < Duration::from_secs(seconds) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "expected the death to be noticed within {limit:?}, found {since:?} (waited {:?})",
            times.took
        ))),
    }
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '[^']+' process )?should throw writer dead exception$"
)]
fn should_throw_writer_dead(world: &mut World) -> StepOutcome {
    expect_writer_dead(world)
}

fn expect_writer_dead(world: &World) -> StepOutcome {
    match world.attempts.error(Operation::Read)? {
        Error::WriterDead { .. } => Ok(()),
        other => Err(another_error("WriterDead", other)),
    }
}
