//! A server at work: its clients, one after another, and their requests.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::request::{Content, Responder};
use super::{ChannelName, DuplexError, HandlerError, Reply, Request, Result, ServerOptions};
use crate::channel::{Error, Frame, Interrupt, Reader, TICK, WaitStrategy, Writer, sweep};

/// How often a server without a client looks for one.
const CLIENT_POLL: Duration = Duration::from_millis(20);

pub(crate) struct Session<H> {
    name: ChannelName,
    options: ServerOptions,
    handler: H,
    stop: Arc<Stop>,
    responses: Option<Writer>,
    /// Whether the client attached to now has begun: requests before its first are another's.
    has_begun: bool,
    /// Since when there is no client.
    alone_since: Instant,
}

/// What ends a session from another thread.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    requested: AtomicBool,
    /// Ends the wait for requests.
    waiting: Mutex<Option<Interrupt>>,
}

impl Stop {
    pub(crate) fn now(&self) {
        self.requested.store(true, Ordering::Relaxed);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = &*waiting {
            interrupt.raise();
        }
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }

    fn ends_wait_of(&self, requests: &Reader) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(requests.interrupt());
    }
}

/// How a session goes on after an error.
enum Next {
    /// As before.
    Continue,
    /// Without the client that it had.
    Detach,
    /// With a new request buffer: the client that wrote what it should not has to come again.
    Replace,
    /// Not at all.
    End,
}

impl<H> Session<H>
where
    H: for<'r> Fn(&Request<'r>) -> std::result::Result<Reply<'r>, HandlerError>,
{
    pub(crate) fn new(
        name: ChannelName,
        options: ServerOptions,
        handler: H,
        stop: Arc<Stop>,
    ) -> Self {
        Session {
            name,
            options,
            handler,
            stop,
            responses: None,
            has_begun: false,
            alone_since: Instant::now(),
        }
    }

    /// Makes a request buffer for the session.
    pub(crate) fn create_requests(&self) -> Result<Reader> {
        let requests = Reader::create(self.name.request(), &self.options.buffer)?;
        self.stop.ends_wait_of(&requests);
        Ok(requests)
    }

    /// Serves clients until the session is stopped.
    pub(crate) fn run(mut self, mut requests: Reader) {
        while let Next::Replace = self.serve_clients(&mut requests) {
            // The name has to be free before it is taken again.
            drop(requests);
            requests = match self.create_requests() {
                Ok(requests) => requests,
                Err(error) => return self.report(&error),
            };
        }
    }

    /// Serves clients from one request buffer; what is to be done when that has ended.
    fn serve_clients(&mut self, requests: &mut Reader) -> Next {
        while !self.is_stopped() {
            let Err(error) = self.turn(requests) else {
                continue;
            };
            self.report(&error);
            match self.after(&error) {
                Next::Continue => {}
                Next::Detach => self.detach(),
                ended => {
                    self.detach();
                    return ended;
                }
            }
        }
        Next::End
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_requested()
    }

    fn report(&mut self, error: &DuplexError) {
        (self.options.on_error)(error);
    }

    fn after(&self, error: &DuplexError) -> Next {
        match error {
            DuplexError::NoClient { .. } => Next::End,
            DuplexError::Channel(Error::ReaderDead { .. }) => Next::Detach,
            DuplexError::Channel(Error::Corrupt { name, .. } | Error::Sequence { name, .. }) => {
                if name == self.name.request().as_str() {
                    Next::Replace
                } else {
                    Next::Detach
                }
            }
            _ => Next::Continue,
        }
    }

    /// Waits a while for a request and serves it.
    fn turn(&mut self, requests: &mut Reader) -> Result<()> {
        if self.responses.is_none() {
            self.look_for_client()?;
        }
        // Spinning pays where an answer is waited for, not until a client comes.
        let (wait, strategy) = match self.responses {
            Some(_) => (TICK, self.options.wait_strategy),
            None => (CLIENT_POLL, WaitStrategy::Block),
        };
        requests.set_wait_strategy(strategy);
        match requests.read(wait) {
            Ok(Some(frame)) => self.serve(frame, requests),
            Ok(None) => self.look_after_client(),
            Err(Error::WriterDead { .. }) => {
                self.detach();
                requests.await_next_writer();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Attaches to a client's response buffer before its first request, so that the client can see
    /// that it is served. What stands in the way is reported when it sends one.
    fn look_for_client(&mut self) -> Result<()> {
        match self.try_attach() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => tracing::debug!(channel = %self.name, %error, "not attached"),
        }
        match self.options.client_timeout {
            Some(waited) if self.alone_since.elapsed() >= waited => Err(DuplexError::NoClient {
                channel: self.name.to_string(),
                waited,
            }),
            _ => Ok(()),
        }
    }

    /// Whether there is a response buffer to attach to.
    fn try_attach(&mut self) -> Result<bool> {
        match Writer::connect(self.name.response(), Duration::ZERO) {
            Ok(mut writer) => {
                writer.set_wait_strategy(self.options.wait_strategy);
                self.responses = Some(writer);
                Ok(true)
            }
            Err(Error::BufferNotFound { .. }) => Ok(false),
            Err(Error::NotReady { .. }) => {
                // If a dead client left it, it is in the way of the next one.
                sweep(self.name.response())?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Attaches to the response buffer of the client that has just sent its first request; whether
    /// it has one.
    ///
    /// It is not waited for: a client makes it before it sends anything, so one that is not there
    /// yet is not this client's.
    fn attach_anew(&mut self) -> Result<bool> {
        if self.responses.as_ref().is_some_and(Writer::is_current) {
            return Ok(true);
        }
        self.detach();
        self.try_attach()
    }

    fn look_after_client(&mut self) -> Result<()> {
        match self.responses.as_mut().map(Writer::check_reader) {
            Some(Err(Error::ReaderDead { .. })) => {
                self.detach();
                sweep(self.name.response())?;
                Ok(())
            }
            Some(Err(error)) => Err(error.into()),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn detach(&mut self) {
        if self.responses.take().is_some() {
            self.alone_since = Instant::now();
        }
        self.has_begun = false;
    }

    /// Tells the program what a client says of itself before its first request, `sequence`. If that
    /// panics, it is this request that has failed.
    fn tell_metadata(&mut self, metadata: &[u8], sequence: u64) -> Result<()> {
        let on_init = AssertUnwindSafe(|| (self.options.on_init)(metadata));
        catch_unwind(on_init).map_err(|panic| {
            let why = format!("being told the metadata, {}", panic_message(&*panic));
            handler_failed(self.name.as_str(), sequence, why)
        })
    }

    fn serve(&mut self, frame: Frame, requests: &Reader) -> Result<()> {
        if frame.sequence() == 1 {
            self.has_begun = self.attach_anew()?;
            if self.has_begun
                && let Some(metadata) = requests.metadata()?
            {
                self.tell_metadata(&metadata, frame.sequence())?;
            }
        }
        let channel = self.name.as_str();
        match self.responses.as_mut() {
            Some(writer) if self.has_begun => {
                writer.prefetch();
                let responder = Responder {
                    writer,
                    timeout: self.options.write_timeout,
                    stop: &self.stop,
                };
                answer(channel, &self.handler, frame, responder)
            }
            _ => Err(DuplexError::RequestDropped {
                channel: channel.to_owned(),
                sequence: frame.sequence(),
            }),
        }
    }
}

/// What becomes of a request whose handling failed.
fn handler_failed(channel: &str, sequence: u64, why: String) -> DuplexError {
    DuplexError::Handler {
        channel: channel.to_owned(),
        sequence,
        why,
    }
}

/// Has a request handled and sends the response under the request's number.
fn answer<H>(channel: &str, handler: &H, frame: Frame, responder: Responder<'_>) -> Result<()>
where
    H: for<'r> Fn(&Request<'r>) -> std::result::Result<Reply<'r>, HandlerError>,
{
    let sequence = frame.sequence();
    let request = Request {
        channel,
        frame,
        responder: Cell::new(Some(responder)),
    };
    let failed = |why| handler_failed(channel, sequence, why);
    // A handler that panics may leave what it owns in disorder, but nothing of the server's.
    let reply = catch_unwind(AssertUnwindSafe(|| handler(&request)))
        .map_err(|panic| failed(panic_message(&*panic)))?
        .map_err(|error| failed(error.to_string()))?;
    // Before the answer: the client that has it may send at once, and finds nobody at work there.
    drop(request.frame);
    match reply.0 {
        Content::InPlace(reply) => reply.loan.commit_as(sequence)?,
        Content::Bytes(bytes) => {
            let responder = request.responder.take().ok_or_else(|| {
                failed("it returned bytes after it had taken memory for the reply".into())
            })?;
            let mut loan = responder.loan(bytes.len())?;
            loan.copy_from(&bytes);
            loan.commit_as(sequence)?
        }
    };
    Ok(())
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "it panicked: {}",
        text.unwrap_or_else(|| "no message".into())
    )
}
