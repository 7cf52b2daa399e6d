//! The same things very often, for a long time, or until there is no more of them.

use std::time::Duration;

use cucumber::{given, then, when};

use super::resource_management::attempt_one_more;
use crate::rpc::message::ATTACHMENT;
use crate::serve::ends::Reader;
use crate::serve::errand::{CONNECTED, Errand, KNOCK};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::outside::segment::{Field, RawSegment};
use crate::serve::pattern;
use crate::serve::strain::census::{self, LOCKS};
use crate::serve::strain::crowd::{Crowd, cross_everywhere};
use crate::serve::strain::cycle::{self, Cycles};
use crate::serve::strain::endurance::{self, Reading, Run};
use crate::serve::strain::hindrance::Refusal;
use crate::serve::world::World;
use crate::{BufferConfig, BufferName};

/// The buffer that another process keeps connecting to.
const VISITED: &str = "test-rapid-load";

const SMALL: BufferConfig = BufferConfig {
    metadata_size: 64,
    payload_size: 64 * 1024,
};

/// In every so many cycles the other process gets all the time that it needs to connect.
const VISIT: usize = 20;

/// What may come of an attempt to connect to a buffer that comes and goes.
const GRACEFUL: [&str; 5] = [
    CONNECTED,
    "BufferNotFound",
    "NotReady",
    "ReaderDead",
    "BufferFull",
];

/// How long something may take that only has to happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many frames were written, for who reads them.
const WRITTEN: &str = "endurance.written";

/// What the other process said of its attempts.
const SAID: &str = "visitor.said";

/// Nothing of this run is there yet.
#[given(regex = r"^stress test environment is prepared$")]
fn stress_test_environment_is_prepared(world: &mut World) -> StepOutcome {
    world.release();
    let names = census::names(&world.mark())?;
    match names.first() {
        None => Ok(()),
        Some(path) => Err(Failure::new(format!(
            "expected nothing of this run, found {}",
            path.display()
        ))),
    }
}

/// The first one is in the steps that follow, the others are made by the last of them.
#[given(regex = r"^perform '(\d+)' iterations of:$")]
fn perform_iterations_of(world: &mut World, count: usize) -> StepOutcome {
    world.strain.cycles = Cycles::of(count);
    world.begin_census()
}

#[when(regex = r"^(?:the '([^']+)' process )?destroys buffer$")]
fn destroys_buffer(world: &mut World, role: String) -> StepOutcome {
    let reader = world.readers.take(&role, None)?.into_reader()?;
    let name = reader.name().clone();
    let segment = RawSegment::open(&name)?;
    let config = BufferConfig::new(
        usize::try_from(segment.get(Field::MetadataSize)?)?,
        reader.payload_size(),
    );
    drop(segment);
    cycle::remove(reader)?;
    let cycles = &mut world.strain.cycles;
    // This was one of them.
    cycles.wanted = cycles.wanted.saturating_sub(1);
    while !cycles.is_done() {
        cycles.run(&name, &config, |_| Ok(()))?;
    }
    Ok(())
}

#[then(regex = r"^no resource leaks should occur$")]
fn no_resource_leaks_should_occur(world: &mut World) -> StepOutcome {
    expect_no_leaks(world)
}

#[then(regex = r"^the test should verify no resource leaks$")]
fn the_test_should_verify_no_resource_leaks(world: &mut World) -> StepOutcome {
    expect_no_leaks(world)
}

#[then(regex = r"^(?:the '([^']+)' process should )?verify no resource leaks$")]
fn verify_no_resource_leaks(world: &mut World, _role: String) -> StepOutcome {
    expect_no_leaks(world)
}

fn expect_no_leaks(world: &World) -> StepOutcome {
    let now = world.expect_nothing_left()?;
    if world.strain.cycles.count() > 0 {
        world.strain.cycles.expect_no_growth()?;
    }
    let before = world.strain.before.as_ref().unwrap_or(&now);
    tracing::info!("{ATTACHMENT}at the beginning: {before}\nat the end: {now}");
    Ok(())
}

#[then(regex = r"^lock files should be properly cleaned$")]
fn lock_files_should_be_cleaned(world: &mut World) -> StepOutcome {
    expect_no_lock_files(world)
}

#[then(regex = r"^the test should verify lock files cleaned up$")]
fn the_test_should_verify_lock_files_cleaned(world: &mut World) -> StepOutcome {
    expect_no_lock_files(world)
}

/// Every cycle has seen its lock file.
fn expect_no_lock_files(world: &World) -> StepOutcome {
    let cycles = &world.strain.cycles;
    if cycles.count() == 0 {
        return Err(Failure::new(
            "expected buffers to have been made, found none",
        ));
    }
    expect_equal("cycles", cycles.wanted, cycles.count())?;
    let names = census::names(&world.mark())?;
    match names.iter().find(|path| path.starts_with(LOCKS)) {
        None => Ok(()),
        Some(path) => Err(Failure::new(format!(
            "expected no lock file, found {}",
            path.display()
        ))),
    }
}

/// A cycle takes no longer than at the beginning, and the buffer works as ever.
#[then(regex = r"^system should remain stable$")]
fn system_should_remain_stable(world: &mut World) -> StepOutcome {
    let cycles = &world.strain.cycles;
    tracing::info!("{ATTACHMENT}{}", cycles.summary());
    cycles.expect_steady()?;
    expect_working(world, "after-the-cycles")
}

fn expect_working(world: &World, buffer: &str) -> StepOutcome {
    let name = world.buffer_name(buffer)?;
    world.registry().note_reader(&name);
    let mut reader = Reader::create(&name, &SMALL)?;
    cross_everywhere(&mut reader)?;
    cycle::remove(reader)
}

/// Until the step that judges it.
#[given(regex = r"^(?:the '([^']+)' process )?reads continuously and compares every frame$")]
#[when(regex = r"^(?:the '([^']+)' process )?reads continuously and compares every frame$")]
fn reads_continuously(world: &mut World, role: String) -> StepOutcome {
    let reading = world.readers.take(&role, None)?;
    world.strain.reading = Some(Reading::start(reading, world.mark())?);
    Ok(())
}

#[when(regex = r"^the test runs continuous write-read for '(\d+)' hours$")]
fn runs_continuous_write_read(world: &mut World, hours: u64) -> StepOutcome {
    let time = endurance::scaled(hours)?;
    let mark = world.mark();
    let writer = world.writers.find("", None)?.writer()?;
    let run = Run::write(writer, time, &mark)?;
    let scaled = time.as_secs_f64();
    tracing::info!(
        "{ATTACHMENT}ran scaled: {scaled} s instead of {hours} h\n{}",
        run.summary()
    );
    world.context.insert(WRITTEN.into(), run.frames.to_string());
    world.strain.before = Some(run.before().clone());
    world.strain.run = Some(run);
    Ok(())
}

fn run(world: &World) -> Result<&Run, Failure> {
    let run = world.strain.run.as_ref();
    run.ok_or_else(|| Failure::new("expected a long run of writes, found none"))
}

/// At 32 and at 64 bits.
#[then(regex = r"^verify sequence numbers handle overflow$")]
fn verify_sequence_numbers_handle_overflow(world: &mut World) -> StepOutcome {
    let rate = run(world)?.frames as f64 / run(world)?.took.as_secs_f64();
    let years = u64::MAX as f64 / rate / (365.25 * 24.0 * 3600.0);
    let day = rate * 24.0 * 3600.0 / f64::from(u32::MAX);
    tracing::info!(
        "{ATTACHMENT}at {rate:.0} frames a second, 24 h pass the end of 32 bits {day:.2} times, and \
         the end of 64 bits is {years:.0} years away"
    );
    let name = world.buffer_name("sequence-numbers")?;
    world.registry().note_reader(&name);
    for boundary in [1 << 32, 0] {
        endurance::cross_boundary(&name, boundary)
            .map_err(|failure| failure.while_doing(format!("around {boundary}")))?;
    }
    Ok(())
}

#[then(regex = r"^monitor system resource usage$")]
fn monitor_system_resource_usage(world: &mut World) -> StepOutcome {
    let run = run(world)?;
    tracing::info!("{ATTACHMENT}{}", run.resources());
    run.expect_steady_use()
}

#[then(regex = r"^ensure stable operation throughout$")]
fn ensure_stable_operation(world: &mut World) -> StepOutcome {
    run(world)?.expect_stable()
}

#[then(regex = r"^(?:the '([^']+)' process )?should have read every frame that was written$")]
fn should_have_read_every_frame(world: &mut World, role: String) -> StepOutcome {
    let written = world.context.get(WRITTEN);
    let written: u64 = written
        .ok_or_else(|| Failure::new("expected a writer to tell how many frames it has written"))?
        .parse()?;
    let reading = world.strain.reading.take();
    let reading =
        reading.ok_or_else(|| Failure::new("expected a reader that reads all the time"))?;
    let read = reading.finish()?;
    let segment = RawSegment::open(read.end.buffer())?;
    let unread = segment.used()?;
    world.readers.add(&role, "", read.end);
    world.strain.before = read.before;
    expect_equal("frames read", written, read.frames)?;
    expect_equal("bytes that are still unread", 0, unread)
}

#[given(regex = r"^create maximum number of buffers system allows$")]
fn create_maximum_number_of_buffers(world: &mut World) -> StepOutcome {
    world.strain.crowd = Some(Crowd::of_buffers(world)?);
    Ok(())
}

#[when(regex = r"^reach system limit$")]
fn reach_system_limit(world: &mut World) -> StepOutcome {
    crowd(world)?;
    attempt_one_more(world, "beyond-the-limit")
}

fn crowd(world: &mut World) -> Result<&mut Crowd, Failure> {
    let crowd = world.strain.crowd.as_mut();
    crowd.ok_or_else(|| Failure::new("expected shared memory to have been filled"))
}

/// The one too many is refused and leaves nothing, and all the others go on working.
#[then(regex = r"^the test should verify graceful failure when limit reached$")]
fn the_test_should_verify_graceful_failure(world: &mut World) -> StepOutcome {
    let refusals = &world.strain.refusals;
    refusals.expect(Refusal::expect_no_space)?;
    refusals.expect(Refusal::expect_nothing_left)?;
    crowd(world)?.expect_usable()
}

#[when(regex = r"^cleanup all buffers$")]
fn cleanup_all_buffers(world: &mut World) -> StepOutcome {
    crowd(world)?.release();
    Ok(())
}

#[then(regex = r"^the test should verify resources properly released$")]
fn the_test_should_verify_resources_released(world: &mut World) -> StepOutcome {
    let mark = world.mark();
    crowd(world)?.expect_released(&mark)
}

/// There is room for as many buffers as there was.
#[then(regex = r"^the system should return to normal state$")]
fn the_system_should_return_to_normal_state(world: &mut World) -> StepOutcome {
    let before = crowd(world)?.capacity;
    let again = Crowd::of_buffers(world)?;
    if before > 0 {
        expect_equal("buffers that there is room for", before, again.capacity)?;
    }
    drop(again);
    expect_working(world, "after-the-crowd")
}

#[given(regex = r"^the test spawns writer attempting connections continuously$")]
fn the_test_spawns_writer(world: &mut World) -> StepOutcome {
    world.begin_census()?;
    let buffer = world.buffer_name(VISITED)?.to_string();
    world.strain.other = Some(Errand::KeepConnecting { buffer }.start()?);
    Ok(())
}

/// When it is over, the other process has ended; what it said is for a later step.
#[when(regex = r"^the test creates and destroys buffer '(\d+)' times$")]
fn the_test_creates_and_destroys_buffer(world: &mut World, count: usize) -> StepOutcome {
    let name = world.buffer_name(VISITED)?;
    world.registry().note_reader(&name);
    let mut other = world
        .strain
        .other
        .take()
        .ok_or_else(|| Failure::new("expected a process that keeps connecting, found none"))?;
    world.strain.cycles = Cycles::of(count);
    run_cycles(&mut world.strain.cycles, &name)?;
    other.expect_running()?;
    let said = other.finish()?;
    let summary = world.strain.cycles.summary();
    tracing::info!("{ATTACHMENT}{summary}\nmeanwhile, attempts to connect:\n{said}");
    world.context.insert(SAID.into(), said);
    Ok(())
}

fn run_cycles(cycles: &mut Cycles, name: &BufferName) -> StepOutcome {
    while !cycles.is_done() {
        let is_visited = cycles.count().is_multiple_of(VISIT);
        cycles.run(name, &SMALL, |reader| match is_visited {
            true => expect_visit(reader),
            false => Ok(()),
        })?;
    }
    Ok(())
}

/// The other process connects and writes.
fn expect_visit(reader: &mut Reader) -> StepOutcome {
    let frame = reader.read(PATIENCE)?;
    let frame = frame.ok_or_else(|| {
        Failure::new(format!(
            "expected the other process to connect within {PATIENCE:?}"
        ))
    })?;
    pattern::compare("what the other process wrote", KNOCK, &frame.to_vec())
}

#[then(regex = r"^the system should handle writer connection attempts gracefully$")]
fn the_system_should_handle_attempts_gracefully(world: &mut World) -> StepOutcome {
    let said = world.context.get(SAID);
    let said = said.ok_or_else(|| Failure::new("expected another process to tell its attempts"))?;
    let mut connected = 0;
    for line in said.lines() {
        let (outcome, count) = line
            .split_once(' ')
            .ok_or_else(|| Failure::new(format!("expected an outcome and a number: {line}")))?;
        if !GRACEFUL.contains(&outcome) {
            return Err(Failure::new(format!(
                "expected only {}, found: {line}",
                GRACEFUL.join(", ")
            )));
        }
        if outcome == CONNECTED {
            connected = count.parse()?;
        }
    }
    let visits = world.strain.cycles.count().div_ceil(VISIT);
    if connected >= visits {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected at least {visits} connections, found {connected}"
    )))
}
