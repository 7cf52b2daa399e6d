//! Parts of a plan that run on machines of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::plan::Execution;

/// Every so many-th execution of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let bad = || "expected a part and how many there are, like 2/5".to_owned();
        let (number, of) = text.split_once('/').ok_or_else(bad)?;
        let number: usize = number.parse().map_err(|_| bad())?;
        let of = of.parse().map_err(|_| bad())?;
        match (1..=of).contains(&number) {
            true => Ok(Shard { number, of }),
            false => Err(bad()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Leaves what belongs to this part. Neighbours are much alike, and so come to different parts.
    pub fn keep(&self, executions: &mut Vec<Execution>) {
        let mut position = 0;
        executions.retain(|_| {
            position += 1;
            position % self.of == self.number % self.of
        });
    }
}

/// A part, and what it is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    /// Which part.
    pub shard: Shard,
    /// A digest of the whole plan: parts that have the same belong together.
    pub plan: String,
}

impl PartOf {
    /// The part of a plan in which everything runs so many times.
    pub fn new<'a>(
        shard: Shard,
        plan: impl IntoIterator<Item = &'a Execution>,
        repeat: u32,
    ) -> PartOf {
        let mut digest = Digest::default();
        digest.take(&format!("{repeat} times"));
        for execution in plan {
            digest.take(&execution.to_string());
        }
        PartOf {
            shard,
            plan: format!("{:016x}", digest.0),
        }
    }
}

/// FNV-1a, 64 bits.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Takes in one more text.
    fn take(&mut self, text: &str) {
        for byte in text.bytes().chain([b'\n']) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::filter::Filter;
    use crate::runner::{feature, plan, route};
    use std::path::Path;
    use std::sync::Arc;

    fn executions(platforms: &[&str]) -> Vec<Execution> {
        let text = "Feature: F\nScenario: One\nGiven x\nScenario: Two\nGiven x\n";
        let scenarios = feature::parse(Path::new("3.feature"), text).unwrap();
        let routed: Vec<_> = scenarios
            .into_iter()
            .map(|scenario| Arc::new(route::route(scenario)))
            .collect();
        plan::plan(&routed, &Filter::default(), platforms)
    }

    fn words(executions: &[Execution]) -> Vec<String> {
        executions.iter().map(Execution::to_string).collect()
    }

    #[test]
    fn all_parts_are_the_whole_and_share_nothing() {
        let whole = executions(&["a", "b", "c", "d"]);
        for of in 1..=10 {
            let mut all = Vec::new();
            let mut sizes = Vec::new();
            for number in 1..=of {
                let mut part = whole.clone();
                Shard { number, of }.keep(&mut part);
                sizes.push(part.len());
                all.extend(words(&part));
            }
            let largest = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
            assert!(largest <= 1, "{sizes:?}");
            let mut expected = words(&whole);
            all.sort();
            expected.sort();
            assert_eq!(all, expected, "{of} parts");
        }
        let mut second = whole;
        Shard { number: 2, of: 3 }.keep(&mut second);
        assert_eq!(words(&second), ["3.1 b", "3.2 a", "3.2 d"]);
    }

    #[test]
    fn a_part_is_one_of_so_many() {
        let shard: Shard = "2/5".parse().unwrap();
        assert_eq!(shard, Shard { number: 2, of: 5 });
        assert_eq!(shard.to_string(), "2/5");
        for text in ["0/5", "6/5", "1/0", "2", "a/b", "-1/2", "1/2/3"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains("like 2/5"), "{text}");
        }
    }

    #[test]
    fn only_the_same_plan_has_the_same_digest() {
        let shard = Shard { number: 1, of: 2 };
        let plan =
            |platforms: &[&str], repeat| PartOf::new(shard, &executions(platforms), repeat).plan;
        assert_eq!(plan(&["a", "b"], 1), plan(&["a", "b"], 1));
        assert_ne!(plan(&["a", "b"], 1), plan(&["a"], 1));
        assert_ne!(plan(&["a", "b"], 1), plan(&["a", "b"], 2));
    }
}
