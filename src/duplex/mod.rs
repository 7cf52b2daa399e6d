//! Duplex channels: requests one way, responses the other.
//!
//! A channel `C` is two buffers. The server makes and reads `C_request`, the client makes and
//! reads `C_response`. Response *n* answers request *n*: it carries the same sequence number, so a
//! request whose handler failed leaves a gap that the client can name, and answers never shift.
//!
//! ```
//! use std::time::Duration;
//! use zerobuffer::duplex::{
//!     ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, Reply, ServerOptions,
//! };
//!
//! # fn main() -> Result<(), zerobuffer::duplex::DuplexError> {
//! let name = ChannelName::new(format!("doc-duplex-{}", std::process::id()))?;
//! let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), |request| {
//!     Ok(Reply::bytes(request.to_vec()))
//! })?;
//!
//! let mut client = DuplexClient::connect(&name, ClientOptions::default())?;
//! let response = client.request(b"ping", Duration::from_secs(5))?;
//! assert_eq!((response.sequence, response.data.to_vec()), (1, b"ping".to_vec()));
//!
//! drop(response);
//! drop(client);
//! server.stop();
//! # Ok(())
//! # }
//! ```
//!
//! One client at a time: the protocol has one writer per buffer. The server outlives its clients
//! and serves the next one.

#[cfg(feature = "async")]
mod async_client;
mod client;
mod error;
mod halves;
mod name;
#[cfg(feature = "async")]
mod pending;
mod receiver;
mod request;
mod sender;
mod server;
mod session;
#[cfg(feature = "async")]
mod space;

#[cfg(feature = "async")]
pub use async_client::AsyncDuplexClient;
pub use client::{ClientOptions, DuplexClient};
pub use error::{DuplexError, Result};
pub use name::{ChannelName, MAX_CHANNEL_NAME};
pub use receiver::{InterruptHandle, Response, ResponseReceiver};
pub use request::{HandlerError, Reply, ReplyLoan, Request};
pub use sender::{RequestLoan, RequestSender};
pub use server::{ImmutableDuplexServer, ProcessingMode, ServerOptions};
