//! What waiting costs, and what moving data does.

use std::time::Duration;

use cucumber::{given, then, when};

use crate::serve::benchmark::activity::{Activity, Idleness};
use crate::serve::benchmark::limits;
use crate::serve::benchmark::results::{attach, measured};
use crate::serve::ends::draining::Draining;
use crate::serve::failure::StepOutcome;
use crate::serve::world::World;

#[given(regex = r"^(?:the '([^']+)' process )?reads frames in the background$")]
#[when(regex = r"^(?:the '([^']+)' process )?reads frames in the background$")]
fn reads_frames_in_the_background(world: &mut World, role: String) -> StepOutcome {
    read_in_the_background(world, &role, Duration::ZERO)
}

#[given(
    regex = r"^(?:the '([^']+)' process )?reads frames in the background, one every '(\d+)' ms$"
)]
#[when(
    regex = r"^(?:the '([^']+)' process )?reads frames in the background, one every '(\d+)' ms$"
)]
fn reads_frames_in_the_background_slowly(
    world: &mut World,
    role: String,
    milliseconds: u64,
) -> StepOutcome {
    read_in_the_background(world, &role, Duration::from_millis(milliseconds))
}

fn read_in_the_background(world: &mut World, role: &str, pause: Duration) -> StepOutcome {
    let reading = world.readers.take(role, None)?;
    let draining = Draining::start(reading, pause)?;
    world.draining.add(role, "", draining);
    Ok(())
}

#[then(regex = r"^(?:the '([^']+)' process )?should have read every frame in the background$")]
fn should_have_read_every_frame(world: &mut World, role: String) -> StepOutcome {
    world.draining.find(&role, None)?.expect_all_read()
}

#[then(regex = r"^monitor CPU usage during idle \(blocked on semaphore\)$")]
fn monitor_cpu_during_idle(world: &mut World) -> StepOutcome {
    let writer = world.writers.find("", None)?.writer()?;
    let idleness = Idleness::measure(writer.name())?;
    attach(&format!("the waiting reader: {idleness}"));
    world.benchmarks.idleness = Some(idleness);
    Ok(())
}

#[then(regex = r"^verify near-zero CPU when waiting$")]
fn verify_near_zero_cpu(world: &mut World) -> StepOutcome {
    measured("CPU usage during idle", &mut world.benchmarks.idleness)?.expect_near_zero()
}

#[when(regex = r"^transfer data actively$")]
fn transfer_data_actively(world: &mut World) -> StepOutcome {
    let writer = world.writers.find("", None)?.writer()?;
    world.benchmarks.activity = Some(Activity::measure(writer)?);
    Ok(())
}

#[then(regex = r"^monitor CPU during active transfer$")]
fn monitor_cpu_during_transfer(world: &mut World) -> StepOutcome {
    let benchmarks = &mut world.benchmarks;
    let idle = measured("CPU usage during idle", &mut benchmarks.idleness)?;
    measured("an active transfer", &mut benchmarks.activity)?.expect_at_work(idle)
}

#[then(regex = r"^verify efficient data copying$")]
fn verify_efficient_data_copying(world: &mut World) -> StepOutcome {
    let activity = measured("an active transfer", &mut world.benchmarks.activity)?;
    let memcpy = limits::memcpy();
    attach(&format!("an active transfer: {}", activity.told(memcpy)));
    activity.expect_efficient(memcpy)
}
