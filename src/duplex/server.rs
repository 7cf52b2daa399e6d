//! The server of a duplex channel.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::session::{Session, Stop};
use super::{ChannelName, DuplexError, HandlerError, Reply, Request, Result};
use crate::channel::{BufferConfig, Error, WaitStrategy};

/// How a server works through its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProcessingMode {
    /// One handler at a time, on one thread.
    #[default]
    SingleThread,
}

/// A function that is told the client's metadata.
type OnInit = Box<dyn FnMut(&[u8]) + Send>;
/// A function that is told what went wrong.
type OnError = Box<dyn FnMut(&DuplexError) + Send>;

/// How a server is set up.
///
/// ```
/// use zerobuffer::duplex::ServerOptions;
/// let options = ServerOptions::default().on_error(|error| eprintln!("{error}"));
/// assert_eq!(options.buffer.payload_size, 1024 * 1024);
/// ```
pub struct ServerOptions {
    /// Sizes of the request buffer: 4096 bytes of metadata and 1 MiB of payload by default.
    pub buffer: BufferConfig,
    /// How requests are worked through.
    pub mode: ProcessingMode,
    /// How long a response waits for space before it is given up and reported; 5 seconds by
    /// default.
    pub write_timeout: Duration,
    /// How long to wait for a client before the server ends; for ever by default.
    pub client_timeout: Option<Duration>,
    /// How to wait for requests, and for space for responses.
    pub wait_strategy: WaitStrategy,
    pub(crate) on_init: OnInit,
    pub(crate) on_error: OnError,
}

impl ServerOptions {
    /// Has `callback` told each client's metadata, before its first request is handled. If it
    /// panics, that request counts as one whose handler failed.
    pub fn on_init(mut self, callback: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.on_init = Box::new(callback);
        self
    }

    /// Has `callback` told what goes wrong; without it, that is logged as a warning.
    pub fn on_error(mut self, callback: impl FnMut(&DuplexError) + Send + 'static) -> Self {
        self.on_error = Box::new(callback);
        self
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            buffer: BufferConfig::new(4096, 1024 * 1024),
            mode: ProcessingMode::default(),
            write_timeout: Duration::from_secs(5),
            client_timeout: None,
            wait_strategy: WaitStrategy::default(),
            on_init: Box::new(|_| {}),
            on_error: Box::new(|error| tracing::warn!(%error, "duplex server")),
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("buffer", &self.buffer)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// A server whose handler sees requests that it cannot change, and makes new responses.
///
/// A handler that returns an error or panics is a failed handler, not a dead server: its request
/// goes without an answer, which the client is told as soon as a later one is answered. Dropping
/// the server stops it.
#[derive(Debug)]
pub struct ImmutableDuplexServer {
    name: ChannelName,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl ImmutableDuplexServer {
    /// Makes the request buffer of channel `name` and serves its clients, one after another, on a
    /// thread of its own. The request buffer is there when this returns.
    ///
    /// # Errors
    ///
    /// As [`Reader::create`](crate::Reader::create); [`Error::Io`] if no thread can be had.
    pub fn start<H>(name: &ChannelName, options: ServerOptions, handler: H) -> Result<Self>
    where
        H: for<'r> Fn(&Request<'r>) -> std::result::Result<Reply<'r>, HandlerError>
            + Send
            + Sync
            + 'static,
    {
        let stop = Arc::new(Stop::default());
        let session = Session::new(name.clone(), options, handler, Arc::clone(&stop));
        let requests = session.create_requests()?;
        let thread = std::thread::Builder::new()
            .name("zerobuffer-duplex".into())
            .spawn(move || session.run(requests))
            .map_err(|error| Error::from_io(name.as_str(), "start the server's thread", error))?;
        Ok(ImmutableDuplexServer {
            name: name.clone(),
            stop,
            thread: Some(thread),
        })
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Whether the server still serves: it ends by itself only if no client comes in the time that
    /// it was given, or if its request buffer cannot be made anew.
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the server and removes the request buffer. Returns within 200 ms of whatever it is
    /// waiting for, but not before a handler that is at work has returned.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.now();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(channel = %self.name, "the server's thread panicked");
        }
    }
}

impl Drop for ImmutableDuplexServer {
    fn drop(&mut self) {
        self.end();
    }
}
