//! Names that are unique to one run of a scenario.
//!
//! Every step server of a scenario makes the same name out of the one in the step, so they find
//! each other, and scenarios that run at the same time do not.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::sharing::is_shared;
use crate::rpc::message::InitializeParams;

/// The variable with the first half of a run id.
pub const HOST_PID: &str = "HARMONY_HOST_PID";

/// The variable with the second half of a run id.
pub const FEATURE_ID: &str = "HARMONY_FEATURE_ID";

/// Whether the environment says which run this is.
pub fn is_in_environment() -> bool {
    [HOST_PID, FEATURE_ID]
        .map(of_environment)
        .iter()
        .all(is_set)
}

fn of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn is_set(value: &Option<String>) -> bool {
    value.as_ref().is_some_and(|value| !value.is_empty())
}

/// What makes names unique to one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId {
    text: String,
    /// Whether somebody else knows it.
    is_given: bool,
}

impl RunId {
    /// The run id: of the environment if both variables are set and this process is one scenario's
    /// alone, else of `initialize` if it named one, else one of its own.
    pub fn new(initialize: Option<&InitializeParams>) -> Self {
        match is_shared() {
            true => Self::from_parts(|_| None, initialize),
            false => Self::from_parts(of_environment, initialize),
        }
    }

    fn from_parts(
        variable: impl Fn(&str) -> Option<String>,
        initialize: Option<&InitializeParams>,
    ) -> Self {
        let set = |name| Some(variable(name)).filter(is_set).flatten();
        if let (Some(host), Some(feature)) = (set(HOST_PID), set(FEATURE_ID)) {
            return Self::given(format!("{host}_{feature}"));
        }
        match initialize {
            Some(params) if (params.host_pid, params.feature_id) != (0, 0) => {
                Self::given(format!("{}_{}", params.host_pid, params.feature_id))
            }
            _ => Self::unique(),
        }
    }

    fn given(text: String) -> Self {
        let is_given = true;
        RunId { text, is_given }
    }

    fn unique() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        RunId {
            text: format!("{}_{}", std::process::id(), now.as_nanos()),
            is_given: false,
        }
    }

    /// Whether an orchestrator has given it, to all processes of the scenario.
    pub fn is_given(&self) -> bool {
        self.is_given
    }

    /// The name that a step's name stands for in this run.
    pub fn apply(&self, name: &str) -> String {
        format!("{name}_{}", self.text)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(host_pid: i64, feature_id: i64) -> InitializeParams {
        InitializeParams {
            host_pid,
            feature_id,
            ..Default::default()
        }
    }

    fn variables<'a>(host: &'a str, feature: &'a str) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| match name {
            HOST_PID => Some(host.into()),
            FEATURE_ID => Some(feature.into()),
            _ => None,
        }
    }

    #[test]
    fn the_variables_come_first() {
        let id = RunId::from_parts(variables("12", "abc"), Some(&params(1, 2)));
        assert_eq!(id.apply("test-basic"), "test-basic_12_abc");
        assert!(id.is_given());
    }

    #[test]
    fn initialize_counts_where_a_variable_is_missing() {
        for environment in [variables("12", ""), variables("", "3")] {
            let id = RunId::from_parts(environment, Some(&params(1, 2)));
            assert_eq!(id.apply("n"), "n_1_2");
        }
        let id = RunId::from_parts(|_| None, Some(&params(5, 0)));
        assert_eq!(id.apply("n"), "n_5_0");
    }

    #[test]
    fn without_either_the_id_is_unique() {
        let id = || RunId::from_parts(|_| None, Some(&params(0, 0)));
        assert_ne!(id(), id());
        assert!(!id().is_given());
        assert!(
            id().to_string()
                .starts_with(&std::process::id().to_string())
        );
        assert_ne!(RunId::from_parts(|_| None, None), id());
    }
}
