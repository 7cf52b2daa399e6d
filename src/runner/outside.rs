//! Step servers that somebody else has started, and what scenarios cannot do with them.

use std::collections::BTreeMap;

use super::plan::Execution;
use super::platform::Platform;
use super::route::{Deed, Destination, ProcessName, Start};
use super::same_process::SEPARATE_PROCESSES;

/// Whether some of the processes of an execution are not started by the runner: those are not in
/// its sandbox.
pub fn takes_part(execution: &Execution, platforms: &[Platform]) -> bool {
    let mut roles = execution.scenario.roles.iter();
    roles.any(|role| url_of(role, execution, platforms).is_some())
}

/// Why an execution cannot be played with step servers that the runner has not started.
pub fn obstacle(execution: &Execution, platforms: &[Platform]) -> Option<String> {
    let scenario = &execution.scenario;
    let elsewhere = |name: &ProcessName| url_of(&name.role, execution, platforms);
    for step in &scenario.steps {
        if let Destination::Runner(Deed::Kill(name)) = &step.to
            && let Some(url) = elsewhere(name)
        {
            let step = &step.step;
            return Some(format!(
                "only a process that the runner has started can be killed, and the {name} is the one \
                 at {url}: {step}"
            ));
        }
    }
    for role in &scenario.mortal {
        if let Some(url) = url_of(role, execution, platforms) {
            return Some(format!(
                "its {role} dies by itself, and the process at {url} serves others as well"
            ));
        }
    }
    if !scenario.scenario.has_tag(SEPARATE_PROCESSES) {
        return None;
    }
    let others = scenario.steps.iter().filter_map(|step| match &step.start {
        Some(Start::Another(name)) => Some(name),
        _ => None,
    });
    let mut together = BTreeMap::<&str, Vec<String>>::new();
    for name in scenario.processes.iter().chain(others) {
        if let Some(url) = elsewhere(name) {
            together.entry(url).or_default().push(name.to_string());
        }
    }
    let (url, names) = together.into_iter().find(|(_, names)| names.len() > 1)?;
    Some(format!(
        "it needs separate processes (@{SEPARATE_PROCESSES}), and {} are all the one at {url}",
        names.join(", ")
    ))
}

/// Where the process of a role is, if the runner does not start it.
fn url_of<'p>(role: &str, execution: &Execution, platforms: &'p [Platform]) -> Option<&'p str> {
    let name = execution.platform_of(role);
    let mut platforms = platforms.iter();
    platforms.find(|platform| platform.name == name)?.url()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::platform::RawPlatform;
    use crate::runner::{feature, route};
    use std::path::Path;
    use std::sync::Arc;

    fn platforms() -> Vec<Platform> {
        let resolved = |name: &str, text: &str| {
            let raw: RawPlatform = toml::from_str(text).unwrap();
            raw.resolve(name, Path::new("/"), &|_| None).unwrap()
        };
        vec![
            resolved("own", "command = [\"x\"]"),
            resolved("url", "url = \"ws://localhost:1\""),
            resolved("far", "url = \"ws://far:1\""),
        ]
    }

    fn execution(tag: &str, steps: &[&str], combination: [&str; 2]) -> Execution {
        let text = format!(
            "Feature: F\n{tag}\nScenario: 1.1 - S\nGiven the 'a' process x\nAnd the 'b' process x\n{}\n",
            steps.join("\n")
        );
        let scenario = feature::parse(Path::new("1.feature"), &text)
            .unwrap()
            .remove(0);
        Execution {
            scenario: Arc::new(route::route(scenario)),
            platforms: combination.map(str::to_owned).to_vec(),
        }
    }

    fn judged(tag: &str, steps: &[&str], combination: [&str; 2]) -> String {
        obstacle(&execution(tag, steps, combination), &platforms()).unwrap_or_default()
    }

    #[test]
    fn one_process_of_somebody_else_is_enough_to_take_part() {
        for (combination, expected) in [
            (["own", "own"], false),
            (["own", "url"], true),
            (["far", "own"], true),
        ] {
            let found = takes_part(&execution("", &[], combination), &platforms());
            assert_eq!(found, expected, "{combination:?}");
        }
    }

    #[test]
    fn who_is_killed_has_to_be_the_runners_own() {
        let kill = "When the 'a' process is killed";
        assert_eq!(judged("", &[kill], ["own", "url"]), "");
        let why = judged("", &[kill], ["url", "own"]);
        assert!(
            why.ends_with(&format!("at ws://localhost:1: {kill}")),
            "{why}"
        );
        let clean = [
            "When the 'a' process is shutdown",
            "Then a new 'a' process y",
        ];
        assert_eq!(judged("", &clean, ["url", "own"]), "");
    }

    #[test]
    fn who_dies_by_itself_has_to_be_the_runners_own() {
        let dies = "When the 'a' process simulates crash after '1' seconds";
        assert_eq!(judged("", &[dies], ["own", "url"]), "");
        let why = judged("", &[dies], ["url", "own"]);
        assert!(why.starts_with("its a dies by itself"), "{why}");
    }

    #[test]
    fn separate_processes_are_not_found_at_one_place() {
        let tag = "@separate-processes";
        assert_eq!(judged(tag, &[], ["own", "url"]), "");
        assert_eq!(judged(tag, &[], ["far", "url"]), "");
        assert_eq!(judged("", &[], ["url", "url"]), "");
        let why = judged(tag, &[], ["url", "url"]);
        assert!(
            why.ends_with("a, b are all the one at ws://localhost:1"),
            "{why}"
        );
        let second = "When a second 'b' process y";
        let why = judged(tag, &[second], ["own", "url"]);
        assert!(why.contains("b, b#2 are all the one"), "{why}");
    }
}
