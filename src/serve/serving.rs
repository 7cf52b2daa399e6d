//! A channel that this process serves.

use std::error::Error as StdError;
use std::time::Duration;

use super::failure::{Failure, StepOutcome};
use crate::duplex::{
    ChannelName, ImmutableDuplexServer, ProcessingMode, Reply, Request, ServerOptions,
};

/// What a handler returns.
type Handled<'r> = Result<Reply<'r>, Box<dyn StdError + Send + Sync>>;

/// A server, before and after a step has given it its handler.
#[derive(Debug)]
pub struct ServingEnd {
    channel: ChannelName,
    state: State,
}

enum State {
    Planned(ServerOptions),
    Running(ImmutableDuplexServer),
    Failed,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Planned(_) => "Planned",
            State::Running(_) => "Running",
            State::Failed => "Failed",
        })
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

    /// Serves: every request is answered with its own bytes, after `processing`.
    ///
    /// # Errors
    ///
    /// If the server runs already, or cannot be started.
    pub fn start_echo(&mut self, processing: Duration) -> StepOutcome {
        let State::Planned(options) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(Failure::new(format!(
                "expected the server of '{}' to have no handler yet, but it was started before",
                self.channel.as_str()
            )));
        };
        let server = ImmutableDuplexServer::start(&self.channel, options, move |request| {
            std::thread::sleep(processing);
            echo(request)
        })?;
        self.state = State::Running(server);
        Ok(())
    }
}

fn echo<'r>(request: &Request<'r>) -> Handled<'r> {
    Ok(Reply::bytes(request.to_vec()))
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
