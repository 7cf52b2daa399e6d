//! One step server over its standard streams, from the first frame to the end of the process.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, raise};

use super::executor::Executor;
use super::logs;
use super::methods::{self, LAST_METHODS};
use super::registry::Registry;
use super::stdio;
use crate::rpc::message::method;
use crate::rpc::server::{self, End};

/// How long the process may take to end once its input has ended, however stuck it is.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// What a step server can be told when it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a step may take.
    pub step_timeout: Duration,
}

/// The signals by which a process is asked to end.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Serves steps over standard input and output until the input ends, `shutdown` is called or a
/// signal asks the process to end; everything is released by then.
///
/// Takes over the standard streams, the process's log records and its panic hook.
pub fn run(options: &Options) -> ExitCode {
    let streams = match stdio::take_streams() {
        Ok(streams) => streams,
        Err(error) => {
            // The standard error may be what is missing: there is no other place to complain.
            tracing::error!("cannot take over the standard streams: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Before any thread is started, so that all of them leave these signals to one.
    if let Err(error) = ending_signals().thread_block() {
        tracing::error!("cannot hold back signals: {error}");
        return ExitCode::FAILURE;
    }
    let logs = logs::install();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let executor = Arc::new(Executor::new(options.step_timeout, logs));
    if let Err(error) = end_on_signals(Arc::clone(executor.registry())) {
        tracing::error!("cannot wait for signals: {error}");
        return ExitCode::FAILURE;
    }
    runtime.block_on(serve(executor, streams))
}

async fn serve(executor: Arc<Executor>, streams: stdio::FrameStreams) -> ExitCode {
    let registry = Arc::clone(executor.registry());
    let last_resort = move || {
        std::thread::sleep(END_PATIENCE);
        registry.release();
        std::process::exit(1);
    };
    let methods = methods::methods(Arc::clone(&executor));
    let end = server::serve(
        methods,
        streams.input,
        streams.output,
        &LAST_METHODS,
        last_resort,
    )
    .await;
    if end == End::Answered(method::CRASH.into()) {
        crash();
    }
    if let End::Broken(why) = &end {
        tracing::error!("{why}: ending");
    }
    executor.cleanup().await;
    match end {
        End::Closed | End::Answered(_) => ExitCode::SUCCESS,
        End::Broken(_) => ExitCode::FAILURE,
    }
}

fn ending_signals() -> SigSet {
    ENDING.into_iter().collect()
}

/// Has a thread wait for a signal, whatever the others are doing, and end the process as a shell
/// would say it: status 128 and the signal's number.
fn end_on_signals(registry: Arc<Registry>) -> std::io::Result<()> {
    let wait = move || match ending_signals().wait() {
        Ok(signal) => {
            tracing::warn!("ended by {signal}");
            registry.release();
            std::process::exit(128 + signal as i32);
        }
        Err(error) => tracing::error!("cannot wait for signals: {error}"),
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map(drop)
}

/// Dies as by an accident: nothing is released.
fn crash() {
    if let Err(error) = raise(Signal::SIGKILL) {
        tracing::error!("cannot kill this process: {error}");
        std::process::abort();
    }
}
