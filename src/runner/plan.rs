//! Which executions a run consists of: every scenario that is asked for, on every combination.

use std::fmt;
use std::sync::Arc;

use super::combination::{Combination, assignments};
use super::filter::Filter;
use super::route::RoutedScenario;

/// One scenario on one combination.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The scenario.
    pub scenario: Arc<RoutedScenario>,
    /// The platforms of its roles, in the order of [`RoutedScenario::roles`].
    pub platforms: Vec<String>,
}

impl Execution {
    /// The platform that plays `role`.
    pub fn platform_of(&self, role: &str) -> &str {
        if self.scenario.plays_all.is_some() {
            return &self.platforms[0];
        }
        let index = self.scenario.roles.iter().position(|own| own == role);
        &self.platforms[index.expect("every process of a scenario has one of its roles")]
    }

    /// The platforms joined by `_`, as the user types them.
    pub fn combination(&self) -> String {
        self.platforms.join("_")
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scenario.scenario.id, self.combination())
    }
}

/// The executions that `filter` asks for, scenario by scenario. `available` platforms make up the
/// combinations that leave a platform open; others run only where they are named. One process that
/// plays all roles is of one platform.
pub fn plan(
    scenarios: &[Arc<RoutedScenario>],
    filter: &Filter,
    available: &[&str],
) -> Vec<Execution> {
    let every = [Combination::All];
    let combinations = match filter.combinations.as_slice() {
        [] => &every,
        some => some,
    };
    let mut platforms = available.to_vec();
    for name in combinations.iter().flat_map(Combination::named) {
        if !platforms.contains(&name) {
            platforms.push(name);
        }
    }
    let asked_for = |assigned: &[String]| {
        combinations.iter().any(|combination| {
            let named: Vec<_> = combination.named().collect();
            let open = |p: &String| available.contains(&p.as_str()) || named.contains(&p.as_str());
            combination.matches(assigned) && assigned.iter().all(open)
        })
    };
    let mut executions = Vec::new();
    for scenario in scenarios.iter().filter(|s| filter.selects(&s.scenario)) {
        let can_be = |assigned: &[String]| {
            scenario.plays_all.is_none() || assigned.windows(2).all(|pair| pair[0] == pair[1])
        };
        for assigned in assignments(&platforms, scenario.roles.len()) {
            if asked_for(&assigned) && can_be(&assigned) {
                executions.push(Execution {
                    scenario: scenario.clone(),
                    platforms: assigned,
                });
            }
        }
    }
    executions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{feature, route, same_process};
    use std::path::Path;

    fn planned(arguments: &[&str], available: &[&str]) -> Vec<String> {
        let text = "Feature: F\nScenario: One\nGiven the 'a' process x\nScenario: Two\n\
                    Given the 'b' process x\nWhen the 'a' process y\n";
        let scenarios = feature::parse(Path::new("3.feature"), text).unwrap();
        let routed: Vec<_> = scenarios
            .into_iter()
            .map(|s| Arc::new(route::route(s)))
            .collect();
        let arguments: Vec<String> = arguments.iter().map(|a| a.to_string()).collect();
        let known = ["rust", "cpp", "csharp"];
        let filter = Filter::parse(&arguments, None, None, &known).unwrap();
        let executions = plan(&routed, &filter, available);
        executions.iter().map(Execution::to_string).collect()
    }

    #[test]
    fn every_combination_of_what_is_available_by_default() {
        let expected = [
            "3.1 rust",
            "3.1 cpp",
            "3.2 rust_rust",
            "3.2 rust_cpp",
            "3.2 cpp_rust",
            "3.2 cpp_cpp",
        ];
        assert_eq!(planned(&[], &["rust", "cpp"]), expected);
        assert_eq!(planned(&["all"], &["rust", "cpp"]), expected);
    }

    #[test]
    fn a_combination_runs_where_it_fits_and_once() {
        assert_eq!(
            planned(&["rust_cpp"], &["rust", "cpp"]),
            ["3.1 rust", "3.2 rust_cpp"]
        );
        assert_eq!(
            planned(&["rust", "rust_*", "3.2"], &["rust", "cpp"]),
            ["3.2 rust_rust", "3.2 rust_cpp"]
        );
        assert_eq!(
            planned(&["rust_rust_rust", "3.2"], &["rust", "cpp"]),
            [""; 0]
        );
    }

    #[test]
    fn what_is_not_available_runs_only_where_it_is_named() {
        assert_eq!(
            planned(&["csharp_*", "3.2"], &["rust"]),
            ["3.2 csharp_rust", "3.2 csharp_csharp"]
        );
        assert_eq!(planned(&["*", "3.2"], &["rust"]), ["3.2 rust_rust"]);
    }

    #[test]
    fn one_process_is_of_one_platform() {
        let text = "Feature: F\nScenario: Two\nGiven the 'b' process x\nWhen the 'a' process y\n";
        let scenario = feature::parse(Path::new("3.feature"), text)
            .unwrap()
            .remove(0);
        let joined = Arc::new(same_process::together(route::route(scenario)));
        let found = plan(&[joined], &Filter::default(), &["rust", "cpp"]);
        let texts: Vec<_> = found.iter().map(Execution::to_string).collect();
        assert_eq!(texts, ["3.1 rust_rust", "3.1 cpp_cpp"]);
        assert_eq!(found[1].platform_of("a+b"), "cpp");
    }

    #[test]
    fn roles_find_their_platforms() {
        let text = "Feature: F\nScenario: Two\nGiven the 'b' process x\nWhen the 'a' process y\n";
        let scenario = feature::parse(Path::new("3.feature"), text)
            .unwrap()
            .remove(0);
        let execution = Execution {
            scenario: Arc::new(route::route(scenario)),
            platforms: vec!["rust".into(), "cpp".into()],
        };
        assert_eq!(execution.platform_of("a"), "rust");
        assert_eq!(execution.platform_of("b"), "cpp");
    }
}
