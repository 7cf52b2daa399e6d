//! What the servers have in common: a thread that can be stopped.

use std::sync::Arc;
use std::thread::JoinHandle;
#[cfg(feature = "async")]
use std::time::Duration;

use super::handler::Handler;
use super::pool::Pool;
use super::session::{Crew, Session};
use super::single::Single;
use super::stop::Stop;
use super::{ChannelName, ProcessingMode, Result, ServerOptions};
use crate::channel::Error;
use crate::span::in_current_span;

/// A server's thread; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: ChannelName,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves with `handler` in the mode that the options name.
    pub(crate) fn start<H: Handler>(
        name: &ChannelName,
        options: ServerOptions,
        handler: H,
    ) -> Result<Server> {
        let stop = Arc::default();
        let limit = options.max_in_flight.get();
        match options.mode {
            ProcessingMode::SingleThread => {
                let channel = name.clone();
                Self::spawn(name, options, stop, Single { channel, handler }, limit)
            }
            ProcessingMode::ThreadPool(size) => {
                let pool = Pool::start(size, name, handler, &stop)?;
                Self::spawn(name, options, stop, pool, limit.max(size.get()))
            }
        }
    }

    /// Makes the request buffer and serves with `crew`, no more than `limit` requests at once.
    pub(crate) fn spawn<C: Crew>(
        name: &ChannelName,
        options: ServerOptions,
        stop: Arc<Stop>,
        crew: C,
        limit: usize,
    ) -> Result<Server> {
        let session = Session::new(name.clone(), options, Arc::clone(&stop), crew, limit);
        let requests = session.create_requests()?;
        let ending = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("zerobuffer-duplex".into())
            .spawn(in_current_span(move || {
                session.run(requests);
                ending.set_ended();
            }))
            .map_err(|error| Error::from_io(name.as_str(), "start the server's thread", error))?;
        Ok(Server {
            name: name.clone(),
            stop,
            thread: Some(thread),
        })
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.name
    }

    pub(crate) fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Stops the server, and waits up to `patience` until it has ended.
    #[cfg(feature = "async")]
    pub(crate) fn end_within(mut self, patience: Duration) {
        self.stop.now();
        let is_own = self.stop.is_employer_of_this_thread();
        if !is_own && !self.stop.wait_until_ended(patience) {
            tracing::warn!(channel = %self.name, "the server takes long to stop");
            self.thread = None;
        }
    }

    fn end(&mut self) {
        self.stop.now();
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A handler, or a callback, that stops its own server would wait for itself.
        if !self.stop.is_employer_of_this_thread() && thread.join().is_err() {
            tracing::error!(channel = %self.name, "the server's thread panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
