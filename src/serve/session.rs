//! The life of a step server's process: over its standard streams, from the first frame to the end
//! of the input, or over a socket, until it is asked to end.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::death;
use super::ending;
use super::executor::Executor;
use super::listening;
use super::logs::{self, Logs};
use super::methods::{self, LAST_METHODS};
use super::registry;
use super::stdio::{self, FrameStreams};
use crate::rpc::message::method;
use crate::rpc::server::{self, End};

/// What a step server can be told when it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a step may take.
    pub step_timeout: Duration,
    /// Where to listen for connections, instead of serving the standard streams.
    pub listen: Option<SocketAddr>,
}

/// Serves steps until there is nobody left to serve: over standard input and output until the input
/// ends or `shutdown` is called, over a socket for ever. A signal that asks the process to end does
/// so in either case. Everything is released by then.
///
/// Takes over the process's log records and its panic hook, and its standard streams where it
/// serves them.
pub fn run(options: &Options) -> ExitCode {
    // First, so that every later error is told.
    let logs = logs::install();
    match serve(options, logs) {
        Ok(status) => ExitCode::from(status),
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What requests come by.
enum Transport {
    Streams(FrameStreams),
    Socket(TcpListener),
}

impl Transport {
    fn open(listen: Option<SocketAddr>) -> Result<Transport, String> {
        match listen {
            None => stdio::take_streams()
                .map(Transport::Streams)
                .map_err(|error| format!("cannot take over the standard streams: {error}")),
            Some(address) => listening::bind(address).map(Transport::Socket),
        }
    }
}

/// Serves to the end; the status to end with. What a World that hangs still holds is released.
fn serve(options: &Options, logs: Logs) -> Result<u8, String> {
    let transport = Transport::open(options.listen)?;
    ending::hold_back_signals().map_err(|error| format!("cannot hold back signals: {error}"))?;
    let mut runtime = Builder::new_current_thread();
    let runtime = match transport {
        Transport::Streams(_) => runtime.enable_time().build(),
        Transport::Socket(_) => runtime.enable_all().build(),
    };
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let signal = ending::next_signal();
    let signal = signal.map_err(|error| format!("cannot wait for signals: {error}"))?;
    let status = match transport {
        Transport::Streams(streams) => {
            let executor = Executor::new(options.step_timeout, logs);
            Ok(runtime.block_on(serve_streams(Arc::new(executor), streams, signal)))
        }
        Transport::Socket(listener) => {
            runtime.block_on(listening::serve(listener, options.step_timeout, signal))
        }
    };
    registry::release_all();
    status
}

async fn serve_streams(
    executor: Arc<Executor>,
    streams: FrameStreams,
    signal: oneshot::Receiver<Signal>,
) -> u8 {
    let status = tokio::select! {
        status = answer_all(&executor, streams) => status,
        Ok(signal) = signal => {
            tracing::warn!("ended by {signal}");
            ending::status_after(signal)
        }
    };
    // What is not in order is in the log.
    let _ = executor.cleanup().await;
    status
}

/// Serves until the input ends or a method ends the service; the status to end with.
async fn answer_all(executor: &Arc<Executor>, streams: FrameStreams) -> u8 {
    let end = server::serve(
        methods::of_process(Arc::clone(executor)),
        streams.input,
        streams.output,
        &LAST_METHODS,
        || ending::last_resort(1),
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
