//! What there is to do: the files and the command line, read and planned.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::cli::Selection;
use super::config::Config;
use super::exit::{Exit, Refusal};
use super::feature;
use super::filter::Filter;
use super::known::KnownFailures;
use super::plan::{Execution, plan};
use super::platform::Platform;
use super::route::{RoutedScenario, route};
use super::same_process::together;

/// What the files and the command line say.
pub struct Workload {
    /// Platforms and limits.
    pub config: Config,
    /// The folder of the feature files.
    pub features: PathBuf,
    /// Every scenario.
    pub scenarios: Vec<Arc<RoutedScenario>>,
    /// What is known to fail.
    pub known: KnownFailures,
    /// What was asked for.
    pub executions: Vec<Execution>,
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
        let known = KnownFailures::read(&config.known_failures, &platforms);
        let known = known.map_err(Refusal::usage)?;
        let routed = |scenario| match selection.same_process {
            true => together(route(scenario)),
            false => route(scenario),
        };
        let scenarios: Vec<_> = scenarios.into_iter().map(|s| Arc::new(routed(s))).collect();
        let is_there = |p: &&Platform| p.missing().is_none();
        let available = config.platforms.iter().filter(is_there);
        let available: Vec<&str> = available.map(|p| p.name.as_str()).collect();
        refuse_missing(&config, &filter)?;
        let executions = plan(&scenarios, &filter, &available);
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
            known,
            executions,
        })
    }
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
