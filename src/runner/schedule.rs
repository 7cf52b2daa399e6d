//! In which order executions are run, and how many at the same time.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, stream};

use super::config::Config;
use super::machine::memory;
use super::plan::Execution;

/// The tag of scenarios that run alone.
pub const EXCLUSIVE: &str = "exclusive";

/// How much memory an execution may need, in bytes: two buffers of a Python client.
const MEMORY: u64 = 512 << 20;

/// One running of an execution.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// Its number among all turns, in the order of the plan.
    pub number: usize,
    /// What is run.
    pub execution: &'a Execution,
    /// The how many-th time, from 1.
    pub repetition: u32,
}

impl Turn<'_> {
    fn is_exclusive(&self) -> bool {
        self.execution.scenario.scenario.has_tag(EXCLUSIVE)
    }

    /// Whether its steps are given more time than others.
    fn is_long(&self) -> bool {
        self.execution.scenario.scenario.step_timeout().is_some()
    }
}

/// The turns of a run.
#[derive(Debug)]
pub struct Schedule<'a> {
    /// Those that run side by side, in the order in which they begin.
    pub together: Vec<Turn<'a>>,
    /// Those that run after them, one after another.
    pub alone: Vec<Turn<'a>>,
}

/// How often everything runs, and which of the rounds a schedule is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rounds {
    /// The rounds that are mixed with each other, from 1.
    pub repetitions: RangeInclusive<u32>,
    /// The number of the first turn.
    pub first_number: usize,
}

impl Rounds {
    /// Everything so many times.
    pub fn up_to(count: u32) -> Rounds {
        Rounds {
            repetitions: 1..=count,
            first_number: 0,
        }
    }

    /// Everything once.
    pub fn once() -> Rounds {
        Rounds::up_to(1)
    }
}

/// Lets every execution have a turn in each of the rounds, in the order that `seed` gives, if there
/// is one; otherwise those that are known to take long begin first. Where several run at the same time,
/// those that must not come last.
pub fn schedule<'a>(
    executions: &'a [Execution],
    rounds: &Rounds,
    seed: Option<u64>,
    jobs: usize,
) -> Schedule<'a> {
    let each = rounds.repetitions.clone().flat_map(|repetition| {
        let round = executions.iter();
        round.map(move |execution| (execution, repetition))
    });
    let numbered = (rounds.first_number..).zip(each);
    let mut turns: Vec<_> = numbered
        .map(|(number, (execution, repetition))| Turn {
            number,
            execution,
            repetition,
        })
        .collect();
    if let Some(seed) = seed {
        // Rounds that come one by one have an order each.
        let later = u64::from(*rounds.repetitions.start()) - 1;
        shuffle(&mut turns, seed.wrapping_add(later));
    }
    let (alone, mut together): (Vec<_>, Vec<_>) = match jobs {
        1 => (turns, Vec::new()),
        _ => turns.into_iter().partition(Turn::is_exclusive),
    };
    if seed.is_none() {
        // What takes long would otherwise run on when everything else has ended.
        together.sort_by_key(|turn| !turn.is_long());
    }
    Schedule { together, alone }
}

impl<'a> Schedule<'a> {
    /// All turns, in the order of their numbers.
    pub fn in_order(&self) -> Vec<Turn<'a>> {
        let mut turns = [self.together.as_slice(), &self.alone].concat();
        turns.sort_by_key(|turn| turn.number);
        turns
    }

    /// Has executions run alone too that could not stand others beside them.
    pub fn with_alone(self, could_not: impl Fn(&Execution) -> bool) -> Schedule<'a> {
        let Schedule {
            together,
            mut alone,
        } = self;
        let (apart, together) = together
            .into_iter()
            .partition(|turn| could_not(turn.execution));
        alone.extend::<Vec<_>>(apart);
        Schedule { together, alone }
    }

    /// Lets everybody have their turn, `jobs` of those that run side by side at a time.
    pub async fn carry_out<R>(&self, jobs: usize, play: impl AsyncFn(&Turn<'a>) -> R) -> Vec<R> {
        let together = stream::iter(&self.together).map(|turn| play(turn));
        let mut results: Vec<R> = together.buffer_unordered(jobs).collect().await;
        for turn in &self.alone {
            results.push(play(turn).await);
        }
        results
    }
}

/// How many executions run at the same time: as the command line says, else the configuration.
pub fn jobs(asked: Option<u16>, config: &Config) -> usize {
    let jobs = asked.map(usize::from);
    let jobs = jobs.or(config.jobs.map(NonZeroUsize::get));
    jobs.unwrap_or_else(default_jobs)
}

/// How many executions run at the same time where nobody says it: most of the time they wait.
fn default_jobs() -> usize {
    let processors = available_parallelism().map_or(1, usize::from);
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    let memory = meminfo.and_then(|text| memory(&text, "MemAvailable:"));
    bounded_jobs(processors, memory)
}

fn bounded_jobs(processors: usize, memory: Option<u64>) -> usize {
    let fitting = memory.map_or(u64::MAX, |bytes| bytes / MEMORY);
    let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
    (2 * processors).min(fitting).max(1)
}

/// A seed that is another one each time.
pub fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |time| time.as_nanos());
    // Short enough to be typed again.
    (mixed(nanos as u64) ^ u64::from(std::process::id())) % 1_000_000
}

/// Fisher and Yates' shuffle.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(GOLDEN);
        let choice = mixed(state) % (last as u64 + 1);
        items.swap(last, choice as usize);
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function.
fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{feature, filter::Filter, plan, route};
    use std::path::Path;
    use std::sync::Arc;

    fn executions() -> Vec<Execution> {
        let text = "Feature: F\n@exclusive\nScenario: One\nGiven x\nScenario: Two\nGiven x\n\
                    Scenario: Three\nGiven x\n";
        planned(text)
    }

    fn planned(text: &str) -> Vec<Execution> {
        let scenarios = feature::parse(Path::new("3.feature"), text).unwrap();
        let routed: Vec<_> = scenarios
            .into_iter()
            .map(|s| Arc::new(route::route(s)))
            .collect();
        plan::plan(&routed, &Filter::default(), &["a", "b"])
    }

    fn words(turns: &[Turn<'_>]) -> Vec<String> {
        let word = |turn: &Turn<'_>| format!("{} #{}", turn.execution, turn.repetition);
        turns.iter().map(word).collect()
    }

    #[test]
    fn exclusive_ones_come_last_where_several_run() {
        let executions = executions();
        let several = schedule(&executions, &Rounds::once(), None, 2);
        assert_eq!(words(&several.alone), ["3.1 a #1", "3.1 b #1"]);
        assert_eq!(
            words(&several.together),
            ["3.2 a #1", "3.2 b #1", "3.3 a #1", "3.3 b #1"]
        );
        let single = schedule(&executions, &Rounds::once(), None, 1);
        assert!(single.together.is_empty());
        assert_eq!(words(&single.alone)[..2], ["3.1 a #1", "3.1 b #1"]);
    }

    #[test]
    fn what_takes_long_begins_first() {
        let text = "Feature: F\nScenario: One\nGiven x\n@step-timeout(60)\nScenario: Two\n\
                    Given x\n@step-timeout(60)\n@exclusive\nScenario: Three\nGiven x\n";
        let executions = planned(text);
        let order = |seed, jobs| {
            let schedule = schedule(&executions, &Rounds::once(), seed, jobs);
            (words(&schedule.together), words(&schedule.alone))
        };
        let (together, alone) = order(None, 2);
        assert_eq!(together, ["3.2 a #1", "3.2 b #1", "3.1 a #1", "3.1 b #1"]);
        assert_eq!(alone, ["3.3 a #1", "3.3 b #1"]);
        assert_eq!(order(None, 1).1[0], "3.1 a #1", "one by one");
        let shuffled = (0..99).map(|seed| order(Some(seed), 2).0);
        assert!(shuffled.clone().any(|order| order[0].starts_with("3.1")));
    }

    #[test]
    fn others_can_be_made_to_run_alone_too() {
        let executions = executions();
        let is_on_b = |execution: &Execution| execution.platforms == ["b"];
        let schedule = schedule(&executions, &Rounds::once(), None, 2).with_alone(is_on_b);
        assert_eq!(words(&schedule.together), ["3.2 a #1", "3.3 a #1"]);
        assert_eq!(
            words(&schedule.alone),
            ["3.1 a #1", "3.1 b #1", "3.2 b #1", "3.3 b #1"]
        );
    }

    #[test]
    fn repetitions_come_round_by_round() {
        let executions = executions();
        let turns = schedule(&executions[2..4], &Rounds::up_to(2), None, 1).alone;
        assert_eq!(
            words(&turns),
            ["3.2 a #1", "3.2 b #1", "3.2 a #2", "3.2 b #2"]
        );
        let numbers: Vec<_> = turns.iter().map(|turn| turn.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }

    #[test]
    fn a_later_round_has_its_own_numbers_and_order() {
        let executions = executions();
        let round = |repetition, seed| {
            let rounds = Rounds {
                repetitions: repetition..=repetition,
                first_number: 10 * repetition as usize,
            };
            schedule(&executions, &rounds, seed, 1)
        };
        let plain = round(2, None).in_order();
        let numbers: Vec<_> = plain.iter().map(|turn| turn.number).collect();
        assert_eq!(numbers, [20, 21, 22, 23, 24, 25]);
        assert_eq!(words(&plain)[0], "3.1 a #2");
        let order = |repetition| {
            let turns = round(repetition, Some(7)).alone;
            let executions = turns.iter().map(|turn| turn.execution.to_string());
            executions.collect::<Vec<_>>()
        };
        assert_eq!(order(2), order(2));
        assert_ne!(order(2), order(3));
    }

    #[test]
    fn a_seed_gives_one_order_of_all() {
        let executions = executions();
        let order = |seed| words(&schedule(&executions, &Rounds::up_to(4), seed, 1).alone);
        let plain = order(None);
        let one = order(Some(1));
        assert_eq!(one, order(Some(1)));
        assert_ne!(one, order(Some(2)));
        assert_ne!(one, plain);
        let sorted = |mut order: Vec<String>| {
            order.sort();
            order
        };
        assert_eq!(sorted(one), sorted(plain));
    }

    #[test]
    fn every_place_is_as_likely_as_any_other() {
        let mut counts = [[0; 4]; 4];
        for seed in 0..4000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items, seed);
            for (place, item) in items.into_iter().enumerate() {
                counts[item][place] += 1;
            }
        }
        let even = counts.iter().flatten().all(|n| (850..1150).contains(n));
        assert!(even, "{counts:?}");
    }

    #[test]
    fn memory_bounds_the_number_of_jobs() {
        assert_eq!(bounded_jobs(2, None), 4);
        assert_eq!(bounded_jobs(8, Some(4 << 30)), 8);
        assert_eq!(bounded_jobs(8, Some(100)), 1);
        assert!(default_jobs() >= 1);
    }
}
