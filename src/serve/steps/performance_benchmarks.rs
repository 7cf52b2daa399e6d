//! Figures, beside what the machine can do at best.

use std::fmt::Write as _;
use std::time::Duration;

use cucumber::gherkin::Step;
use cucumber::{given, then, when};

use crate::BufferName;
use crate::serve::benchmark::barrier::{self, Compared, Fences};
use crate::serve::benchmark::latency::{self, Latency};
use crate::serve::benchmark::limits::{self, Limits};
use crate::serve::benchmark::results::{all_measured, attach, measured};
use crate::serve::benchmark::scale::Scale;
use crate::serve::benchmark::signal::{AtRate, Signals};
use crate::serve::benchmark::throughput::{self, Throughput};
use crate::serve::benchmark::utilization::{self, Utilization};
use crate::serve::benchmark::wrap::{self, Wrapping};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::world::World;

/// The buffer whose semaphores tell the limits of this machine.
const LIMITS: &str = "bench-limits";

#[given(regex = r"^benchmark environment is prepared$")]
fn benchmark_environment_is_prepared(world: &mut World) -> StepOutcome {
    world.release();
    tracing::info!("benchmarks are {}", Scale::of_environment()?.note());
    Ok(())
}

/// The rows below the heading, which has to be this one.
fn rows<'s, const N: usize>(
    step: &'s Step,
    heading: [&str; N],
) -> Result<Vec<&'s [String; N]>, Failure> {
    let table = step.table.as_ref().map_or(&[][..], |table| &table.rows);
    let mut found: Vec<&[String; N]> = Vec::new();
    for row in table {
        let row = row.as_slice().try_into();
        found.push(row.map_err(|_| Failure::new(format!("expected the columns {heading:?}")))?);
    }
    match found.split_first() {
        Some((first, rest)) if **first == heading && !rest.is_empty() => Ok(rest.to_vec()),
        _ => Err(Failure::new(format!(
            "expected a table with the columns {heading:?}, found {table:?}"
        ))),
    }
}

/// Attaches figures, one a line, with how they came about and what the machine's limits are, which
/// figures can be compared with.
fn report(world: &World, lines: &[String]) -> Result<Limits, Failure> {
    let limits = Limits::measure(&semaphores_name(world, LIMITS)?)?;
    let mut text = Scale::of_environment()?.note();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{line}");
    }
    let _ = write!(text, "\n{limits}");
    attach(&text);
    Ok(limits)
}

/// The name of a buffer of which there are the semaphores alone.
fn semaphores_name(world: &World, buffer: &str) -> Result<BufferName, Failure> {
    let name = world.buffer_name(buffer)?;
    world.registry().note_parts(&name);
    Ok(name)
}

fn lines<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[then(regex = r"^(?:the '([^']+)' process )?measure latency for frame sizes:$")]
fn measure_latency(world: &mut World, role: String, step: &Step) -> StepOutcome {
    let scale = Scale::of_environment()?;
    for [size, iterations, expected] in rows(step, ["size", "iterations", "expected"])? {
        let writer = world.writers.find(&role, None)?.writer()?;
        let latency = Latency::measure(writer, size, iterations.parse()?, scale)?;
        tracing::info!("{latency}");
        world.benchmarks.latency.push(latency);
        let last = world.benchmarks.latency.last();
        last.map_or(Ok(()), |latency| latency.expect(expected))?;
    }
    Ok(())
}

#[then(regex = r"^report Min, Max, Mean, P50, P90, P99, P99\.9$")]
fn report_latency(world: &mut World) -> StepOutcome {
    let mut told = vec!["from before a write until the frame is copied out and given back".into()];
    let all = all_measured("latency", &world.benchmarks.latency)?;
    told.extend(lines(all));
    latency::expect_possible(all, &report(world, &told)?)
}

#[when(
    regex = r"^(?:the '([^']+)' process )?measure throughput for '(\d+)' seconds with frame sizes:$"
)]
#[then(
    regex = r"^(?:the '([^']+)' process )?measure throughput for '(\d+)' seconds with frame sizes:$"
)]
fn measure_throughput(world: &mut World, role: String, seconds: u64, step: &Step) -> StepOutcome {
    let time = Scale::of_environment()?.time(Duration::from_secs(seconds));
    for [size, metric] in rows(step, ["size", "metric"])? {
        expect_equal("metric", "frames/sec, MB/sec", metric.as_str())?;
        let writer = world.writers.find(&role, None)?.writer()?;
        let throughput = Throughput::measure(writer, size, time)?;
        world.benchmarks.throughput.push(throughput);
    }
    Ok(())
}

/// Whatever crosses takes CPU time, and there is no more than CPUs.
#[then(regex = r"^report CPU usage percentage$")]
fn report_cpu_usage(world: &mut World) -> StepOutcome {
    let all = all_measured("throughput", &world.benchmarks.throughput)?;
    throughput::expect_possible(all, &report(world, &lines(all))?)?;
    let most = 100.0 * std::thread::available_parallelism()?.get() as f64;
    for throughput in all {
        let percent = throughput.usage.percent();
        // The clocks of processes and the one of the machine are read one after another.
        if percent <= 1.0 || percent > most * 1.02 {
            return Err(Failure::new(format!(
                "{}: expected more than 1 % and at most {most} % of a CPU, found {percent:.1} %",
                throughput.size
            )));
        }
    }
    Ok(())
}

#[then(regex = r"^expect to saturate memory bandwidth$")]
fn expect_to_saturate(world: &mut World) -> StepOutcome {
    let all = all_measured("throughput", &world.benchmarks.throughput)?;
    throughput::expect_saturation(all, limits::memcpy())
}

#[given(regex = r"^buffer size is '(\d+(?:\.\d+)?)x' frame size to force wrap$")]
fn buffer_size_forces_wrap(world: &mut World, factor: f64) -> StepOutcome {
    let name = ring_name(world, "bench-wrap")?;
    let size = (wrap::FRAME as f64 * factor) as usize;
    world.benchmarks.wrapping = Some(Wrapping::of(name, size));
    Ok(())
}

fn ring_name(world: &World, buffer: &str) -> Result<BufferName, Failure> {
    let name = world.buffer_name(buffer)?;
    world.registry().note_reader(&name);
    world.registry().note_writer(&name);
    Ok(name)
}

fn wrapping(world: &mut World) -> Result<&mut Wrapping, Failure> {
    measured("a ring that forces a wrap", &mut world.benchmarks.wrapping)
}

#[when(regex = r"^measure performance with wrap-around$")]
fn measure_with_wrap_around(world: &mut World) -> StepOutcome {
    wrapping(world)?.measure_with()
}

#[when(regex = r"^measure performance without wrap-around$")]
fn measure_without_wrap_around(world: &mut World) -> StepOutcome {
    let name = ring_name(world, "bench-no-wrap")?;
    wrapping(world)?.measure_without(&name, Scale::of_environment()?)
}

#[then(regex = r"^calculate overhead percentage$")]
fn calculate_overhead(world: &mut World) -> StepOutcome {
    let found = wrapping(world)?;
    let told = format!(
        "{found}\nthe overhead in the middle: {:+.2} %",
        found.overhead()?
    );
    let limits = report(world, &[told])?;
    wrapping(world)?.expect_possible(&limits)
}

#[then(regex = r"^expect less than '(\d+(?:\.\d+)?)%' performance impact$")]
fn expect_less_impact(world: &mut World, percent: f64) -> StepOutcome {
    let overhead = wrapping(world)?.overhead()?;
    if overhead < percent {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected less than {percent} % more time with wrap-around, found {overhead:.2} %"
    )))
}

#[given(regex = r"^measure atomic fence operations$")]
fn measure_fences(world: &mut World) -> StepOutcome {
    world.benchmarks.fences = Some(Fences::measure(Scale::of_environment()?));
    Ok(())
}

#[when(regex = r"^compare with and without memory barriers$")]
fn compare_barriers(world: &mut World) -> StepOutcome {
    world.benchmarks.compared = Some(Compared::measure(Scale::of_environment()?)?);
    Ok(())
}

#[then(regex = r"^verify data integrity maintained$")]
fn verify_data_integrity(world: &mut World) -> StepOutcome {
    measured("messages", &mut world.benchmarks.compared)?.expect_integrity()
}

#[then(regex = r"^expect less than '(\d+)' ns per barrier$")]
fn expect_cheap_barriers(world: &mut World, nanoseconds: f64) -> StepOutcome {
    let benchmarks = &mut world.benchmarks;
    let fences = measured("the cost of barriers", &mut benchmarks.fences)?;
    let compared = measured("messages", &mut benchmarks.compared)?;
    let told = [fences.to_string(), compared.to_string()];
    let outcome = barrier::expect_less(fences, compared, nanoseconds);
    report(world, &told)?;
    outcome
}

#[given(regex = r"^measure sem_post/sem_wait operation cost$")]
fn measure_signals(world: &mut World) -> StepOutcome {
    let name = semaphores_name(world, "bench-signal")?;
    let signals = Signals::measure(&name, Scale::of_environment()?)?;
    world.benchmarks.signals = Some(signals);
    Ok(())
}

#[when(regex = r"^test at rates:$")]
fn test_at_rates(world: &mut World, step: &Step) -> StepOutcome {
    let scale = Scale::of_environment()?;
    let benchmarks = &mut world.benchmarks;
    let signals = measured("the cost of signals", &mut benchmarks.signals)?;
    for [rate, impact] in rows(step, ["rate", "expected_impact"])? {
        let at_rate = signals.at_rate(rate, scale)?;
        tracing::info!("{at_rate}");
        at_rate.expect(impact)?;
        benchmarks.rates.push(at_rate);
    }
    Ok(())
}

#[then(regex = r"^report CPU usage and latency impact$")]
fn report_signals(world: &mut World) -> StepOutcome {
    let benchmarks = &mut world.benchmarks;
    let mut told = vec![measured("the cost of signals", &mut benchmarks.signals)?.to_string()];
    told.extend(lines(all_measured("signals at rates", &benchmarks.rates)?));
    report(world, &told)?;
    let mut rates = world.benchmarks.rates.iter();
    rates.try_for_each(AtRate::expect_possible)
}

/// That it is faster than the reader is found when both are at work.
#[given(regex = r"^(?:the '([^']+)' process )?is configured to be faster than reader$")]
fn is_configured_to_be_faster(world: &mut World, role: String) -> StepOutcome {
    world.writers.find(&role, None)?.writer()?;
    world.benchmarks.writers_pause = Some(utilization::PAUSE);
    Ok(())
}

#[when(regex = r"^(?:the '([^']+)' process )?monitor buffer utilization over time$")]
fn monitor_utilization(world: &mut World, role: String) -> StepOutcome {
    let pause = *measured("the writer's pace", &mut world.benchmarks.writers_pause)?;
    let writer = world.writers.find(&role, None)?.writer()?;
    world.benchmarks.utilization = Some(Utilization::monitor(writer, pause)?);
    Ok(())
}

#[then(regex = r"^verify degradation detection at '(\d+)%'$")]
fn verify_degradation_detection(world: &mut World, percent: f64) -> StepOutcome {
    watched(world)?.expect_detection(percent)
}

fn watched(world: &mut World) -> Result<&mut Utilization, Failure> {
    measured("utilization", &mut world.benchmarks.utilization)
}

#[then(regex = r"^report time to degradation$")]
fn report_time_to_degradation(world: &mut World) -> StepOutcome {
    let pause = *measured("the writer's pace", &mut world.benchmarks.writers_pause)?;
    let found = watched(world)?;
    let time = found.time_to_degradation()?;
    let told = format!("{found}\ndegraded (80 % in use) after {time:.1?}");
    let outcome = found.expect_filled_by_writing(pause);
    report(world, &[told])?;
    outcome
}

#[then(regex = r"^report recovery time$")]
fn report_recovery_time(world: &mut World) -> StepOutcome {
    let found = watched(world)?;
    let time = found.recovery_time()?;
    let outcome = found.expect_emptied_by_reading();
    attach(&format!(
        "recovered (less than 50 % in use) {time:.1?} after the last write"
    ));
    outcome
}
