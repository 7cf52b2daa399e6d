//! Measures this library beside what else carries bytes between two processes.

mod affinity;
mod arguments;
mod contender;
mod figures;
mod goal;
mod heat;
mod idle;
mod interrupt;
mod leftover;
mod machine;
mod parent;
mod payload;
mod player;
mod plot;
mod progress;
mod results;
mod role;
mod rounds;
mod table;
mod transport;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use arguments::{Arguments, Play, Task};
use interrupt::Interrupt;

/// Any error; messages say what to do.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.task {
        Some(Task::Play(role)) => play(role),
        None if arguments.list => list(),
        None => run(&arguments),
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

/// Measures, and tells.
fn run(arguments: &Arguments) -> Result<()> {
    let interrupt = Interrupt::take()?;
    let chosen = contender::choose(&arguments.only)?;
    println!("{}", machine::describe(arguments)?);
    let results = rounds::run(&chosen, arguments, &interrupt)?;
    let idle = idle::measure(&chosen, arguments.idle_time(), &interrupt)?;
    table::print(&chosen, &arguments.sizes(), &results, &idle);
    let folder = contender::repository().join("target/benchmark");
    figures::write(&folder.join("figures.csv"), &results)?;
    plot::write(&folder.join("plot.svg"), &results)?;
    println!("All figures and a plot: {}", folder.display());
    Ok(())
}

fn list() -> Result<()> {
    for contender in contender::ALL {
        let about = contender.about;
        match contender.objection() {
            Some(objection) => println!("{:26} {about} ({objection})", contender.name),
            None => println!("{:26} {about}", contender.name),
        }
    }
    Ok(())
}

/// One end, for another process of this program.
fn play(play: &Play) -> Result<()> {
    parent::watch();
    let place = transport::Place {
        name: play.name.clone(),
        size: play.size,
        ring: play.ring,
    };
    let time = Duration::from_millis(play.milliseconds);
    role::play(play.role, &play.transport, &place, time)
}
