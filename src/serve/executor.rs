//! Executes the steps of one scenario after the other, each within its time limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, watch};
use tracing::Span;

use super::failure::Failure;
use super::logs::Logs;
use super::naming::RunId;
use super::registry::Registry;
use super::worker::{Outcome, Worker};
use crate::rpc::message::{
    ExecuteStepParams, InitializeParams, SKIPPED, STEP_TIMEOUT, StepResult, StringMap,
};

/// How long the end of a scenario waits for its things to be released in good order.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// Executes steps, one at a time.
#[derive(Debug)]
pub struct Executor {
    step_timeout: Duration,
    logs: Logs,
    registry: Arc<Registry>,
    /// Counts scenarios; a change interrupts the step of an earlier one.
    scenario: watch::Sender<u64>,
    stage: Mutex<Stage>,
}

#[derive(Debug, Default)]
struct Stage {
    setup: Option<InitializeParams>,
    worker: Option<Worker>,
    /// Whether a World was let go of that may still make things, which then have to be released
    /// by name.
    abandoned: bool,
    /// The step that ran over its time, after which no other may run.
    overdue: Option<String>,
    /// Whether a step was told that the scenario was ended before it was done.
    is_interrupted: bool,
    /// Whether no step may run any more.
    is_closed: bool,
}

impl Executor {
    /// An executor whose steps may each take `step_timeout`, and which answers with `logs`.
    pub fn new(step_timeout: Duration, logs: Logs) -> Self {
        Executor {
            step_timeout,
            logs,
            registry: Arc::default(),
            scenario: watch::Sender::new(0),
            stage: Mutex::default(),
        }
    }

    /// What its records are part of.
    pub fn span(&self) -> Span {
        self.logs.span()
    }

    /// Begins a scenario; nothing of an earlier one is left.
    pub async fn initialize(&self, setup: InitializeParams) {
        let (mut stage, complaints) = self.end_scenario().await;
        for complaint in complaints {
            tracing::warn!("at the end of the scenario before: {complaint}");
        }
        tracing::info!(
            "scenario '{}': role '{}' on platform '{}'",
            setup.scenario,
            setup.role,
            setup.platform
        );
        stage.setup = Some(setup);
    }

    /// Releases everything that the scenario holds.
    ///
    /// # Errors
    ///
    /// What was not in order then, after everything is released.
    pub async fn cleanup(&self) -> Result<(), String> {
        let (_, complaints) = self.end_scenario().await;
        tell(complaints)
    }

    /// As [`cleanup`](Self::cleanup), and executes no step any more.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn close(&self) -> Result<(), String> {
        let (mut stage, complaints) = self.end_scenario().await;
        stage.is_closed = true;
        tell(complaints)
    }

    async fn end_scenario(&self) -> (MutexGuard<'_, Stage>, Vec<String>) {
        self.scenario.send_modify(|count| *count += 1);
        let mut stage = self.stage.lock().await;
        stage.overdue = None;
        let is_interrupted = std::mem::take(&mut stage.is_interrupted);
        let mut complaints = Vec::new();
        if let Some(worker) = stage.worker.take() {
            // Stays set if nobody waits for this any more.
            let abandoned = std::mem::replace(&mut stage.abandoned, true);
            let ended = worker.end(RELEASE_PATIENCE).await;
            if ended.is_released {
                stage.abandoned = abandoned;
            } else {
                tracing::warn!("not everything was released within {RELEASE_PATIENCE:?}");
            }
            match ended.complaints {
                Some(found) => complaints = found,
                // Which has been told, as the step's failure.
                None if is_interrupted => {}
                None => complaints.push(not_ended()),
            }
        }
        self.release_by_name();
        if !stage.abandoned {
            self.registry.forget();
        }
        (stage, complaints)
    }

    fn release_by_name(&self) {
        for held in self.registry.release() {
            tracing::warn!("released from outside: {held}");
        }
    }

    /// Executes a step, after those that came before it. Every way to fail is a result.
    pub async fn execute(&self, params: ExecuteStepParams) -> StepResult {
        let name = format!("{} {}", params.step_type, params.step);
        let context = params.context.clone();
        let outcome = self.execute_in_turn(&name, params).await;
        let (result, context) = match outcome {
            Ok(outcome) => (outcome.result, outcome.context),
            Err(failure) => (Err(failure), context),
        };
        self.result(&name, result, context)
    }

    fn result(&self, name: &str, result: Result<(), Failure>, context: StringMap) -> StepResult {
        let error = match result {
            Ok(()) => {
                tracing::debug!("passed: {name}");
                None
            }
            Err(failure) => {
                let message = failure.to_string();
                match message.starts_with(SKIPPED) {
                    true => tracing::info!("{name}: {message}"),
                    false => tracing::error!("failed: {name}: {message}"),
                }
                // Errors that orchestrators know by their beginning stay as they are.
                let known = message.contains(name) || message.starts_with(SKIPPED);
                Some(if known {
                    message
                } else {
                    format!("{name}: {message}")
                })
            }
        };
        StepResult {
            success: error.is_none(),
            error,
            context,
            logs: self.logs.take(),
        }
    }

    async fn execute_in_turn(
        &self,
        name: &str,
        params: ExecuteStepParams,
    ) -> Result<Outcome, Failure> {
        let mut next_scenario = self.scenario.subscribe();
        let mut stage = self.stage.lock().await;
        let stage = &mut *stage;
        if next_scenario.has_changed()? {
            return Err(interrupted());
        }
        if stage.is_closed {
            return Err(Failure::new("refused, because the connection has ended"));
        }
        if let Some(overdue) = &stage.overdue {
            return Err(Failure::new(format!(
                "refused, because an earlier step ran over its time and was abandoned ({overdue}); \
                 call initialize or cleanup first"
            )));
        }
        // The worker stays on the stage, where the end of the scenario finds it even if nobody
        // waits for this step any more.
        let worker = match &mut stage.worker {
            Some(worker) => worker,
            none => none.insert(self.new_worker(stage.setup.as_ref())?),
        };
        tracing::info!("step: {name}");
        let begun = Instant::now();
        let outcome = worker.execute(params);
        tokio::select! {
            biased;
            outcome = outcome => outcome.map_err(|_| Failure::new("the scenario's thread is gone")),
            _ = next_scenario.changed() => {
                stage.is_interrupted = true;
                Err(interrupted())
            }
            () = tokio::time::sleep(self.step_timeout) => {
                stage.overdue = Some(name.to_owned());
                stage.worker = None;
                stage.abandoned = true;
                self.release_by_name();
                Err(Failure::new(format!(
                    "{STEP_TIMEOUT} after {:.1} s (limit {} s): {name}",
                    begun.elapsed().as_secs_f64(),
                    self.step_timeout.as_secs_f64(),
                )))
            }
        }
    }

    fn new_worker(&self, setup: Option<&InitializeParams>) -> Result<Worker, Failure> {
        Worker::start(RunId::new(setup), Arc::clone(&self.registry))
            .map_err(|error| Failure::from(error).while_doing("starting the scenario's thread"))
    }
}

fn tell(complaints: Vec<String>) -> Result<(), String> {
    for complaint in &complaints {
        tracing::error!("{complaint}");
    }
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(complaints.join("\n")),
    }
}

/// That a World has not come to its end in time, though no step is known to hold it up.
fn not_ended() -> String {
    format!(
        "the scenario's things were not released within {RELEASE_PATIENCE:?}, and its buffers were not \
         checked"
    )
}

fn interrupted() -> Failure {
    Failure::new("the scenario was ended before the step was done")
}

#[cfg(test)]
mod tests {
    use super::super::test_steps::{self, params};
    use super::*;
    use crate::rpc::message::NO_MATCHING_STEP;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn executor(step_timeout: Duration) -> Executor {
        Executor::new(step_timeout, Logs::default())
    }

    fn error(result: &StepResult) -> &str {
        assert!(!result.success);
        result.error.as_deref().unwrap()
    }

    #[test]
    fn an_error_names_the_step() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let result = executor.execute(params("the test fails")).await;
            assert!(
                error(&result).starts_with("When the test fails: "),
                "{result:?}"
            );
            let result = executor.execute(params("the test sings")).await;
            assert!(error(&result).starts_with(NO_MATCHING_STEP), "{result:?}");
        });
    }

    #[test]
    fn a_step_that_cannot_be_carried_out_here_begins_with_that() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let result = executor.execute(params("the test needs more rights")).await;
            assert_eq!(error(&result), "Skipped: on purpose");
        });
    }

    #[test]
    fn an_overdue_step_is_abandoned_and_others_refused_until_a_new_scenario() {
        run(async {
            let executor = executor(Duration::from_millis(100));
            let gate = test_steps::shut_gate();
            let result = executor.execute(params(&gate.waiting())).await;
            assert!(error(&result).starts_with(STEP_TIMEOUT), "{result:?}");
            assert!(error(&result).contains("(limit 0.1 s)"), "{result:?}");
            let refused = executor.execute(params("the test passes")).await;
            assert!(error(&refused).contains("refused"), "{refused:?}");
            assert_eq!(executor.cleanup().await, Ok(()));
            assert!(executor.execute(params("the test passes")).await.success);
        });
    }

    #[test]
    fn the_limit_counts_from_the_beginning_of_each_step() {
        run(async {
            let executor = executor(Duration::from_millis(500));
            // Together longer than the limit, and each of them far shorter.
            let steps = (0..20).map(|_| executor.execute(params("the test waits '30' ms")));
            for result in futures_util::future::join_all(steps).await {
                assert!(result.success, "{result:?}");
            }
        });
    }

    #[test]
    fn the_end_of_a_scenario_interrupts_a_step() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let gate = test_steps::shut_gate();
            let hanging = executor.execute(params(&gate.waiting()));
            let (hanging, ended) = tokio::join!(hanging, executor.cleanup());
            assert!(error(&hanging).contains("ended before"), "{hanging:?}");
            assert_eq!(ended, Ok(()));
            assert!(executor.execute(params("the test passes")).await.success);
        });
    }

    #[test]
    fn the_end_of_a_scenario_refuses_the_steps_that_wait() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let dropped = test_steps::watch_drops();
            let step = format!("the test holds thing '{}'", dropped.id());
            let running = executor.execute(params("the test waits '300' ms"));
            let waiting = executor.execute(params(&step));
            // Its thread, and with it all that it executes, is gone when the scenario has ended.
            let (_, waiting, ended) = tokio::join!(running, waiting, executor.cleanup());
            assert!(error(&waiting).contains("ended before"), "{waiting:?}");
            assert_eq!(ended, Ok(()));
            assert!(!dropped.is_dropped(), "the step was executed");
        });
    }

    #[test]
    fn a_scenario_that_does_not_end_in_time_is_complained_of() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let gate = test_steps::shut_gate();
            let left = executor.execute(params(&gate.waiting()));
            // Nobody learns what has become of it.
            let left = tokio::time::timeout(Duration::from_millis(50), left).await;
            assert!(left.is_err(), "{left:?}");
            let complaint = executor.cleanup().await.unwrap_err();
            assert!(complaint.contains("not released within 1s"), "{complaint}");
            assert!(complaint.contains("not checked"), "{complaint}");
            assert_eq!(executor.cleanup().await, Ok(()));
        });
    }

    #[test]
    fn what_takes_long_to_be_released_is_no_complaint_once_all_is_checked() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let gate = test_steps::shut_gate();
            let hold = gate.holding();
            assert!(executor.execute(params(&hold)).await.success);
            assert_eq!(executor.cleanup().await, Ok(()));
        });
    }

    #[test]
    fn once_closed_it_executes_nothing() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let dropped = test_steps::watch_drops();
            let step = format!("the test holds thing '{}'", dropped.id());
            assert!(executor.execute(params(&step)).await.success);
            assert_eq!(executor.close().await, Ok(()));
            assert!(dropped.is_dropped());
            let result = executor.execute(params("the test passes")).await;
            assert!(error(&result).contains("has ended"), "{result:?}");
            executor.initialize(InitializeParams::default()).await;
            let result = executor.execute(params("the test passes")).await;
            assert!(error(&result).contains("has ended"), "{result:?}");
        });
    }

    #[test]
    fn the_end_of_a_scenario_waits_for_a_step_that_nobody_waits_for_any_more() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let dropped = test_steps::watch_drops();
            let step = format!("the test holds thing '{}'", dropped.id());
            assert!(executor.execute(params(&step)).await.success);
            let left = executor.execute(params("the test waits '300' ms"));
            let left = tokio::time::timeout(Duration::from_millis(50), left).await;
            assert!(left.is_err(), "{left:?}");
            assert_eq!(executor.cleanup().await, Ok(()));
            assert!(dropped.is_dropped());
        });
    }

    #[test]
    fn initialize_forgets_the_earlier_scenario() {
        run(async {
            let executor = executor(Duration::from_secs(30));
            let dropped = test_steps::watch_drops();
            let step = format!("the test holds thing '{}'", dropped.id());
            assert!(executor.execute(params(&step)).await.success);
            executor.initialize(InitializeParams::default()).await;
            assert!(dropped.is_dropped());
        });
    }
}
