//! `harmony doctor`: whether a platform can be started, and keeps every promise of the contract of
//! step servers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::catalogue::Catalogue;
use super::config::Config;
use super::execute::Stage;
use super::exit::{Exit, Refusal};
use super::nearest::did_you_mean;
use super::platform::{Access, Platform};
use super::preflight;
use super::process::{Farewell, StepServer, Trouble};
use super::spawn::Ending;
use super::terminal::say;
use crate::rpc::client::CallError;
use crate::rpc::message::{
    DiscoverResult, ExecuteStepParams, InitializeParams, NO_MATCHING_STEP, StepResult, StepType,
    method,
};

/// A step that nobody defines.
const UNHEARD_OF: &str = "the 'reader' process does what no step server has ever heard of";

/// A method that nobody has.
const NO_METHOD: &str = "noSuchMethod";

/// The error of JSON-RPC for a method that is not there.
const METHOD_NOT_FOUND: i32 = -32601;

/// What a step server promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Start,
    Initialize,
    Discover,
    UnknownStep,
    UnknownMethod,
    Cleanup,
    OnlyAnswers,
    Shutdown,
    EndOfInput,
}

impl Promise {
    /// A word for it, and what to do where it is not kept.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Promise::Start => (
                "start",
                "start it by hand with the `command` of harmony.toml; it has to answer `health` with \
                 true",
            ),
            Promise::Initialize => (
                "initialize",
                "answer `initialize` with true, having forgotten all earlier state",
            ),
            Promise::Discover => (
                "discover",
                "answer `discover` with {\"steps\": [{\"type\": \"given\", \"pattern\": \"…\"}]}, one \
                 regular expression for each step",
            ),
            Promise::UnknownStep => (
                "unknown step",
                "answer a step that you do not define with success false and an error that begins \
                 `No matching step definition found`",
            ),
            Promise::UnknownMethod => (
                "unknown method",
                "answer a method that you do not know with the JSON-RPC error -32601",
            ),
            Promise::Cleanup => (
                "cleanup",
                "release everything that the scenario holds, then answer `cleanup` with null",
            ),
            Promise::OnlyAnswers => (
                "only answers",
                "write Content-Length frames to standard output and nothing else (messages go to \
                 standard error): one answer to each request, with its id",
            ),
            Promise::Shutdown => (
                "shutdown",
                "answer `shutdown` with null, then end with exit code 0",
            ),
            Promise::EndOfInput => (
                "end of input",
                "end when standard input ends: nobody is left to speak to",
            ),
        }
    }
}

/// The platforms of these names, or all.
///
/// # Errors
///
/// A name that no platform has.
pub fn meant<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c Platform>, Refusal> {
    let known: Vec<&str> = config.platforms.iter().map(|p| p.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = did_you_mean(name, known.iter().copied());
        let known = known.join(", ");
        return Err(Refusal::usage(format!(
            "`{name}` is no platform{hint}\nplatforms: {known}"
        )));
    }
    let is_meant = |p: &&Platform| names.is_empty() || names.contains(&p.name);
    Ok(config.platforms.iter().filter(is_meant).collect())
}

/// Examines platforms, one after another.
pub async fn examine(platforms: &[&Platform], stage: &Stage<'_>) -> Exit {
    let mut exits = Vec::new();
    for platform in platforms {
        let exit = tokio::select! {
            biased;
            () = stage.halt.ending() => return Exit::Interrupted,
            exit = examine_one(platform, stage) => exit,
        };
        exits.push(exit);
    }
    [Exit::Setup, Exit::Red]
        .into_iter()
        .find(|exit| exits.contains(exit))
        .unwrap_or(Exit::Green)
}

async fn examine_one(platform: &Platform, stage: &Stage<'_>) -> Exit {
    let name = &platform.name;
    if let Some(why) = platform.missing().filter(|_| platform.optional) {
        say(&format!("{name}: unavailable: {why}"));
        return Exit::Green;
    }
    let began = Instant::now();
    say(name);
    let mut findings = Findings::default();
    let exit = match preflight::start(platform, stage).await {
        Err(why) => {
            findings.add(Promise::Start, Err(why));
            Exit::Setup
        }
        Ok(server) => {
            findings.add(
                Promise::Start,
                Ok("and answers `health` with true".to_owned()),
            );
            speak(server, platform, stage, &mut findings).await;
            // What somebody else has started reads nobody's standard input.
            if matches!(platform.access, Ok(Access::Command(_))) {
                fall_silent(platform, stage, &mut findings).await;
            }
            match findings.broken {
                0 => Exit::Green,
                _ => Exit::Red,
            }
        }
    };
    let verdict = match findings.broken {
        0 => format!("well, keeps {} promises", findings.kept),
        broken => format!(
            "ill, breaks {broken} of {} promises",
            findings.kept + broken
        ),
    };
    let took = began.elapsed().as_secs_f64();
    say(&format!("{name}: {verdict} ({took:.3} s)"));
    exit
}

/// What was found so far, and told.
#[derive(Debug, Default)]
struct Findings {
    kept: usize,
    broken: usize,
}

impl Findings {
    fn add(&mut self, promise: Promise, found: Result<String, String>) {
        let (name, remedy) = promise.words();
        match found {
            Ok(detail) => {
                self.kept += 1;
                say(&format!("  ✓ {name:14} {detail}"));
            }
            Err(why) => {
                self.broken += 1;
                say(&format!("  ✗ {name:14} {why}"));
                say(&format!("    {:14} to do: {remedy}", ""));
            }
        }
    }
}

/// Something that a step server is asked, and what its answer is worth.
struct Question {
    promise: Promise,
    method: &'static str,
    params: Option<Value>,
    judge: fn(Result<Value, Trouble>) -> Result<String, String>,
}

fn questions(platform: &Platform) -> [Question; 5] {
    let initialize = InitializeParams {
        role: "reader".to_owned(),
        platform: platform.name.clone(),
        scenario: "harmony doctor".to_owned(),
        host_pid: i64::from(std::process::id()),
        feature_id: 0,
    };
    let step = ExecuteStepParams {
        process: "reader".to_owned(),
        step_type: StepType::When,
        step: UNHEARD_OF.to_owned(),
        parameters: BTreeMap::new(),
        context: BTreeMap::new(),
        is_broadcast: false,
    };
    [
        Question {
            promise: Promise::Initialize,
            method: method::INITIALIZE,
            params: Some(json!(initialize)),
            judge: |answer| exactly(answer, Value::Bool(true)),
        },
        Question {
            promise: Promise::Discover,
            method: method::DISCOVER,
            params: None,
            judge: steps,
        },
        Question {
            promise: Promise::UnknownStep,
            method: method::EXECUTE_STEP,
            params: Some(json!(step)),
            judge: unknown_step,
        },
        Question {
            promise: Promise::UnknownMethod,
            method: NO_METHOD,
            params: None,
            judge: unknown_method,
        },
        Question {
            promise: Promise::Cleanup,
            method: method::CLEANUP,
            params: None,
            judge: |answer| exactly(answer, Value::Null),
        },
    ]
}

/// Whether a step server that has not answered will not answer anything else either.
fn is_lost(answer: &Result<Value, Trouble>) -> bool {
    match answer {
        Ok(_) => false,
        Err(Trouble::Call { error, .. }) => {
            matches!(error, CallError::NoAnswer { .. } | CallError::Closed { .. })
        }
        Err(Trouble::NotStarted(_) | Trouble::Died { .. }) => true,
    }
}

/// Tries everything that is said, from the first word to the last.
async fn speak(
    mut server: StepServer,
    platform: &Platform,
    stage: &Stage<'_>,
    findings: &mut Findings,
) {
    let limits = &stage.config.limits;
    for question in questions(platform) {
        let Question { method, params, .. } = question;
        let answer = server.call(method, params.as_ref(), limits.start).await;
        let is_lost = is_lost(&answer);
        findings.add(question.promise, (question.judge)(answer));
        if is_lost {
            return give_up(server, limits.shutdown).await;
        }
    }
    let farewell = server
        .take_leave(Farewell::default(), limits.shutdown)
        .await;
    let found = match server.oddities() {
        none if none.is_empty() => Ok("each request has one, and there is nothing else".to_owned()),
        some => Err(format!("it also sent {}", some.join(", "))),
    };
    findings.add(Promise::OnlyAnswers, found);
    let faults: Vec<_> = farewell.faults.into_iter().map(|it| it.message).collect();
    let found = match faults.is_empty() {
        true => Ok("ends in order".to_owned()),
        false => Err(faults.join("; ")),
    };
    findings.add(Promise::Shutdown, found);
}

async fn give_up(mut server: StepServer, limit: Duration) {
    say("    it answers no more: what is left was not tried");
    server.end(limit).await;
    for line in server.tail().await {
        say(&format!("    | {line}"));
    }
}

fn exactly(answer: Result<Value, Trouble>, expected: Value) -> Result<String, String> {
    let answer = answer.map_err(|trouble| trouble.to_string())?;
    match answer == expected {
        true => Ok(format!("answered with {answer}")),
        false => Err(format!("answered with {answer}, not with {expected}")),
    }
}

fn steps(answer: Result<Value, Trouble>) -> Result<String, String> {
    let answer = answer.map_err(|trouble| trouble.to_string())?;
    let found: DiscoverResult = serde_json::from_value(answer)
        .map_err(|error| format!("the result is not as agreed: {error}"))?;
    let catalogue = Catalogue::new(&found.steps);
    let unclear = match catalogue.unreadable.len() {
        0 => String::new(),
        count => format!(", {count} patterns more cannot be understood"),
    };
    match catalogue.len() {
        0 => Err(format!("defines no steps{unclear}")),
        count => Ok(format!("defines {count} steps{unclear}")),
    }
}

fn unknown_step(answer: Result<Value, Trouble>) -> Result<String, String> {
    let answer = answer.map_err(|trouble| trouble.to_string())?;
    let result: StepResult = serde_json::from_value(answer)
        .map_err(|error| format!("the result is not as agreed: {error}"))?;
    match (result.success, result.error) {
        (false, Some(error)) if error.starts_with(NO_MATCHING_STEP) => {
            Ok("is said to have no definition".to_owned())
        }
        (true, _) => Err("a step that nobody defines is said to have passed".to_owned()),
        (false, error) => Err(format!(
            "the error of a step that nobody defines is {:?}",
            error.unwrap_or_default()
        )),
    }
}

fn unknown_method(answer: Result<Value, Trouble>) -> Result<String, String> {
    match answer {
        Ok(answer) => Err(format!("`{NO_METHOD}` was answered with {answer}")),
        Err(Trouble::Call {
            error: CallError::Refused { code, .. },
            ..
        }) => Ok(match code {
            METHOD_NOT_FOUND => format!("is refused with {code}"),
            // Nobody is misled by it.
            _ => format!("is refused, with {code} where JSON-RPC has {METHOD_NOT_FOUND}"),
        }),
        Err(trouble) => Err(trouble.to_string()),
    }
}

/// Starts another step server and leaves it without a word.
async fn fall_silent(platform: &Platform, stage: &Stage<'_>, findings: &mut Findings) {
    let mut server = match preflight::start(platform, stage).await {
        Ok(server) => server,
        Err(why) => return findings.add(Promise::EndOfInput, Err(why)),
    };
    let limit = stage.config.limits.shutdown;
    let found = match server.hang_up(limit).await.map(|exit| exit.how) {
        Some(how @ Ending::Code(_)) => Ok(format!("it {how}")),
        Some(how) => Err(format!("it {how}")),
        None => {
            let how = server.end(limit).await.how;
            let seconds = limit.as_secs_f64();
            Err(format!("it did not end within {seconds} s; it {how}"))
        }
    };
    findings.add(Promise::EndOfInput, found);
}
