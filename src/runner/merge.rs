//! Several runs made one: shards of a plan, or runs that have nothing in common.
//!
//! The merged run has an event log like any other. Its executions are numbered anew, in the order of
//! the plan where the runs are all of its shards; moments are counted as if all runs had begun
//! together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::baseline::{Baseline, Comparison, Results};
use super::event::{Event, ExecutionInfo, Footer};
use super::event_log::{self, Line};
use super::halt::CutShort;
use super::header::{Header, MergedRun, PlatformInfo};
use super::record::Record;
use super::shard::PartOf;

/// A run that is to be merged.
struct Part {
    log: PathBuf,
    lines: Vec<Line>,
    record: Record,
}

impl Part {
    fn read(log: &Path) -> Result<Part, String> {
        let record = Record::read(log).map_err(|error| error.to_string())?;
        let mut lines = Vec::new();
        let take = |line| {
            lines.push(line);
            Ok(())
        };
        event_log::read(log, take).map_err(|error| error.to_string())?;
        Ok(Part {
            log: log.to_owned(),
            lines,
            record,
        })
    }

    fn header(&self) -> &Header {
        &self.record.header
    }

    fn name(&self) -> &str {
        &self.header().run
    }

    fn folder(&self) -> &Path {
        self.log.parent().unwrap_or(Path::new(""))
    }
}

/// What the merged run is called, and by which command it was made.
pub struct Merging {
    /// Its name.
    pub run: String,
    /// The command line as it was typed.
    pub command: Vec<String>,
    /// What it is compared with.
    pub baseline: Option<Baseline>,
}

/// Writes the log of the merged run to `folder`, and copies the logs of the executions there. Yields
/// the log's path.
///
/// # Errors
///
/// Why the runs do not belong together, or what cannot be read or written.
pub fn merge(logs: &[PathBuf], folder: &Path, merging: Merging) -> Result<PathBuf, String> {
    let parts: Result<Vec<Part>, String> = logs.iter().map(|log| Part::read(log)).collect();
    let mut parts = parts?;
    belong_together(&parts)?;
    parts.sort_by_key(|part| part.header().part_of.as_ref().map(|it| it.shard.number));
    let log = folder.join(event_log::FILE_NAME);
    if log.exists() {
        let log = log.display();
        return Err(format!("{log} exists already; name another folder with -o"));
    }
    let executions = renumbered(&parts);
    let comparison = merging.baseline.as_ref().map(|it| compare(it, &parts));
    let header = header(&parts, &executions, merging)?;
    let mut lines = lines(&parts, &executions);
    let mut warnings = Vec::new();
    for part in &parts {
        warnings.extend(copy_logs(part, folder)?);
    }
    let at = lines.iter().map(|line| line.at).fold(0.0, f64::max);
    let more = warnings.into_iter().map(|text| Event::Warning { text });
    let end = Event::RunFinished(footer(&parts));
    lines.extend(
        more.chain(comparison)
            .chain([end])
            .map(|event| Line { at, event }),
    );
    let start = Event::RunStarted {
        header: Box::new(header),
        folder: PathBuf::new(),
    };
    lines.insert(
        0,
        Line {
            at: 0.0,
            event: start,
        },
    );
    event_log::write(&log, &lines)?;
    Ok(log)
}

/// Makes sure that the runs can be one.
fn belong_together(parts: &[Part]) -> Result<(), String> {
    let Some((first, others)) = parts.split_first() else {
        return Err("there is nothing to merge".to_owned());
    };
    for part in parts {
        if part.header().until_failure {
            let name = part.name();
            return Err(format!("{name} ran until a failure, and cannot be merged"));
        }
    }
    let commit = |part: &Part| {
        part.header()
            .commit
            .as_ref()
            .map(|commit| commit.id.clone())
    };
    let mut known_commit = commit(first).map(|id| (first, id));
    for part in others {
        let differ = |what: &str, a: &str, b: &str| {
            let (first, part) = (first.name(), part.name());
            Err(format!(
                "the runs are of different {what}: {a} in {first}, {b} in {part}"
            ))
        };
        let (a, b) = (first.header(), part.header());
        if a.harmony != b.harmony {
            return differ("versions of harmony", &a.harmony, &b.harmony);
        }
        match (&known_commit, commit(part)) {
            (Some((_, known)), Some(id)) if *known != id => return differ("commits", known, &id),
            (None, Some(id)) => known_commit = Some((part, id)),
            _ => {}
        }
        let [a_part, b_part] = [a, b].map(|header| header.part_of.as_ref());
        if plan_of(a_part) != plan_of(b_part) {
            let what = "plans (not the same was asked for, or other platforms were there)";
            return differ(what, &words(a_part), &words(b_part));
        }
        for ((what, a), (_, b)) in manner(a).into_iter().zip(manner(b)) {
            if a != b {
                return differ(what, &a, &b);
            }
        }
    }
    nothing_twice(parts)
}

/// What of the manner in which a run is made has to be the same of all, in words: a merged run has
/// one command that runs an execution once more.
fn manner(header: &Header) -> [(&'static str, String); 4] {
    let features = header.features.as_ref().map_or_else(
        || "those of the configuration".to_owned(),
        |folder| folder.display().to_string(),
    );
    let options = match header.again.options.trim() {
        "" => "none",
        options => options,
    };
    let same_process = if header.same_process { "yes" } else { "no" };
    [
        ("--same-process", same_process.to_owned()),
        ("--features", features),
        ("--repeat", header.repeat.to_string()),
        ("options", options.to_owned()),
    ]
}

/// What has to be the same of all shards.
fn plan_of(part: Option<&PartOf>) -> Option<(&str, usize)> {
    part.map(|part| (part.plan.as_str(), part.shard.of))
}

fn words(part: Option<&PartOf>) -> String {
    match part {
        Some(PartOf { shard, plan }) => format!("shard {shard} of plan {plan}"),
        None => "no shard".to_owned(),
    }
}

fn nothing_twice(parts: &[Part]) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for part in parts {
        for info in &part.header().executions {
            let key = (&info.id, &info.combination, info.repetition);
            if let Some(other) = seen.insert(key, part) {
                let ExecutionInfo {
                    id, combination, ..
                } = info;
                let (other, part) = (other.log.display(), part.log.display());
                return Err(format!("{id} {combination} is in both {other} and {part}"));
            }
        }
    }
    Ok(())
}

/// All executions with their new numbers, and for each run the new numbers by the old ones.
struct Executions {
    all: Vec<ExecutionInfo>,
    numbers: Vec<BTreeMap<usize, usize>>,
}

/// Puts the executions in order: shards take every so many-th of a round.
fn renumbered(parts: &[Part]) -> Executions {
    let mut placed = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let is_shard = part.header().part_of.is_some();
        let mut in_round = BTreeMap::new();
        for info in &part.header().executions {
            let position = in_round.entry(info.repetition).or_insert(0);
            *position += 1;
            let place = match is_shard {
                true => (info.repetition, *position, index),
                false => (0, 0, index),
            };
            placed.push((place, index, info));
        }
    }
    placed.sort_by_key(|(place, ..)| *place);
    let mut numbers = vec![BTreeMap::new(); parts.len()];
    let mut all = Vec::new();
    for (number, (_, index, info)) in placed.into_iter().enumerate() {
        numbers[index].insert(info.number, number);
        let mut info = info.clone();
        info.number = number;
        all.push(info);
    }
    Executions { all, numbers }
}

fn header(parts: &[Part], executions: &Executions, merging: Merging) -> Result<Header, String> {
    let headers = || parts.iter().map(Part::header);
    let mut merged = parts[0].header().clone();
    (merged.run, merged.command) = (merging.run, merging.command);
    merged.date = headers()
        .map(|header| header.date.clone())
        .min()
        .unwrap_or_default();
    let mut commits = headers().filter_map(|header| header.commit.clone());
    merged.commit = commits.next().map(|mut first| {
        for other in commits {
            first.changed = first.changed.max(other.changed);
        }
        first
    });
    merged.jobs = headers().map(|header| header.jobs).sum();
    merged.retries = headers().map(|header| header.retries).max().unwrap_or(0);
    if headers().any(|header| header.seed != merged.seed) {
        merged.seed = None;
    }
    merged.part_of = None;
    merged.merged = parts.iter().map(merged_run).collect();
    merged.executions = executions.all.clone();
    for part in &parts[1..] {
        add_scenarios(&mut merged, part)?;
        add_sources(&mut merged, part)?;
        add_platforms(&mut merged.platforms, &part.header().platforms);
    }
    Ok(merged)
}

fn merged_run(part: &Part) -> MergedRun {
    let header = part.header();
    MergedRun {
        run: header.run.clone(),
        date: header.date.clone(),
        command: header.command.clone(),
        machine: header.machine.clone(),
        shard: header.part_of.as_ref().map(|part| part.shard),
    }
}

fn add_scenarios(merged: &mut Header, part: &Part) -> Result<(), String> {
    for scenario in &part.header().scenarios {
        match merged.scenario(&scenario.id) {
            None => merged.scenarios.push(scenario.clone()),
            Some(known) if known == scenario => {}
            Some(_) => {
                let (id, part) = (&scenario.id, part.log.display());
                return Err(format!(
                    "scenario {id} is another one in {part} than in the others"
                ));
            }
        }
    }
    Ok(())
}

fn add_sources(merged: &mut Header, part: &Part) -> Result<(), String> {
    for source in &part.header().sources {
        match merged
            .sources
            .iter()
            .find(|known| known.file == source.file)
        {
            None => merged.sources.push(source.clone()),
            Some(known) if known == source => {}
            Some(_) => {
                let (file, part) = (source.file.display(), part.log.display());
                return Err(format!(
                    "{file} is another one in {part} than in the others"
                ));
            }
        }
    }
    Ok(())
}

/// A platform is missing where no run had it.
fn add_platforms(merged: &mut Vec<PlatformInfo>, more: &[PlatformInfo]) {
    for platform in more {
        match merged.iter_mut().find(|known| known.name == platform.name) {
            None => merged.push(platform.clone()),
            Some(known) if platform.missing.is_none() => known.missing = None,
            Some(_) => {}
        }
    }
}

/// What happened in all runs, with new numbers, in the order of time.
fn lines(parts: &[Part], executions: &Executions) -> Vec<Line> {
    let mut warnings: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for (part, numbers) in parts.iter().zip(&executions.numbers) {
        for line in &part.lines {
            match &line.event {
                Event::RunStarted { .. } | Event::Compared(_) | Event::RunFinished(_) => continue,
                // All shards find the same wrong with what they share.
                Event::Warning { text } if warnings.contains(&text.as_str()) => continue,
                Event::Warning { text } => warnings.push(text),
                _ => {}
            }
            let mut line = line.clone();
            if let Some(number) = line.event.execution_mut() {
                *number = numbers[number];
            }
            all.push(line);
        }
        all.extend(cut_off(part, numbers));
    }
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}

/// Ends what has no end, where its own run ends: the merged run has an end, and may go on for longer.
fn cut_off(part: &Part, numbers: &BTreeMap<usize, usize>) -> impl Iterator<Item = Line> {
    let executions = part.record.executions.iter();
    let endless = executions.filter(|execution| execution.finished.is_none());
    endless.map(move |execution| {
        let mut report = execution.report.clone();
        report.info.number = numbers[&report.info.number];
        Line {
            at: part.record.until,
            event: Event::ExecutionFinished(Box::new(report)),
        }
    })
}

fn compare(baseline: &Baseline, parts: &[Part]) -> Event {
    let mut results = Results::default();
    for part in parts {
        results.add_all(&part.record);
    }
    Event::Compared(Box::new(Comparison::new(baseline, &results)))
}

fn footer(parts: &[Part]) -> Footer {
    let mut what = Vec::new();
    if let Some(PartOf { shard, .. }) = &parts[0].header().part_of {
        let shards = parts
            .iter()
            .filter_map(|part| part.header().part_of.as_ref());
        let there: Vec<usize> = shards.map(|part| part.shard.number).collect();
        let missing = (1..=shard.of).filter(|number| !there.contains(number));
        what.extend(missing.map(|number| format!("shard {number}/{} is missing", shard.of)));
    }
    let mut counts = BTreeMap::new();
    let mut took = Duration::ZERO;
    for part in parts {
        took = took.max(part.record.took());
        for (outcome, count) in part.record.counts() {
            *counts.entry(outcome).or_insert(0) += count;
        }
        if let Some(shortcoming) = part.record.shortcoming() {
            let short = shortcoming.split(':').next().unwrap_or_default();
            what.push(format!("{} is {short}", part.name()));
        }
    }
    Footer {
        cut_short: (!what.is_empty()).then_some(CutShort::Incomplete { what }),
        took,
        counts,
    }
}

/// Copies the folders of a run's executions; says which are not there.
fn copy_logs(part: &Part, folder: &Path) -> Result<Option<String>, String> {
    let mut lost = 0;
    for execution in &part.record.executions {
        let attempts = execution.earlier.iter().chain([execution]);
        for name in attempts.filter_map(|attempt| attempt.report.folder.as_ref()) {
            let (from, to) = (part.folder().join(name), folder.join(name));
            match from.is_dir() {
                true => copy(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?,
                false => lost += 1,
            }
        }
    }
    let warning = || {
        format!(
            "{} has no logs of {lost} of its executions",
            part.folder().display()
        )
    };
    Ok((lost > 0).then(warning))
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
