//! How long things may take.

use std::time::Duration;

use super::scale::Scale;
use super::scenario::Scenario;
use crate::rpc::client::NEVER;

/// The limit that step servers set a step themselves, where nobody tells them another.
const SERVERS_OWN: Duration = Duration::from_secs(30);

/// By how much the runner's limit for a step is longer than the step server's.
const GRACE: Duration = Duration::from_secs(5);

/// Longer than anybody waits; not every step server can count much further.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

const _: () = assert!(
    LONGEST.as_secs() + GRACE.as_secs() < NEVER.as_secs(),
    "the limit of a step is told as what it is"
);

/// The tag of scenarios whose time is a matter of configuration.
const LONG_RUNNING: &str = "long-running";

/// Time limits, each for one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// From starting a step server to its first answer.
    pub start: Duration,
    /// For one step; step servers have limits of their own, which should be shorter.
    pub step: Duration,
    /// For all steps of one execution.
    pub execution: Duration,
    /// For `cleanup`, then for ending after `shutdown`, then for ending after SIGTERM.
    pub shutdown: Duration,
    /// For the set-up command of one platform.
    pub setup: Duration,
    /// For a whole run, set-up included, where there is a limit.
    pub run: Option<Duration>,
}

/// The limits of one scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScenarioLimits {
    /// What step servers are told to give a step; nothing where they need not be told.
    pub servers: Option<Duration>,
    /// What the runner gives a step.
    pub step: Duration,
    /// What it gives all of them.
    pub execution: Duration,
}

impl Limits {
    /// The limits of `scenario`, which its tags widen.
    pub fn of(&self, scenario: &Scenario, scale: &Scale) -> ScenarioLimits {
        let mut servers = scenario.step_timeout().map(Duration::from_secs);
        if scenario.has_tag(LONG_RUNNING) {
            let others = servers.unwrap_or(SERVERS_OWN);
            servers = Some(others.saturating_add(scale.long_running));
        }
        let servers = servers.map(|limit| limit.min(LONGEST));
        let Some(longest) = servers else {
            let Limits {
                step, execution, ..
            } = *self;
            return ScenarioLimits {
                servers,
                step,
                execution,
            };
        };
        let step = longest.saturating_add(GRACE).max(self.step);
        let steps = u32::try_from(scenario.steps.len()).unwrap_or(u32::MAX);
        // None of its steps has to be short.
        let execution = step.saturating_mul(steps).max(self.execution);
        ScenarioLimits {
            servers,
            step,
            execution,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::feature;
    use std::path::Path;

    fn seconds(tags: &str) -> (Option<u64>, u64, u64) {
        seconds_beside(35, tags)
    }

    /// The limits of a scenario with these tags, where steps have `step` seconds otherwise.
    fn seconds_beside(step: u64, tags: &str) -> (Option<u64>, u64, u64) {
        let text = format!("Feature: F\n{tags}\nScenario: S\nGiven x\nWhen y\nThen z\n");
        let scenario = feature::parse(Path::new("1.feature"), &text).unwrap();
        let limits = Limits {
            start: Duration::from_secs(1),
            step: Duration::from_secs(step),
            execution: Duration::from_secs(300),
            shutdown: Duration::from_secs(1),
            setup: Duration::from_secs(1),
            run: None,
        };
        let scale = Scale {
            long_running: Duration::from_secs(1000),
            ..Scale::default()
        };
        let found = limits.of(&scenario[0], &scale);
        let servers = found.servers.map(|limit| limit.as_secs());
        (servers, found.step.as_secs(), found.execution.as_secs())
    }

    #[test]
    fn tags_widen_all_limits_of_a_scenario() {
        assert_eq!(seconds(""), (None, 35, 300));
        assert_eq!(seconds("@step-timeout(60)"), (Some(60), 65, 300));
        assert_eq!(seconds("@step-timeout(200)"), (Some(200), 205, 615));
        assert_eq!(seconds("@long-running"), (Some(1030), 1035, 3105));
        let both = "@long-running @step-timeout(60)";
        assert_eq!(seconds(both), (Some(1060), 1065, 3195));
        let narrower = seconds_beside(120, "@step-timeout(60)");
        assert_eq!(narrower, (Some(60), 120, 360));
    }

    #[test]
    fn a_limit_may_be_as_wide_as_one_likes() {
        let widest = format!("@long-running @step-timeout({})", u64::MAX);
        let longest = LONGEST.as_secs();
        let expected = (Some(longest), longest + 5, 3 * (longest + 5));
        assert_eq!(seconds(&widest), expected);
    }
}
