//! The commands that are about runs that were.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::baseline::{Baseline, Comparison, Results};
use super::cli::{Cli, Comparing, Manner, Merge, Reports, Selection};
use super::config::Config;
use super::exit::{Exit, Refusal};
use super::invocation::{command_line, read_config, verbosity};
use super::merge::{Merging, merge};
use super::record::Record;
use super::report::replay::replay;
use super::report::{Console, comparison};
use super::rerun::{self, Wanted};
use super::runs;
use super::terminal::warn;
use super::workload::Workload;

/// The folder with the folders of all runs.
fn runs_folder(cli: &Cli) -> Result<PathBuf, String> {
    match read_config(cli) {
        Ok(config) => Ok(config.output.join(runs::FOLDER)),
        Err(Refusal(_, why)) => Err(why),
    }
}

/// Makes reports of a run that was.
///
/// # Errors
///
/// What cannot be read or written.
pub fn report(
    cli: &Cli,
    asked: Option<&Path>,
    reports: &Reports,
    comparing: &Comparing,
) -> Result<Exit, Refusal> {
    reports.check_places().map_err(Refusal::usage)?;
    let log = runs::find(asked, || runs_folder(cli)).map_err(Refusal::usage)?;
    let baseline = baseline(comparing, || runs_folder(cli)).map_err(Refusal::usage)?;
    let mut record = Record::read(&log).map_err(Refusal::usage)?;
    if let Some(baseline) = baseline {
        let comparison = Comparison::new(&baseline, &Results::of(&record));
        if !reports.is_empty() {
            comparison::lines(&comparison)
                .iter()
                .for_each(|line| warn(line));
        }
        record.comparison = Some(comparison);
    }
    if reports.is_empty() {
        let mut console = Console::again(verbosity(cli));
        replay(&log, &record, &mut console).map_err(Refusal::usage)?;
    } else {
        reports.write(&record).map_err(Refusal::usage)?;
    }
    let worse = record.comparison.filter(|_| comparing.baseline.is_some());
    match worse.is_some_and(|comparison| !comparison.worse.is_empty()) {
        true => Ok(Exit::Red),
        false => Ok(Exit::Green),
    }
}

/// The run that is to be compared with, if one.
///
/// # Errors
///
/// What is wrong with it.
pub fn baseline(
    asked: &Comparing,
    runs: impl FnOnce() -> Result<PathBuf, String>,
) -> Result<Option<Baseline>, String> {
    let Comparing { baseline, slower } = asked;
    let find = |run: &PathBuf| Baseline::find(run, *slower, runs);
    baseline.as_ref().map(find).transpose()
}

/// Makes one run of several, and reports of it.
///
/// # Errors
///
/// Why they cannot be one, or what cannot be read or written.
pub fn merge_runs(cli: &Cli, asked: &Merge) -> Result<Exit, Refusal> {
    let find = |run: &PathBuf| runs::find(Some(run), || runs_folder(cli));
    let logs: Result<Vec<_>, _> = asked.runs.iter().map(find).collect();
    let logs = logs.map_err(Refusal::usage)?;
    // A run is called like its folder, which is how reports name where its logs are.
    let (folder, name) = match &asked.output {
        Some(folder) => (folder.clone(), folder_name(folder).map_err(Refusal::usage)?),
        None => {
            let name = runs::new_name();
            let runs = runs_folder(cli).map_err(Refusal::usage)?;
            (runs.join(&name), name)
        }
    };
    let baseline = baseline(&asked.comparing, || runs_folder(cli)).map_err(Refusal::usage)?;
    asked.reports.check().map_err(Refusal::usage)?;
    let merging = Merging {
        run: name,
        command: command_line(),
        baseline,
    };
    let log = merge(&logs, &folder, merging).map_err(Refusal::usage)?;
    let record = Record::read(&log).map_err(Refusal::usage)?;
    let verbosity = verbosity(cli);
    let mut console = match asked.reports.take_standard_output() {
        true => Console::aside(verbosity),
        false => Console::again(verbosity),
    };
    replay(&log, &record, &mut console).map_err(Refusal::usage)?;
    asked.reports.write(&record).map_err(Refusal::usage)?;
    Ok(record.exit())
}

/// What a folder is called that may be named by `.`, and need not exist.
fn folder_name(folder: &Path) -> Result<String, String> {
    let path = std::fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
    let name = path
        .ok()
        .as_deref()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| format!("{} cannot be the folder of a run", folder.display()))
}

/// What was not green in a run before, and how that was run.
pub struct Before {
    /// The name of the run.
    pub run: String,
    /// Its log.
    pub log: PathBuf,
    /// Everything there was, in the same manner.
    selection: Selection,
    long_running: Option<Duration>,
    benchmark_scale: Option<f64>,
    no_sandbox: bool,
    wanted: Wanted,
    shortcoming: Option<String>,
}

impl Before {
    /// Finds out what was not green in the run that is asked for, or in the latest one.
    ///
    /// # Errors
    ///
    /// That there is no such run, or what cannot be read.
    pub fn find(asked: Option<&Path>, config: &Config) -> Result<Before, String> {
        let log = runs::find(asked, || Ok(config.output.join(runs::FOLDER)))?;
        let record = Record::read(&log).map_err(|error| error.to_string())?;
        let wanted = rerun::not_green(&record);
        let shortcoming = record.shortcoming();
        let header = record.header;
        let features = header.features.map(|folder| config.root.join(folder));
        let long_running = header.long_running.map(Duration::try_from_secs_f64);
        Ok(Before {
            run: header.run,
            log,
            selection: Selection {
                features,
                same_process: header.same_process,
                ..Selection::default()
            },
            long_running: long_running.transpose().map_err(|it| it.to_string())?,
            benchmark_scale: header.benchmark_scale,
            no_sandbox: header.no_sandbox,
            wanted,
            shortcoming,
        })
    }

    /// Whether there is nothing to run again.
    pub fn was_green(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Why it was no whole run, where that is so.
    pub fn shortcoming(&self) -> Option<&str> {
        self.shortcoming.as_deref()
    }

    /// Everything that there was, in the same manner.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What is asked for now; where that leaves it open, as it was then.
    pub fn manner(&self, asked: &Manner) -> Manner {
        Manner {
            long_running: asked.long_running.or(self.long_running),
            benchmark_scale: asked.benchmark_scale.or(self.benchmark_scale),
            no_sandbox: asked.no_sandbox || self.no_sandbox,
            ..asked.clone()
        }
    }

    /// Leaves of `work`, which is everything there is, what was not green. Yields what the user should
    /// know about it.
    ///
    /// # Errors
    ///
    /// What is not there any more.
    pub fn narrow(&self, work: &mut Workload) -> Result<Vec<String>, Refusal> {
        let lost = rerun::narrow(work, &self.wanted)?;
        let lost = lost
            .iter()
            .map(|it| format!("{it} was not green, and is not there any more"));
        let mut warnings: Vec<String> = lost.collect();
        if let Some(shortcoming) = &self.shortcoming {
            let run = &self.run;
            warnings.push(format!(
                "what is run again is all that is known of {run}: {shortcoming}"
            ));
        }
        Ok(warnings)
    }
}
