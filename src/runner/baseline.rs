//! Comparing a run with one before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{ExecutionReport, seconds};
use super::outcome::Outcome;
use super::record::Record;
use super::report::json::VERSION;
use super::runs;

/// By how much something has to be slower at least; less is noise.
const NOTABLE: Duration = Duration::from_millis(500);

/// What became of every execution of a run, by scenario id and combination; repetitions together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Results(BTreeMap<(String, String), Summary>);

/// What became of all repetitions of an execution.
#[derive(Debug, Clone, PartialEq)]
struct Summary {
    worst: Outcome,
    /// Why it is the worst.
    reason: Option<String>,
    took: Duration,
    count: u32,
}

impl Summary {
    fn add(&mut self, side: Side) {
        self.took += side.took;
        self.count += 1;
        if side.outcome.badness() > self.worst.badness() {
            self.worst = side.outcome;
            self.reason = side.reason;
        }
    }

    /// How long one took on average.
    fn average(&self) -> Duration {
        self.took / self.count
    }
}

impl Results {
    /// Takes in one execution. One that is unavailable counts as not there.
    pub fn add(&mut self, id: &str, combination: &str, side: Side) {
        if side.outcome == Outcome::Unavailable {
            return;
        }
        let key = (id.to_owned(), combination.to_owned());
        match self.0.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Summary {
                    worst: side.outcome,
                    reason: side.reason,
                    took: side.took,
                    count: 1,
                });
            }
            Entry::Occupied(mut place) => place.get_mut().add(side),
        }
    }

    /// Those of a run.
    pub fn of(record: &Record) -> Results {
        let mut results = Results::default();
        results.add_all(record);
        results
    }

    /// Takes in all executions of a run.
    pub fn add_all(&mut self, record: &Record) {
        for execution in &record.executions {
            let report = &execution.report;
            let info = &report.info;
            self.add(&info.id, &info.combination, Side::of(report));
        }
    }
}

/// A run that others are compared with, and how.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// Its name.
    pub run: String,
    /// What became of its executions.
    pub results: Results,
    /// How many times longer something takes that is told as slower.
    pub slower: f64,
}

/// What a JSON report has to say before anything else is read.
#[derive(Deserialize)]
struct First {
    version: u32,
}

/// What is read of a JSON report.
#[derive(Deserialize)]
struct Json {
    run: JsonRun,
    executions: Vec<JsonExecution>,
}

#[derive(Deserialize)]
struct JsonRun {
    name: String,
}

#[derive(Deserialize)]
struct JsonExecution {
    id: String,
    combination: String,
    #[serde(flatten)]
    side: Side,
}

impl Baseline {
    /// Reads the baseline that the user means: a run like in [`runs::find`], or a JSON report.
    ///
    /// # Errors
    ///
    /// That there is none, or what is wrong with it.
    pub fn find(
        asked: &Path,
        slower: f64,
        runs: impl FnOnce() -> Result<PathBuf, String>,
    ) -> Result<Baseline, String> {
        if asked
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            return Baseline::read_json(asked, slower);
        }
        let log = runs::find(Some(asked), runs)?;
        let record = Record::read(&log).map_err(|error| error.to_string())?;
        Ok(Baseline {
            results: Results::of(&record),
            run: record.header.run,
            slower,
        })
    }

    fn read_json(file: &Path, slower: f64) -> Result<Baseline, String> {
        let wrong = |why: String| format!("{}: {why}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
        let none = |error| wrong(format!("is no JSON report of harmony: {error}"));
        let First { version } = serde_json::from_str(&text).map_err(none)?;
        if version > VERSION {
            return Err(wrong(format!(
                "the report has version {version}, but this harmony reads versions up to \
                 {VERSION}; use the version that wrote it, or a newer one"
            )));
        }
        let json: Json = serde_json::from_str(&text).map_err(none)?;
        let mut results = Results::default();
        for execution in json.executions {
            results.add(&execution.id, &execution.combination, execution.side);
        }
        Ok(Baseline {
            run: json.run.name,
            results,
            slower,
        })
    }
}

/// What is different from a run before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The name of the run before.
    pub baseline: String,
    /// Green then, and not green now.
    pub worse: Vec<Compared>,
    /// Passed then, and leaves the run green now without having passed: it is unsupported now, for
    /// example, and tells nothing any more.
    #[serde(default)]
    pub lost: Vec<Compared>,
    /// Not green then, and green now.
    pub better: Vec<Compared>,
    /// Passed then and now, but took so much longer that it is told.
    pub slower: Vec<Compared>,
    /// Not there then.
    pub new: Vec<Compared>,
    /// Not there now.
    pub gone: Vec<Compared>,
    /// How many were cut short in one of the runs, which says nothing.
    pub cut_short: usize,
}

/// An execution in both runs, all repetitions taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The scenario's id.
    pub id: String,
    /// The combination.
    pub combination: String,
    /// What became of it then.
    pub before: Option<Side>,
    /// What became of it now.
    pub now: Option<Side>,
}

/// What became of an execution in one of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Its outcome, the worst of all repetitions.
    pub outcome: Outcome,
    /// How long it took, on average.
    #[serde(with = "seconds")]
    pub took: Duration,
    /// Why it is not green, or why it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Side {
    /// That of one execution.
    pub fn of(report: &ExecutionReport) -> Side {
        Side {
            outcome: report.outcome,
            took: report.took,
            reason: report.reason.clone(),
        }
    }
}

impl From<&Summary> for Side {
    fn from(summary: &Summary) -> Side {
        Side {
            outcome: summary.worst,
            took: summary.average(),
            reason: summary.reason.clone(),
        }
    }
}

impl Comparison {
    /// What is different in `now`.
    pub fn new(baseline: &Baseline, now: &Results) -> Comparison {
        let Results(before) = &baseline.results;
        let Results(now) = now;
        let mut found = Comparison {
            baseline: baseline.run.clone(),
            ..Comparison::default()
        };
        let mut keys: Vec<_> = before.keys().chain(now.keys()).collect();
        keys.sort_by_key(|(id, combination)| (parts(id), combination));
        keys.dedup();
        for key in keys {
            let (id, combination) = key.clone();
            let [then, now] = [before.get(key), now.get(key)].map(|s| s.map(Side::from));
            let list = match (&then, &now) {
                (Some(then), Some(now)) => match found.kind(then, now, baseline.slower) {
                    Some(list) => list,
                    None => continue,
                },
                (None, _) => &mut found.new,
                (_, None) => &mut found.gone,
            };
            list.push(Compared {
                id,
                combination,
                before: then,
                now,
            });
        }
        found
    }

    /// The list of those that have changed like this one.
    fn kind(&mut self, then: &Side, now: &Side, slower: f64) -> Option<&mut Vec<Compared>> {
        if then.outcome.is_cut_short() || now.outcome.is_cut_short() {
            self.cut_short += 1;
            return None;
        }
        let [passed_then, passes_now] = [then, now].map(|side| side.outcome == Outcome::Passed);
        match (then.outcome.is_green(), now.outcome.is_green()) {
            (true, false) => Some(&mut self.worse),
            (false, true) => Some(&mut self.better),
            _ if passed_then && !passes_now => Some(&mut self.lost),
            _ if passed_then && is_slower(then.took, now.took, slower) => Some(&mut self.slower),
            _ => None,
        }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        let lists = [
            &self.worse,
            &self.lost,
            &self.better,
            &self.slower,
            &self.new,
            &self.gone,
        ];
        lists.iter().all(|list| list.is_empty())
    }
}

fn is_slower(then: Duration, now: Duration, factor: f64) -> bool {
    now.as_secs_f64() > factor * then.as_secs_f64() && now >= then + NOTABLE
}

/// An id as numbers, to put 1.10 behind 1.9.
fn parts(id: &str) -> Vec<u32> {
    let numbers = id.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// Reads a factor by which something is slower.
///
/// # Errors
///
/// What was expected instead.
pub fn slower(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok();
    let factor = factor.filter(|factor: &f64| factor.is_finite() && *factor >= 1.0);
    factor.ok_or_else(|| "expected a factor of at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(all: &[(&str, Outcome, f64)]) -> Results {
        let mut results = Results::default();
        for (id, outcome, seconds) in all {
            let side = Side {
                outcome: *outcome,
                took: Duration::from_secs_f64(*seconds),
                reason: (!outcome.is_green()).then(|| format!("after {seconds} s")),
            };
            results.add(id, "a_b", side);
        }
        results
    }

    fn comparison(before: &[(&str, Outcome, f64)], now: &[(&str, Outcome, f64)]) -> Comparison {
        let baseline = Baseline {
            run: "before".into(),
            results: results(before),
            slower: 2.0,
        };
        Comparison::new(&baseline, &results(now))
    }

    fn ids(list: &[Compared]) -> Vec<&str> {
        list.iter().map(|compared| compared.id.as_str()).collect()
    }

    #[test]
    fn every_change_is_in_one_list() {
        use Outcome::{
            Failed, Flaky, Interrupted, NotRun, Passed, Skipped, Unavailable, Unsupported,
        };
        let before = [
            ("1.1", Passed, 1.0),
            ("1.2", Failed, 1.0),
            ("1.10", Skipped, 1.0),
            ("1.9", Passed, 1.0),
            ("1.4", Passed, 1.0),
            ("1.5", Passed, 1.0),
            ("1.6", Interrupted, 1.0),
            ("1.7", Unavailable, 0.0),
            ("1.8", Failed, 1.0),
            ("1.11", Passed, 1.0),
            ("1.12", Passed, 1.0),
            ("1.13", Skipped, 0.0),
        ];
        let now = [
            ("1.1", Passed, 1.0),
            ("1.2", Skipped, 1.0),
            ("1.10", Failed, 1.0),
            ("1.9", Failed, 1.0),
            ("1.5", NotRun, 0.0),
            ("1.6", Failed, 1.0),
            ("1.7", Passed, 1.0),
            ("1.8", Failed, 9.0),
            ("1.11", Unsupported, 0.0),
            ("1.12", Flaky, 9.0),
            ("1.13", Unsupported, 0.0),
        ];
        let found = comparison(&before, &now);
        assert_eq!(ids(&found.worse), ["1.9", "1.10"]);
        assert_eq!(ids(&found.lost), ["1.11", "1.12"]);
        assert_eq!(ids(&found.better), ["1.2"]);
        assert_eq!(ids(&found.new), ["1.7"]);
        assert_eq!(ids(&found.gone), ["1.4"]);
        assert_eq!(ids(&found.slower), [""; 0]);
        assert_eq!(found.cut_short, 2);
        assert!(!found.is_empty() && comparison(&now, &now).is_empty());
    }

    #[test]
    fn only_what_takes_much_longer_is_slower() {
        use Outcome::{Flaky, Passed};
        let slower = |then, outcome, now| {
            let found = comparison(&[("1.1", Passed, then)], &[("1.1", outcome, now)]);
            !found.slower.is_empty() && found.lost.is_empty()
        };
        assert!(slower(1.0, Passed, 2.1));
        assert!(!slower(1.0, Passed, 2.0));
        assert!(!slower(0.1, Passed, 0.59));
        assert!(slower(0.1, Passed, 0.6));
        assert!(!slower(1.0, Flaky, 9.0), "one attempt is not like another");
    }

    #[test]
    fn repetitions_count_together() {
        use Outcome::{Failed, Passed};
        let before = [("1.1", Passed, 1.0), ("1.1", Passed, 3.0)];
        let now = [("1.1", Passed, 4.0), ("1.1", Failed, 0.0)];
        let found = comparison(&before, &now);
        let then = found.worse[0].before.as_ref().unwrap();
        assert_eq!((then.outcome, then.took), (Passed, Duration::from_secs(2)));
        let now = found.worse[0].now.as_ref().unwrap();
        assert_eq!(now.outcome, Failed);
        assert_eq!(now.reason.as_deref(), Some("after 0 s"));
    }
}
