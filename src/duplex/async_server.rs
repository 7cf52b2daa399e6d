//! A server with asynchronous handlers, on tokio.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::answers::Answers;
use super::handler::{self, Answer, HandlerError, guard};
use super::link::Link;
use super::server::Server;
use super::session::Crew;
use super::{ChannelName, Result, ServerOptions};
use crate::channel::Frame;

/// How long dropping a server waits until its buffer is removed.
const DROP_PATIENCE: Duration = Duration::from_millis(200);

/// A server whose handlers are futures, run on the tokio runtime that it is started in.
///
/// As many requests as [`ServerOptions::max_in_flight`] says are handled at once; their responses
/// leave in the order of the requests. One thread beside the runtime's own reads requests and
/// writes responses; it sleeps while there is nothing to do. [`ServerOptions::mode`] has no meaning
/// here.
///
/// Failed and panicking handlers are as in an
/// [`ImmutableDuplexServer`](super::ImmutableDuplexServer). Handlers that are at work when their
/// client leaves, or when the server is stopped, are cancelled: their futures are dropped.
///
/// ```
/// use std::time::Duration;
/// use zerobuffer::duplex::{
///     AsyncDuplexServer, ChannelName, ClientOptions, DuplexClient, DuplexError, ServerOptions,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = ChannelName::new(format!("doc-async-server-{}", std::process::id()))?;
/// let server = AsyncDuplexServer::start(&name, ServerOptions::default(), |request| async move {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     Ok(request.to_vec())
/// })?;
///
/// let client = tokio::task::spawn_blocking(move || {
///     let mut client = DuplexClient::connect(&name, ClientOptions::default())?;
///     let response = client.request(b"hello", Duration::from_secs(5))?;
///     Ok::<_, DuplexError>(response.data.to_vec())
/// });
/// assert_eq!(client.await??, b"hello");
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncDuplexServer {
    name: ChannelName,
    /// `None` once it is being stopped.
    server: Option<Server>,
    runtime: Handle,
}

/// A request, as an asynchronous handler gets it.
///
/// Its memory goes back to the client when it is dropped, at the latest together with those of
/// earlier requests.
#[derive(Debug)]
pub struct AsyncRequest {
    frame: Frame,
}

impl AsyncRequest {
    /// The sequence number that the client gave it; its response carries the same.
    pub fn sequence(&self) -> u64 {
        self.frame.sequence()
    }

    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// A copy of the data.
    pub fn to_vec(&self) -> Vec<u8> {
        self.frame.to_vec()
    }

    /// Copies the data into `to`, as much as fits; the number of bytes copied.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        self.frame.copy_to(to)
    }

    /// The frame itself.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl AsyncDuplexServer {
    /// Makes the request buffer of channel `name` and serves its clients, one after another. The
    /// request buffer is there when this returns.
    ///
    /// A handler answers with bytes, at least one.
    ///
    /// # Errors
    ///
    /// As [`Reader::create`](crate::Reader::create); [`Error::Io`](crate::Error::Io) if no thread
    /// can be had.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start<H, F>(name: &ChannelName, options: ServerOptions, handler: H) -> Result<Self>
    where
        H: Fn(AsyncRequest) -> F + Send + Sync + 'static,
        F: Future<Output = std::result::Result<Vec<u8>, HandlerError>> + Send + 'static,
    {
        let runtime = Handle::current();
        let shared = Arc::new(Shared {
            channel: name.clone(),
            handler,
        });
        let tasks = Tasks {
            shared,
            runtime: runtime.clone(),
            running: JoinSet::new(),
        };
        let limit = options.max_in_flight.get();
        let server = Server::spawn(name, options, Arc::default(), tasks, limit)?;
        Ok(AsyncDuplexServer {
            name: name.clone(),
            server: Some(server),
            runtime,
        })
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Whether the server still serves: it ends by itself only if no client comes in the time that
    /// it was given, or if its request buffer cannot be made anew.
    pub fn is_running(&self) -> bool {
        self.server.as_ref().is_some_and(Server::is_running)
    }

    /// Stops the server, cancels its handlers and removes the request buffer, within 200 ms. Answers
    /// of handlers that have ended are sent, if there is space for them within 100 ms.
    ///
    /// Dropping the server does the same, but then the thread is blocked meanwhile.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            // Waiting for the server's thread is short, but blocks.
            let stopping = self.runtime.spawn_blocking(|| drop(server));
            if let Err(error) = stopping.await {
                tracing::debug!(%error, "the runtime ends before the server does");
            }
        }
    }
}

impl Drop for AsyncDuplexServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // Not for ever: a callback on the server's thread may wait for what runs on this one.
            server.end_within(DROP_PATIENCE);
        }
    }
}

/// A crew of tasks on a runtime.
struct Tasks<H> {
    shared: Arc<Shared<H>>,
    runtime: Handle,
    running: JoinSet<()>,
}

struct Shared<H> {
    channel: ChannelName,
    handler: H,
}

impl<H, F> Crew for Tasks<H>
where
    H: Fn(AsyncRequest) -> F + Send + Sync + 'static,
    F: Future<Output = std::result::Result<Vec<u8>, HandlerError>> + Send + 'static,
{
    fn take(&mut self, frame: Frame, _: &mut Link, answers: &mut Answers) -> Result<()> {
        // Tasks that have ended take up memory until they are looked at.
        while self.running.try_join_next().is_some() {}
        let ticket = answers.open(frame.sequence());
        let shared = Arc::clone(&self.shared);
        let task = async move { ticket.deliver(shared.answer(frame).await) };
        self.running.spawn_on(task, &self.runtime);
        Ok(())
    }

    fn forget(&mut self) {
        self.running.abort_all();
    }
}

impl<H, F> Shared<H>
where
    H: Fn(AsyncRequest) -> F,
    F: Future<Output = std::result::Result<Vec<u8>, HandlerError>>,
{
    async fn answer(&self, frame: Frame) -> Result<Answer> {
        let sequence = frame.sequence();
        self.run(AsyncRequest { frame })
            .await
            .map(Answer::Bytes)
            .map_err(|why| handler::failed(&self.channel, sequence, why))
    }

    /// Runs the handler; what went wrong as text, be it an error or a panic.
    async fn run(&self, request: AsyncRequest) -> std::result::Result<Vec<u8>, String> {
        let mut future = pin!(guard(|| (self.handler)(request))?);
        poll_fn(|context| {
            let polled = guard(|| {
                let polled = future.as_mut().poll(context);
                polled.map_err(|error| error.to_string())
            });
            polled.unwrap_or_else(|panic| Poll::Ready(Err(panic)))
        })
        .await
    }
}
