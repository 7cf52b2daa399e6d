//! What the two halves of a client know of each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by a client's sender and its receiver, which may be on two threads.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    /// The number of the last request; 0 before the first.
    sent: AtomicU64,
    sender_gone: AtomicBool,
    receiver_gone: AtomicBool,
}

impl Halves {
    /// Called before request `sequence` is committed, so that no answer can be there before it.
    pub(crate) fn announce(&self, sequence: u64) {
        // Relaxed: the request's commit comes after this and releases it (the subtraction in
        // `Writer::commit`). The server acquires that before it answers, and the receiver acquires
        // the answer (the load in `Account::unread`) before it calls `has_sent`: it cannot see an
        // older number.
        self.sent.store(sequence, Ordering::Relaxed);
    }

    /// Whether request `sequence` was sent, asked when an answer to it has come.
    pub(crate) fn has_sent(&self, sequence: u64) -> bool {
        sequence <= self.last_sent()
    }

    /// The number of the last request, as far as it is known on this thread.
    pub(crate) fn last_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The number of the last request, once there will be no other.
    pub(crate) fn last_ever_sent(&self) -> Option<u64> {
        // Acquire: pairs with the release in `sender_leaves`; the number is the last one then.
        self.sender_gone
            .load(Ordering::Acquire)
            .then(|| self.last_sent())
    }

    pub(crate) fn sender_leaves(&self) {
        self.sender_gone.store(true, Ordering::Release);
    }

    pub(crate) fn receiver_leaves(&self) {
        // Relaxed: nothing but the flag is told.
        self.receiver_gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_receiver(&self) -> bool {
        !self.receiver_gone.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_request_may_be_answered() {
        let halves = Halves::default();
        assert!(!halves.has_sent(1));
        halves.announce(1);
        assert!(halves.has_sent(1) && !halves.has_sent(2));
    }

    #[test]
    fn the_last_number_is_known_when_the_sender_has_gone() {
        let halves = Halves::default();
        halves.announce(7);
        assert_eq!(halves.last_ever_sent(), None);
        halves.sender_leaves();
        assert_eq!(halves.last_ever_sent(), Some(7));
    }
}
