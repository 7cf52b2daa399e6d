//! How a server is set up.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::DuplexError;
use crate::channel::{BufferConfig, WaitStrategy};

/// How many requests may be under way at once, unless given.
const MAX_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

/// How a server works through its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProcessingMode {
    /// One handler at a time, on one thread.
    #[default]
    SingleThread,
    /// So many handlers at a time, on as many threads beside the server's own.
    ///
    /// Responses leave in the order of the requests, whatever order handlers finish in: clients see
    /// nothing unusual. A slow handler holds back the answers behind it, not the handlers, until
    /// [`ServerOptions::max_in_flight`] requests are under way.
    ThreadPool(NonZeroUsize),
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
    /// How many requests may be under way at once where handlers run in parallel: taken from the
    /// request buffer and not yet answered. Others wait in the request buffer, so that a flood of
    /// them costs no memory. 64 by default, and never fewer than a pool has threads.
    pub max_in_flight: NonZeroUsize,
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

    /// Has `callback` told what goes wrong; without it, that is logged as a warning. It is called
    /// on the server's own thread, one error after another; if it panics, that is logged.
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
            max_in_flight: MAX_IN_FLIGHT,
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
