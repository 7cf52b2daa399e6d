//! Answers every request of a duplex channel with the same bytes.
//!
//! ```text
//! cargo run --release --example echo_server
//! cargo run --release --example echo_client
//! ```

mod common;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use common::{Requests, Result, Wait};
use zerobuffer::BufferConfig;
use zerobuffer::duplex::{ChannelName, DuplexError, ImmutableDuplexServer, Reply, ServerOptions};

/// Answers every request of a duplex channel with the same bytes, until Ctrl-C.
///
/// Serves any client of the protocol, one after another: echo_client, or a program in Python, C# or
/// C++.
#[derive(Debug, Parser)]
struct Arguments {
    /// The channel's name
    #[arg(long, default_value = "zerobuffer-echo")]
    name: String,
    /// Bytes that the request buffer holds (K, M and G are units): at least twice the largest
    /// request
    #[arg(long, default_value = "1M", value_parser = common::size)]
    payload: usize,
    /// Bytes for the client's metadata
    #[arg(long, default_value = "4K", value_parser = common::size)]
    metadata: usize,
    /// How to wait for requests
    #[arg(long, value_enum, default_value_t = Wait::Spin)]
    wait: Wait,
    /// End after so many requests
    #[arg(long)]
    count: Option<u64>,
}

fn main() -> ExitCode {
    common::report("echo_server", serve(&Arguments::parse()))
}

fn serve(arguments: &Arguments) -> Result<()> {
    let name = ChannelName::new(&arguments.name)?;
    let (requests, ended) = Requests::up_to(arguments.count)?;

    let mut options = ServerOptions::default()
        .on_init(|metadata| println!("client: {}", String::from_utf8_lossy(metadata)))
        .on_error(|error| match error {
            // A client may leave without waiting for its answers.
            DuplexError::RequestDropped { .. } => {}
            error => eprintln!("echo_server: {error}"),
        });
    options.buffer = BufferConfig::new(arguments.metadata, arguments.payload);
    options.wait_strategy = arguments.wait.strategy();
    let counter = Arc::clone(&requests);
    let server = ImmutableDuplexServer::start(&name, options, move |request| {
        counter.count();
        Ok(Reply::bytes(request.to_vec()))
    })?;

    println!("serving channel '{name}'; Ctrl-C ends it");
    ended.recv()?;
    server.stop();
    println!("{} requests", requests.handled());
    Ok(())
}
