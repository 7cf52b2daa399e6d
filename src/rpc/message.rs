//! Parameters and results of the step-server methods, as they travel in JSON.
//!
//! Reading is generous, because orchestrators and step servers in other languages differ: keys in
//! camelCase or PascalCase, unknown keys, fields that are missing or null, a step type as text or as
//! a number. Writing is strict: exactly the keys that every known peer accepts.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The methods of the contract, by their names on the wire.
pub mod method {
    /// Answers `true` as long as the server lives.
    pub const HEALTH: &str = "health";
    /// Begins a scenario: forgets all earlier state.
    pub const INITIALIZE: &str = "initialize";
    /// Lists the step definitions.
    pub const DISCOVER: &str = "discover";
    /// Executes one step.
    pub const EXECUTE_STEP: &str = "executeStep";
    /// Releases everything that the scenario holds.
    pub const CLEANUP: &str = "cleanup";
    /// Releases everything and ends the process with status 0.
    pub const SHUTDOWN: &str = "shutdown";
    /// Answers, then dies by `SIGKILL` without releasing anything.
    pub const CRASH: &str = "crash";
}

/// The beginning of the error with which a server says that it does not define a step.
pub const NO_MATCHING_STEP: &str = "No matching step definition found";

/// The beginning of the error with which a server says that a step took too long.
pub const STEP_TIMEOUT: &str = "Step execution timeout";

/// What the error of a step begins with that cannot be carried out on this machine. A reason
/// follows; the scenario has not failed.
pub const SKIPPED: &str = "Skipped: ";

/// What a log message begins with that is a result to be shown with the step: figures, for example.
pub const ATTACHMENT: &str = "attachment: ";

/// What a log message begins with that says that a step server has committed a fault, as it was told
/// to. The fault's name follows.
pub const FAULT_COMMITTED: &str = "fault committed: ";

/// The environment variable that names the fault which a step server is to commit.
pub const FAULT_VARIABLE: &str = "ZEROBUFFER_FAULT";

/// String to string, as `parameters` and `context` travel.
pub type StringMap = BTreeMap<String, String>;

/// What kind of step a Gherkin keyword makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepType {
    /// A precondition.
    Given,
    /// An action.
    When,
    /// An expected outcome.
    Then,
}

impl StepType {
    /// All step types, in the order of their numbers on the wire.
    pub const ALL: [StepType; 3] = [StepType::Given, StepType::When, StepType::Then];

    /// The keyword, capitalised as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            StepType::Given => "Given",
            StepType::When => "When",
            StepType::Then => "Then",
        }
    }

    /// Reads a keyword in any case.
    pub fn from_keyword(word: &str) -> Option<StepType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

impl std::fmt::Display for StepType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for StepType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StepType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let found = match &value {
            Value::String(word) => StepType::from_keyword(word),
            Value::Number(number) => number
                .as_u64()
                .and_then(|n| Self::ALL.get(usize::try_from(n).ok()?).copied()),
            _ => None,
        };
        found.ok_or_else(|| {
            D::Error::custom(format!(
                "step type {value}: expected \"Given\", \"When\", \"Then\", 0, 1 or 2"
            ))
        })
    }
}

/// Parameters of `initialize`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitializeParams {
    /// The role that this process plays, for example `reader`.
    #[serde(alias = "Role", deserialize_with = "null_is_default")]
    pub role: String,
    /// The platform's name in the orchestrator's configuration.
    #[serde(alias = "Platform", deserialize_with = "null_is_default")]
    pub platform: String,
    /// The scenario's name.
    #[serde(alias = "Scenario", deserialize_with = "null_is_default")]
    pub scenario: String,
    /// First half of the run id that makes buffer names unique.
    #[serde(alias = "HostPid", deserialize_with = "null_is_default")]
    pub host_pid: i64,
    /// Second half of the run id.
    #[serde(alias = "FeatureId", deserialize_with = "null_is_default")]
    pub feature_id: i64,
}

/// Parameters of `executeStep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteStepParams {
    /// The role that the step is meant for; empty when it names none.
    #[serde(alias = "Process", default, deserialize_with = "null_is_default")]
    pub process: String,
    /// The kind of step.
    #[serde(alias = "StepType")]
    pub step_type: StepType,
    /// The step's text after the keyword.
    #[serde(alias = "Step")]
    pub step: String,
    /// `table` (a JSON array of rows, as a string) and `docString`, where the step has them.
    #[serde(alias = "Parameters", default, deserialize_with = "string_map")]
    pub parameters: StringMap,
    /// What earlier steps of the scenario returned.
    #[serde(alias = "Context", default, deserialize_with = "string_map")]
    pub context: StringMap,
    /// Whether the step goes to all processes of the scenario.
    #[serde(alias = "IsBroadcast", default, deserialize_with = "null_is_default")]
    pub is_broadcast: bool,
}

/// Result of `executeStep`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Whether the step did, or found, what its text says.
    #[serde(alias = "Success")]
    pub success: bool,
    /// Why not: the step, what was expected and what was found.
    #[serde(alias = "Error", default)]
    pub error: Option<String>,
    /// What the step tells the later steps of the scenario.
    #[serde(alias = "Context", default, deserialize_with = "string_map")]
    pub context: StringMap,
    /// What was logged since the previous answer.
    #[serde(alias = "Logs", default, deserialize_with = "null_is_default")]
    pub logs: Vec<LogEntry>,
}

/// One log record of a step server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogEntry {
    /// ISO 8601, UTC.
    #[serde(alias = "Timestamp", deserialize_with = "null_is_default")]
    pub timestamp: String,
    /// 0 Trace, 1 Debug, 2 Information, 3 Warning, 4 Error, 5 Critical.
    #[serde(alias = "Level", deserialize_with = "null_is_default")]
    pub level: u8,
    /// The message.
    #[serde(alias = "Message", deserialize_with = "null_is_default")]
    pub message: String,
}

/// Result of `discover`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoverResult {
    /// Every step definition.
    #[serde(alias = "Steps", default)]
    pub steps: Vec<StepPattern>,
}

/// One step definition, as `discover` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepPattern {
    /// `given`, `when` or `then`; other servers also say `unknown`, which fits every keyword.
    #[serde(rename = "type", alias = "Type", default)]
    pub kind: String,
    /// The regular expression, in some servers with cucumber placeholders.
    #[serde(alias = "Pattern")]
    pub pattern: String,
}

/// Reads `params` in every form that orchestrators send: an array of one object, an object, or
/// `[]`, `{}`, `null` or nothing for methods without parameters.
///
/// # Errors
///
/// A text that says what was found instead, or which field is wrong.
///
/// ```
/// use zerobuffer::rpc::message::{self, InitializeParams};
/// let params = serde_json::json!([{"Role": "reader", "HostPid": 7}]);
/// let read: InitializeParams = message::read_params(params).unwrap();
/// assert_eq!((read.role.as_str(), read.host_pid), ("reader", 7));
/// ```
pub fn read_params<T: serde::de::DeserializeOwned>(params: Value) -> Result<T, String> {
    let object = match params {
        Value::Null => Value::Object(Default::default()),
        Value::Object(_) => params,
        Value::Array(items) => {
            let mut items = items.into_iter();
            match (items.next(), items.next()) {
                (None, _) => Value::Object(Default::default()),
                (Some(object @ Value::Object(_)), None) => object,
                _ => return Err("params: expected one object, or an array of one object".into()),
            }
        }
        other => return Err(format!("params: expected an object, found {other}")),
    };
    serde_json::from_value(object).map_err(|error| format!("params: {error}"))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A map of strings in which null stands for an empty map and other values for their JSON text.
fn string_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StringMap, D::Error> {
    let map = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(map
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => (key, text),
            Value::Null => (key, String::new()),
            other => (key, other.to_string()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn step(params: Value) -> Result<ExecuteStepParams, String> {
        read_params(params)
    }

    #[test]
    fn params_come_in_every_form() {
        let camel = json!({"process": "reader", "stepType": "given", "step": "x",
            "parameters": null, "context": {"a": "1"}, "isBroadcast": true});
        let pascal = json!([{"Process": "reader", "StepType": 0, "Step": "x",
            "Context": {"a": 1}, "IsBroadcast": true}]);
        let read = step(camel).unwrap();
        assert_eq!(read, step(pascal).unwrap());
        assert_eq!(read.step_type, StepType::Given);
        assert_eq!(read.context["a"], "1");
        for empty in [json!([]), json!({}), Value::Null] {
            assert_eq!(
                read_params::<InitializeParams>(empty).unwrap(),
                Default::default()
            );
        }
    }

    #[test]
    fn null_stands_for_a_field_that_is_missing() {
        let nulls = json!({"role": null, "platform": null, "scenario": null, "hostPid": null,
            "featureId": null});
        assert_eq!(
            read_params::<InitializeParams>(nulls).unwrap(),
            Default::default()
        );
        let without = json!({"stepType": 1, "step": "x"});
        let nulls = json!({"process": null, "stepType": 1, "step": "x", "parameters": null,
            "context": null, "isBroadcast": null});
        assert_eq!(step(nulls).unwrap(), step(without).unwrap());
    }

    #[test]
    fn wrong_params_are_named() {
        let error = step(json!({"stepType": 3, "step": "x"})).unwrap_err();
        assert!(error.contains("step type 3"), "{error}");
        let error = step(json!([1])).unwrap_err();
        assert!(error.contains("array of one object"), "{error}");
        let error = step(json!([{}, {}])).unwrap_err();
        assert!(error.contains("array of one object"), "{error}");
        let error = step(json!({"stepType": "When"})).unwrap_err();
        assert!(error.contains("`step`"), "{error}");
    }

    #[test]
    fn results_of_other_servers_are_understood() {
        let result: StepResult = serde_json::from_value(json!({
            "Success": true, "Context": null, "Logs": [{"Level": 3, "message": null}]
        }))
        .unwrap();
        assert!(result.success && result.error.is_none() && result.context.is_empty());
        assert_eq!(result.logs[0].level, 3);
    }

    #[test]
    fn what_is_sent_has_exactly_the_agreed_keys() {
        let sent = serde_json::to_value(InitializeParams::default()).unwrap();
        let keys: Vec<_> = sent.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            keys,
            ["featureId", "hostPid", "platform", "role", "scenario"]
        );
        let sent = serde_json::to_value(StepResult::default()).unwrap();
        assert_eq!(
            sent,
            json!({"success": false, "error": null, "context": {}, "logs": []})
        );
    }
}
