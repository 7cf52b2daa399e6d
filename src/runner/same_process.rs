//! Same-process mode: one step server plays all roles of a scenario, and every step goes to it.

use super::route::{Deed, Destination, ProcessName, RoutedScenario, RoutedStep};

/// The tag of scenarios that make no sense in one process.
pub const SEPARATE_PROCESSES: &str = "separate-processes";

/// The same scenario with one process for all roles. What the runner does itself stays with it.
pub fn together(scenario: RoutedScenario) -> RoutedScenario {
    let one = ProcessName::only(&scenario.roles.join("+"));
    let steps = scenario.steps.into_iter().map(|step| RoutedStep {
        start: None,
        to: match step.to {
            Destination::Runner(deed) => Destination::Runner(deed),
            _ => Destination::One(one.clone()),
        },
        ..step
    });
    RoutedScenario {
        steps: steps.collect(),
        processes: vec![one.clone()],
        plays_all: Some(one),
        ..scenario
    }
}

/// Why a scenario cannot be played by one process: by its tag, or because the death of one role
/// would be the death of all.
pub fn obstacle(scenario: &RoutedScenario) -> Option<String> {
    scenario.plays_all.as_ref()?;
    if scenario.scenario.has_tag(SEPARATE_PROCESSES) {
        return Some("it needs a process for each role (@separate-processes)".to_owned());
    }
    let ends_one = |step: &&RoutedStep| {
        matches!(
            step.to,
            Destination::Runner(Deed::Kill(_) | Deed::ShutDown(_))
        )
    };
    let ended = scenario.steps.iter().find(ends_one);
    let why = match (ended, scenario.mortal.first()) {
        (Some(step), _) => format!("of the step: {}", step.step),
        (None, Some(role)) => format!("its {role} dies by itself"),
        (None, None) => return None,
    };
    Some(format!("it needs a process for each role, because {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{feature, route};
    use std::path::Path;

    fn joined(tag: &str, steps: &[&str]) -> RoutedScenario {
        let text = format!(
            "Feature: F\n{tag}\nScenario: 1.1 - S\n{}\n",
            steps.join("\n")
        );
        let scenarios = feature::parse(Path::new("1.feature"), &text).unwrap();
        together(route::route(scenarios.into_iter().next().unwrap()))
    }

    #[test]
    fn every_step_goes_to_the_one_process() {
        let found = joined(
            "",
            &[
                "Given the environment is ready",
                "And two 'reader' processes",
                "When both simultaneously attempt",
                "And a new 'reader' process attempts",
                "And a second 'writer' process attempts",
                "And wait for '2' seconds",
            ],
        );
        let texts: Vec<_> = found.steps.iter().map(RoutedStep::to_string).collect();
        let one = "reader+writer";
        assert_eq!(texts, [one, one, one, one, one, "the runner: wait 2 s"]);
        assert_eq!(found.processes, [ProcessName::only(one)]);
        assert_eq!(found.roles, ["reader", "writer"]);
        assert_eq!(obstacle(&found), None);
    }

    #[test]
    fn what_ends_one_role_cannot_be_played() {
        let tagged = joined("@separate-processes", &["Given the 'a' process x"]);
        assert!(obstacle(&tagged).unwrap().contains("@separate-processes"));
        for step in [
            "When the 'a' process is killed",
            "When the 'a' process is shutdown",
        ] {
            let found = joined("", &["Given the 'a' process x", step]);
            assert!(obstacle(&found).unwrap().ends_with(step), "{step}");
        }
        let found = joined("", &["Given the 'a' process starts handler that crashes"]);
        assert!(obstacle(&found).unwrap().ends_with("its a dies by itself"));
    }

    #[test]
    fn a_process_each_is_no_obstacle() {
        let text = "Feature: F\n@separate-processes\nScenario: S\nGiven the 'a' process x\n";
        let scenario = feature::parse(Path::new("1.feature"), text).unwrap();
        assert_eq!(obstacle(&route::route(scenario[0].clone())), None);
    }
}
