//! Requests under way, and who waits for their answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{ChannelName, DuplexError, Response, Result};
use crate::channel::Error;

/// What becomes of one request.
pub(crate) type Outcome = oneshot::Receiver<Result<Response>>;

/// The requests of a client that have no answer yet.
#[derive(Debug)]
pub(crate) struct Pending {
    channel: ChannelName,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// In the order of their numbers, in which they are answered.
    Open(VecDeque<(u64, oneshot::Sender<Result<Response>>)>),
    /// There will be no more answers.
    Closed(Arc<DuplexError>),
}

impl Pending {
    pub(crate) fn new(channel: ChannelName) -> Pending {
        Pending {
            channel,
            state: Mutex::new(State::Open(VecDeque::new())),
        }
    }

    pub(crate) fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Takes note of request `sequence` before it is sent; the numbers only grow.
    ///
    /// # Errors
    ///
    /// [`DuplexError::Ended`] if it would never be answered.
    pub(crate) fn expect(&self, sequence: u64) -> Result<Outcome> {
        match &mut *self.state() {
            State::Open(waiting) => {
                let (sender, outcome) = oneshot::channel();
                waiting.push_back((sequence, sender));
                Ok(outcome)
            }
            State::Closed(why) => Err(self.ended(why)),
        }
    }

    /// Forgets request `sequence`, the last one that was expected: it was not sent.
    pub(crate) fn withdraw(&self, sequence: u64) {
        if let State::Open(waiting) = &mut *self.state()
            && waiting.back().is_some_and(|(last, _)| *last == sequence)
        {
            waiting.pop_back();
        }
    }

    /// Tells who waits for the answer to request `sequence`, if anyone still does.
    pub(crate) fn resolve(&self, sequence: u64, outcome: Result<Response>) {
        let mut state = self.state();
        let State::Open(waiting) = &mut *state else {
            return;
        };
        let next = waiting.front().map(|(first, _)| *first);
        // Requests that were sent before anything was expected are nobody's.
        let sender = match next {
            Some(first) if first == sequence => waiting.pop_front(),
            _ => None,
        };
        drop(state);
        if let Some((_, sender)) = sender {
            // Whoever stopped waiting does not want it: its memory goes back to the server here.
            let _ = sender.send(outcome);
        }
    }

    /// Tells all who wait, and all who will, that there are no more answers.
    pub(crate) fn close(&self, why: DuplexError) {
        let why = Arc::new(why);
        let state = std::mem::replace(&mut *self.state(), State::Closed(Arc::clone(&why)));
        if let State::Open(waiting) = state {
            for (_, sender) in waiting {
                let _ = sender.send(Err(self.ended(&why)));
            }
        }
    }

    /// What `error`, which kept a request from being sent, says to who made the request: if there
    /// are no more answers to come, that and the reason for it.
    pub(crate) fn explain(&self, error: DuplexError) -> DuplexError {
        match &*self.state() {
            State::Closed(why) => self.ended(why),
            // The answers that are there are still on their way to who waits for them.
            State::Open(_) => match error {
                DuplexError::Channel(Error::ReaderDead { .. }) => self.ended(&Arc::new(error)),
                error => error,
            },
        }
    }

    fn ended(&self, why: &Arc<DuplexError>) -> DuplexError {
        DuplexError::Ended {
            channel: self.channel.to_string(),
            why: Arc::clone(why),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending::new(ChannelName::new("pending").unwrap())
    }

    fn failed(sequence: u64) -> DuplexError {
        DuplexError::HandlerFailed {
            channel: "pending".into(),
            sequence,
        }
    }

    fn number(outcome: &mut Outcome) -> Option<u64> {
        match outcome.try_recv() {
            Ok(Err(DuplexError::HandlerFailed { sequence, .. })) => Some(sequence),
            _ => None,
        }
    }

    #[test]
    fn each_outcome_goes_to_its_number() {
        let pending = pending();
        pending.resolve(1, Err(failed(1)));
        let mut second = pending.expect(2).unwrap();
        drop(pending.expect(3).unwrap());
        let mut fourth = pending.expect(4).unwrap();
        for sequence in 1..=4 {
            pending.resolve(sequence, Err(failed(sequence)));
        }
        assert_eq!(number(&mut second), Some(2));
        assert_eq!(number(&mut fourth), Some(4));
    }

    #[test]
    fn a_request_that_was_not_sent_is_forgotten() {
        let pending = pending();
        let mut first = pending.expect(1).unwrap();
        pending.expect(2).unwrap();
        pending.withdraw(2);
        let mut second = pending.expect(2).unwrap();
        pending.resolve(1, Err(failed(1)));
        pending.resolve(2, Err(failed(2)));
        assert_eq!(number(&mut first), Some(1));
        assert_eq!(number(&mut second), Some(2));
    }

    #[test]
    fn the_end_is_told_to_all() {
        let pending = pending();
        let mut outcomes = [pending.expect(1).unwrap(), pending.expect(2).unwrap()];
        pending.close(failed(7));
        for outcome in &mut outcomes {
            assert!(matches!(
                outcome.try_recv(),
                Ok(Err(DuplexError::Ended { .. }))
            ));
        }
        assert!(matches!(
            pending.expect(3),
            Err(DuplexError::Ended { why, .. })
                if matches!(*why, DuplexError::HandlerFailed { sequence: 7, .. })
        ));
        let explained = pending.explain(failed(8));
        assert!(
            matches!(explained, DuplexError::Ended { .. }),
            "{explained}"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_the_end_and_other_errors_are_not() {
        let pending = pending();
        let explained = pending.explain(failed(1));
        assert!(matches!(
            explained,
            DuplexError::HandlerFailed { sequence: 1, .. }
        ));
        let name = "pending_request".into();
        let gone = Error::ReaderDead { name, pid: 1 };
        let explained = pending.explain(gone.into());
        assert!(
            matches!(explained, DuplexError::Ended { .. }),
            "{explained}"
        );
        assert!(pending.expect(1).is_ok(), "answers may still come");
    }
}
