//! What it costs to wake a thread by a semaphore, and how soon it is awake.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cpu_time::{CpuClock, Usage};
use super::figures::{Figures, Short};
use super::own::{OwnSemaphore, hertz};
use super::scale::Scale;
use crate::BufferName;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::room::room_for;

/// How long signals are sent at each rate.
const TIME: Duration = Duration::from_secs(10);

/// Signals that are sent at least, however slow the rate.
const LEAST: usize = 2;

/// Pairs of post and wait that are measured without anybody asleep.
const PAIRS: usize = 1_000_000;

/// How long a thread waits for a signal before it gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long before its time a sleeping sender wakes up, to wait for the rest without sleeping.
const EARLY: Duration = Duration::from_micros(100);

/// Per cent of a CPU up to which an impact is negligible, and from which it is measurable.
const NEGLIGIBLE: f64 = 25.0;
const MEASURABLE: f64 = 1.0;

/// The cost of the operations themselves.
#[derive(Debug)]
pub struct Signals {
    /// The semaphores on which it is measured, kept for what is measured later.
    semaphores: [OwnSemaphore; 2],
    /// A post and a wait with nobody asleep, in nanoseconds.
    pair: f64,
}

impl Signals {
    /// Measures it on semaphores of a buffer `name`, which must not exist.
    ///
    /// # Errors
    ///
    /// If they cannot be made, or a signal is lost.
    pub fn measure(name: &BufferName, scale: Scale) -> Result<Signals, Failure> {
        let semaphores = OwnSemaphore::pair(name)?;
        let pairs = scale.iterations(PAIRS, LEAST);
        let begun = Instant::now();
        let mut taken = 0;
        for _ in 0..pairs {
            semaphores[0].post();
            taken += usize::from(semaphores[0].wait(PATIENCE));
        }
        let pair = begun.elapsed().as_secs_f64() * 1e9 / pairs as f64;
        if taken != pairs {
            return Err(Failure::new(format!(
                "expected {pairs} signals to arrive, found {taken}"
            )));
        }
        Ok(Signals { semaphores, pair })
    }

    /// Sends signals at a rate to a thread that is asleep.
    ///
    /// # Errors
    ///
    /// If the rate is none, or a signal is lost.
    pub fn at_rate(&self, rate: &str, scale: Scale) -> Result<AtRate, Failure> {
        let period = Duration::from_secs(1) / u32::try_from(hertz(rate)?)?;
        let count = ((scale.time(TIME).as_secs_f64() / period.as_secs_f64()) as usize).max(LEAST);
        let begun = Instant::now();
        let mut sent = room_for(count)?;
        sent.resize_with(count, || AtomicU64::new(0));
        let semaphore = &self.semaphores[0];
        let (posting, woken) = std::thread::scope(|scope| {
            let receiving = || receive(semaphore, &sent, begun);
            let receiver = std::thread::Builder::new().spawn_scoped(scope, receiving)?;
            let posting = send(semaphore, &sent, begun, period);
            Result::<_, Failure>::Ok((posting?, receiver.join()))
        })?;
        let elapsed = begun.elapsed();
        let (waiting, latencies) =
            woken.map_err(|_| Failure::new("the receiving thread panicked"))??;
        let latency = Figures::of(latencies).ok_or_else(|| Failure::new("expected signals"))?;
        Ok(AtRate {
            rate: rate.to_owned(),
            usage: Usage {
                cpu: posting + waiting,
                elapsed,
            },
            latency,
            count,
            period,
        })
    }
}

impl fmt::Display for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a post and a wait, nobody asleep: {:.1} ns", self.pair)
    }
}

/// Posts at each multiple of the period; how long the posts took, going by the median: somebody else
/// may have had the CPU in the middle of one.
fn send(
    semaphore: &OwnSemaphore,
    sent: &[AtomicU64],
    begun: Instant,
    period: Duration,
) -> Result<Duration, Failure> {
    let mut posts = room_for(sent.len())?;
    for (number, at) in (1..).zip(sent) {
        let due = period * number;
        let early = due.saturating_sub(begun.elapsed() + EARLY);
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        while begun.elapsed() < due {
            std::hint::spin_loop();
        }
        let before = begun.elapsed();
        at.store(before.as_nanos() as u64, Ordering::Relaxed);
        semaphore.post();
        posts.push(begun.elapsed() - before);
    }
    let count = posts.len() as u32;
    Ok(Figures::of(posts).map_or(Duration::ZERO, |posts| posts.median() * count))
}

/// Waits for every signal; its own CPU time, and how long after each post it was awake.
fn receive(
    semaphore: &OwnSemaphore,
    sent: &[AtomicU64],
    begun: Instant,
) -> Result<(Duration, Vec<Duration>), Failure> {
    let clock = CpuClock::of_this_thread()?;
    let mut latencies = room_for(sent.len())?;
    for at in sent {
        if !semaphore.wait(PATIENCE) {
            return Err(Failure::new(format!(
                "expected {} signals, found {}",
                sent.len(),
                latencies.len()
            )));
        }
        // The semaphore orders this load behind the store before its post.
        let posted = Duration::from_nanos(at.load(Ordering::Relaxed));
        latencies.push(begun.elapsed().saturating_sub(posted));
    }
    Ok((clock.usage()?.cpu, latencies))
}

/// Signals at one rate.
#[derive(Debug)]
pub struct AtRate {
    rate: String,
    /// The CPU time of posting and of being woken; not what it takes to keep to the rate.
    usage: Usage,
    /// From before a post until the other thread is awake.
    latency: Figures,
    /// How many signals were to be sent, and how long after each other.
    count: usize,
    period: Duration,
}

impl AtRate {
    /// Checks what the table expects of the rate.
    ///
    /// # Errors
    ///
    /// If the impact is larger or smaller, or the expectation is none that is known.
    pub fn expect(&self, impact: &str) -> Result<(), Failure> {
        let percent = self.usage.percent();
        let (is_met, bound) = match impact {
            "negligible" => (percent < NEGLIGIBLE, format!("less than {NEGLIGIBLE} %")),
            "measurable" => (percent > MEASURABLE, format!("more than {MEASURABLE} %")),
            _ => {
                let text = format!("'{impact}' is no impact that is known here");
                return Err(Failure::new(text));
            }
        };
        if is_met {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{}: expected a {impact} impact, so {bound} of a CPU, found {percent:.2} %",
            self.rate
        )))
    }
}

impl AtRate {
    /// Checks that all signals arrived, at no higher rate than they were to be sent, and that this took
    /// CPU time, but not more than there is.
    ///
    /// # Errors
    ///
    /// A failure that names the rate.
    pub fn expect_possible(&self) -> StepOutcome {
        self.latency.expect_sound(&self.rate, self.count)?;
        let least = self.period * self.count as u32;
        let cpus = std::thread::available_parallelism()?.get() as u32;
        let Usage { cpu, elapsed } = self.usage;
        if elapsed >= least && !cpu.is_zero() && cpu <= elapsed * cpus {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{}: expected at least {least:?} for all signals, and some of {cpus} CPUs, found {elapsed:?} \
             and {cpu:?} of a CPU",
            self.rate
        )))
    }
}

impl fmt::Display for AtRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7} × {:<7} CPU {:6.2} %, {} a signal; awake after: {}",
            self.rate,
            self.latency.count(),
            self.usage.percent(),
            Short(self.usage.cpu / self.latency.count() as u32),
            self.latency
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_arrives() {
        let name = BufferName::new(format!("serve-signal-{}", std::process::id())).unwrap();
        let scale = Scale::of_environment().unwrap();
        let signals = Signals::measure(&name, scale).unwrap();
        let at_rate = signals.at_rate("1kHz", scale).unwrap();
        assert_eq!(at_rate.latency.count(), 200);
        assert!(at_rate.usage.elapsed >= Duration::from_millis(200));
        assert!(at_rate.usage.cpu > Duration::ZERO);
        for rate in ["often", "4000000000Hz", "4000000000kHz"] {
            assert!(signals.at_rate(rate, scale).is_err(), "{rate}");
        }
    }

    #[test]
    fn the_impact_is_judged() {
        let at = |percent: f64| AtRate {
            rate: "1kHz".into(),
            usage: Usage {
                cpu: Duration::from_secs_f64(percent / 100.0),
                elapsed: Duration::from_secs(1),
            },
            latency: Figures::of(vec![Duration::from_millis(1)]).unwrap(),
            count: 1,
            period: Duration::from_secs(1),
        };
        assert!(at(NEGLIGIBLE - 1.0).expect("negligible").is_ok());
        assert!(at(NEGLIGIBLE + 1.0).expect("negligible").is_err());
        assert!(at(MEASURABLE * 2.0).expect("measurable").is_ok());
        assert!(at(MEASURABLE / 2.0).expect("measurable").is_err());
        assert!(at(1.0).expect("none").is_err());
        assert_eq!(at(1.0).expect_possible(), Ok(()));
        let latency = Figures::of(vec![Duration::ZERO]).unwrap();
        let period = Duration::from_millis(1001);
        let one = at(1.0);
        for wrong in [
            at(0.0),
            at(1e9),
            AtRate { latency, ..at(1.0) },
            AtRate { period, ..at(1.0) },
            AtRate { count: 2, ..one },
        ] {
            assert!(wrong.expect_possible().is_err(), "{wrong:?}");
        }
    }
}
