//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::payload::STAMP;
use crate::role::Role;

const EXAMPLES: &str = "\
Examples:
  benchmark                                  all of it, in some minutes
  benchmark --quick                          a look, in some seconds
  benchmark --list                           whom it can measure
  benchmark --only zerobuffer/,unix-socket   those whose names contain one of these
  benchmark --only spin/copy --sizes 64,64K --rounds 1

Times are in microseconds, a round trip from one answer to the next; both ends of a transport that
copies do copy, into and out of memory of their own. Figures of one's own are worth most on a
machine that does nothing else, in a release build with the cargo feature iceoryx2.";

/// Measures ZeroBuffer beside what else carries bytes between two processes.
///
/// Round trips and one-way throughput, beside other implementations, other means, and what the
/// machine can do. Prints tables; puts all figures and a plot into target/benchmark.
#[derive(Debug, Parser)]
#[command(name = "benchmark", after_help = EXAMPLES)]
pub struct Arguments {
    /// Only contenders whose names contain one of these
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub only: Vec<String>,

    /// Bytes in a frame; K and M stand for 1024 and 1024 * 1024 [default: 64,1K,64K,1M,3110400]
    #[arg(long, value_delimiter = ',', value_name = "BYTES", value_parser = parse_size)]
    sizes: Vec<usize>,

    /// How often each contender is measured at each size, in turns [default: 3]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// For how many milliseconds each time [default: 100]
    #[arg(long, value_name = "TIME", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    milliseconds: Option<u64>,

    /// Bytes of rings; by default 1 MiB, or four frames if that is more
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub ring: Option<usize>,

    /// One short round with fewer sizes
    #[arg(long)]
    quick: bool,

    /// Let the system place processes, instead of giving each end a CPU of its own
    #[arg(long)]
    pub unpinned: bool,

    /// List the contenders
    #[arg(long)]
    pub list: bool,

    /// Where to put figures and plot
    #[arg(long, value_name = "FOLDER", default_value = "target/benchmark")]
    pub output: PathBuf,

    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    pub task: Option<Task>,
}

impl Arguments {
    /// Bytes in a frame, smallest first.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = match &self.sizes[..] {
            [] if self.quick => vec![64, 64 * 1024, 1024 * 1024],
            [] => vec![64, 1024, 64 * 1024, 1024 * 1024, FULL_HD],
            sizes => sizes.to_vec(),
        };
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// How long each measurement takes, without its warm-up.
    pub fn time(&self) -> Duration {
        let time = self
            .milliseconds
            .unwrap_or(if self.quick { 20 } else { 100 });
        Duration::from_millis(time)
    }

    /// How long it is watched what idle readers do.
    pub fn idle_time(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 5 })
    }
}

/// A picture of 1920 * 1080 in YUV 4:2:0.
const FULL_HD: usize = 1920 * 1080 * 3 / 2;

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
