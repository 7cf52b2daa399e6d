//! Handlers in parallel, on a number of threads.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::answers::{Answers, Ticket};
use super::handler::Handler;
use super::link::Link;
use super::session::Crew;
use super::stop::Stop;
use super::{ChannelName, Result};
use crate::channel::{Error, Frame};
use crate::span::in_current_span;

/// A crew of threads. It takes whatever it is given: how much that is, is the session's affair.
pub(crate) struct Pool<H> {
    shared: Arc<Shared<H>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<H> {
    channel: ChannelName,
    handler: H,
    stop: Arc<Stop>,
    queue: Mutex<Queue>,
    /// There is a job, or there will be none any more.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

struct Job {
    request: Frame,
    ticket: Ticket,
}

impl<H: Handler> Pool<H> {
    /// Starts the threads.
    pub(crate) fn start(
        size: NonZeroUsize,
        channel: &ChannelName,
        handler: H,
        stop: &Arc<Stop>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            channel: channel.clone(),
            handler,
            stop: Arc::clone(stop),
            queue: Mutex::default(),
            changed: Condvar::new(),
        });
        // Dropped, it ends those that could be started.
        let mut pool = Pool {
            shared,
            threads: Vec::new(),
        };
        for number in 1..=size.get() {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new()
                .name(format!("zb-handler-{number}"))
                .spawn(in_current_span(move || shared.work()))
                .map_err(|error| Error::from_io(channel.as_str(), "start a handler", error))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }
}

impl<H: Handler> Crew for Pool<H> {
    fn take(&mut self, request: Frame, _: &mut Link, answers: &mut Answers) -> Result<()> {
        let ticket = answers.open(request.sequence());
        self.shared.queue().jobs.push_back(Job { request, ticket });
        self.shared.changed.notify_one();
        Ok(())
    }

    fn forget(&mut self) {
        let forgotten = std::mem::take(&mut self.shared.queue().jobs);
        drop(forgotten);
    }

    fn end(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(channel = %self.shared.channel, "a handler's thread panicked");
            }
        }
    }
}

impl<H> Shared<H> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that is done under the lock panics half-way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Handler> Shared<H> {
    fn work(&self) {
        self.stop.employs_this_thread();
        while let Some(Job { request, ticket }) = self.next_job() {
            ticket.deliver(self.handler.answer(&self.channel, request));
        }
    }

    /// The next job, as soon as there is one; `None` when the pool ends.
    fn next_job(&self) -> Option<Job> {
        let is_idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.is_closed;
        self.changed
            .wait_while(self.queue(), is_idle)
            .unwrap_or_else(PoisonError::into_inner)
            .jobs
            .pop_front()
    }
}

impl<H> Drop for Pool<H> {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
    }
}
