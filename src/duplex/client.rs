//! The client of a duplex channel.

use std::sync::Arc;
use std::time::Duration;

use super::halves::Halves;
use super::receiver::Responses;
use super::{
    ChannelName, DuplexError, RequestLoan, RequestSender, Response, ResponseReceiver, Result,
};
use crate::channel::{BufferConfig, Deadline, Gaps, Reader, WaitStrategy, Writer};

/// Size of the response buffer's metadata block, in bytes, unless given.
const METADATA_SIZE: usize = 4096;

/// How a client connects.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long to wait for the server; 0 = look once, but as with [`Writer::connect`], a server
    /// whose last client has died may need up to 600 milliseconds. 5 seconds by default.
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

/// The client of a duplex channel.
///
/// Requests may be sent ahead of their answers, as many as the buffers hold. To send on one thread
/// and receive on another, [split](DuplexClient::split) it.
#[derive(Debug)]
pub struct DuplexClient {
    // First: the server sees that the client has left before the response buffer goes.
    sender: RequestSender,
    receiver: ResponseReceiver,
    /// The last request that [`DuplexClient::request`] has sent; 0 if there is none.
    last_asked: u64,
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
        let halves = Arc::new(Halves::default());
        let server = requests.reader();
        let inner = Responses::new(name.clone(), responses, Arc::clone(&halves));
        Ok(DuplexClient {
            sender: RequestSender::new(name.clone(), requests, halves),
            receiver: ResponseReceiver::new(inner, server),
            last_asked: 0,
        })
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.sender.name()
    }

    /// Gives the server metadata, once and before the first request.
    ///
    /// # Errors
    ///
    /// As [`Writer::set_metadata`].
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<()> {
        self.sender.set_metadata(metadata)
    }

    /// How long sending waits for space; 5 seconds unless set.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.sender.set_write_timeout(timeout);
    }

    /// Whether the server reads requests and is attached to the response buffer.
    pub fn is_server_connected(&mut self) -> bool {
        self.sender.check_server().is_ok() && self.receiver.is_server_connected()
    }

    /// Sends a request; its sequence number. The first is 1.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn send(&mut self, request: &[u8]) -> Result<u64> {
        self.sender.send(request)
    }

    /// Memory for a request of `length` bytes, to be filled in place. [`RequestLoan::commit`] sends
    /// it and tells its sequence number; dropped, nothing was sent.
    ///
    /// # Errors
    ///
    /// As [`Writer::loan`].
    pub fn loan(&mut self, length: usize) -> Result<RequestLoan<'_>> {
        self.sender.loan(length)
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
        let (sender, answers) = (&mut self.sender, &mut self.receiver.inner);
        let response = answers.receive(timeout, || sender.check_server())?;
        // All is answered: what comes next is likely to be a request.
        if response.is_some() && answers.next_answer() == sender.next_sequence() {
            sender.requests.prefetch();
        }
        Ok(response)
    }

    /// Sends a request and waits for its answer up to `timeout`.
    ///
    /// If the handler fails for this request there is no answer to wait for: the time runs out, as
    /// only a later answer shows that there is none.
    ///
    /// # Errors
    ///
    /// As [`DuplexClient::send`] and [`DuplexClient::receive`]; [`DuplexError::NoAnswer`] if the
    /// time ran out, after which the answer may still be received, until the next call of this
    /// throws it away. [`DuplexError::Outstanding`] if requests that were sent otherwise have no
    /// answer yet, be it because their handler failed: [`DuplexClient::send`] the next request
    /// then, and [`DuplexClient::receive`] until its answer is there.
    pub fn request(&mut self, request: &[u8], timeout: Duration) -> Result<Response> {
        let next = self.sender.next_sequence();
        let count = next - self.receiver.inner.next_answer();
        // Nothing else is sent while anything is outstanding here: the last tells of all.
        if count > 0 && self.last_asked + 1 != next {
            return Err(DuplexError::Outstanding {
                channel: self.name().to_string(),
                count,
            });
        }
        let sequence = self.sender.send_in_step(request)?;
        self.last_asked = sequence;
        let mut left = timeout;
        let deadline = (count > 0).then(|| Deadline::after(timeout));
        loop {
            match self.receive(left) {
                Ok(Some(response)) if response.sequence < sequence => {}
                Err(DuplexError::HandlerFailed { sequence: of, .. }) if of < sequence => {}
                outcome => {
                    return outcome?.ok_or_else(|| DuplexError::NoAnswer {
                        channel: self.name().to_string(),
                        sequence,
                        waited: timeout,
                    });
                }
            }
            left = deadline.as_ref().map_or(timeout, Deadline::left);
        }
    }

    /// Takes the client apart, so that one thread can send while another receives.
    ///
    /// The halves may be dropped in any order; the channel is free for the next client when both
    /// are.
    ///
    /// Some servers, not those of this crate, replace a semaphore while they start, so that a request
    /// which is sent just then does not wake them. A client that is in one piece tells them again
    /// while it waits for the answer; of one that is split, only the sender does, with the next
    /// request or when it is dropped. Whoever splits a client and sends a single request first should
    /// give the receiver a time limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use zerobuffer::duplex::{
    /// #     ChannelName, ClientOptions, DuplexClient, ImmutableDuplexServer, Reply, ServerOptions,
    /// # };
    /// use zerobuffer::duplex::DuplexError;
    ///
    /// # fn main() -> Result<(), DuplexError> {
    /// # let name = ChannelName::new(format!("doc-split-{}", std::process::id()))?;
    /// # let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), |request| {
    /// #     Ok(Reply::bytes(request.to_vec()))
    /// # })?;
    /// let client = DuplexClient::connect(&name, ClientOptions::default())?;
    /// let (mut sender, mut receiver) = client.split();
    /// let sending = std::thread::spawn(move || (0..1000_u32).try_for_each(|number| {
    ///     sender.send(&number.to_le_bytes()).map(|_sequence| ())
    /// }));
    /// let mut received = 0;
    /// let end = loop {
    ///     match receiver.receive(Duration::from_secs(5)) {
    ///         Ok(Some(response)) => received = response.sequence,
    ///         Ok(None) => panic!("no answer within 5 seconds"),
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert!(matches!(end, DuplexError::OtherHalfDropped { .. }), "no more to come");
    /// assert_eq!(received, 1000);
    /// # sending.join().expect("the sending thread")?;
    /// # server.stop();
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(mut self) -> (RequestSender, ResponseReceiver) {
        // From now on only sending makes good what was posted to a semaphore that the server has
        // replaced while it started. If the server has gone, either half says so when it is used.
        if let Err(error) = self.sender.check_server() {
            tracing::debug!(channel = %self.name(), %error, "split a client without a server");
        }
        (self.sender, self.receiver)
    }
}
