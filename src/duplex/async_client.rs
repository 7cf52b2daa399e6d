//! The client of a duplex channel for asynchronous programs.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Mutex;

use super::pending::{Outcome, Pending};
use super::space::{SpaceThread, Turn};
use super::{
    ChannelName, ClientOptions, DuplexClient, DuplexError, InterruptHandle, RequestSender,
    Response, ResponseReceiver, Result,
};
use crate::channel::Error;
use crate::span::in_current_span;

/// A client that many tasks use at once, each waiting for the answer to its own request.
///
/// Clones are the same client; it leaves the channel when the last of them is dropped. Two threads
/// of its own wait for answers and for space, so that no thread of the runtime is ever blocked. They
/// sleep unless there is something to do, or the
/// [wait strategy](ClientOptions::wait_strategy) is to never sleep.
///
/// ```
/// use zerobuffer::duplex::{AsyncDuplexClient, ClientOptions};
/// # use zerobuffer::duplex::{
/// #     ChannelName, DuplexError, ImmutableDuplexServer, Reply, ServerOptions,
/// # };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), DuplexError> {
/// # let name = ChannelName::new(format!("doc-async-client-{}", std::process::id()))?;
/// # let server = ImmutableDuplexServer::start(&name, ServerOptions::default(), |request| {
/// #     Ok(Reply::bytes(request.to_vec()))
/// # })?;
/// let client = AsyncDuplexClient::connect(&name, ClientOptions::default()).await?;
/// let (one, two) = tokio::try_join!(client.request(b"one"), client.request(b"two"))?;
/// assert_eq!((one.data.to_vec(), two.data.to_vec()), (b"one".to_vec(), b"two".to_vec()));
/// # drop((one, two, client));
/// # server.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AsyncDuplexClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pending: Arc<Pending>,
    // In this order: nobody holds the sender when it is dropped, and the server sees that the
    // client has left before the response buffer goes.
    space: SpaceThread,
    /// Who has the lock has the turn to send; turns are taken in the order in which they are asked
    /// for.
    sender: Arc<Mutex<RequestSender>>,
    _receiving: ReceivingThread,
}

impl AsyncDuplexClient {
    /// Connects to the server of channel `name`, waiting for it as the options say.
    ///
    /// Dropped before it is done, it goes on by itself for up to
    /// [`connect_timeout`](ClientOptions::connect_timeout) and may be the channel's client for a
    /// moment.
    ///
    /// # Errors
    ///
    /// As [`DuplexClient::connect`] and [`AsyncDuplexClient::new`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn connect(name: &ChannelName, options: ClientOptions) -> Result<AsyncDuplexClient> {
        let channel = name.clone();
        let connecting =
            tokio::task::spawn_blocking(move || DuplexClient::connect(&channel, options));
        match connecting.await {
            Ok(client) => Self::new(client?),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => {
                    let error = std::io::Error::other(error);
                    Err(Error::from_io(name.as_str(), "connect", error).into())
                }
            },
        }
    }

    /// Takes over a connected client. Answers to requests that it has sent already are thrown away.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if no threads can be had.
    pub fn new(client: DuplexClient) -> Result<AsyncDuplexClient> {
        let (sender, receiver) = client.split();
        let pending = Arc::new(Pending::new(sender.name().clone()));
        let space = SpaceThread::start(sender.name())?;
        let sender = Arc::new(Mutex::new(sender));
        let receiving =
            ReceivingThread::start(receiver, Arc::downgrade(&sender), Arc::clone(&pending))?;
        Ok(AsyncDuplexClient {
            shared: Arc::new(Shared {
                pending,
                space,
                sender,
                _receiving: receiving,
            }),
        })
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        self.shared.pending.channel()
    }

    /// Gives the server metadata, once and before the first request.
    ///
    /// # Errors
    ///
    /// As [`DuplexClient::set_metadata`].
    pub async fn set_metadata(&self, metadata: &[u8]) -> Result<()> {
        self.shared.sender.lock().await.set_metadata(metadata)
    }

    /// Sends a request and waits for its answer, for as long as it takes:
    /// [`tokio::time::timeout`] sets a limit.
    ///
    /// While the request buffer is full, this waits for its turn and for space. Dropped before that
    /// has come, nothing was sent. Dropped later, the answer is thrown away when it comes; the
    /// answers behind it are not affected.
    ///
    /// A response holds its place in the response buffer until it is dropped, and the server cannot
    /// reuse what is behind it: keep no response longer than it is needed. Whoever waits for many at
    /// once has to copy the data and drop the response within each of the futures that are joined,
    /// as in `async { client.request(data).await.map(|response| response.data.to_vec()) }`. A
    /// `join_all` of the requests themselves keeps all responses until the last one is there, which
    /// never comes if they fill the response buffer.
    ///
    /// If the server's handler fails, only the answer to a later request shows it. Whoever makes one
    /// request after another, waiting for each, has to set a time limit and go on with the next:
    /// without it this waits for ever.
    ///
    /// # Errors
    ///
    /// [`DuplexError::HandlerFailed`] if the server's handler failed for this request, known as soon
    /// as a later request is answered. [`DuplexError::Ended`] with the reason, for all requests
    /// under way and all later ones, once the server has gone or answers what it was not asked.
    /// What [`RequestSender::send`] meets, a full buffer aside.
    pub async fn request(&self, request: &[u8]) -> Result<Response> {
        let outcome = self.send(request).await?;
        outcome.await.unwrap_or_else(|_| {
            Err(DuplexError::OtherHalfDropped {
                channel: self.name().to_string(),
            })
        })
    }

    async fn send(&self, request: &[u8]) -> Result<Outcome> {
        let mut turn = Arc::clone(&self.shared.sender).lock_owned().await;
        loop {
            let error = match self.try_send(&mut turn, request) {
                Err(DuplexError::Channel(Error::BufferFull { .. })) => {
                    match self.shared.space.wait(turn, request.len()).await {
                        Ok(again) => {
                            turn = again;
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
                Ok(outcome) => return Ok(outcome),
            };
            return Err(self.shared.pending.explain(error));
        }
    }

    /// Sends a request if there is space at this moment.
    fn try_send(&self, turn: &mut Turn, request: &[u8]) -> Result<Outcome> {
        turn.set_write_timeout(Duration::ZERO);
        let mut loan = turn.loan(request.len())?;
        loan.copy_from(request);
        let sequence = loan.sequence();
        let outcome = self.shared.pending.expect(sequence)?;
        if let Err(error) = loan.commit() {
            self.shared.pending.withdraw(sequence);
            return Err(error);
        }
        Ok(outcome)
    }
}

/// A thread that receives answers and hands them to who waits for them.
#[derive(Debug)]
struct ReceivingThread {
    channel: ChannelName,
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl ReceivingThread {
    fn start(
        receiver: ResponseReceiver,
        sender: Weak<Mutex<RequestSender>>,
        pending: Arc<Pending>,
    ) -> Result<ReceivingThread> {
        let channel = receiver.name().clone();
        let interrupt = receiver.interrupt_handle();
        let thread = std::thread::Builder::new()
            .name("zerobuffer-answers".into())
            .spawn(in_current_span(move || {
                receive(receiver, &sender, &pending)
            }))
            .map_err(|error| Error::from_io(channel.as_str(), "start a thread", error))?;
        Ok(ReceivingThread {
            channel,
            interrupt,
            thread: Some(thread),
        })
    }
}

impl Drop for ReceivingThread {
    fn drop(&mut self) {
        self.interrupt.interrupt();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(channel = %self.channel, "the thread that receives answers panicked");
        }
    }
}

/// Receives answers until it is interrupted, when nobody is left to wait for any, or there will be
/// no more.
fn receive(mut receiver: ResponseReceiver, sender: &Weak<Mutex<RequestSender>>, pending: &Pending) {
    let (answers, server) = (&mut receiver.inner, &receiver.server);
    loop {
        let answer = answers.receive(Duration::MAX, || {
            // A request may have been posted to a semaphore that the server has replaced since, as
            // some do while they start. Who has the turn to send makes good for it as well.
            match sender.upgrade().as_deref().map(Mutex::try_lock) {
                Some(Ok(mut sender)) => sender.check_server(),
                _ => server.check(),
            }
        });
        match answer {
            Ok(Some(response)) => pending.resolve(response.sequence, Ok(response)),
            Ok(None) => return,
            Err(error) => match error {
                DuplexError::HandlerFailed { sequence, .. } => {
                    pending.resolve(sequence, Err(error));
                }
                error => return pending.close(error),
            },
        }
    }
}
