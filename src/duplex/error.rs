//! What can go wrong on a duplex channel.

use std::sync::Arc;
use std::time::Duration;

use crate::channel;

/// The result of an operation on a duplex channel.
pub type Result<T> = std::result::Result<T, DuplexError>;

/// Every failure of an operation on a duplex channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DuplexError {
    /// One of the two buffers failed; its name is in the error.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// Seen by the client: the server's handler failed for this request, and there is no answer.
    #[error("channel '{channel}': the handler failed for request {sequence}")]
    HandlerFailed {
        /// The channel.
        channel: String,
        /// The request's sequence number.
        sequence: u64,
    },
    /// Seen by the server: its handler failed or panicked.
    #[error("channel '{channel}': the handler failed for request {sequence}: {why}")]
    Handler {
        /// The channel.
        channel: String,
        /// The request's sequence number.
        sequence: u64,
        /// The handler's error, or its panic message.
        why: String,
    },
    /// A response to a request that was answered before or never sent.
    #[error("channel '{channel}': expected the answer to request {expected}, got one to {got}")]
    UnexpectedResponse {
        /// The channel.
        channel: String,
        /// The oldest request without an answer.
        expected: u64,
        /// The response's sequence number.
        got: u64,
    },
    /// No answer within the time allowed.
    #[error("channel '{channel}': no answer to request {sequence} within {waited:?}")]
    NoAnswer {
        /// The channel.
        channel: String,
        /// The request's sequence number.
        sequence: u64,
        /// The time allowed.
        waited: Duration,
    },
    /// A request that waits for its answer was made while others, sent without waiting, have none.
    /// One whose handler failed is known by the answer to a later one: send that, then receive.
    #[error(
        "channel '{channel}': {count} requests have no answer yet: receive those first; if their \
         handler failed, send another without waiting and receive up to its answer"
    )]
    Outstanding {
        /// The channel.
        channel: String,
        /// How many.
        count: u64,
    },
    /// Seen by one half of a client: the other was dropped. Nobody would receive the answer to a
    /// request, or there are no more answers to come.
    #[error("channel '{channel}': the other half of the client was dropped")]
    OtherHalfDropped {
        /// The channel.
        channel: String,
    },
    /// Seen by a client that many use at once: it has come to its end, and so have all requests that
    /// were under way.
    #[error("channel '{channel}' has ended: {why}")]
    Ended {
        /// The channel.
        channel: String,
        /// What ended it.
        why: Arc<DuplexError>,
    },
    /// A handler asked for memory for its reply a second time.
    #[error("channel '{channel}': the reply to request {sequence} has its memory already")]
    AlreadyLoaned {
        /// The channel.
        channel: String,
        /// The request's sequence number.
        sequence: u64,
    },
    /// A request came from a client whose response buffer is gone: it was not handled, or its
    /// answer was not sent.
    #[error("channel '{channel}': request {sequence} was dropped: its client has gone")]
    RequestDropped {
        /// The channel.
        channel: String,
        /// The request's sequence number.
        sequence: u64,
    },
    /// No client came within the time that the server was told to wait.
    #[error("channel '{channel}': no client within {waited:?}")]
    NoClient {
        /// The channel.
        channel: String,
        /// The time allowed.
        waited: Duration,
    },
}
