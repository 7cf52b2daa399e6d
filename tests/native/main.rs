//! The scenarios of `features/` in one process, by cucumber's own runner: the step definitions of
//! the step server, and nothing of what is around them.
//!
//! `cargo test --test native -- --name REGEX --tags EXPRESSION`; what stands alone is looked for in
//! the names of scenarios, as `cargo test` does with those of tests.

mod arguments;
mod report;
mod sandbox;
mod watchdog;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser as _;
use cucumber::World as _;
use cucumber::cli;
use cucumber::codegen::LocalBoxFuture;
use cucumber::step::Context;
use futures_util::FutureExt;
use gherkin::{Feature, Rule, Scenario};
use regex::Regex;
use zerobuffer::serve::allocations::CountingAllocator;
use zerobuffer::serve::world::World;

use arguments::Arguments;
use report::Report;
use sandbox::Sandbox;
use watchdog::Watchdog;

/// Steps look at how often the library asks for memory.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Tags of what cannot run here, and why.
const NOT_HERE: [(&str, &str); 3] = [
    ("separate-processes", "needs a process for each role"),
    ("windows", "is about Windows"),
    (
        "benchmark",
        "says nothing about a build that is not optimised",
    ),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Before there is a second thread.
    let sandbox = Sandbox::enter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(arguments, sandbox)),
        Err(error) => {
            eprintln!("native: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments, sandbox: Sandbox) -> ExitCode {
    report::show_attachments();
    let left_out = Rc::new(RefCell::new(BTreeSet::new()));
    let noted = Rc::clone(&left_out);
    let may_be_none = arguments.may_match_nothing();
    let watchdog = Watchdog::start();
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
    let wait = Regex::new(r"^wait for '(\d+(?:\.\d+)?)' seconds?$").expect("a constant");
    let report = World::cucumber()
        .max_concurrent_scenarios(1)
        .given(wait.clone(), wait_for_seconds)
        .when(wait.clone(), wait_for_seconds)
        .then(wait, wait_for_seconds)
        .before(move |feature, rule, scenario, _| {
            let tags = tags(feature, rule, scenario);
            watchdog.expect(&scenario.name, &tags);
            async move { sandbox.prepare(&tags) }.boxed_local()
        })
        .after(move |_, _, _, _, world| {
            async move {
                if let Some(world) = world {
                    // What it held is released before it is looked for.
                    let complaints = world.audit();
                    *world = World::new().await.expect("a World can always be made");
                    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
                }
                sandbox.expect_empty();
            }
            .boxed_local()
        })
        .with_writer(Report::default())
        .with_cli(cli::Opts::<_, _, _, cli::Empty>::default())
        .filter_run(features, move |feature, rule, scenario| {
            let tags = tags(feature, rule, scenario);
            if !arguments.choose(&scenario.name, &tags) {
                return false;
            }
            let why = why_not_here(&tags);
            if let Some(why) = why {
                noted
                    .borrow_mut()
                    .insert(format!("{} – {why}", scenario.name));
            }
            why.is_none()
        })
        .await;
    let left_out = left_out.borrow();
    report.close(&left_out, may_be_none)
}

fn why_not_here(tags: &[String]) -> Option<&'static str> {
    let applies = |tag: &str| tag != "benchmark" || cfg!(debug_assertions);
    let mut reasons = NOT_HERE.iter().filter(|(tag, _)| applies(tag));
    let found = reasons.find(|(tag, _)| tags.iter().any(|own| own == tag));
    found.map(|(_, why)| *why)
}

/// The tags on all levels.
fn tags(feature: &Feature, rule: Option<&Rule>, scenario: &Scenario) -> Vec<String> {
    let rule = rule.into_iter().flat_map(|rule| &rule.tags);
    let all = feature.tags.iter().chain(rule).chain(&scenario.tags);
    all.cloned().collect()
}

/// The number in a tag like `@name(7)`.
fn number_in(tags: &[String], name: &str) -> Option<u64> {
    tags.iter().find_map(|tag| {
        let number = tag
            .strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')?;
        number.parse().ok()
    })
}

/// What an orchestrator would do itself.
fn wait_for_seconds(_: &mut World, step: Context) -> LocalBoxFuture<'_, ()> {
    let seconds = step.matches[1]
        .1
        .parse()
        .expect("the pattern admits numbers only");
    std::thread::sleep(Duration::from_secs_f64(seconds));
    std::future::ready(()).boxed_local()
}
