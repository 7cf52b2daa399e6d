//! A server whose handler changes requests into responses.

use super::handler::{self, Answer, Handler, HandlerError};
use super::server::Server;
use super::{ChannelName, Result, ServerOptions};
use crate::channel::Frame;

/// A server whose handler changes a request's bytes where they stand, in the request buffer; so
/// changed, they are the response.
///
/// The one copy that remains is the one from the request buffer to the response buffer. Failed and
/// panicking handlers are as in an [`ImmutableDuplexServer`](super::ImmutableDuplexServer):
/// whatever they have changed by then is not sent. Dropping the server stops it.
///
/// ```
/// use std::time::Duration;
/// use zerobuffer::duplex::{
///     ChannelName, ClientOptions, DuplexClient, MutableDuplexServer, ServerOptions,
/// };
///
/// # fn main() -> Result<(), zerobuffer::duplex::DuplexError> {
/// # let name = ChannelName::new(format!("doc-mutable-{}", std::process::id()))?;
/// // SAFETY: the client is this program.
/// let server = unsafe {
///     MutableDuplexServer::start(&name, ServerOptions::default(), |picture| {
///         picture.iter_mut().for_each(|pixel| *pixel = !*pixel);
///         Ok(())
///     })?
/// };
///
/// let mut client = DuplexClient::connect(&name, ClientOptions::default())?;
/// let response = client.request(&[0, 1, 255], Duration::from_secs(5))?;
/// assert_eq!(response.data.to_vec(), [255, 254, 0]);
/// # drop(response);
/// # drop(client);
/// server.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MutableDuplexServer(Server);

impl MutableDuplexServer {
    /// Makes the request buffer of channel `name` and serves its clients, one after another, on a
    /// thread of its own. The request buffer is there when this returns.
    ///
    /// # Safety
    ///
    /// The handler is given a `&mut [u8]` over shared memory, and Rust takes it for granted that
    /// nobody else reads or writes such memory meanwhile. The protocol sees to that: a client
    /// leaves the memory of a request alone from sending it until the server has given it back.
    /// The caller promises that everybody who can open the request buffer, which is everybody
    /// whom the permissions of `/dev/shm` let, keeps to the protocol as long as the server runs.
    ///
    /// For clients that are not trusted so far there is
    /// [`ImmutableDuplexServer`](super::ImmutableDuplexServer), which needs no such promise: its
    /// handler copies the request out and changes the copy.
    ///
    /// # Errors
    ///
    /// As [`Reader::create`](crate::Reader::create); [`Error::Io`](crate::Error::Io) if no thread
    /// can be had.
    pub unsafe fn start<H>(name: &ChannelName, options: ServerOptions, handler: H) -> Result<Self>
    where
        H: Fn(&mut [u8]) -> std::result::Result<(), HandlerError> + Send + Sync + 'static,
    {
        Server::start(name, options, Mutable(handler)).map(Self)
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.0.name()
    }

    /// As [`ImmutableDuplexServer::is_running`](super::ImmutableDuplexServer::is_running).
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// As [`ImmutableDuplexServer::stop`](super::ImmutableDuplexServer::stop).
    pub fn stop(self) {
        drop(self);
    }
}

/// Made by [`MutableDuplexServer::start`] alone, whose caller has promised that clients keep to the
/// protocol.
struct Mutable<H>(H);

impl<H> Handler for Mutable<H>
where
    H: Fn(&mut [u8]) -> std::result::Result<(), HandlerError> + Send + Sync + 'static,
{
    fn answer(&self, channel: &ChannelName, mut request: Frame) -> Result<Answer> {
        let sequence = request.sequence();
        // SAFETY: the frame is given back only when it is dropped, after the handler; until then
        // clients leave it alone, as the caller of `start` has promised.
        let data = unsafe { request.as_mut_slice() };
        handler::run(channel, sequence, || (self.0)(data))?;
        Ok(Answer::Frame(request))
    }
}
