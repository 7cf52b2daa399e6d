//! The step server's command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zerobuffer::serve::allocations::CountingAllocator;
use zerobuffer::serve::{self, faults, listening};

/// Steps look at how often the library asks for memory.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Executes the steps of interop scenarios, told by an orchestrator over JSON-RPC 2.0 on standard
/// input and output.
///
/// One process plays one or more roles of a scenario. Requests and answers travel in frames of a
/// Content-Length header and a JSON body. The process ends when its input ends.
///
/// With --listen, orchestrators come by WebSocket instead, and each connection plays roles of a
/// scenario of its own until it ends. There is no authentication: whoever reaches the address can
/// have steps executed.
#[derive(Debug, Parser)]
#[command(version = VERSION, after_help = EXAMPLES)]
struct Arguments {
    /// How long a step may take, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HARMONY_STEP_TIMEOUT",
        default_value = "30",
        value_parser = seconds
    )]
    step_timeout: Duration,

    /// Serve connections to this address instead of standard input and output; port 0 takes any.
    /// `listening on ADDRESS:PORT` is printed, and there is no end but by a signal
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Let --listen take an address that other machines reach, though there is no authentication
    #[arg(long, requires = "listen")]
    allow_remote: bool,

    /// List the faults that can be committed, if this is a build with faults, and end
    #[arg(long)]
    list_faults: bool,

    /// What this process does instead, for a step of another one
    #[command(subcommand)]
    errand: Option<serve::Errand>,
}

const VERSION: &str = if faults::BUILT_IN {
    concat!(env!("CARGO_PKG_VERSION"), " (faults built in)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// The status of a process that was started in a wrong way.
const USAGE: u8 = 2;

const EXAMPLES: &str = r#"Environment:
  HARMONY_HOST_PID, HARMONY_FEATURE_ID
          Make a step's buffer name NAME into NAME_<HOST_PID>_<FEATURE_ID>; ignored with --listen,
          where `initialize` says which run a connection belongs to
  HARMONY_STEP_TIMEOUT
          What --step-timeout says, where it is not given
  ZEROBUFFER_LOG_LEVEL
          trace, debug, info (default), warn, error or off; else RUST_LOG
  ZEROBUFFER_FAULT
          A fault to commit, for tests of what scenarios notice (--list-faults)

Examples:
  List the step definitions:
    printf 'Content-Length: 46\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"discover"}  ' \
      | zerobuffer-serve

  Give every step two minutes, and log what the library does:
    ZEROBUFFER_LOG_LEVEL=debug zerobuffer-serve --step-timeout 120

  Serve a runner that has `url = "ws://127.0.0.1:7700"` in its harmony.toml:
    zerobuffer-serve --listen 127.0.0.1:7700"#;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected more than 0 and less than 10^19 seconds".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = |error: std::io::Error| format!("expected ADDRESS:PORT ({error})");
    let mut found = text.to_socket_addrs().map_err(expected)?;
    found
        .next()
        .ok_or_else(|| "this name has no address".to_owned())
}

fn list_faults() -> ExitCode {
    match faults::names() {
        Ok(names) => {
            names.iter().for_each(|name| println!("{name}"));
            ExitCode::SUCCESS
        }
        Err(why) => refuse(&why),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("zerobuffer-serve: {why}");
    ExitCode::from(USAGE)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(errand) = arguments.errand {
        return errand.run();
    }
    if arguments.list_faults {
        return list_faults();
    }
    if let Err(why) = faults::of_environment() {
        return refuse(&why);
    }
    if let Some(address) = arguments.listen
        && let Err(why) = listening::check_reach(address, arguments.allow_remote)
    {
        return refuse(&why);
    }
    serve::run(&serve::Options {
        step_timeout: arguments.step_timeout,
        listen: arguments.listen,
    })
}
