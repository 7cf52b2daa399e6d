//! The half of a client that receives responses.

use std::sync::Arc;
use std::time::Duration;

use super::halves::Halves;
use super::{ChannelName, DuplexError, Result};
use crate::channel::{self, Deadline, Error, Frame, Interrupt, Reader, ReaderWatch, TICK};

/// A response, with the sequence number of the request that it answers.
#[derive(Debug)]
pub struct Response {
    /// The request's sequence number.
    pub sequence: u64,
    /// The answer; its memory goes back to the server when it is dropped.
    pub data: Frame,
}

/// The half of a client that receives responses, from
/// [`DuplexClient::split`](super::DuplexClient::split).
///
/// Dropped, it removes the response buffer; requests that are sent after that are an error.
/// Responses still held stay readable.
#[derive(Debug)]
pub struct ResponseReceiver {
    pub(crate) inner: Responses,
    pub(crate) server: Arc<ReaderWatch>,
}

impl ResponseReceiver {
    /// Takes the answers of the server that `server` watches in the request buffer.
    pub(crate) fn new(inner: Responses, server: Arc<ReaderWatch>) -> ResponseReceiver {
        ResponseReceiver { inner, server }
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.inner.name
    }

    /// Whether the server reads requests and is attached to the response buffer.
    pub fn is_server_connected(&mut self) -> bool {
        self.server.check().is_ok() && self.inner.responses.is_writer_connected()
    }

    /// The next response, in the order of the requests, waiting up to `timeout`, be there a request
    /// under way or not; `None` if the time ran out or the wait was interrupted.
    ///
    /// # Errors
    ///
    /// [`DuplexError::HandlerFailed`] for a request that will not be answered; the next call goes
    /// on with the answer behind it. `WriterDead` or `ReaderDead` once the server has gone and all
    /// its responses are read. [`DuplexError::UnexpectedResponse`] if the server answers what it
    /// was not asked. Once the sender has been dropped, requests behind the last answer are named
    /// as well. [`DuplexError::OtherHalfDropped`] once the sender has been dropped and the
    /// last request answered.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Response>> {
        self.inner.receive(timeout, || self.server.check())
    }

    /// What ends this receiver's waits from another thread.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle(self.inner.responses.interrupt())
    }
}

impl Drop for ResponseReceiver {
    fn drop(&mut self) {
        self.inner.halves.receiver_leaves();
    }
}

/// Ends the waits of a [`ResponseReceiver`] from another thread.
#[derive(Debug)]
pub struct InterruptHandle(Interrupt);

impl InterruptHandle {
    /// Ends a wait that is going on and keeps later ones from beginning, for good: responses that
    /// are there are still received, and then [`ResponseReceiver::receive`] answers `None` at once.
    pub fn interrupt(&self) {
        self.0.raise();
    }
}

/// The responses of a server, put in relation to the requests.
#[derive(Debug)]
pub(crate) struct Responses {
    name: ChannelName,
    responses: Reader,
    halves: Arc<Halves>,
    next_answer: u64,
    /// A response that was read while answers before it are still to be reported as missing.
    early: Option<Frame>,
}

impl Responses {
    pub(crate) fn new(name: ChannelName, responses: Reader, halves: Arc<Halves>) -> Responses {
        Responses {
            name,
            responses,
            halves,
            next_answer: 1,
            early: None,
        }
    }

    /// The oldest request without an answer.
    pub(crate) fn next_answer(&self) -> u64 {
        self.next_answer
    }

    /// As [`ResponseReceiver::receive`]; `check_server` is called now and then during a wait, since
    /// before the server has attached to the response buffer, only the request buffer tells that it
    /// has died.
    pub(crate) fn receive(
        &mut self,
        timeout: Duration,
        mut check_server: impl FnMut() -> channel::Result<()>,
    ) -> Result<Option<Response>> {
        let frame = match self.early.take() {
            Some(frame) => frame,
            None => match self.read(timeout, &mut check_server) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(None),
                // The server has every right to go when there is nothing left to answer.
                Err(_) if self.is_complete() => return Err(self.other_half_dropped()),
                // It has done all that it was asked, and leaves only this client.
                Err(DuplexError::Channel(Error::WriterDead { .. }))
                    if self.halves.last_ever_sent().is_some() && check_server().is_ok() =>
                {
                    return Err(self.next_has_failed());
                }
                Err(error) => return Err(error),
            },
        };
        let (sequence, expected) = (frame.sequence(), self.next_answer);
        if frame.restarted() || sequence < expected || !self.halves.has_sent(sequence) {
            let channel = self.name.to_string();
            return Err(DuplexError::UnexpectedResponse {
                channel,
                expected,
                got: sequence,
            });
        }
        if sequence > expected {
            self.early = Some(frame);
            return Err(self.next_has_failed());
        }
        self.next_answer += 1;
        Ok(Some(Response {
            sequence,
            data: frame,
        }))
    }

    /// Takes note that the oldest request without an answer will never have one.
    fn next_has_failed(&mut self) -> DuplexError {
        let sequence = self.next_answer;
        self.next_answer += 1;
        DuplexError::HandlerFailed {
            channel: self.name.to_string(),
            sequence,
        }
    }

    fn read(
        &mut self,
        timeout: Duration,
        mut check_server: impl FnMut() -> channel::Result<()>,
    ) -> Result<Option<Frame>> {
        if let Some(frame) = self.responses.read(timeout.min(TICK))? {
            return Ok(Some(frame));
        }
        let deadline = Deadline::after(timeout.saturating_sub(TICK));
        loop {
            let server = check_server();
            let left = deadline.left();
            // What it answered before it went is there by now.
            let wait = if server.is_ok() {
                left.min(TICK)
            } else {
                Duration::ZERO
            };
            if let Some(frame) = self.responses.read(wait)? {
                return Ok(Some(frame));
            }
            server?;
            if self.is_complete() {
                return Err(self.other_half_dropped());
            }
            if left.is_zero() || self.responses.is_interrupted() {
                return Ok(None);
            }
        }
    }

    /// Whether all requests that will ever be sent are answered.
    fn is_complete(&self) -> bool {
        self.halves
            .last_ever_sent()
            .is_some_and(|last| self.next_answer > last)
    }

    fn other_half_dropped(&self) -> DuplexError {
        DuplexError::OtherHalfDropped {
            channel: self.name.to_string(),
        }
    }
}
