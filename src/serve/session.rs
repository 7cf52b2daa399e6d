//! One step server over its standard streams, from the first frame to the end of the process.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

use super::executor::Executor;
use super::logs;
use super::methods::{self, LAST_METHODS};
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

/// Serves steps over standard input and output until the input ends or `shutdown` is called;
/// everything is released by then.
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

/// Dies as by an accident: nothing is released.
fn crash() {
    if let Err(error) = raise(Signal::SIGKILL) {
        tracing::error!("cannot kill this process: {error}");
        std::process::abort();
    }
}
