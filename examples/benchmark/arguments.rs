//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::payload::STAMP;
use crate::role::Role;

const EXAMPLES: &str = "\
Examples:
  benchmark                                  all of it, in some minutes
  benchmark --quick                          a look, in some seconds
  benchmark --only zerobuffer/,unix-socket   those whose names contain one of these
  benchmark --only spin/copy --sizes 64,64K --rounds 1
  benchmark --list                           whom it can measure";

/// Measures ZeroBuffer beside what else carries bytes between two processes: round trips and
/// one-way throughput, in microseconds, frames and bytes a second.
#[derive(Debug, Parser)]
#[command(name = "benchmark", after_help = EXAMPLES)]
pub struct Arguments {
    /// Only contenders whose names contain one of these
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<String>,

    /// Bytes in a frame; K and M stand for 1024 and 1024 * 1024
    #[arg(long, value_delimiter = ',', value_parser = parse_size,
        default_value = "64,1K,64K,1M,3110400")]
    pub sizes: Vec<usize>,

    /// How often each contender is measured at each size, in turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,

    /// For how many milliseconds each time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub milliseconds: u64,

    /// Bytes of rings; by default 1 MiB, or four frames if that is more
    #[arg(long, value_parser = parse_size)]
    pub ring: Option<usize>,

    /// Let the system place processes, instead of giving each end a CPU of its own
    #[arg(long)]
    pub unpinned: bool,

    #[command(subcommand)]
    pub task: Option<Task>,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    /// Plays one end, for a benchmark that runs
    #[command(hide = true)]
    Play(Play),
}

#[derive(Debug, Args)]
pub struct Play {
    pub transport: String,
    pub role: Role,
    pub name: String,
    pub size: usize,
    pub ring: usize,
    pub milliseconds: u64,
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1024 * 1024),
            None => (text, 1),
        },
    };
    let number: usize = digits
        .parse()
        .map_err(|_| "not a number of bytes".to_owned())?;
    number
        .checked_mul(unit)
        .filter(|size| *size >= STAMP)
        .ok_or_else(|| format!("not a size of {STAMP} bytes or more"))
}
