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
//! # Servers
//!
//! | server | its handler | answers with |
//! |---|---|---|
//! | [`ImmutableDuplexServer`] | `Fn(&Request) -> Result<Reply>` | bytes, or what it wrote in place |
//! | [`MutableDuplexServer`] | `Fn(&mut [u8]) -> Result<()>` | the request, changed where it stood |
//! | `AsyncDuplexServer`, feature `async` | `Fn(AsyncRequest) -> impl Future<Output = Result<Vec<u8>>>` | bytes |
//!
//! The first two handle one request at a time, or several on a pool of threads
//! ([`ProcessingMode::ThreadPool`]); the third as many at once as it may
//! ([`ServerOptions::max_in_flight`]). Answers leave in the order of the requests in every case. A
//! handler that fails or panics costs its own request and is told to
//! [`ServerOptions::on_error`].
//!
//! One client at a time: the protocol has one writer per buffer. The server outlives its clients
//! and serves the next one, as soon as all handlers at work for the last one have returned: one that
//! hangs keeps every later client out.
//!
//! Requests carry no name of their client. A [`DuplexClient`] therefore waits until all that its
//! predecessor sent has been dealt with, and gets its own answers only. Clients made otherwise may
//! not wait, and may be sent an answer that their predecessor asked for.

mod answers;
#[cfg(feature = "async")]
mod async_client;
#[cfg(feature = "async")]
mod async_server;
mod client;
mod error;
mod halves;
mod handler;
mod immutable;
mod link;
mod mutable;
mod name;
mod options;
#[cfg(feature = "async")]
mod pending;
mod pool;
mod receiver;
mod request;
mod sender;
mod server;
mod session;
mod single;
mod slices;
#[cfg(feature = "async")]
mod space;
mod stop;

#[cfg(feature = "async")]
pub use async_client::AsyncDuplexClient;
#[cfg(feature = "async")]
pub use async_server::{AsyncDuplexServer, AsyncRequest};
pub use client::{ClientOptions, DuplexClient};
pub use error::{DuplexError, Result};
pub use handler::HandlerError;
pub use immutable::ImmutableDuplexServer;
pub use mutable::MutableDuplexServer;
pub use name::{ChannelName, MAX_CHANNEL_NAME};
pub use options::{ProcessingMode, ServerOptions};
pub use receiver::{InterruptHandle, Response, ResponseReceiver};
pub use request::{Reply, ReplyLoan, Request};
pub use sender::{RequestLoan, RequestSender};
