//! The head of the page: how the run went, in a sentence, and what kind of run it was.

use std::collections::BTreeMap;
use std::time::Duration;

use super::legend::name;
use crate::runner::event::ExecutionReport;
use crate::runner::header::Header;
use crate::runner::outcome::Outcome;
use crate::runner::record::Record;

/// How many combinations with failures are named.
const PAIRS: usize = 8;

/// How a run went.
pub struct Verdict {
    /// `bad`, `cut` or `good`.
    pub class: &'static str,
    /// In a sentence.
    pub words: String,
    /// Who is not well with whom; nothing where nothing failed.
    pub pairs: Option<String>,
    /// How many executions had each outcome, every repetition counted.
    pub counts: Vec<Count>,
}

/// How many executions had an outcome.
pub struct Count {
    /// How many.
    pub number: usize,
    /// The outcome's name.
    pub name: String,
    /// Its character.
    pub symbol: char,
    /// Its name, in words.
    pub words: &'static str,
}

impl Verdict {
    /// That of a run.
    pub fn of(record: &Record) -> Verdict {
        let reports = record.executions.iter().map(|execution| &execution.report);
        let bad: Vec<_> = reports.filter(|report| is_bad(report.outcome)).collect();
        let all = count(record);
        let so_far = so_far(record);
        let (class, words) = match (bad.len(), record.shortcoming()) {
            (0, None) => ("good", good(record)),
            (0, Some(_)) => ("cut", "Nothing failed so far".to_owned()),
            (count, _) => ("bad", format!("{count} of {all} executions failed{so_far}")),
        };
        let counts = record.counts();
        let counts = Outcome::ALL.into_iter().filter_map(|outcome| {
            let number = *counts.get(&outcome)?;
            Some(Count {
                number,
                name: name(outcome),
                symbol: outcome.symbol(),
                words: outcome.words(),
            })
        });
        Verdict {
            class,
            words,
            pairs: (!bad.is_empty()).then(|| pairs(record, &bad)),
            counts: counts.collect(),
        }
    }
}

/// What there was to run: without what is left out because a platform is missing.
fn available(record: &Record) -> impl Iterator<Item = &ExecutionReport> {
    let reports = record.executions.iter().map(|execution| &execution.report);
    reports.filter(|report| report.outcome != Outcome::Unavailable)
}

fn count(record: &Record) -> usize {
    available(record).count()
}

/// What is to be added to what may still change, or might have.
fn so_far(record: &Record) -> &'static str {
    record.shortcoming().map_or("", |_| " so far")
}

/// Whether it says that something is wrong, not only that nothing is known.
fn is_bad(outcome: Outcome) -> bool {
    !outcome.is_green() && !outcome.is_cut_short()
}

fn good(record: &Record) -> String {
    let all = count(record);
    match record.counts().get(&Outcome::Passed).copied() {
        Some(1) if all == 1 => "The execution passed".to_owned(),
        Some(passed) if passed == all => format!("All {all} executions passed"),
        Some(passed) => format!("{passed} of {all} executions passed, and nothing failed"),
        None => "Nothing passed, and nothing failed".to_owned(),
    }
}

/// Who is not well with whom, and how many others are.
fn pairs(record: &Record, bad: &[&ExecutionReport]) -> String {
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    for report in available(record) {
        failures.entry(&report.info.combination).or_default();
    }
    for report in bad {
        *failures.entry(&report.info.combination).or_default() += 1;
    }
    let well = failures.values().filter(|count| **count == 0).count();
    let mut ill: Vec<_> = failures
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    ill.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = ill
        .iter()
        .take(PAIRS)
        .map(|(who, count)| format!("{who} ({count})"));
    let mut named = named.collect::<Vec<_>>().join(", ");
    if ill.len() > PAIRS {
        named.push_str(&format!(" and {} more", ill.len() - PAIRS));
    }
    let so_far = so_far(record);
    match well {
        0 => format!("Every combination has failures: {named}."),
        1 => format!("Combinations with failures: {named}. One other has none{so_far}."),
        _ => format!("Combinations with failures: {named}. The other {well} have none{so_far}."),
    }
}

/// Something about a run.
pub struct Fact {
    /// What.
    pub name: &'static str,
    /// What it is.
    pub value: String,
    /// Whether that is a command.
    pub is_code: bool,
}

/// What kind of run it was.
pub fn facts(record: &Record) -> Vec<Fact> {
    let header = &record.header;
    let fact = |name, value: String| Fact {
        name,
        value,
        is_code: false,
    };
    let mut facts = vec![
        fact("Began", date(&header.date)),
        fact("Took", duration(record.took())),
        fact("Executions", executions(record)),
        fact("Version", format!("harmony {}", header.harmony)),
    ];
    facts.extend(header.commit.as_ref().map(|commit| {
        let changed = match commit.changed {
            Some(true) => ", with changes that are not committed",
            _ => "",
        };
        let short = commit.id.get(..12).unwrap_or(&commit.id);
        fact("Commit", format!("{short}{changed}"))
    }));
    facts.push(fact("Machine", machine(header)));
    facts.extend(platforms(header).map(|value| fact("Not available", value)));
    let seed = header
        .seed
        .map(|seed| fact("Shuffled with seed", seed.to_string()));
    facts.extend(seed);
    facts.push(Fact {
        name: "Command",
        value: header.command.join(" "),
        is_code: true,
    });
    facts
}

fn executions(record: &Record) -> String {
    let Header { jobs, repeat, .. } = record.header;
    let count = count(record);
    let at_once = match jobs {
        1 => "one at a time".to_owned(),
        jobs => format!("up to {jobs} at a time"),
    };
    match repeat {
        1 => format!("{count}, {at_once}"),
        repeat => format!("{count}, each {repeat} times, {at_once}"),
    }
}

fn machine(header: &Header) -> String {
    let machine = &header.machine;
    let cpus = match machine.cpus {
        1 => "1 CPU".to_owned(),
        cpus => format!("{cpus} CPUs"),
    };
    let memory = machine.memory as f64 / f64::from(1 << 30);
    format!("{}, {cpus}, {memory:.1} GiB", machine.kernel)
}

fn platforms(header: &Header) -> impl Iterator<Item = String> {
    let platforms = header.platforms.iter();
    platforms.filter_map(|platform| {
        let why = platform.missing.as_ref()?;
        Some(format!("{}: {why}", platform.name))
    })
}

/// A date as people write it, to the second.
fn date(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(date) => date.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of the fixture with every outcome, of which only executions with these are left.
    fn record(outcomes: &[Outcome]) -> Record {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut record = Record::read(&root.join("tests/fixtures/events.ndjson")).unwrap();
        let is_wanted = |outcome: &Outcome| outcomes.contains(outcome);
        record.executions.retain(|it| is_wanted(&it.report.outcome));
        record
    }

    #[test]
    fn what_is_unavailable_is_not_counted() {
        use Outcome::{Failed, Passed, Skipped, Unavailable};
        let words = |outcomes: &[Outcome]| Verdict::of(&record(outcomes)).words;
        assert_eq!(words(&[Passed, Unavailable]), "All 3 executions passed");
        assert_eq!(
            words(&[Passed, Skipped, Unavailable]),
            "3 of 4 executions passed, and nothing failed"
        );
        let failed = record(&[Failed, Unavailable]);
        let verdict = Verdict::of(&failed);
        assert_eq!(verdict.words, "1 of 1 executions failed");
        let pairs = "Every combination has failures: a_b (1).";
        assert_eq!(verdict.pairs.as_deref(), Some(pairs));
        assert_eq!(executions(&failed), "1, up to 2 at a time");
    }

    #[test]
    fn times_are_told_as_people_do() {
        let told = [0.04, 59.94, 351.0, 7384.0]
            .map(Duration::from_secs_f64)
            .map(duration);
        assert_eq!(told, ["0.0 s", "59.9 s", "5 min 51 s", "2 h 3 min"]);
        assert_eq!(date("2026-11-25T17:00:57.102Z"), "2026-11-25 17:00:57 UTC");
        assert_eq!(date("some day"), "some day");
    }
}
