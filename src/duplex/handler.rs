//! Running handlers, and what may come of it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::request::Responder;
use super::{ChannelName, DuplexError, Result};
use crate::channel::{Error, Frame};

/// Any error of a handler.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// An answer that is still to be put into the response buffer.
#[derive(Debug)]
pub(crate) enum Answer {
    Bytes(Vec<u8>),
    /// The request itself, changed in place.
    Frame(Frame),
}

/// What a server does with its requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The answer to `request`, to be sent in its turn.
    fn answer(&self, channel: &ChannelName, request: Frame) -> Result<Answer>;

    /// Answers `request` here and now.
    fn answer_through(
        &self,
        channel: &ChannelName,
        request: Frame,
        responder: Responder<'_>,
    ) -> Result<()> {
        let sequence = request.sequence();
        let answer = self.answer(channel, request)?;
        responder.send(sequence, answer)
    }
}

/// Runs the handler of request `sequence`: a panic is a failure like any other.
pub(crate) fn run<T>(
    channel: &ChannelName,
    sequence: u64,
    handler: impl FnOnce() -> std::result::Result<T, HandlerError>,
) -> Result<T> {
    guard(|| {
        // An error's text is the program's code as well.
        handler().map_err(|error| cause(channel, sequence, error))
    })
    .unwrap_or_else(|why| Err(failed(channel, sequence, why)))
}

/// What the error of a handler comes from: what it met in the response buffer when it asked for
/// memory there is no failure of its own.
fn cause(channel: &ChannelName, sequence: u64, error: HandlerError) -> DuplexError {
    let error = match error.downcast::<DuplexError>() {
        Ok(error) => *error,
        Err(error) => return failed(channel, sequence, error),
    };
    match &error {
        DuplexError::Channel(
            Error::ReaderDead { name, .. }
            | Error::BufferFull { name, .. }
            | Error::Corrupt { name, .. },
        ) if name == channel.response().as_str() => error,
        _ => failed(channel, sequence, error),
    }
}

/// Runs what belongs to the program; its panic as text. It may leave what it owns in disorder, but
/// nothing of the server's.
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let message = panic_message(&*panic);
        // What it carries is the program's as well, and may panic when it is dropped.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            std::mem::forget(again);
        }
        message
    })
}

/// What becomes of a request whose handling failed.
pub(crate) fn failed(channel: &ChannelName, sequence: u64, why: impl fmt::Display) -> DuplexError {
    DuplexError::Handler {
        channel: channel.to_string(),
        sequence,
        why: why.to_string(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_panics_again_when_it_is_dropped_is_one_like_any_other() {
        struct Again;
        impl Drop for Again {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("again"));
            }
        }
        let outcome = guard(|| std::panic::resume_unwind(Box::new(Again)));
        assert_eq!(outcome, Err::<(), _>("it panicked: no message".to_owned()));
    }
}
