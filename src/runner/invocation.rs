//! What all commands read from the command line and the environment.

use std::path::PathBuf;

use super::cli::Cli;
use super::config::{self, Config};
use super::exit::Refusal;
use super::report::console::Verbosity;

/// The command line as it was typed.
pub fn command_line() -> Vec<String> {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let (Ok(front_door), Some(first)) = (std::env::var("HARMONY_INVOKED_AS"), words.first_mut())
    {
        *first = front_door;
    }
    words
}

/// How much is to be printed.
pub fn verbosity(cli: &Cli) -> Verbosity {
    match (cli.verbose, cli.quiet) {
        (true, _) => Verbosity::Verbose,
        (_, true) => Verbosity::Quiet,
        _ => Verbosity::Normal,
    }
}

/// The configuration that is named, or that of the folder.
///
/// # Errors
///
/// That there is none, or what is wrong with it.
pub fn read_config(cli: &Cli) -> Result<Config, Refusal> {
    let file = match &cli.config {
        Some(file) => file.clone(),
        None => {
            let here = std::env::current_dir().map_err(Refusal::usage)?;
            config::find(&here).map_err(Refusal::usage)?
        }
    };
    config::read(&file, |name| std::env::var(name).ok()).map_err(Refusal::usage)
}

/// What a command that reproduces a failure begins with.
pub fn command_again(cli: &Cli) -> String {
    let invoked = std::env::var("HARMONY_INVOKED_AS");
    let command = invoked.unwrap_or_else(|_| "harmony run".to_owned());
    let given = std::env::var_os("HARMONY_CONFIG").map(PathBuf::from);
    match &cli.config {
        Some(file) if given.as_ref() != Some(file) => {
            format!("{command} --config {}", file.display())
        }
        _ => command,
    }
}
