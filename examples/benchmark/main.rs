//! Measures this library beside what else carries bytes between two processes.

mod affinity;
mod arguments;
mod contender;
mod heat;
mod interrupt;
mod leftover;
mod parent;
mod payload;
mod player;
mod results;
mod role;
mod rounds;
mod table;
mod transport;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use arguments::{Arguments, Play, Task};

/// Any error; messages say what to do.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.task {
        Some(Task::Play(role)) => play(role),
        None => rounds::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            eprintln!("benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(play: &Play) -> Result<()> {
    parent::watch();
    let transport = transport::named(&play.transport)?;
    let place = transport::Place {
        name: play.name.clone(),
        size: play.size,
        ring: play.ring,
    };
    let time = Duration::from_millis(play.milliseconds);
    role::play(play.role, transport.as_ref(), &place, time)
}
