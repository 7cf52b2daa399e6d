//! How the two sides of a ring tell each other what is free: every ordering of it in one place.
//!
//! The count of free bytes orders the payload: who sees a change of it sees what the other side had
//! done with the memory before. The space semaphore only wakes: who takes a post sees the count as
//! it was changed before.

use std::sync::atomic::Ordering;

use super::owner::Parts;
use super::point::Point;

/// The shared things, and what both sides do with them.
///
/// The required methods are the things as they are, in a buffer or in a model of one.
pub(crate) trait Exchange {
    fn load_free(&self, order: Ordering) -> u64;
    fn add_free(&self, bytes: u64, order: Ordering) -> u64;
    fn subtract_free(&self, bytes: u64, order: Ordering) -> u64;
    /// Whether a writer that waits for space, now or later, finds a post that was made for it before.
    ///
    /// Whoever takes that post looks at the free bytes afterwards, and sees what was added before
    /// this look. That needs this look to come after the addition, and the other side's after its
    /// taking: where a machine does not promise that, the answer is no.
    fn is_signalled(&self) -> bool;
    fn post_space(&self);
    fn drain_space(&self);

    /// What is free, for the reader, who reads what is not.
    #[inline]
    fn free_for_reader(&self) -> u64 {
        // Acquire: pairs with the release in `take`; what was written is there.
        self.load_free(Ordering::Acquire)
    }

    /// What is free, for the writer, who writes there.
    #[inline]
    fn free_for_writer(&self) -> u64 {
        // Acquire: pairs with the release in `give_back`; what stood there has been read.
        self.load_free(Ordering::Acquire)
    }

    /// The writer has written `bytes`. What was free before.
    #[inline]
    fn take(&self, bytes: u64) -> u64 {
        // Release: header and data are there before they are seen to be; pairs with
        // `free_for_reader`. Acquire: as in `free_for_writer`, for what this tells is used as well.
        self.subtract_free(bytes, Ordering::AcqRel)
    }

    /// The reader has done with `bytes`. What was free before.
    #[inline]
    fn give_back(&self, bytes: u64) -> u64 {
        // Release: what was read is read before the writer may overwrite it; pairs with
        // `free_for_writer` and `take`. More than that only keeps the next look behind it.
        let free = self.add_free(bytes, Ordering::SeqCst);
        Point::SpaceGivenBack.passed();
        if !self.is_signalled() {
            self.post_space();
        }
        Point::SpaceTold.passed();
        free
    }

    /// What is free, for a writer that sleeps at the space semaphore if it is too little.
    fn free_before_sleep(&self) -> u64 {
        // Drained before the look, never between look and sleep: a post that comes after the look
        // ends the sleep.
        self.drain_space();
        self.free_for_writer()
    }
}

impl Exchange for Parts {
    #[inline]
    fn load_free(&self, order: Ordering) -> u64 {
        self.segment.oieb().payload_free_bytes.load(order)
    }

    #[inline]
    fn add_free(&self, bytes: u64, order: Ordering) -> u64 {
        let free = &self.segment.oieb().payload_free_bytes;
        free.fetch_add(bytes, order)
    }

    #[inline]
    fn subtract_free(&self, bytes: u64, order: Ordering) -> u64 {
        let free = &self.segment.oieb().payload_free_bytes;
        free.fetch_sub(bytes, order)
    }

    #[inline]
    fn is_signalled(&self) -> bool {
        // x86-64 promises it of its locked instructions, which addition and taking are.
        cfg!(target_arch = "x86_64") && self.space.value() > 0
    }

    fn post_space(&self) {
        self.space.post();
    }

    fn drain_space(&self) {
        self.space.drain();
    }
}

#[cfg(test)]
#[path = "exchange_model.rs"]
mod model;
