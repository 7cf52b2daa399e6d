//! A scenario as every stage sees it: plain steps, with outlines, backgrounds and tags resolved.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::rpc::message::StepType;

/// The number of a scenario: its feature's and its own, and the row of an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScenarioId {
    /// The feature's number.
    pub feature: u32,
    /// The scenario's number within the feature.
    pub number: u32,
    /// The row of the outline's examples, from 1; 0 for a plain scenario.
    pub row: u32,
}

impl fmt::Display for ScenarioId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.row {
            0 => format!("{}.{}", self.feature, self.number),
            row => format!("{}.{}#{row}", self.feature, self.number),
        };
        f.pad(&text)
    }
}

/// A scenario, ready to be routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its number, unique among all feature files.
    pub id: ScenarioId,
    /// Its name, without the number.
    pub name: String,
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line of the file that it begins in.
    pub line: usize,
    /// The tags of all levels, without `@`.
    pub tags: Vec<String>,
    /// The steps of the backgrounds, then its own.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Whether it bears `tag` (without `@`).
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// The seconds that a tag `@step-timeout(N)` gives its steps.
    pub fn step_timeout(&self) -> Option<u64> {
        let mut tags = self.tags.iter();
        tags.find_map(|tag| number_in(tag, STEP_TIMEOUT))
    }

    /// The MiB that a tag `@shm-size(N)` gives the sandbox's shared memory.
    pub fn shm_size(&self) -> Option<u64> {
        let mut tags = self.tags.iter();
        tags.find_map(|tag| number_in(tag, SHM_SIZE))
    }
}

/// The tag that widens the limit for a step.
pub(super) const STEP_TIMEOUT: &str = "step-timeout";

/// The tag that asks for a sandbox with so much shared memory.
pub(super) const SHM_SIZE: &str = "shm-size";

/// The number in a tag `name(N)`.
pub(super) fn number_in(tag: &str, name: &str) -> Option<u64> {
    let number = tag.strip_prefix(name)?.strip_prefix('(')?;
    number.strip_suffix(')')?.parse().ok()
}

/// One step of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its kind, `And` and `But` resolved.
    pub kind: StepType,
    /// The text after the keyword.
    pub text: String,
    /// The rows of its data table, headers first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Vec<Vec<String>>>,
    /// Its doc string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_string: Option<String>,
    /// The line of the file that it stands in.
    pub line: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_an_outline_shows_in_the_id() {
        let id = |row| {
            let (feature, number) = (13, 2);
            let id = ScenarioId {
                feature,
                number,
                row,
            };
            id.to_string()
        };
        assert_eq!([id(0), id(3)], ["13.2", "13.2#3"]);
    }

    #[test]
    fn a_tag_may_hold_a_number() {
        for (tag, number) in [
            ("step-timeout(90)", Some(90)),
            ("step-timeout(9", None),
            ("step-timeout", None),
            ("timeout(90)", None),
        ] {
            assert_eq!(number_in(tag, STEP_TIMEOUT), number, "{tag}");
        }
    }
}
