//! A channel that this process serves.

use std::time::Duration;

use super::failure::{Failure, StepOutcome};
use crate::duplex::{
    ChannelName, HandlerError, ImmutableDuplexServer, ProcessingMode, Reply, Request, ServerOptions,
};

/// A server, before and after a step has given it its handler.
#[derive(Debug)]
pub struct ServingEnd {
    channel: ChannelName,
    state: State,
}

#[derive(Debug)]
enum State {
    Planned(ServerOptions),
    Running(ImmutableDuplexServer),
    Failed,
}

impl State {
    fn what(&self) -> &'static str {
        match self {
            State::Planned(_) => "it has none",
            State::Running(server) if server.is_running() => "it runs",
            State::Running(_) => "it has run and stopped",
            State::Failed => "it could not be started",
        }
    }
}

impl ServingEnd {
    /// A server that waits for its handler.
    pub fn plan(channel: ChannelName, options: ServerOptions) -> Self {
        ServingEnd {
            channel,
            state: State::Planned(options),
        }
    }

    /// Serves: every request is answered with its own bytes, after `processing` and a tenth more.
    ///
    /// The tenth is for clients whose clock starts only after their last request was sent: what
    /// they measure is still not less than the processing takes.
    ///
    /// # Errors
    ///
    /// If the server runs already, or cannot be started.
    pub fn start_echo(&mut self, processing: Duration) -> StepOutcome {
        let options = match std::mem::replace(&mut self.state, State::Failed) {
            State::Planned(options) => options,
            other => {
                let failure = Failure::new(format!(
                    "expected the server of '{}' to have no handler yet, but {}",
                    self.channel.as_str(),
                    other.what()
                ));
                self.state = other;
                return Err(failure);
            }
        };
        let options = options.on_error(|error| tracing::error!("server: {error}"));
        let server = ImmutableDuplexServer::start(&self.channel, options, move |request| {
            std::thread::sleep(processing + processing / 10);
            echo(request)
        })?;
        self.state = State::Running(server);
        Ok(())
    }
}

/// Answers with the request's bytes, written in place.
fn echo<'r>(request: &Request<'r>) -> Result<Reply<'r>, HandlerError> {
    let mut reply = request.loan(request.len())?;
    reply.copy_from(&request.to_vec());
    Ok(reply.into())
}

/// The processing mode that a step names.
///
/// # Errors
///
/// If there is no such mode.
pub fn processing_mode(name: &str) -> Result<ProcessingMode, Failure> {
    match name {
        "SingleThread" => Ok(ProcessingMode::SingleThread),
        _ => Err(Failure::new(format!(
            "processing mode '{name}': expected SingleThread"
        ))),
    }
}
