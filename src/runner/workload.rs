//! What there is to do: the files and the command line, read and planned.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cli::Selection;
use super::combination::Combination;
use super::config::Config;
use super::exit::{Exit, Refusal};
use super::feature;
use super::filter::Filter;
use super::header::within;
use super::known::{self, KnownFailures};
use super::plan::{Execution, plan};
use super::platform::Platform;
use super::route::{RoutedScenario, route};
use super::same_process::together;
use super::shard::{PartOf, Shard};

/// What the files and the command line say.
pub struct Workload {
    /// Platforms and limits.
    pub config: Config,
    /// The folder of the feature files.
    pub features: PathBuf,
    /// Every scenario.
    pub scenarios: Vec<Arc<RoutedScenario>>,
    /// Whether one process plays all roles.
    pub same_process: bool,
    /// Which part of what was asked for this is, where it is not all of it.
    pub part_of: Option<PartOf>,
    /// What is known to fail.
    pub known: KnownFailures,
    /// What was asked for.
    pub executions: Vec<Execution>,
    /// What was asked for without naming a platform that a run may do without, and that is missing.
    pub unavailable: Vec<Execution>,
}

impl Workload {
    /// Reads the feature files and plans what `selection` asks for.
    ///
    /// # Errors
    ///
    /// What is wrong with the files or the selection, or that nothing is left to run.
    pub fn new(config: Config, selection: &Selection) -> Result<Workload, Refusal> {
        let platforms: Vec<&str> = config.platforms.iter().map(|p| p.name.as_str()).collect();
        let filter = Filter::parse(
            &selection.arguments,
            selection.tags.as_deref(),
            selection.name.as_deref(),
            &platforms,
        )
        .map_err(Refusal::usage)?;
        let features = selection.features.as_ref().unwrap_or(&config.features);
        let features = features.clone();
        let scenarios = feature::read_folder(&features).map_err(Refusal::usage)?;
        if let Some(unknown) = filter.unknown_id(&scenarios) {
            return Err(Refusal(Exit::Nothing, unknown));
        }
        // The entries are about scenarios by their ids: in another folder these are others.
        let list = match is_other(&features, &config) {
            true => features.join(known::FILE_NAME),
            false => config.known_failures.clone(),
        };
        let known = KnownFailures::read(&list, &platforms).map_err(Refusal::usage)?;
        let routed = |scenario| match selection.same_process {
            true => together(route(scenario)),
            false => route(scenario),
        };
        let scenarios: Vec<_> = scenarios.into_iter().map(|s| Arc::new(routed(s))).collect();
        // Without the others a run is not what was asked for, and says so.
        let can_do_without = |p: &&Platform| p.optional && p.missing().is_some();
        let left_out = config.platforms.iter().filter(can_do_without);
        let left_out: Vec<&str> = left_out.map(|p| p.name.as_str()).collect();
        let mut available = platforms.clone();
        available.retain(|name| !left_out.contains(name));
        refuse_missing(&config, &filter)?;
        let needs_one = |e: &Execution| e.platforms.iter().any(|p| left_out.contains(&p.as_str()));
        let every = plan(&scenarios, &filter, &platforms);
        refuse_useless(&filter, &every, selection.same_process)?;
        let (unavailable, executions): (Vec<_>, Vec<_>) = every.into_iter().partition(needs_one);
        if executions.is_empty() {
            return Err(Refusal(
                Exit::Nothing,
                nothing(&scenarios, &filter, &available),
            ));
        }
        Ok(Workload {
            config,
            features,
            scenarios,
            same_process: selection.same_process,
            part_of: None,
            known,
            executions,
            unavailable,
        })
    }
}

impl Workload {
    /// The folder of the feature files where it is not the configured one, relative to the project's
    /// folder where it is in there.
    pub fn other_features(&self) -> Option<PathBuf> {
        let own = absolute(&self.features);
        is_other(&own, &self.config).then(|| within(&own, &self.config.root))
    }

    /// Leaves one part of what was asked for, in which everything runs so many times.
    pub fn keep(&mut self, shard: Shard, repeat: u32) {
        let whole = self.executions.iter().chain(&self.unavailable);
        self.part_of = Some(PartOf::new(shard, whole, repeat));
        shard.keep(&mut self.executions);
        shard.keep(&mut self.unavailable);
    }
}

/// Whether this is not the configured folder of the feature files.
fn is_other(features: &Path, config: &Config) -> bool {
    absolute(features) != config.features
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or(path.to_owned())
}

/// Each combination has to fit something, whatever the others fit. Where nothing fits anything, there
/// is more to be said.
fn refuse_useless(filter: &Filter, every: &[Execution], same_process: bool) -> Result<(), Refusal> {
    let is_useless = |combination: &&Combination| {
        let mut executions = every.iter();
        !executions.any(|execution| combination.matches(&execution.platforms))
    };
    let mut combinations = filter.combinations.iter();
    let Some(useless) = combinations.find(is_useless).filter(|_| !every.is_empty()) else {
        return Ok(());
    };
    let why = match same_process {
        true => ": one process is of one platform",
        false => "",
    };
    let why = format!("no scenario that is asked for fits the combination `{useless}`{why}");
    Err(Refusal(Exit::Nothing, why))
}

/// Says why nothing is to be run, and what there is.
fn nothing(scenarios: &[Arc<RoutedScenario>], filter: &Filter, available: &[&str]) -> String {
    let ids: Vec<String> = scenarios
        .iter()
        .map(|s| s.scenario.id.to_string())
        .collect();
    let tags: BTreeSet<String> = scenarios
        .iter()
        .flat_map(|s| s.scenario.tags.iter().map(|tag| format!("@{tag}")))
        .collect();
    let tags: Vec<String> = tags.into_iter().collect();
    let one_process = scenarios.iter().any(|s| s.plays_all.is_some());
    let what = if available.is_empty() {
        "no platform is available; `harmony doctor` says why"
    } else if one_process && scenarios.iter().any(|s| filter.selects(&s.scenario)) {
        "no combination asked for fits: one process is of one platform"
    } else if scenarios.iter().any(|s| filter.selects(&s.scenario)) {
        "no combination asked for fits the scenarios asked for"
    } else {
        "no scenario fits"
    };
    format!(
        "{what}\nscenarios: {}\ntags: {}\navailable platforms: {}",
        ids.join(", "),
        tags.join(", "),
        available.join(", ")
    )
}

/// A platform that is asked for by name has to be there.
fn refuse_missing(config: &Config, filter: &Filter) -> Result<(), Refusal> {
    let named: Vec<&str> = filter.combinations.iter().flat_map(|c| c.named()).collect();
    for platform in &config.platforms {
        if named.contains(&platform.name.as_str())
            && let Some(why) = platform.missing()
        {
            let why = format!("the platform {} is not available: {why}", platform.name);
            return Err(Refusal(Exit::Setup, why));
        }
    }
    Ok(())
}
