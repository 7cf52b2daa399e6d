//! The commands, from the command line to the exit code.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::cli::{Cli, Command, Selection};
use super::config::{self, Config, Platform};
use super::event::{Event, Events, ExecutionInfo, ExecutionReport};
use super::execute::{Ended, Stage, execute};
use super::feature;
use super::filter::Filter;
use super::known::KnownFailures;
use super::outcome::{Evidence, Fault, Outcome, decide};
use super::plan::{Execution, plan};
use super::preflight::{self, Catalogues, Judgement, Leaving};
use super::report::Console;
use super::report::console::Verbosity;
use super::route::{RoutedScenario, route};
use super::setup;
use super::spawn::Spawner;

/// What the runner's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Green = 0,
    /// Something ran and is not.
    Red = 1,
    /// The command line, the configuration or a feature file is wrong.
    Usage = 2,
    /// A platform could not be set up or started.
    Setup = 3,
    /// Nothing matched.
    Nothing = 4,
    /// The user ended the run.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An end before anything ran: what to say, and the exit code.
struct Refusal(Exit, String);

impl Refusal {
    fn usage(why: impl ToString) -> Refusal {
        Refusal(Exit::Usage, why.to_string())
    }
}

/// Runs the command and says how it ended.
pub fn main(cli: Cli) -> Exit {
    match run_command(&cli) {
        Ok(exit) => exit,
        Err(Refusal(exit, why)) => {
            anstream::eprintln!("harmony: {why}");
            exit
        }
    }
}

fn run_command(cli: &Cli) -> Result<Exit, Refusal> {
    let config = read_config(cli)?;
    match &cli.command {
        Command::List(selection) => list(&Loaded::new(config, selection)?),
        Command::Doctor { platforms } => doctor(cli, config, platforms),
        Command::Run(selection) => with_runtime(cli, Loaded::new(config, selection)?, run),
        Command::Check(selection) => with_runtime(cli, Loaded::new(config, selection)?, check),
    }
}

fn read_config(cli: &Cli) -> Result<Config, Refusal> {
    let file = match &cli.config {
        Some(file) => file.clone(),
        None => {
            let here = std::env::current_dir().map_err(Refusal::usage)?;
            config::find(&here).map_err(Refusal::usage)?
        }
    };
    config::read(&file, |name| std::env::var(name).ok()).map_err(Refusal::usage)
}

/// What the files and the command line say.
struct Loaded {
    config: Config,
    scenarios: Vec<Arc<RoutedScenario>>,
    known: KnownFailures,
    executions: Vec<Execution>,
}

impl Loaded {
    fn new(config: Config, selection: &Selection) -> Result<Loaded, Refusal> {
        let platforms: Vec<&str> = config.platforms.iter().map(|p| p.name.as_str()).collect();
        let filter = Filter::parse(
            &selection.arguments,
            selection.tags.as_deref(),
            selection.name.as_deref(),
            &platforms,
        )
        .map_err(Refusal::usage)?;
        let scenarios = feature::read_folder(&config.features).map_err(Refusal::usage)?;
        if let Some(unknown) = filter.unknown_id(&scenarios) {
            return Err(Refusal(Exit::Nothing, unknown));
        }
        let known = KnownFailures::read(&config.known_failures, &platforms);
        let known = known.map_err(Refusal::usage)?;
        let scenarios: Vec<_> = scenarios.into_iter().map(|s| Arc::new(route(s))).collect();
        let missing = |p: &&Platform| p.missing().is_none();
        let available = config.platforms.iter().filter(missing);
        let available: Vec<&str> = available.map(|p| p.name.as_str()).collect();
        for platform in &config.platforms {
            let named = filter.combinations.iter().flat_map(|c| c.named());
            if let Some(why) = platform.missing()
                && named.into_iter().any(|name| name == platform.name)
            {
                let why = format!("the platform {} is not available: {why}", platform.name);
                return Err(Refusal(Exit::Setup, why));
            }
        }
        let executions = plan(&scenarios, &filter, &available);
        if executions.is_empty() {
            return Err(Refusal(
                Exit::Nothing,
                nothing(&scenarios, &filter, &available),
            ));
        }
        Ok(Loaded {
            config,
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
    let what = if scenarios.iter().any(|s| filter.selects(&s.scenario)) {
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

fn list(loaded: &Loaded) -> Result<Exit, Refusal> {
    let mut rest = loaded.executions.as_slice();
    while let Some(first) = rest.first() {
        let scenario = &first.scenario;
        let same = rest
            .iter()
            .take_while(|e| Arc::ptr_eq(&e.scenario, scenario))
            .count();
        let combinations: Vec<_> = rest[..same].iter().map(Execution::combination).collect();
        let id = scenario.scenario.id;
        let roles = scenario.roles.join(", ");
        let tags: String = scenario
            .scenario
            .tags
            .iter()
            .map(|tag| format!(" @{tag}"))
            .collect();
        anstream::println!("{id:6} {} ({roles}){tags}", scenario.scenario.name);
        anstream::println!("       {}", combinations.join(" "));
        rest = &rest[same..];
    }
    Ok(Exit::Green)
}

/// The parts of a run that outlive its stages.
struct Desk {
    spawner: Spawner,
    events: Events,
    interrupt: CancellationToken,
}

impl Desk {
    fn stage<'a>(&'a self, config: &'a Config) -> Stage<'a> {
        Stage {
            config,
            spawner: &self.spawner,
            events: &self.events,
            interrupt: &self.interrupt,
        }
    }
}

fn with_runtime<T>(
    cli: &Cli,
    input: T,
    command: impl AsyncFnOnce(T, &Desk) -> Exit,
) -> Result<Exit, Refusal> {
    let failed = |error: std::io::Error| Refusal(Exit::Setup, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let verbosity = match (cli.verbose, cli.quiet) {
        (true, _) => Verbosity::Verbose,
        (_, true) => Verbosity::Quiet,
        _ => Verbosity::Normal,
    };
    let invoked = std::env::var("HARMONY_INVOKED_AS");
    let again = invoked.unwrap_or_else(|_| "harmony run".to_owned());
    let desk = Desk {
        spawner: Spawner::new().map_err(failed)?,
        events: Events::new(Console::new(verbosity, again)),
        interrupt: CancellationToken::new(),
    };
    runtime.map_err(failed)?.block_on(async {
        watch_signals(&desk).map_err(failed)?;
        Ok(command(input, &desk).await)
    })
}

/// The first SIGINT or SIGTERM ends the run in order, the second at once.
fn watch_signals(desk: &Desk) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (token, spawner) = (desk.interrupt.clone(), desk.spawner.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                spawner.kill_all();
                std::process::exit(Exit::Interrupted as i32);
            }
            eprintln!("harmony: ending what runs; once more to end at once");
            token.cancel();
        }
    });
    Ok(())
}

async fn run(loaded: Loaded, desk: &Desk) -> Exit {
    let began = Instant::now();
    let stage = desk.stage(&loaded.config);
    let folder = loaded.config.output.join("runs").join(run_name());
    desk.events.emit(Event::RunStarted {
        executions: loaded.executions.len(),
        folder: folder.clone(),
    });
    let (catalogues, leaving) = ask_platforms(&loaded, &stage).await;
    let mut outcomes = Vec::new();
    for (number, execution) in loaded.executions.iter().enumerate() {
        let info = describe(number, execution);
        desk.events.emit(Event::ExecutionStarted(info.clone()));
        let began = Instant::now();
        let logs = folder.join(format!("{}-{}", info.id, info.combination));
        let mut ran = false;
        let ended = match preflight::judge(execution, &catalogues) {
            _ if desk.interrupt.is_cancelled() => {
                not_run(Fault::new(Outcome::Interrupted, "not run"))
            }
            Judgement::Not(fault) => not_run(fault),
            Judgement::Run(sure) => {
                ran = true;
                execute(&stage, number, execution, &sure, &logs).await
            }
        };
        let verdict = decide(&ended.evidence, loaded.known.find(execution));
        outcomes.push(verdict.outcome);
        let mut warnings = ended.warnings;
        if ended.evidence.fault.is_some() {
            let leaks = ended.evidence.leaks.iter();
            warnings.extend(leaks.map(|leak| format!("left behind: {leak}")));
        }
        desk.events
            .emit(Event::ExecutionFinished(Box::new(ExecutionReport {
                info,
                outcome: verdict.outcome,
                reason: verdict.reason,
                failed_step: ended.failed_step,
                took: began.elapsed(),
                warnings,
                leftovers: ended.leftovers,
                tails: ended.tails,
                folder: ran.then_some(logs),
            })));
    }
    leave(leaving, desk).await;
    let names: Vec<&str> = loaded
        .config
        .platforms
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    for stale in loaded
        .known
        .stale(&plan(&loaded.scenarios, &Filter::default(), &names))
    {
        let what = format!("an entry of the known failures matches nothing: {stale}");
        desk.events.emit(Event::Warning(what));
    }
    let interrupted = desk.interrupt.is_cancelled();
    let took = began.elapsed();
    desk.events.emit(Event::RunFinished { interrupted, took });
    exit_of(&outcomes, interrupted)
}

fn exit_of(outcomes: &[Outcome], interrupted: bool) -> Exit {
    if interrupted {
        Exit::Interrupted
    } else if outcomes.contains(&Outcome::SetupError) {
        Exit::Setup
    } else if outcomes.iter().all(|outcome| outcome.is_green()) {
        Exit::Green
    } else {
        Exit::Red
    }
}

fn not_run(fault: Fault) -> Ended {
    Ended {
        evidence: Evidence {
            fault: Some(fault),
            ..Evidence::default()
        },
        ..Ended::default()
    }
}

fn describe(number: usize, execution: &Execution) -> ExecutionInfo {
    let scenario = &execution.scenario.scenario;
    let roles = execution.scenario.roles.iter().cloned();
    ExecutionInfo {
        number,
        id: scenario.id.to_string(),
        name: scenario.name.clone(),
        place: format!("{}:{}", scenario.file.display(), scenario.line),
        combination: execution.combination(),
        roles: roles.zip(execution.platforms.iter().cloned()).collect(),
    }
}

/// A name for the folder of a run: its time, and the process id for two at the same time.
fn run_name() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{now}-{}", std::process::id())
}

/// Asks the platforms that the executions need for their steps, side by side; where a step is
/// defined by none of them, the others that are ready as well.
async fn ask_platforms(loaded: &Loaded, stage: &Stage<'_>) -> (Catalogues, Vec<Leaving>) {
    let to_run = || {
        loaded
            .executions
            .iter()
            .filter(|e| preflight::skipped(e).is_none())
    };
    let needed: BTreeSet<&str> = to_run()
        .flat_map(|e| e.platforms.iter().map(String::as_str))
        .collect();
    let is_needed = |platform: &&Platform| needed.contains(platform.name.as_str());
    let mut catalogues = Catalogues::new();
    let mut leaving = Vec::new();
    let platforms: Vec<_> = loaded.config.platforms.iter().filter(is_needed).collect();
    ask_into(&mut catalogues, &mut leaving, &platforms, stage).await;
    if to_run().any(|execution| preflight::has_unknown_step(execution, &catalogues)) {
        let ready = |p: &&Platform| {
            !is_needed(p) && p.missing().is_none() && setup::is_ready(p, stage.config)
        };
        let others: Vec<_> = loaded.config.platforms.iter().filter(ready).collect();
        ask_into(&mut catalogues, &mut leaving, &others, stage).await;
    }
    (catalogues, leaving)
}

async fn ask_into(
    catalogues: &mut Catalogues,
    leaving: &mut Vec<Leaving>,
    platforms: &[&Platform],
    stage: &Stage<'_>,
) {
    let asking = join_all(
        platforms
            .iter()
            .map(|platform| preflight::ask(platform, stage)),
    );
    let answers = tokio::select! {
        biased;
        () = stage.interrupt.cancelled() => {
            stage.spawner.kill_all();
            return;
        }
        answers = asking => answers,
    };
    for (platform, answer) in platforms.iter().zip(answers) {
        let catalogue = answer.map(|(catalogue, last)| {
            leaving.push(last);
            let (name, count) = (&platform.name, catalogue.len());
            stage
                .events
                .emit(Event::Note(format!("{name} defines {count} steps")));
            for pattern in &catalogue.unreadable {
                let what = format!("{name}: cannot tell what this pattern fits: {pattern}");
                stage.events.emit(Event::Note(what));
            }
            catalogue
        });
        catalogues.insert(platform.name.clone(), catalogue);
    }
}

/// Waits for the ends of the step servers that the preflight started.
async fn leave(leaving: Vec<Leaving>, desk: &Desk) {
    for farewell in join_all(leaving).await {
        match farewell {
            Ok(farewell) => {
                for complaint in farewell.complaints {
                    desk.events.emit(Event::Note(complaint));
                }
            }
            Err(error) => desk.events.emit(Event::Warning(error.to_string())),
        }
    }
}

async fn check(loaded: Loaded, desk: &Desk) -> Exit {
    let stage = desk.stage(&loaded.config);
    let mut last: Option<&Arc<RoutedScenario>> = None;
    for execution in &loaded.executions {
        if !last.is_some_and(|last| Arc::ptr_eq(last, &execution.scenario)) {
            for line in routing(&execution.scenario) {
                desk.events.emit(Event::Note(line));
            }
        }
        last = Some(&execution.scenario);
    }
    let (catalogues, leaving) = ask_platforms(&loaded, &stage).await;
    let mut outcomes = Vec::new();
    for execution in &loaded.executions {
        match preflight::judge(execution, &catalogues) {
            Judgement::Run(sure) => {
                let unsure = sure.iter().filter(|sure| !**sure).count();
                let note = match unsure {
                    0 => String::new(),
                    count => {
                        format!(" ({count} step(s) defined under another keyword, or unclear)")
                    }
                };
                anstream::println!("can run         {execution}{note}");
            }
            Judgement::Not(fault) => {
                anstream::println!(
                    "{:15} {execution}: {}",
                    fault.outcome.words(),
                    fault.message
                );
                outcomes.push(fault.outcome);
            }
        }
    }
    leave(leaving, desk).await;
    exit_of(&outcomes, desk.interrupt.is_cancelled())
}

/// The steps of a scenario and where each one goes.
fn routing(scenario: &RoutedScenario) -> Vec<String> {
    let head = format!(
        "{} {} (roles: {})",
        scenario.scenario.id,
        scenario.scenario.name,
        scenario.roles.join(", ")
    );
    let steps = scenario
        .steps
        .iter()
        .map(|step| format!("  {:30} <- {}", step.to_string(), step.step));
    std::iter::once(head).chain(steps).collect()
}

fn doctor(cli: &Cli, config: Config, names: &[String]) -> Result<Exit, Refusal> {
    let known: Vec<&str> = config.platforms.iter().map(|p| p.name.as_str()).collect();
    for name in names {
        if !known.contains(&name.as_str()) {
            let hint = super::nearest::did_you_mean(name, known.iter().copied());
            let known = known.join(", ");
            return Err(Refusal::usage(format!(
                "`{name}` is no platform{hint}\nplatforms: {known}"
            )));
        }
    }
    let names = names.to_vec();
    with_runtime(cli, (config, names), async |(config, names), desk| {
        let stage = desk.stage(&config);
        let meant = |p: &&Platform| names.is_empty() || names.contains(&p.name);
        let mut exit = Exit::Green;
        for platform in config.platforms.iter().filter(meant) {
            let began = Instant::now();
            let report = tokio::select! {
                biased;
                () = desk.interrupt.cancelled() => {
                    desk.spawner.kill_all();
                    return Exit::Interrupted;
                }
                report = examine(platform, &stage) => report,
            };
            let took: Duration = began.elapsed();
            let (word, text) = match report {
                Ok(text) => ("well", text),
                Err(why) if platform.optional && platform.missing().is_some() => {
                    ("unavailable", why)
                }
                Err(why) => {
                    exit = Exit::Setup;
                    ("ill", why)
                }
            };
            anstream::println!(
                "{:10} {word}: {text} ({:.3} s)",
                platform.name,
                took.as_secs_f64()
            );
        }
        exit
    })
}

/// Sets a platform up, starts it, asks for its steps and ends it.
async fn examine(platform: &Platform, stage: &Stage<'_>) -> Result<String, String> {
    let (catalogue, leaving) = preflight::ask(platform, stage).await?;
    let farewell = leaving.await.map_err(|error| error.to_string())?;
    if let Some(complaint) = farewell.complaints.first() {
        return Err(complaint.clone());
    }
    Ok(format!("answers, defines {} steps", catalogue.len()))
}
