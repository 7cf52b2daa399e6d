//! Ending a server's thread, and waking it, from other threads.

use std::cell::Cell;
use std::ptr;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::channel::{Interrupt, Reader};

/// How long the last answers may wait for space, all together; a stop takes no more than 200 ms.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

thread_local! {
    /// The stop of the server that this thread works for; compared, never followed.
    static EMPLOYER: Cell<*const Stop> = const { Cell::new(ptr::null()) };
}

/// What ends a server.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// Since when it is to end.
    requested: OnceLock<Instant>,
    /// Ends the wait for requests.
    waiting: Mutex<Option<Interrupt>>,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

impl Stop {
    /// Ends the server as soon as nothing is at work.
    pub(crate) fn now(&self) {
        // Before the interrupt: whoever sees that, sees this.
        self.requested.get_or_init(Instant::now);
        self.wake();
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.requested.get().is_some()
    }

    /// How long an answer may wait for space: as long as it likes, until the server is stopped.
    pub(crate) fn patience(&self) -> Duration {
        self.requested.get().map_or(Duration::MAX, |since| {
            LAST_ANSWERS.saturating_sub(since.elapsed())
        })
    }

    /// Has the server's thread look around instead of waiting for requests.
    pub(crate) fn wake(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = &*waiting {
            interrupt.raise();
        }
    }

    /// Names the reader whose waits are ended.
    pub(crate) fn ends_waits_of(&self, requests: &Reader) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(requests.interrupt());
    }

    /// Says that the server has ended and left nothing behind.
    pub(crate) fn set_ended(&self) {
        *self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    /// Waits until the server has ended, up to `timeout`; whether it has.
    #[cfg(feature = "async")]
    pub(crate) fn wait_until_ended(&self, timeout: Duration) -> bool {
        let has_ended = self
            .has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .ended
            .wait_timeout_while(has_ended, timeout, |has_ended| !*has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        *waited.0
    }

    /// Says that this thread works for the server: it cannot wait for the server's end.
    pub(crate) fn employs_this_thread(&self) {
        EMPLOYER.set(self);
    }

    /// Whether this thread works for the server.
    pub(crate) fn is_employer_of_this_thread(&self) -> bool {
        ptr::eq(EMPLOYER.get(), self)
    }
}
