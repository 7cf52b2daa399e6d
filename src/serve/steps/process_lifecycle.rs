//! Processes that die, and others that take their place.

use std::time::{Duration, Instant};

use cucumber::{given, then, when};

use crate::serve::attempt::{Operation, another_error};
use crate::serve::ends::writing::WRITE_TIMEOUT;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::naming::{FEATURE_ID, HOST_PID};
use crate::serve::outside::relic::{self, Relics};
use crate::serve::outside::segment::{Field, RawSegment};
use crate::serve::pattern;
use crate::serve::world::World;
use crate::{BufferConfig, Error};

/// How soon a death is noticed.
pub const NOTICED: Duration = Duration::from_millis(200);

#[given(regex = r"^we run in harmony$")]
fn we_run_in_harmony(world: &mut World) -> StepOutcome {
    if world.is_orchestrated() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected an orchestrator that gives every process the run's id, in initialize or in \
         {HOST_PID} and {FEATURE_ID}; found none"
    )))
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should timeout or detect writer death on next read$"
)]
fn should_detect_writer_death_on_next_read(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.find(&role, None)?;
    let begun = Instant::now();
    match reading.try_read()? {
        Err(Error::WriterDead { .. }) => expect_noticed(begun.elapsed()),
        Err(other) => Err(another_error("WriterDead", &other)),
        Ok(()) => {
            let frame = reading.last()?;
            let message = format!(
                "expected no frame, found one with sequence {}",
                frame.sequence
            );
            Err(Failure::new(message))
        }
    }
}

fn expect_noticed(took: Duration) -> StepOutcome {
    if took < NOTICED {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected the death to be noticed within {NOTICED:?}, found {took:?}"
    )))
}

#[when(regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?fills buffer completely$")]
fn fills_buffer_completely(world: &mut World, role: String) -> StepOutcome {
    let count = world.writers.find(&role, None)?.fill()?;
    tracing::info!("the buffer was full after {count} frames");
    Ok(())
}

#[then(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?should detect reader death on next write$"
)]
fn should_detect_reader_death_on_next_write(world: &mut World, role: String) -> StepOutcome {
    let writing = world.writers.find(&role, None)?;
    let data = writing.own_data(pattern::DEFAULT_FRAME_SIZE)?;
    let writer = writing.writer()?;
    let begun = Instant::now();
    match writer.write(&data) {
        Err(Error::ReaderDead { .. }) => expect_noticed(begun.elapsed()),
        Err(other) => Err(another_error("ReaderDead", &other)),
        Ok(sequence) => Err(Failure::new(format!(
            "expected the reader's death to be noticed, but frame {sequence} was written"
        ))),
    }
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to create buffer '([^']+)' with metadata size '(\d+)' and payload size '(\d+)'$"
)]
fn attempts_to_create_buffer(
    world: &mut World,
    role: String,
    buffer: String,
    metadata_size: usize,
    payload_size: usize,
) -> StepOutcome {
    world.findings.relics = Some(Relics::of(&world.buffer_name(&buffer)?)?);
    let config = BufferConfig::new(metadata_size, payload_size);
    let begun = Instant::now();
    let created = world.create_buffer(&role, &buffer, &config);
    let took = begun.elapsed();
    world.attempts.note(Operation::Create, took, created);
    Ok(())
}

#[then(regex = r"^the new reader should detect stale resources$")]
fn the_new_reader_should_detect_stale_resources(world: &mut World) -> StepOutcome {
    world.findings.relics()?.expect_of_dead_reader()
}

#[then(regex = r"^the new reader should clean up stale resources$")]
fn the_new_reader_should_clean_up_stale_resources(world: &mut World) -> StepOutcome {
    world.findings.relics()?.expect_replaced()
}

#[then(regex = r"^the new reader should create fresh buffer successfully$")]
fn the_new_reader_should_create_fresh_buffer(world: &mut World) -> StepOutcome {
    world.attempts.expect_success(Operation::Create)?;
    let buffer = world.readers.find("", None)?.buffer();
    relic::expect_fresh(buffer)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?detects reader death and reconnects to buffer '([^']+)'$"
)]
fn detects_reader_death_and_reconnects(
    world: &mut World,
    role: String,
    buffer: String,
) -> StepOutcome {
    let writing = world.writers.find(&role, Some(&buffer))?;
    writing.write_until_reader_death()?;
    writing.close("its reader had died");
    Ok(world.connect(&role, &buffer, WRITE_TIMEOUT)?)
}

#[when(
    regex = r"^(?:(?:the|a|a new|a second) '([^']+)' process )?attempts to connect to buffer '([^']+)'$"
)]
fn attempts_to_connect(world: &mut World, role: String, buffer: String) -> StepOutcome {
    attempt_to_connect(world, &role, &buffer)
}

/// Attempts to connect, without waiting.
pub fn attempt_to_connect(world: &mut World, role: &str, buffer: &str) -> StepOutcome {
    let name = world.buffer_name(buffer)?;
    let begun = Instant::now();
    let connected = world.connect(role, buffer, Duration::ZERO);
    let took = begun.elapsed();
    let attempts = &mut world.attempts;
    attempts.note_about(name, Operation::Connect, took, connected);
    Ok(())
}

/// Of the writer that is there, the error tells the process.
#[then(regex = r"^the connection should fail with writer exists error$")]
fn the_connection_should_fail_with_writer_exists(world: &mut World) -> StepOutcome {
    let attempt = world.attempts.last(Operation::Connect)?;
    match world.attempts.error(Operation::Connect)? {
        Error::WriterAlreadyConnected { name, pid } => {
            attempt.expect_told_buffer(name)?;
            let attached = RawSegment::open(attempt.buffer()?)?.get(Field::WriterPid)?;
            if attached == 0 {
                return Err(Failure::new("expected a writer in the segment, found none"));
            }
            expect_equal("the writer's process, told by the error", attached, *pid)
        }
        other => Err(another_error("WriterAlreadyConnected", other)),
    }
}
