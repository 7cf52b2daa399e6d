//! The commands, from the command line to the exit code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::Shell;
use tokio::signal::unix::{SignalKind, signal};

use super::clean::clean;
use super::cli::{Cli, Command, Manner, Reports, Run};
use super::config::Config;
use super::doctor;
use super::event::{Events, Reporter};
use super::event_log::{self, EventLog};
use super::execute::Stage;
use super::exit::{Exit, Refusal};
use super::halt::{CutShort, Halt};
use super::header::{Again, Invocation};
use super::holder;
use super::inspect::{Target, inspect};
use super::invocation::{command_again, command_line, read_config, verbosity};
use super::leftover;
use super::machine::Looking;
use super::mutate::mutate;
use super::past::{self, Before};
use super::plan::Execution;
use super::preflight::{self, Definition, Judgement};
use super::record::Record;
use super::report::Console;
use super::report::mutants::Mutants;
use super::route::RoutedScenario;
use super::run::run;
use super::runs;
use super::spawn::Spawner;
use super::terminal::{say, warn};
use super::watch::watch;
use super::workload::Workload;

/// How long an end without delay waits for killed processes to be gone.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs the command and says how it ended.
pub fn main(cli: Cli) -> Exit {
    match run_command(&cli) {
        Ok(exit) => exit,
        Err(Refusal(exit, why)) => {
            warn(&format!("harmony: {why}"));
            exit
        }
    }
}

fn run_command(cli: &Cli) -> Result<Exit, Refusal> {
    let config = || read_config(cli);
    match &cli.command {
        Command::HoldSandbox { shm_size } => Ok(holder::hold(*shm_size)),
        Command::List(selection) => Ok(list(&Workload::new(config()?, selection)?)),
        Command::Doctor { platforms } => examine(cli, &config()?, platforms),
        Command::Inspect {
            buffer,
            watch: is_watch,
            json,
        } => {
            let target = Target::new(buffer.as_deref())?;
            match is_watch {
                true => watch(&target),
                false => inspect(&target, *json),
            }
        }
        Command::Clean { dry_run } => clean(*dry_run, verbosity(cli)),
        Command::Completions { shell } => completions(*shell),
        Command::Run(run) => run_scenarios(cli, run, config()?),
        Command::Report {
            run,
            reports,
            comparing,
        } => past::report(cli, run.as_deref(), reports, comparing),
        Command::Merge(asked) => past::merge_runs(cli, asked),
        Command::Mutate(asked) => {
            let work = Workload::new(config()?, &asked.selection)?;
            let reporters = vec![boxed(Mutants::new(verbosity(cli)))];
            with_stage(&work.config, reporters, async |stage| {
                mutate(&work, asked, stage).await
            })
        }
        Command::Check(selection) => {
            let work = Workload::new(config()?, selection)?;
            let reporters = vec![boxed(Console::new(verbosity(cli)))];
            with_stage(&work.config, reporters, async |stage| {
                check(&work, stage).await
            })
        }
    }
}

fn run_scenarios(cli: &Cli, asked: &Run, config: Config) -> Result<Exit, Refusal> {
    let looking = Looking::into(&config.root);
    let before = asked.rerun_failed.as_ref();
    let before = before.map(|run| Before::find(run.as_deref(), &config));
    let before = before.transpose().map_err(Refusal::usage)?;
    if let Some(green) = before.as_ref().filter(|before| before.was_green()) {
        return nothing_again(green, &asked.reports);
    }
    let manner = &match &before {
        Some(before) => before.manner(&asked.manner),
        None => asked.manner.clone(),
    };
    let (work, mut invocation) = prepare(cli, asked, manner, before.as_ref(), config)?;
    let reports = &asked.reports.and_fitting();
    reports.check().map_err(Refusal::usage)?;
    let all_runs = work.config.output.join(runs::FOLDER);
    let folder = all_runs.join(&invocation.run);
    let log = EventLog::create(&folder).map_err(Refusal::usage)?;
    let keep = work.config.keep_runs.get();
    let pruning = std::thread::spawn(move || runs::prune(&all_runs, keep));
    invocation.commit = looking.found();
    let console = match reports.take_standard_output() {
        true => Console::aside(verbosity(cli)),
        false => Console::new(verbosity(cli)),
    };
    let reporters = vec![boxed(console), boxed(log)];
    let exit = with_stage(&work.config, reporters, async |stage| {
        run(&work, manner, &invocation, &folder, stage).await
    })?;
    if let Ok(Err(why)) = pruning.join() {
        warn(&format!("harmony: {why}"));
    }
    if !reports.is_empty()
        && let Err(why) = read_and_report(&folder.join(event_log::FILE_NAME), reports)
    {
        warn(&format!("harmony: {why}"));
        return Ok(exit.or(Exit::Usage));
    }
    Ok(exit)
}

/// Says that there is nothing to run again. Whoever waits for reports gets those of the run before.
fn nothing_again(green: &Before, reports: &Reports) -> Result<Exit, Refusal> {
    reports.check_places().map_err(Refusal::usage)?;
    let run = &green.run;
    let (text, exit) = match green.shortcoming() {
        None => (format!("everything was green in {run}"), Exit::Green),
        Some(why) => (
            format!("all that is known of {run} was green, but {why}"),
            Exit::Red,
        ),
    };
    let text = format!("nothing to run again: {text}");
    match reports.take_standard_output() {
        true => warn(&text),
        false => say(&text),
    }
    if !reports.is_empty() {
        let record = Record::read(&green.log).map_err(Refusal::usage)?;
        reports.write(&record).map_err(Refusal::usage)?;
    }
    Ok(exit)
}

/// Finds out what there is to do, and how that is called.
fn prepare(
    cli: &Cli,
    asked: &Run,
    manner: &Manner,
    before: Option<&Before>,
    mut config: Config,
) -> Result<(Workload, Invocation), Refusal> {
    let selection = before.map_or(&asked.selection, Before::selection);
    let scale = &mut config.scale;
    scale.long_running = manner.long_running.unwrap_or(scale.long_running);
    scale.benchmark = manner.benchmark_scale.unwrap_or(scale.benchmark);
    let all_runs = config.output.join(runs::FOLDER);
    let baseline = past::baseline(&asked.comparing, || Ok(all_runs)).map_err(Refusal::usage)?;
    let mut invocation = Invocation {
        run: runs::new_name(),
        command: command_line(),
        again: Again {
            command: command_again(cli),
            options: manner.options_again(selection),
        },
        baseline,
        ..Invocation::default()
    };
    let mut work = Workload::new(config, selection)?;
    if let Some(before) = before {
        invocation.warnings = before.narrow(&mut work)?;
        invocation.rerun_of = Some(before.run.clone());
    } else if let Some(shard) = manner.shard {
        work.keep(shard, manner.repeat_at_once());
    }
    Ok((work, invocation))
}

/// Makes the reports of a run that has ended.
fn read_and_report(log: &Path, reports: &Reports) -> Result<(), String> {
    let record = Record::read(log).map_err(|error| error.to_string())?;
    reports.write(&record)?;
    match record.is_complete() {
        true => Ok(()),
        false => Err(format!(
            "the reports are of the beginning of this run only: {} could not be written to its end",
            log.display()
        )),
    }
}

fn boxed(reporter: impl Reporter + 'static) -> Box<dyn Reporter> {
    Box::new(reporter)
}

fn list(work: &Workload) -> Exit {
    let mut rest = work.executions.as_slice();
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
        say(&format!(
            "{id:6} {} ({roles}){tags}",
            scenario.scenario.name
        ));
        say(&format!("       {}", combinations.join(" ")));
        rest = &rest[same..];
    }
    Exit::Green
}

/// Runs an asynchronous command, with what it needs to start step servers and to report.
fn with_stage(
    config: &Config,
    reporters: Vec<Box<dyn Reporter>>,
    command: impl AsyncFnOnce(&Stage<'_>) -> Exit,
) -> Result<Exit, Refusal> {
    let failed = |error: std::io::Error| Refusal(Exit::Setup, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let stage = Stage {
        config,
        spawner: &Spawner::new().map_err(failed)?,
        events: &Events::new(reporters),
        halt: &Halt::default(),
    };
    runtime.map_err(failed)?.block_on(async {
        watch_signals(&stage).map_err(failed)?;
        let exit = command(&stage).await;
        // A command that was given up in the middle may have left something running.
        if !stage.spawner.end_all(config.limits.shutdown).await {
            warn("harmony: some of the processes that were started cannot be ended");
        }
        Ok(exit)
    })
}

/// The first SIGINT, SIGTERM or SIGHUP ends the run in order, the second at once.
fn watch_signals(stage: &Stage<'_>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (halt, spawner) = (stage.halt.clone(), stage.spawner.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            if halt.is_ending() {
                spawner.kill_all();
                let _ = tokio::time::timeout(AT_ONCE, spawner.drained()).await;
                leftover::remove_all();
                std::process::exit(Exit::Interrupted as i32);
            }
            halt.end(CutShort::Interrupted);
            warn("harmony: ending what runs; once more to end at once");
        }
    });
    Ok(())
}

async fn check(work: &Workload, stage: &Stage<'_>) -> Exit {
    let mut last: Option<&Arc<RoutedScenario>> = None;
    for execution in &work.executions {
        if !last.is_some_and(|last| Arc::ptr_eq(last, &execution.scenario)) {
            for line in routing(&execution.scenario) {
                stage.events.note(line);
            }
        }
        last = Some(&execution.scenario);
    }
    let (catalogues, leaving) = preflight::ask_all(&work.executions, stage).await;
    if stage.halt.is_ending() {
        preflight::leave(leaving, stage.events).await;
        return Exit::Interrupted;
    }
    let mut outcomes = Vec::new();
    for execution in &work.executions {
        match preflight::judge(execution, &catalogues, &work.config.platforms) {
            Judgement::Run(definitions) => {
                let mut unsure = definitions;
                unsure.retain(|definition| *definition != Definition::Certain);
                let note = match unsure.len() {
                    0 => String::new(),
                    count => {
                        format!(" ({count} step(s) defined under another keyword, or unclear)")
                    }
                };
                say(&format!("can run         {execution}{note}"));
            }
            Judgement::Not(fault) => {
                say(&format!(
                    "{:15} {execution}: {}",
                    fault.outcome.words(),
                    fault.message
                ));
                outcomes.push(fault.outcome);
            }
        }
    }
    preflight::leave(leaving, stage.events).await;
    Exit::of(&outcomes, stage.halt.why().as_ref())
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

/// Prints what a shell needs to complete this command line.
fn completions(shell: Shell) -> Result<Exit, Refusal> {
    let mut script = Vec::new();
    let all = Cli::command();
    // The command that is for this program alone is not offered.
    let commands = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let mut offered = clap::Command::new("harmony")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(commands);
    clap_complete::generate(shell, &mut offered, "harmony", &mut script);
    let script = String::from_utf8(script).map_err(Refusal::usage)?;
    say(script.trim_end());
    Ok(Exit::Green)
}

fn examine(cli: &Cli, config: &Config, names: &[String]) -> Result<Exit, Refusal> {
    let platforms = doctor::meant(config, names)?;
    let reporters = vec![boxed(Console::new(verbosity(cli)))];
    with_stage(config, reporters, async |stage| {
        doctor::examine(&platforms, stage).await
    })
}
