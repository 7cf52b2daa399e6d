//! `known-failures.toml`: executions that are known to fail, each with the cause.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::combination::Combination;
use super::filter::IdPattern;
use super::plan::Execution;

/// The name of the file.
pub const FILE_NAME: &str = "known-failures.toml";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFailure {
    /// A scenario id, wildcard or range.
    pub scenario: String,
    /// A combination, with `*` for any platform.
    pub combination: String,
    /// Why it fails.
    pub reason: String,
    /// What its error contains.
    pub contains: String,
}

impl fmt::Display for KnownFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.scenario, self.combination, self.reason)
    }
}

/// The entries of the list.
#[derive(Debug, Clone, Default)]
pub struct KnownFailures {
    entries: Vec<(KnownFailure, IdPattern, Combination)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    failure: Vec<KnownFailure>,
}

impl KnownFailures {
    /// Reads the list; a file that does not exist is an empty one.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn read(file: &Path, platforms: &[&str]) -> Result<KnownFailures, String> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(format!("{}: {error}", file.display())),
        };
        Self::parse(&text, platforms).map_err(|why| format!("{}: {why}", file.display()))
    }

    fn parse(text: &str, platforms: &[&str]) -> Result<KnownFailures, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut entries = Vec::new();
        for entry in file.failure {
            if entry.contains.trim().is_empty() || entry.reason.trim().is_empty() {
                return Err(format!(
                    "{entry}: `reason` and `contains` must not be empty"
                ));
            }
            let ids = IdPattern::parse(&entry.scenario)?;
            let combination = Combination::parse(&entry.combination, platforms)?;
            entries.push((entry, ids, combination));
        }
        Ok(KnownFailures { entries })
    }

    /// The entry for an execution.
    pub fn find(&self, execution: &Execution) -> Option<&KnownFailure> {
        let id = execution.scenario.scenario.id;
        self.entries.iter().find_map(|(entry, ids, combination)| {
            let fits = ids.matches(id) && combination.matches(&execution.platforms);
            fits.then_some(entry)
        })
    }

    /// Entries that fit none of `every` execution that could be asked for.
    pub fn stale(&self, every: &[Execution]) -> Vec<&KnownFailure> {
        let matches_any = |ids: &IdPattern, combination: &Combination| {
            every.iter().any(|execution| {
                ids.matches(execution.scenario.scenario.id)
                    && combination.matches(&execution.platforms)
            })
        };
        self.entries
            .iter()
            .filter(|(_, ids, combination)| !matches_any(ids, combination))
            .map(|(entry, _, _)| entry)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{feature, filter::Filter, plan, route};
    use std::sync::Arc;

    const LIST: &str = "[[failure]]\nscenario = \"3.2\"\ncombination = \"python_*\"\nreason = \"r\"\n\
                        contains = \"c\"\n[[failure]]\nscenario = \"3.9\"\ncombination = \"*\"\n\
                        reason = \"old\"\ncontains = \"c\"\n";

    fn every() -> Vec<Execution> {
        let text =
            "Feature: F\nScenario: 3.2 - Two\nGiven the 'b' process x\nWhen the 'a' process y\n";
        let scenario = feature::parse(Path::new("3.feature"), text)
            .unwrap()
            .remove(0);
        let routed = [Arc::new(route::route(scenario))];
        plan::plan(&routed, &Filter::default(), &["rust", "python"])
    }

    #[test]
    fn an_entry_stands_for_what_it_matches() {
        let list = KnownFailures::parse(LIST, &["rust", "python"]).unwrap();
        let found: Vec<_> = every()
            .iter()
            .filter(|execution| list.find(execution).is_some())
            .map(Execution::combination)
            .collect();
        assert_eq!(found, ["python_rust", "python_python"]);
        let stale = list.stale(&every());
        assert_eq!(stale.len(), 1);
        assert_eq!(stale[0].reason, "old");
    }

    #[test]
    fn a_bad_list_is_refused() {
        for (text, expected) in [
            (LIST.replace("python_*", "pyton_*"), "did you mean `python`"),
            (LIST.replace("3.9", "x"), "`x` is no scenario id"),
            (LIST.replace("\"c\"", "\"\""), "must not be empty"),
            (LIST.replace("reason", "reasn"), "unknown field `reasn`"),
        ] {
            let error = KnownFailures::parse(&text, &["rust", "python"]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let none = KnownFailures::read(Path::new("/does/not/exist"), &[]).unwrap();
        assert!(none.entries.is_empty());
    }
}
