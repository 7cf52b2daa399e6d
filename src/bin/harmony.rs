//! The interop runner; see `zerobuffer::runner`.

use std::process::ExitCode;

use clap::Parser;
use zerobuffer::runner::{cli::Cli, session};

fn main() -> ExitCode {
    session::main(Cli::parse()).into()
}
