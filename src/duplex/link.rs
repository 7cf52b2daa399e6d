//! A server's way to its clients, one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::request::Responder;
use super::stop::Stop;
use super::{ChannelName, Result, ServerOptions};
use crate::channel::{Error, TICK, WaitStrategy, Writer, sweep};

/// The response buffer of the present client, if there is one.
#[derive(Debug)]
pub(crate) struct Link {
    name: ChannelName,
    write_timeout: Duration,
    strategy: WaitStrategy,
    stop: Arc<Stop>,
    responses: Option<Writer>,
    /// Whether the client attached to now has begun: requests before its first are another's.
    has_begun: bool,
    /// Since when there is no client.
    alone_since: Instant,
    /// When the client was last looked after.
    looked: Instant,
}

impl Link {
    pub(crate) fn new(name: ChannelName, options: &ServerOptions, stop: Arc<Stop>) -> Link {
        let now = Instant::now();
        Link {
            name,
            write_timeout: options.write_timeout,
            strategy: options.wait_strategy,
            stop,
            responses: None,
            has_begun: false,
            alone_since: now,
            looked: now,
        }
    }

    /// The channel's name.
    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.responses.is_some()
    }

    /// Since when there has been no client; of no meaning while there is one.
    pub(crate) fn alone_since(&self) -> Instant {
        self.alone_since
    }

    /// Whether there is a client whose requests are answered.
    pub(crate) fn is_serving(&self) -> bool {
        self.has_begun && self.is_attached()
    }

    /// The way to the client that is attached to.
    pub(crate) fn responder(&mut self) -> Option<Responder<'_>> {
        Some(Responder {
            writer: self.responses.as_mut()?,
            timeout: self.write_timeout,
            stop: &self.stop,
        })
    }

    /// Attaches to the response buffer of whoever has one; whether there is one.
    pub(crate) fn try_attach(&mut self) -> Result<bool> {
        let is_wanted = || !self.stop.is_requested();
        match Writer::connect_while(self.name.response(), Duration::ZERO, is_wanted) {
            Ok(mut writer) => {
                writer.set_wait_strategy(self.strategy);
                self.responses = Some(writer);
                self.looked = Instant::now();
                Ok(true)
            }
            Err(Error::BufferNotFound { .. }) => Ok(false),
            Err(Error::NotReady { .. }) => {
                // If a dead client left it, it is in the way of the next one.
                self.clear_away()
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a response buffer that a dead client has left; attaches to none, and says so.
    pub(crate) fn clear_away(&self) -> Result<bool> {
        sweep(self.name.response())?;
        Ok(false)
    }

    /// Attaches to the response buffer of the client that has just sent its first request. Without
    /// one, its requests are dropped.
    ///
    /// The buffer is not waited for: a client makes it before it sends anything, so one that is not
    /// there yet is not this client's.
    pub(crate) fn begin(&mut self) -> Result<()> {
        if !self.responses.as_ref().is_some_and(Writer::is_current) {
            self.detach();
            self.try_attach()?;
        }
        self.has_begun = self.is_attached();
        Ok(())
    }

    /// Looks every now and then whether the client still lives, as [`Link::check_client`].
    pub(crate) fn look_after_client(&mut self) -> Result<()> {
        if self.looked.elapsed() < TICK {
            return Ok(());
        }
        self.check_client()
    }

    /// Detaches from the client and clears it away if it has gone.
    pub(crate) fn check_client(&mut self) -> Result<()> {
        let Some(writer) = &mut self.responses else {
            return Ok(());
        };
        self.looked = Instant::now();
        match writer.check_reader() {
            Err(Error::ReaderDead { .. }) => {
                self.detach();
                self.clear_away().map(drop)
            }
            outcome => Ok(outcome?),
        }
    }

    pub(crate) fn detach(&mut self) {
        if self.responses.take().is_some() {
            self.alone_since = Instant::now();
        }
        self.has_begun = false;
    }
}
