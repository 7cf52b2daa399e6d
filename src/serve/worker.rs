//! The thread on which the steps of one scenario run, with the World that they share.
//!
//! A World never leaves its thread, so a step that hangs costs that thread and nothing else: the
//! worker is let go of, and a new one takes its place.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Once, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::definitions;
use super::failure::Failure;
use super::naming::RunId;
use super::registry::Registry;
use super::world::World;
use crate::rpc::message::{ExecuteStepParams, SKIPPED, StringMap};
use crate::rpc::server::panic_message;
use crate::span::in_current_span;

/// What became of a step.
#[derive(Debug)]
pub struct Outcome {
    /// Whether it failed, and why.
    pub result: Result<(), Failure>,
    /// What it tells the later steps.
    pub context: StringMap,
}

/// A World on its thread.
#[derive(Debug)]
pub struct Worker {
    jobs: mpsc::Sender<Job>,
    /// Resolves at the end of the scenario, with what was not in order then.
    audited: oneshot::Receiver<Vec<String>>,
    /// Resolves when the World is gone, with what went wrong in that.
    released: oneshot::Receiver<Vec<String>>,
}

/// The end of a World, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What was not in order, if that is known.
    pub complaints: Option<Vec<String>>,
    /// Whether everything is released.
    pub is_released: bool,
}

#[derive(Debug)]
struct Job {
    params: ExecuteStepParams,
    done: oneshot::Sender<Outcome>,
}

impl Worker {
    /// Starts a thread with a new World.
    ///
    /// # Errors
    ///
    /// Those of the system, when threads run out.
    pub fn start(run: RunId, registry: Arc<Registry>) -> io::Result<Worker> {
        install_panic_hook();
        let (jobs, waiting) = mpsc::channel();
        let (tell_audited, audited) = oneshot::channel();
        let (tell_released, released) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        std::thread::Builder::new()
            .name("world".into())
            .spawn(in_current_span(move || {
                let mut world = World::for_run(run, registry);
                work(&mut world, &runtime, &waiting);
                tell(tell_audited, guarded(CHECKING, || world.audit()));
                let release = || {
                    drop(world);
                    Vec::new()
                };
                tell(tell_released, guarded(RELEASING, release));
            }))?;
        Ok(Worker {
            jobs,
            audited,
            released,
        })
    }

    /// Has a step executed after those before it. The receiver fails only if the thread is gone.
    pub fn execute(&self, params: ExecuteStepParams) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        // A thread that is gone drops the job, which the receiver tells.
        let _ = self.jobs.send(Job { params, done });
        outcome
    }

    /// Lets go of the World once its step is done, and waits no longer than `patience` for its end.
    pub async fn end(self, patience: Duration) -> Ended {
        drop(self.jobs);
        let deadline = Instant::now() + patience;
        let mut ended = Ended {
            complaints: None,
            is_released: false,
        };
        for told in [self.audited, self.released] {
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(told)) => ended.complaints.get_or_insert_default().extend(told),
                Ok(Err(_)) => {
                    let gone = "the scenario's thread is gone".to_owned();
                    ended.complaints.get_or_insert_default().push(gone);
                    break;
                }
                Err(_) => return ended,
            }
        }
        ended.is_released = true;
        ended
    }
}

fn work(world: &mut World, runtime: &tokio::runtime::Runtime, jobs: &mpsc::Receiver<Job>) {
    IN_STEP.set(true);
    for job in jobs {
        let outcome = runtime.block_on(execute(world, job.params));
        // Nobody waits any more for a step that ran over its time.
        let _ = job.done.send(outcome);
    }
}

/// What the end of a World consists of.
const CHECKING: &str = "checking the scenario's buffers";
const RELEASING: &str = "releasing the scenario's things";

/// What `part` yields, or that it has panicked.
fn guarded(what: &str, part: impl FnOnce() -> Vec<String>) -> Vec<String> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(part));
    done.unwrap_or_else(|panic| {
        let message = format!("{what} panicked: {}", panic_message(&*panic));
        tracing::error!("{message}");
        vec![message]
    })
}

/// Of a World that was let go of, only the log can be told.
fn tell(waiting: oneshot::Sender<Vec<String>>, complaints: Vec<String>) {
    for complaint in waiting.send(complaints).err().into_iter().flatten() {
        tracing::error!("of a scenario that was let go of: {complaint}");
    }
}

async fn execute(world: &mut World, params: ExecuteStepParams) -> Outcome {
    let result = match definitions::find(&params) {
        Err(failure) => Err(failure),
        Ok(step) => {
            world.take_context(params.context.clone());
            let future = (step.function)(world, step.context);
            AssertUnwindSafe(future)
                .catch_unwind()
                .await
                .map_err(|panic| failure_of(panic_message(&*panic)))
        }
    };
    let context = match result {
        Ok(()) => std::mem::take(&mut world.context),
        Err(_) => params.context,
    };
    Outcome { result, context }
}

/// A failed step arrives as a panic, with the message of its [`Failure`]. Where it was raised helps
/// only whoever has to mend something.
fn failure_of(message: &str) -> Failure {
    match PANICKED_AT.take() {
        Some(place) if !message.starts_with(SKIPPED) => {
            Failure::new(format!("{message} ({place})"))
        }
        _ => Failure::new(message),
    }
}

thread_local! {
    /// Whether panics of this thread are results of steps.
    static IN_STEP: Cell<bool> = const { Cell::new(false) };
    /// Where the latest one came from.
    static PANICKED_AT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of steps become part of an answer; all others become log records.
fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            if IN_STEP.get() {
                PANICKED_AT.set(panic.location().map(ToString::to_string));
            } else {
                tracing::error!("{panic}");
                previous(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::super::test_steps::{self, params};
    use super::*;

    fn worker() -> Worker {
        Worker::start(RunId::new(None), Arc::default()).unwrap()
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn steps_share_a_world_and_hand_on_the_context() {
        let worker = worker();
        run(async {
            let mut tell = params("the test tells 'a' as '1'");
            tell.context.insert("b".into(), "2".into());
            let told = worker.execute(tell).await.unwrap();
            assert_eq!(told.result, Ok(()));
            let expected = StringMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
            assert_eq!(told.context, expected);
            let mut ask = params("the test was told 'a' as '2'");
            ask.context = told.context.clone();
            let asked = worker.execute(ask).await.unwrap();
            let failure = asked.result.unwrap_err().to_string();
            assert!(failure.contains("expected 2, found 1"), "{failure}");
            assert_eq!(asked.context, told.context);
        });
    }

    #[test]
    fn failures_and_panics_name_their_place_and_cost_no_later_step() {
        let worker = worker();
        run(async {
            for step in ["the test fails", "the test panics"] {
                let outcome = worker.execute(params(step)).await.unwrap();
                let failure = outcome.result.unwrap_err().to_string();
                assert!(failure.contains("on purpose"), "{failure}");
                assert!(failure.contains("src/serve/test_steps.rs:"), "{failure}");
            }
            let outcome = worker.execute(params("the test passes")).await.unwrap();
            assert_eq!(outcome.result, Ok(()));
        });
    }

    #[test]
    fn the_world_is_released_when_the_worker_ends() {
        let dropped = test_steps::watch_drops();
        let worker = worker();
        run(async {
            let step = format!("the test holds thing '{}'", dropped.id());
            assert_eq!(worker.execute(params(&step)).await.unwrap().result, Ok(()));
            assert!(!dropped.is_dropped());
            let ended = worker.end(Duration::from_secs(5)).await;
            let in_order = Ended {
                complaints: Some(Vec::new()),
                is_released: true,
            };
            assert_eq!(ended, in_order);
            assert!(dropped.is_dropped());
        });
    }

    #[test]
    fn what_takes_long_to_be_released_keeps_no_complaint_back() {
        let worker = worker();
        let gate = test_steps::shut_gate();
        let hold = gate.holding();
        run(async {
            let hold = params(&hold);
            assert_eq!(worker.execute(hold).await.unwrap().result, Ok(()));
            let ended = worker.end(Duration::from_secs(1)).await;
            assert_eq!(
                (ended.complaints, ended.is_released),
                (Some(Vec::new()), false)
            );
        });
    }

    #[test]
    fn a_hanging_step_does_not_hold_up_the_end() {
        let worker = worker();
        let gate = test_steps::shut_gate();
        let stuck = worker.execute(params(&gate.waiting()));
        let ended = run(worker.end(Duration::from_millis(50)));
        assert_eq!((ended.complaints, ended.is_released), (None, false));
        drop(stuck);
    }
}
