//! What is found out before anything runs: which platforms can be started, and which of the steps
//! each of them defines.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::cast::environment;
use super::catalogue::{Catalogue, Fit};
use super::event::Events;
use super::execute::Stage;
use super::fault::Fault;
use super::leftover::{LOCKS, RunId, SHARED_MEMORY};
use super::limits::Limits;
use super::outcome::Outcome;
use super::outside;
use super::plan::Execution;
use super::platform::Platform;
use super::process::{Farewell, Launch, StepServer, Trouble};
use super::route::{Destination, RoutedStep};
use super::same_process;
use super::scenario::Step;
use super::setup;
use super::snippet::snippet;
use crate::rpc::message::{DiscoverResult, method};

/// What each platform defines, or why it cannot be asked.
pub type Catalogues = BTreeMap<String, Result<Catalogue, String>>;

/// The end of a platform's first step server, which need not be waited for at once.
pub type Leaving = tokio::task::JoinHandle<Farewell>;

/// Sets a platform up and starts a step server of it, in no sandbox.
///
/// # Errors
///
/// What failed.
pub async fn start(platform: &Platform, stage: &Stage<'_>) -> Result<StepServer, String> {
    if let Some(missing) = platform.missing() {
        return Err(missing);
    }
    setup::ensure(platform, stage.config, stage.spawner, stage.events).await?;
    let folder = stage.config.output.join("preflight");
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(at)?;
    let launch = Launch {
        name: "step server".to_owned(),
        platform,
        env: environment(RunId::next(0)),
        inside: None,
        log: folder.join(format!("{}.log", platform.name)),
        transcript: None,
    };
    StepServer::start(stage.spawner, launch, &stage.config.limits)
        .await
        .map_err(|(trouble, tail)| with_tail(&trouble, &tail))
}

/// Sets a platform up, starts it once and asks for its steps.
///
/// # Errors
///
/// What failed.
pub async fn ask(platform: &Platform, stage: &Stage<'_>) -> Result<(Catalogue, Leaving), String> {
    let mut server = start(platform, stage).await?;
    let limits = &stage.config.limits;
    match discover(&server, limits).await {
        Ok(catalogue) => {
            let limit = limits.shutdown;
            let leaving = tokio::spawn(async move { server.shut_down(limit).await });
            Ok((catalogue, leaving))
        }
        Err(trouble) => {
            server.end(limits.shutdown).await;
            let tail = server.tail().await;
            Err(with_tail(&trouble, &tail))
        }
    }
}

/// Asks the platforms that the executions need for their steps, side by side; where a step is
/// defined by none of them, the others that are ready as well.
pub async fn ask_all(executions: &[Execution], stage: &Stage<'_>) -> (Catalogues, Vec<Leaving>) {
    let to_run = || executions.iter().filter(|e| skipped(e).is_none());
    let needed: BTreeSet<&str> = to_run()
        .flat_map(|e| e.platforms.iter().map(String::as_str))
        .collect();
    let is_needed = |platform: &&Platform| needed.contains(platform.name.as_str());
    let mut catalogues = Catalogues::new();
    let mut leaving = Vec::new();
    let platforms: Vec<_> = stage.config.platforms.iter().filter(is_needed).collect();
    warn_of_outsiders(&platforms, stage.events);
    ask_into(&mut catalogues, &mut leaving, &platforms, stage).await;
    if to_run().any(|execution| has_unknown_step(execution, &catalogues)) {
        let ready = |p: &&Platform| {
            !is_needed(p) && p.missing().is_none() && setup::is_ready(p, stage.config)
        };
        let others: Vec<_> = stage.config.platforms.iter().filter(ready).collect();
        ask_into(&mut catalogues, &mut leaving, &others, stage).await;
    }
    (catalogues, leaving)
}

/// Executions with step servers that the runner does not start have no sandbox.
fn warn_of_outsiders(platforms: &[&Platform], events: &Events) {
    let outside = platforms.iter().filter(|platform| platform.url().is_some());
    let names: Vec<&str> = outside.map(|platform| platform.name.as_str()).collect();
    if !names.is_empty() {
        let what = format!(
            "executions with {} share {SHARED_MEMORY} and {LOCKS} with everybody, because its step \
             server is not started by this run",
            names.join(", ")
        );
        events.warn(what);
    }
}

async fn ask_into(
    catalogues: &mut Catalogues,
    leaving: &mut Vec<Leaving>,
    platforms: &[&Platform],
    stage: &Stage<'_>,
) {
    let asking = join_all(platforms.iter().map(|platform| ask(platform, stage)));
    let answers = tokio::select! {
        biased;
        () = stage.halt.ending() => return,
        answers = asking => answers,
    };
    for (platform, answer) in platforms.iter().zip(answers) {
        let catalogue = answer.map(|(catalogue, last)| {
            leaving.push(last);
            let (name, count) = (&platform.name, catalogue.len());
            stage.events.note(format!("{name} defines {count} steps"));
            warn_of_unreadable(name, &catalogue.unreadable, stage.events);
            catalogue
        });
        catalogues.insert(platform.name.clone(), catalogue);
    }
}

/// A step that none of the other patterns fits may be defined by one of these, or by none.
fn warn_of_unreadable(platform: &str, patterns: &[String], events: &Events) {
    let Some(first) = patterns.first() else {
        return;
    };
    let count = patterns.len();
    events.warn(format!(
        "{platform}: cannot tell what steps {count} of its patterns fit; the first is {first}"
    ));
    for pattern in patterns {
        events.note(format!(
            "{platform}: cannot tell what this pattern fits: {pattern}"
        ));
    }
}

/// Waits for the ends of the step servers that the preflight started.
pub async fn leave(leaving: Vec<Leaving>, events: &Events) {
    for farewell in join_all(leaving).await {
        match farewell {
            Ok(farewell) => {
                for fault in farewell.faults {
                    events.note(fault.message);
                }
            }
            Err(error) => events.warn(error.to_string()),
        }
    }
}

async fn discover(server: &StepServer, limits: &Limits) -> Result<Catalogue, Trouble> {
    let answer = server.call::<DiscoverResult>(method::DISCOVER, None::<&()>, limits.start);
    Ok(Catalogue::new(&answer.await?.steps))
}

fn with_tail(trouble: &Trouble, tail: &[String]) -> String {
    let lines = tail.iter().map(|line| format!("\n  | {line}"));
    std::iter::once(trouble.to_string()).chain(lines).collect()
}

/// What the preflight says about one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It can run. For each step, what is known of its definition.
    Run(Vec<Definition>),
    /// It cannot.
    Not(Fault),
}

/// What is known of the definition of a step, before it is sent to those that play it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// Each of them has told one under the step's own keyword.
    Certain,
    /// They may have one, and some platform has told one.
    Possible,
    /// They may have one, because not all that they told can be understood; nobody has told one.
    Doubtful,
}

/// Why a scenario is not run at all, from its tags, and from its steps where one process plays all
/// roles.
pub fn skipped(execution: &Execution) -> Option<String> {
    let scenario = &execution.scenario.scenario;
    if scenario.has_tag("windows") && cfg!(not(windows)) {
        return Some("for Windows only".to_owned());
    }
    same_process::obstacle(&execution.scenario)
}

/// Whether an execution whose platforms all answered has a step that none asked so far defines.
fn has_unknown_step(execution: &Execution, catalogues: &Catalogues) -> bool {
    let answered = |platform: &String| matches!(catalogues.get(platform), Some(Ok(_)));
    let steps = &execution.scenario.steps;
    execution.platforms.iter().all(answered)
        && steps.iter().any(|step| is_undefined(step, catalogues))
}

/// Whether no platform has told a definition of a step. What cannot be understood is none.
fn is_undefined(step: &RoutedStep, catalogues: &Catalogues) -> bool {
    let defines = |catalogue: &Catalogue| catalogue.fit(&step.step) > Fit::CannotTell;
    !matches!(step.to, Destination::Runner(_)) && !catalogues.values().flatten().any(defines)
}

/// Judges an execution by what its platforms are and define.
pub fn judge(execution: &Execution, catalogues: &Catalogues, platforms: &[Platform]) -> Judgement {
    if let Some(reason) = skipped(execution) {
        return Judgement::Not(Fault::new(Outcome::Skipped, reason));
    }
    for platform in &execution.platforms {
        if let Some(Err(why)) = catalogues.get(platform) {
            let message = format!("{platform}: {why}");
            return Judgement::Not(Fault::new(Outcome::SetupError, message));
        }
    }
    if let Some(why) = outside::obstacle(execution, platforms) {
        return Judgement::Not(Fault::new(Outcome::Unsupported, why));
    }
    let mut undefined = Vec::new();
    let mut lacking = None;
    let mut definitions = Vec::new();
    for step in &execution.scenario.steps {
        let targets = platforms_of(step, execution);
        let fit = |platform: &str| match catalogues.get(platform) {
            Some(Ok(catalogue)) => catalogue.fit(&step.step),
            _ => Fit::CannotTell,
        };
        let is_undefined = is_undefined(step, catalogues);
        match targets.iter().find(|platform| fit(platform) == Fit::None) {
            Some(_) if is_undefined => undefined.push((&step.step, targets.clone())),
            Some(platform) if lacking.is_none() => {
                lacking = Some(format!("{platform} does not define: {}", step.step));
            }
            _ => {}
        }
        definitions.push(match targets.into_iter().map(fit).min() {
            None | Some(Fit::Own) => Definition::Certain,
            _ if is_undefined => Definition::Doubtful,
            _ => Definition::Possible,
        });
    }
    if !undefined.is_empty() {
        let lines = undefined
            .iter()
            .map(|(step, _)| format!("no platform defines: {step}"));
        let snippets = undefined
            .iter()
            .flat_map(|(step, targets)| snippets(step, targets, platforms));
        let message: Vec<String> = lines.chain(snippets).collect();
        return Judgement::Not(Fault::new(Outcome::Undefined, message.join("\n")));
    }
    match lacking {
        Some(why) => Judgement::Not(Fault::new(Outcome::Unsupported, why)),
        None => Judgement::Run(definitions),
    }
}

/// Definitions of a step to begin with, in the languages of the platforms that it is sent to.
pub fn snippets(step: &Step, targets: &[&str], platforms: &[Platform]) -> Vec<String> {
    let language_of = |target: &&str| {
        let mut platforms = platforms.iter();
        platforms
            .find(|platform| platform.name == *target)?
            .language
    };
    let languages: BTreeSet<_> = targets.iter().map(language_of).collect();
    let snippets = languages
        .into_iter()
        .map(|language| snippet(step, language));
    snippets.collect()
}

/// The platforms that a step is sent to.
fn platforms_of<'e>(step: &RoutedStep, execution: &'e Execution) -> Vec<&'e str> {
    match &step.to {
        Destination::One(name) | Destination::Both(name, _) => {
            vec![execution.platform_of(&name.role)]
        }
        Destination::All => execution.platforms.iter().map(String::as_str).collect(),
        Destination::Runner(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::StepPattern;
    use crate::runner::{feature, route};
    use Definition::{Certain, Doubtful, Possible};
    use std::path::Path;
    use std::sync::Arc;

    fn catalogue(patterns: &[(&str, &str)]) -> Result<Catalogue, String> {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|(kind, pattern)| StepPattern {
                kind: kind.to_string(),
                pattern: pattern.to_string(),
            })
            .collect();
        Ok(Catalogue::new(&patterns))
    }

    fn execution(tags: &str, platforms: [&str; 2]) -> Execution {
        let text = format!(
            "{tags}\nFeature: F\nScenario: One\nGiven ready\nWhen the 'a' process x\nThen the 'b' process y\n\
             And wait for '1' seconds\n"
        );
        let scenario = feature::parse(Path::new("3.feature"), &text)
            .unwrap()
            .remove(0);
        Execution {
            scenario: Arc::new(route::route(scenario)),
            platforms: platforms.map(str::to_owned).to_vec(),
        }
    }

    fn outcome(execution: &Execution, catalogues: &Catalogues) -> (Outcome, String) {
        match judge(execution, catalogues, &[]) {
            Judgement::Run(_) => (Outcome::Passed, String::new()),
            Judgement::Not(fault) => (fault.outcome, fault.message),
        }
    }

    #[test]
    fn each_platform_needs_the_steps_that_go_to_it() {
        let ready = ("given", "ready");
        let x = ("when", "the 'a' process x");
        let y = ("when", "the 'b' process y");
        let catalogues = Catalogues::from([
            ("left".into(), catalogue(&[ready, x])),
            ("right".into(), catalogue(&[ready, y])),
            ("broken".into(), Err("no compiler".into())),
        ]);
        let judged = judge(&execution("", ["left", "right"]), &catalogues, &[]);
        assert_eq!(
            judged,
            Judgement::Run(vec![Certain, Certain, Possible, Certain]),
            "y is defined as a When"
        );
        let (kind, message) = outcome(&execution("", ["right", "left"]), &catalogues);
        assert_eq!(kind, Outcome::Unsupported);
        assert_eq!(message, "right does not define: When the 'a' process x");
        let (kind, message) = outcome(&execution("", ["left", "broken"]), &catalogues);
        assert_eq!(
            (kind, message.as_str()),
            (Outcome::SetupError, "broken: no compiler")
        );
    }

    #[test]
    fn a_step_that_nobody_defines_is_undefined() {
        let known = [("given", "ready"), ("when", "the 'a' process x")];
        let catalogues = Catalogues::from([("left".into(), catalogue(&known))]);
        let (kind, message) = outcome(&execution("", ["left", "left"]), &catalogues);
        assert_eq!(kind, Outcome::Undefined);
        assert!(
            message.starts_with("no platform defines: Then the 'b' process y"),
            "{message}"
        );
        assert!(
            message.contains(r#"{"type":"then","pattern":"#),
            "{message}"
        );
    }

    #[test]
    fn what_cannot_be_understood_defines_nothing_for_others() {
        let known = [("given", "ready"), ("when", "the 'a' process x")];
        let open = [known.as_slice(), &[("then", "(?=z)")]].concat();
        let y = ("given", "the 'b' process y");
        let mut catalogues = Catalogues::from([
            ("open".into(), catalogue(&open)),
            ("left".into(), catalogue(&known)),
        ]);
        let judged = |combination, catalogues: &Catalogues| {
            judge(&execution("", combination), catalogues, &[])
        };
        let run = |third| Judgement::Run(vec![Certain, Certain, third, Certain]);
        assert_eq!(judged(["left", "open"], &catalogues), run(Doubtful));
        let (kind, _) = outcome(&execution("", ["open", "left"]), &catalogues);
        assert_eq!(
            kind,
            Outcome::Undefined,
            "left has none, and open's is none for sure"
        );
        assert!(has_unknown_step(
            &execution("", ["open", "open"]),
            &catalogues
        ));
        catalogues.insert("right".into(), catalogue(&[y]));
        assert_eq!(judged(["left", "open"], &catalogues), run(Possible));
        let (kind, _) = outcome(&execution("", ["open", "left"]), &catalogues);
        assert_eq!(kind, Outcome::Unsupported);
    }

    #[test]
    fn snippets_are_in_the_languages_of_the_platforms() {
        use crate::runner::platform::RawPlatform;
        let platforms = ["rust", "python", "mine"].map(|name| {
            let raw: RawPlatform = toml::from_str("command = [\"x\"]").unwrap();
            raw.resolve(name, Path::new("/"), &|_| None).unwrap()
        });
        let step = &execution("", ["a", "b"]).scenario.steps[0].step;
        let found = |targets: &[&str]| snippets(step, targets, &platforms);
        let begin = |texts: &[String], beginnings: &[&str]| {
            let pairs = texts.iter().zip(beginnings);
            let all = pairs.map(|(text, beginning)| text.starts_with(beginning));
            assert!(
                texts.len() == beginnings.len() && all.min() == Some(true),
                "{texts:?}"
            );
        };
        begin(
            &found(&["mine", "rust", "rust"]),
            &["{\"type\"", "#[given("],
        );
        begin(&found(&["python"]), &["@given("]);
    }

    #[test]
    fn tags_keep_a_scenario_from_running() {
        let catalogues = Catalogues::new();
        let (kind, message) = outcome(&execution("@windows", ["a", "a"]), &catalogues);
        assert_eq!(
            (kind, message.as_str()),
            (Outcome::Skipped, "for Windows only")
        );
    }
}
