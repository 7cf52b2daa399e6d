//! A server at work: its clients, one after another, and their requests.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{Answers, Due, Outcome};
use super::handler::{failed, guard};
use super::link::Link;
use super::stop::Stop;
use super::{ChannelName, DuplexError, Result, ServerOptions};
use crate::channel::{self, Error, Frame, Reader, TICK, WaitStrategy};

/// How often a server without a client looks for one.
const CLIENT_POLL: Duration = Duration::from_millis(20);

/// How often a wait for answers alone looks whether the server is to be stopped.
const ANSWER_POLL: Duration = Duration::from_millis(20);

/// Those who handle requests.
pub(crate) trait Crew: Send + 'static {
    /// Handles a request of the client that `link` leads to: either answers each at once, or takes
    /// a ticket for each answer.
    fn take(&mut self, request: Frame, link: &mut Link, answers: &mut Answers) -> Result<()>;

    /// Forgets requests that wait to be handled, and others as far as that is possible: their
    /// client has gone, or the server ends.
    fn forget(&mut self) {}

    /// Waits for handlers at work; there is nothing to handle any more.
    fn end(&mut self) {}
}

/// What a server's thread does.
///
/// It alone reads requests and writes responses; whoever handles a request elsewhere gives the
/// answer back to it. It attaches to a client only while no answer to an earlier one is under way.
pub(crate) struct Session<C> {
    options: ServerOptions,
    stop: Arc<Stop>,
    link: Link,
    answers: Answers,
    crew: C,
    /// A client's first request, while answers to the client before it are under way.
    first: Option<Frame>,
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

impl<C: Crew> Session<C> {
    /// A session of `crew`, which has no more than `limit` requests under way.
    pub(crate) fn new(
        name: ChannelName,
        options: ServerOptions,
        stop: Arc<Stop>,
        crew: C,
        limit: usize,
    ) -> Self {
        Session {
            link: Link::new(name, &options, Arc::clone(&stop)),
            answers: Answers::new(limit, Arc::clone(&stop)),
            options,
            stop,
            crew,
            first: None,
        }
    }

    /// Makes a request buffer for the session.
    pub(crate) fn create_requests(&self) -> Result<Reader> {
        let requests = Reader::create(self.link.name().request(), &self.options.buffer)?;
        self.stop.ends_waits_of(&requests);
        Ok(requests)
    }

    /// Serves clients until the session is stopped.
    pub(crate) fn run(mut self, mut requests: Reader) {
        self.stop.employs_this_thread();
        while let Next::Replace = self.serve_clients(&mut requests) {
            // The name has to be free before it is taken again.
            drop(requests);
            requests = match self.create_requests() {
                Ok(requests) => requests,
                Err(error) => {
                    self.report(&error);
                    break;
                }
            };
        }
        self.finish();
    }

    /// Serves clients from one request buffer; what is to be done when that has ended.
    fn serve_clients(&mut self, requests: &mut Reader) -> Next {
        while !self.stop.is_requested() {
            let Err(error) = self.turn(requests) else {
                continue;
            };
            let next = self.after(&error);
            if matches!(next, Next::Continue) {
                self.check_client();
            } else {
                self.detach();
            }
            self.report(&error);
            if matches!(next, Next::Replace | Next::End) {
                return next;
            }
        }
        Next::End
    }

    fn report(&mut self, error: &DuplexError) {
        if let Err(panic) = guard(|| (self.options.on_error)(error)) {
            tracing::error!(%error, "told of this, the program's callback failed: {panic}");
        }
    }

    fn after(&self, error: &DuplexError) -> Next {
        match error {
            DuplexError::NoClient { .. } => Next::End,
            DuplexError::Channel(Error::ReaderDead { .. }) => Next::Detach,
            DuplexError::Channel(Error::Corrupt { name, .. } | Error::Sequence { name, .. }) => {
                if name == self.link.name().request().as_str() {
                    Next::Replace
                } else {
                    Next::Detach
                }
            }
            _ => Next::Continue,
        }
    }

    /// Does one thing: sends an answer, or waits a while for a request and has it handled.
    fn turn(&mut self, requests: &mut Reader) -> Result<()> {
        if let Some(due) = self.answers.next() {
            return self.send(due);
        }
        if self.answers.is_empty() {
            if let Some(first) = self.first.take() {
                return self.begin_client(first, requests);
            }
            if !self.link.is_attached() {
                self.look_for_client(requests)?;
            }
        } else if self.first.is_some() || self.answers.is_full() {
            self.answers.wait(ANSWER_POLL);
            return self.look_after_client();
        }
        match self.read(requests) {
            Ok(Some(request)) => self.serve(request, requests),
            Ok(None) => self.look_after_client(),
            Err(Error::WriterDead { .. }) if self.answers.is_empty() => {
                self.detach();
                requests.await_next_writer();
                Ok(())
            }
            Err(Error::WriterDead { .. }) => {
                // It may still read what it is owed.
                self.answers.wait(ANSWER_POLL);
                self.look_after_client()
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Attaches to a client's response buffer before its first request, so that the client can see
    /// that it is served. What stands in the way is reported when it sends one.
    ///
    /// One that has left the request buffer has been answered all that it ever asked, and may
    /// still be there to see that: it is not attached to again.
    fn look_for_client(&mut self, requests: &mut Reader) -> Result<()> {
        let attached = if requests.is_writer_connected() {
            self.link.try_attach()
        } else {
            self.link.clear_away()
        };
        match attached {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(channel = %self.link.name(), %error, "not attached");
            }
        }
        match self.options.client_timeout {
            Some(waited) if self.link.alone_since().elapsed() >= waited => {
                Err(DuplexError::NoClient {
                    channel: self.link.name().to_string(),
                    waited,
                })
            }
            _ => Ok(()),
        }
    }

    /// The next request, waiting a while for it, but not once an answer is ready.
    fn read(&mut self, requests: &mut Reader) -> channel::Result<Option<Frame>> {
        // Spinning pays where an answer is waited for, not until a client comes.
        let (wait, strategy) = if self.link.is_attached() {
            (TICK, self.options.wait_strategy)
        } else {
            (CLIENT_POLL, WaitStrategy::Block)
        };
        requests.set_wait_strategy(strategy);
        let read = if self.answers.is_empty() {
            requests.read(wait)
        } else {
            self.read_until_answer(requests, wait)
        };
        if let Ok(None) = read {
            // What it may have been interrupted for is looked at after this.
            requests.rearm();
        }
        read
    }

    /// As [`Session::read`], where answers are under way.
    fn read_until_answer(
        &self,
        requests: &mut Reader,
        wait: Duration,
    ) -> channel::Result<Option<Frame>> {
        if !self.answers.listen() {
            return Ok(None);
        }
        let read = requests.read(wait);
        self.answers.stop_listening();
        read
    }

    fn look_after_client(&mut self) -> Result<()> {
        let looked = self.link.look_after_client();
        self.forget_what_nobody_waits_for();
        looked
    }

    /// As [`Session::look_after_client`], but now: something has gone wrong, and a client that has
    /// gone would have its requests go wrong one after another.
    fn check_client(&mut self) {
        let checked = self.link.check_client();
        self.forget_what_nobody_waits_for();
        if let Err(error) = checked {
            self.report(&error);
        }
    }

    fn forget_what_nobody_waits_for(&mut self) {
        if !self.link.is_attached() {
            self.crew.forget();
        }
    }

    fn detach(&mut self) {
        self.link.detach();
        self.crew.forget();
    }

    /// Has a request handled, or keeps it until the client that it begins can be attached to.
    fn serve(&mut self, request: Frame, requests: &Reader) -> Result<()> {
        if request.sequence() != 1 {
            self.handle(request)
        } else if self.answers.is_empty() {
            self.begin_client(request, requests)
        } else {
            self.first = Some(request);
            Ok(())
        }
    }

    fn begin_client(&mut self, first: Frame, requests: &Reader) -> Result<()> {
        self.link.begin()?;
        if self.link.is_serving()
            && let Some(metadata) = requests.metadata()?
        {
            self.tell_metadata(&metadata, first.sequence())?;
        }
        self.handle(first)
    }

    /// Tells the program what a client says of itself before its first request, `sequence`. If that
    /// panics, it is this request that has failed.
    fn tell_metadata(&mut self, metadata: &[u8], sequence: u64) -> Result<()> {
        guard(|| (self.options.on_init)(metadata)).map_err(|panic| {
            let why = format!("being told the metadata, {panic}");
            failed(self.link.name(), sequence, why)
        })
    }

    fn handle(&mut self, request: Frame) -> Result<()> {
        if self.link.is_serving() {
            self.crew.take(request, &mut self.link, &mut self.answers)
        } else {
            Err(self.dropped(request.sequence()))
        }
    }

    /// Sends an answer to the client that waits for it, if it still does.
    fn send(&mut self, due: Due) -> Result<()> {
        let Due { sequence, outcome } = due;
        match (outcome, self.link.responder()) {
            (Outcome::Failed(error), _) => Err(error),
            (_, None) => Err(self.dropped(sequence)),
            (Outcome::Answer(answer), Some(responder)) => responder.send(sequence, answer),
            (Outcome::Cancelled, Some(_)) => {
                Err(failed(self.link.name(), sequence, "it was cancelled"))
            }
        }
    }

    fn dropped(&self, sequence: u64) -> DuplexError {
        DuplexError::RequestDropped {
            channel: self.link.name().to_string(),
            sequence,
        }
    }

    /// Ends the crew and sends what it has got ready. Everything else is lost, like the requests
    /// that were not read.
    fn finish(mut self) {
        self.crew.forget();
        self.crew.end();
        while let Some(due) = self.answers.next_or_cancel() {
            if let Outcome::Cancelled = due.outcome {
                tracing::debug!(channel = %self.link.name(), due.sequence, "not handled");
            } else if let Err(error) = self.send(due) {
                self.report(&error);
            }
        }
    }
}
