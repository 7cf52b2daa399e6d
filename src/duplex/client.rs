//! The client of a duplex channel.

use std::time::Duration;

use super::{ChannelName, DuplexError, Result};
use crate::channel::{
    BufferConfig, Deadline, Frame, Gaps, Loan, Reader, TICK, WaitStrategy, Writer,
};

/// Size of the response buffer's metadata block, in bytes, unless given.
const METADATA_SIZE: usize = 4096;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long to wait for the server; 0 = look once. 5 seconds by default.
    pub connect_timeout: Duration,
    /// How large to make the response buffer; by default its payload is as large as the request
    /// buffer's.
    pub response_buffer: Option<BufferConfig>,
    /// How to wait for responses, and for space for requests.
    pub wait_strategy: WaitStrategy,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            connect_timeout: Duration::from_secs(5),
            response_buffer: None,
            wait_strategy: WaitStrategy::default(),
        }
    }
}

/// A response, with the sequence number of the request that it answers.
#[derive(Debug)]
pub struct Response {
    /// The request's sequence number.
    pub sequence: u64,
    /// The answer; its memory goes back to the server when it is dropped.
    pub data: Frame,
}

/// The client of a duplex channel.
///
/// Requests may be sent ahead of their answers, as many as the buffers hold.
#[derive(Debug)]
pub struct DuplexClient {
    name: ChannelName,
    // First: the server sees that the client has left before the response buffer goes.
    requests: Writer,
    responses: Reader,
    /// The oldest request without an answer.
    next_answer: u64,
    /// A response that was read while answers before it are still to be reported as missing.
    early: Option<Frame>,
}

impl DuplexClient {
    /// Connects to the server of channel `name`, waiting for it as the options say.
    ///
    /// # Errors
    ///
    /// As [`Writer::connect`] for the request buffer, and as [`Reader::create`] for the response
    /// buffer: `BufferNotFound` or `NotReady` if there is no server in time, or if it is still at
    /// work on the requests of an earlier client; `WriterAlreadyConnected` or
    /// `ReaderAlreadyConnected` if it has a client.
    pub fn connect(name: &ChannelName, options: ClientOptions) -> Result<DuplexClient> {
        let deadline = Deadline::after(options.connect_timeout);
        let mut requests = Writer::connect(name.request(), options.connect_timeout)?;
        // Requests carry no client's name. While there is no response buffer the server drops what
        // an earlier client left; afterwards it would answer that to this client.
        requests.wait_until_read(deadline.left())?;
        // A channel has many clients in its life, and each may have metadata of its own.
        requests.reset_metadata();
        let buffer = options
            .response_buffer
            .unwrap_or_else(|| BufferConfig::new(METADATA_SIZE, requests.payload_size()));
        let mut responses = Reader::create(name.response(), &buffer)?;
        requests.set_wait_strategy(options.wait_strategy);
        responses.set_wait_strategy(options.wait_strategy);
        // A missing number is a failed handler, not a lost frame.
        responses.set_gaps(Gaps::Allowed);
        Ok(DuplexClient {
            name: name.clone(),
            requests,
            responses,
            next_answer: 1,
            early: None,
        })
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Gives the server metadata, once and before the first request.
    ///
    /// # Errors
    ///
    /// As [`Writer::set_metadata`].
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<()> {
        Ok(self.requests.set_metadata(metadata)?)
    }

    /// How long sending waits for space; 5 seconds unless set.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.requests.set_write_timeout(timeout);
    }

    /// Whether the server reads requests and is attached to the response buffer.
    pub fn is_server_connected(&mut self) -> bool {
        self.requests.check_reader().is_ok() && self.responses.is_writer_connected()
    }

    /// Sends a request; its sequence number. The first is 1.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn send(&mut self, request: &[u8]) -> Result<u64> {
        Ok(self.requests.write(request)?)
    }

    /// Memory for a request of `length` bytes, to be filled in place. [`Loan::commit`] sends it and
    /// tells its sequence number; dropped, nothing was sent.
    ///
    /// # Errors
    ///
    /// As [`Writer::loan`].
    pub fn loan(&mut self, length: usize) -> Result<Loan<'_>> {
        Ok(self.requests.loan(length)?)
    }

    /// The next response, in the order of the requests, waiting up to `timeout`; `None` if the time
    /// ran out.
    ///
    /// # Errors
    ///
    /// [`DuplexError::HandlerFailed`] for a request that will not be answered; the next call goes
    /// on with the answer behind it. `WriterDead` or `ReaderDead` once the server
    /// has gone and all its responses are read. [`DuplexError::UnexpectedResponse`] if the server
    /// answers what it was not asked.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Response>> {
        let frame = match self.early.take() {
            Some(frame) => frame,
            None => match self.read(timeout)? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        let (sequence, expected) = (frame.sequence(), self.next_answer);
        let channel = || self.name.to_string();
        if frame.restarted() || sequence < expected || sequence >= self.requests.next_sequence() {
            let channel = channel();
            return Err(DuplexError::UnexpectedResponse {
                channel,
                expected,
                got: sequence,
            });
        }
        self.next_answer += 1;
        if sequence > expected {
            let failed = DuplexError::HandlerFailed {
                channel: channel(),
                sequence: expected,
            };
            self.early = Some(frame);
            return Err(failed);
        }
        if self.next_answer == self.requests.next_sequence() {
            self.requests.prefetch();
        }
        Ok(Some(Response {
            sequence,
            data: frame,
        }))
    }

    /// Sends a request and waits for its answer up to `timeout`.
    ///
    /// # Errors
    ///
    /// As [`DuplexClient::send`] and [`DuplexClient::receive`]; [`DuplexError::NoAnswer`] if the
    /// time ran out, after which the answer may still be received;
    /// [`DuplexError::Outstanding`] if earlier requests have no answer yet.
    pub fn request(&mut self, request: &[u8], timeout: Duration) -> Result<Response> {
        let count = self.requests.next_sequence() - self.next_answer;
        if count > 0 {
            return Err(DuplexError::Outstanding {
                channel: self.name.to_string(),
                count,
            });
        }
        let sequence = self.send(request)?;
        self.receive(timeout)?.ok_or_else(|| {
            let channel = self.name.to_string();
            DuplexError::NoAnswer {
                channel,
                sequence,
                waited: timeout,
            }
        })
    }

    /// Reads a response, looking after the server meanwhile: before it has attached to the response
    /// buffer, only the request buffer tells that it has died.
    fn read(&mut self, timeout: Duration) -> Result<Option<Frame>> {
        if let Some(frame) = self.responses.read(timeout.min(TICK))? {
            return Ok(Some(frame));
        }
        let deadline = Deadline::after(timeout.saturating_sub(TICK));
        loop {
            let server = self.requests.check_reader();
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
            if left.is_zero() {
                return Ok(None);
            }
        }
    }
}
