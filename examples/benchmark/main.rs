//! Measures this library beside what else carries bytes between two processes.

pub(crate) mod affinity;
pub(crate) mod arguments;
pub(crate) mod contender;
pub(crate) mod figures;
pub(crate) mod goal;
pub(crate) mod heat;
pub(crate) mod idle;
pub(crate) mod interrupt;
pub(crate) mod leftover;
pub(crate) mod machine;
pub(crate) mod parent;
pub(crate) mod payload;
pub(crate) mod player;
pub(crate) mod plot;
pub(crate) mod progress;
pub(crate) mod results;
pub(crate) mod role;
pub(crate) mod rounds;
pub(crate) mod table;
pub(crate) mod transport;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use arguments::{Arguments, Play, Task};
use interrupt::Interrupt;

/// Any error; messages say what to do.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Error>;

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.task {
        Some(Task::Play(role)) => play(role),
        None if arguments.list => list(),
        None => run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
        // Whoever ends a process early knows why.
        Err(_) if parent::has_gone() => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and tells, and leaves no process and no file behind.
fn run(arguments: &Arguments) -> Result<()> {
    let interrupt = Interrupt::take()?;
    let told = measure(arguments, &interrupt);
    leftover::sweep(&transport::own_name())?;
    told
}

fn measure(arguments: &Arguments, interrupt: &Interrupt) -> Result<()> {
    let chosen = contender::choose(&arguments.only)?;
    println!("{}", machine::describe(arguments)?);
    let results = rounds::run(&chosen, arguments, interrupt)?;
    let idle = idle::measure(&chosen, arguments.idle_time(), interrupt)?;
    table::print(&chosen, &arguments.sizes(), &results, &idle);
    let folder = &arguments.output;
    std::fs::create_dir_all(folder)?;
    figures::write(&folder.join("figures.csv"), &results)?;
    plot::write(&folder.join("plot.svg"), &results)?;
    println!("All figures, and a plot: {}", folder.display());
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
