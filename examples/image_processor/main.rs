//! Pictures through a filter in another process, which works on them where they stand.
//!
//! ```text
//! cargo run --release --example image_processor -- serve
//! cargo run --release --example image_processor -- send photo.png edges.png --filter edges
//! ```
//!
//! The client decodes a PNG file and writes the pixels into the request buffer; the server changes
//! them there and sends them back; the client encodes what it gets. What travels is described at
//! [`picture`].

#[path = "../common/mod.rs"]
mod common;
mod filter;
mod picture;
mod send;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sends pictures through a filter in another process.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the filters, until Ctrl-C
    Serve(serve::Arguments),
    /// Have the server filter a picture
    Send(send::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Send(arguments) => send::send(&arguments),
    };
    common::report("image_processor", result)
}
