//! A server whose handler leaves requests as they are.

use super::handler::{self, Answer, Handler, HandlerError};
use super::request::{Content, ReplyMemory, Responder};
use super::server::Server;
use super::{ChannelName, Reply, Request, Result, ServerOptions};
use crate::channel::Frame;

/// A server whose handler sees requests that it cannot change, and makes new responses.
///
/// A handler that returns an error or panics is a failed handler, not a dead server: its request
/// goes without an answer, which the client is told as soon as a later one is answered. Dropping
/// the server stops it.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use zerobuffer::duplex::{
///     ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, ProcessingMode,
///     ServerOptions,
/// };
///
/// # fn main() -> Result<(), zerobuffer::duplex::DuplexError> {
/// # let name = ChannelName::new(format!("doc-immutable-{}", std::process::id()))?;
/// let mut options = ServerOptions::default();
/// options.mode = ProcessingMode::ThreadPool(NonZeroUsize::new(4).expect("not zero"));
/// let server = ImmutableDuplexServer::start(&name, options, |request| {
///     let mut reply = request.loan(request.len() + 1)?;
///     reply.copy_from(&request.to_vec());
///     reply.write_at(request.len(), b"!");
///     Ok(reply.into())
/// })?;
///
/// let mut client = DuplexClient::connect(&name, ClientOptions::default())?;
/// let response = client.request(b"hello", Duration::from_secs(5))?;
/// assert_eq!(response.data.to_vec(), b"hello!");
/// # drop(response);
/// # drop(client);
/// server.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ImmutableDuplexServer(Server);

impl ImmutableDuplexServer {
    /// Makes the request buffer of channel `name` and serves its clients, one after another, on a
    /// thread of its own. The request buffer is there when this returns.
    ///
    /// # Errors
    ///
    /// As [`Reader::create`](crate::Reader::create); [`Error::Io`](crate::Error::Io) if no thread
    /// can be had.
    pub fn start<H>(name: &ChannelName, options: ServerOptions, handler: H) -> Result<Self>
    where
        H: for<'r> Fn(&Request<'r>) -> std::result::Result<Reply<'r>, HandlerError>
            + Send
            + Sync
            + 'static,
    {
        Server::start(name, options, Immutable(handler)).map(Self)
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.0.name()
    }

    /// Whether the server still serves: it ends by itself only if no client comes in the time that
    /// it was given, or if its request buffer cannot be made anew.
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Stops the server and removes the request buffer. Returns within 200 ms of whatever it is
    /// waiting for, but not before handlers that are at work have returned; their answers are
    /// sent, if there is space for them within 100 ms of the call or when they return. Requests that no handler has begun with go without one.
    ///
    /// Called by the server's own handler or callback, it does not wait.
    pub fn stop(self) {
        drop(self);
    }
}

struct Immutable<H>(H);

impl<H> Handler for Immutable<H>
where
    H: for<'r> Fn(&Request<'r>) -> std::result::Result<Reply<'r>, HandlerError>
        + Send
        + Sync
        + 'static,
{
    fn answer(&self, channel: &ChannelName, request: Frame) -> Result<Answer> {
        let sequence = request.sequence();
        let request = Request::new(channel, request, ReplyMemory::Apart);
        let reply = handler::run(channel, sequence, || (self.0)(&request))?;
        match (reply.0, request.finish()) {
            (Content::Apart(bytes), _) | (Content::Bytes(bytes), Some(_)) => {
                Ok(Answer::Bytes(bytes))
            }
            (Content::Bytes(_), None) => Err(handler::failed(channel, sequence, TWO_REPLIES)),
            (Content::InPlace(_), _) => unreachable!("its request offered memory apart only"),
        }
    }

    fn answer_through(
        &self,
        channel: &ChannelName,
        request: Frame,
        responder: Responder<'_>,
    ) -> Result<()> {
        let sequence = request.sequence();
        let request = Request::new(channel, request, ReplyMemory::InPlace(responder));
        let reply = handler::run(channel, sequence, || (self.0)(&request))?;
        // Before the answer: the client that has it may send at once, and finds nobody at work there.
        match (reply.0, request.finish()) {
            (Content::InPlace(loan), _) => {
                loan.commit_as(sequence)?;
                Ok(())
            }
            (Content::Bytes(bytes), Some(ReplyMemory::InPlace(responder))) => {
                responder.send(sequence, Answer::Bytes(bytes))
            }
            (Content::Bytes(_), _) => Err(handler::failed(channel, sequence, TWO_REPLIES)),
            (Content::Apart(_), _) => unreachable!("its request offered memory in place only"),
        }
    }
}

const TWO_REPLIES: &str = "it returned bytes after it had taken memory for the reply";
