//! One step server over its standard streams, from the first frame to the end of the process.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use tokio::sync::oneshot;

use super::death;
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
    // First, so that every later error is told.
    let logs = logs::install();
    let streams = match stdio::take_streams() {
        Ok(streams) => streams,
        Err(error) => {
            tracing::error!("cannot take over the standard streams: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Before any thread is started, so that all of them leave these signals to one.
    if let Err(error) = ending_signals().thread_block() {
        tracing::error!("cannot hold back signals: {error}");
        return ExitCode::FAILURE;
    }
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
    let signal = match next_signal(Arc::clone(executor.registry())) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::error!("cannot wait for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        let status = tokio::select! {
            status = serve(&executor, streams) => status,
            Ok(signal) = signal => {
                tracing::warn!("ended by {signal}");
                status_after(signal)
            }
        };
        // What is not in order is in the log.
        let _ = executor.cleanup().await;
        ExitCode::from(status)
    })
}

/// Serves until the input ends or a method ends the service; the status to end with.
async fn serve(executor: &Arc<Executor>, streams: stdio::FrameStreams) -> u8 {
    let registry = Arc::clone(executor.registry());
    let end = server::serve(
        methods::methods(Arc::clone(executor)),
        streams.input,
        streams.output,
        &LAST_METHODS,
        move || last_resort(&registry, 1),
    )
    .await;
    match end {
        End::Answered(name) if name == method::CRASH => death::die(),
        End::Closed | End::Answered(_) => 0,
        End::Broken(why) => {
            tracing::error!("{why}: ending");
            1
        }
    }
}

/// Ends the process if it has not ended by itself in time. Says nothing, because that nobody reads
/// what it says may be why it has not.
fn last_resort(registry: &Registry, status: u8) {
    std::thread::sleep(END_PATIENCE);
    registry.release();
    std::process::exit(status.into());
}

fn ending_signals() -> SigSet {
    ENDING.into_iter().collect()
}

/// The signal that asks this process to end. A thread waits for it, whatever the others are doing,
/// and is the last resort if they do not get on.
fn next_signal(registry: Arc<Registry>) -> std::io::Result<oneshot::Receiver<Signal>> {
    let (tell, signal) = oneshot::channel();
    let wait = move || match ending_signals().wait() {
        Ok(signal) => {
            // If nobody listens any more, the process is about to end already.
            let _ = tell.send(signal);
            last_resort(&registry, status_after(signal));
        }
        Err(error) => tracing::error!("cannot wait for signals: {error}"),
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)?;
    Ok(signal)
}

/// The status of a process ended by a signal, as a shell would say it.
fn status_after(signal: Signal) -> u8 {
    128 + signal as u8
}
