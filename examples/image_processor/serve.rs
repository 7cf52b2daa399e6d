//! The side that filters.

use std::sync::Arc;

use zerobuffer::BufferConfig;
use zerobuffer::duplex::{ChannelName, MutableDuplexServer, ServerOptions};

use crate::common::{self, Requests, Result, Wait};
use crate::filter;
use crate::picture::Header;

/// The server works on pictures in memory that it shares with its clients: all programs that may
/// open the channel must keep to the protocol.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The channel's name
    #[arg(long, default_value = "zerobuffer-images")]
    name: String,
    /// Bytes that the request buffer holds (K, M and G are units): at least twice the largest
    /// picture, not compressed
    #[arg(long, default_value = "16M", value_parser = common::size)]
    payload: usize,
    /// How to wait for pictures
    #[arg(long, value_enum, default_value_t = Wait::Block)]
    wait: Wait,
    /// End after so many pictures
    #[arg(long)]
    count: Option<u64>,
}

pub fn serve(arguments: &Arguments) -> Result<()> {
    let name = ChannelName::new(&arguments.name)?;
    let (pictures, ended) = Requests::up_to(arguments.count)?;

    let mut options =
        ServerOptions::default().on_error(|error| eprintln!("image_processor: {error}"));
    options.buffer = BufferConfig::new(0, arguments.payload);
    options.wait_strategy = arguments.wait.strategy();
    let counter = Arc::clone(&pictures);
    let handler = move |picture: &mut [u8]| {
        counter.count();
        let (header, pixels) = Header::split(picture)?;
        filter::apply(header, pixels);
        Ok(())
    };
    // SAFETY: who may open the channel is trusted to keep to the protocol, as image_processor's own
    // client does; the help says so.
    let server = unsafe { MutableDuplexServer::start(&name, options, handler)? };

    println!("serving channel '{name}'; Ctrl-C ends it");
    ended.recv()?;
    server.stop();
    println!("{} pictures", pictures.handled());
    Ok(())
}
