//! What became of the scenarios: a line each, and one with the counts at the end.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Instant;

use cucumber::event::{Cucumber, Feature, Hook, Rule, Scenario, Step, StepError};
use cucumber::writer::Normalized;
use cucumber::{Event, Writer, cli, parser};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use zerobuffer::rpc::message::{ATTACHMENT, SKIPPED};
use zerobuffer::rpc::server::panic_message;
use zerobuffer::serve::world::World;

/// Counts and tells. A scenario that nobody can carry out here is told as skipped, and one with a
/// step that nobody defines as failed.
#[derive(Debug, Default)]
pub struct Report {
    current: Option<Running>,
    passed: usize,
    failed: usize,
    skipped: usize,
    /// Feature files that cannot be read.
    unread: usize,
}

#[derive(Debug)]
struct Running {
    begun: Instant,
    skipped: Option<String>,
    failures: Vec<String>,
}

impl Normalized for Report {}

impl Writer<World> for Report {
    type Cli = cli::Empty;

    async fn handle_event(&mut self, event: parser::Result<Event<Cucumber<World>>>, _: &Self::Cli) {
        match event.map(|event| event.value) {
            Ok(
                Cucumber::Feature(_, Feature::Scenario(scenario, event))
                | Cucumber::Feature(_, Feature::Rule(_, Rule::Scenario(scenario, event))),
            ) => self.scenario(&scenario.name, event.event),
            Ok(_) => {}
            Err(error) => {
                self.unread += 1;
                println!("FAILED {error}");
            }
        }
    }
}

impl Report {
    fn scenario(&mut self, name: &str, event: Scenario<World>) {
        match event {
            Scenario::Started => {
                self.current = Some(Running {
                    begun: Instant::now(),
                    skipped: None,
                    failures: Vec::new(),
                });
            }
            Scenario::Finished => self.finish(name),
            event => {
                if let Some(running) = &mut self.current {
                    running.note(event);
                }
            }
        }
    }

    fn finish(&mut self, name: &str) {
        let Some(running) = self.current.take() else {
            return;
        };
        let seconds = running.begun.elapsed().as_secs_f64();
        match (running.failures.as_slice(), running.skipped) {
            ([], None) => {
                self.passed += 1;
                println!("passed  {name} ({seconds:.3} s)");
            }
            ([], Some(why)) => {
                self.skipped += 1;
                println!("skipped {name} – {why}");
            }
            (failures, _) => {
                self.failed += 1;
                println!("FAILED  {name} ({seconds:.3} s)");
                for failure in failures {
                    println!("        {failure}");
                }
            }
        }
    }

    /// Tells the counts, with the scenarios that were `left_out`.
    pub fn close(&self, left_out: &BTreeSet<String>, may_be_none: bool) -> ExitCode {
        for scenario in left_out {
            println!("skipped {scenario}");
        }
        let skipped = self.skipped + left_out.len();
        println!(
            "{} passed, {} failed, {skipped} skipped",
            self.passed, self.failed
        );
        if self.unread > 0 {
            println!("{} feature files cannot be read", self.unread);
        }
        let all_well = self.failed == 0 && self.unread == 0;
        if all_well && (self.passed > 0 || may_be_none) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Running {
    fn note(&mut self, event: Scenario<World>) {
        match event {
            Scenario::Background(step, event) | Scenario::Step(step, event) => match event {
                Step::Skipped => self
                    .failures
                    .push(format!("nobody defines: {}", step.value)),
                Step::Failed(.., StepError::Panic(panic)) => {
                    self.failed(&step.value, panic_message(&*panic));
                }
                Step::Failed(.., error) => self.failed(&step.value, &error.to_string()),
                Step::Started | Step::Passed(..) => {}
            },
            Scenario::Hook(_, Hook::Failed(_, panic)) => {
                self.failures.push(panic_message(&*panic).to_owned());
            }
            _ => {}
        }
    }

    fn failed(&mut self, step: &str, message: &str) {
        match message.strip_prefix(SKIPPED) {
            Some(why) => self.skipped = Some(why.to_owned()),
            None => self.failures.push(format!("{step}: {message}")),
        }
    }
}

/// Shows the figures that steps attach.
pub fn show_attachments() {
    tracing_subscriber::registry().with(Attachments).init();
}

struct Attachments;

impl<S: tracing::Subscriber> Layer<S> for Attachments {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        if let Some(text) = message.0.strip_prefix(ATTACHMENT) {
            for line in text.lines() {
                println!("        {line}");
            }
        }
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
