//! The bytes of a ring between its reader and its writer: who has which.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::owner::Parts;
use super::ring::Ledger;

/// The reader's side of the account, shared with the frames that it has handed out.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) parts: Arc<Parts>,
    ledger: Mutex<Ledger>,
    /// Bytes that were ever given back.
    returned: AtomicU64,
    /// The mark (see [`Unread`]) when memory was last given back.
    mark: AtomicU64,
    /// Whether the writer had written since the time before.
    writer_works: AtomicBool,
    interrupted: AtomicBool,
}

/// What there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Bytes that are written and not read.
    pub(crate) bytes: u64,
    /// Free bytes less those that were ever given back: what only the writer changes.
    mark: u64,
}

impl Unread {
    /// Nothing, until the writer writes something.
    pub(crate) fn nothing(self) -> Unread {
        Unread { bytes: 0, ..self }
    }
}

/// Free and held bytes that make more than there are.
#[derive(Debug, thiserror::Error)]
#[error("{free} bytes free and {held} held, of {capacity}")]
pub(crate) struct Overdrawn {
    free: u64,
    held: u64,
    capacity: u64,
}

impl Account {
    pub(crate) fn new(parts: Arc<Parts>) -> Account {
        Account {
            returned: AtomicU64::new(0),
            mark: AtomicU64::new(parts.segment.capacity()),
            writer_works: AtomicBool::new(false),
            parts,
            ledger: Mutex::default(),
            interrupted: AtomicBool::new(false),
        }
    }

    /// Before anything was written.
    pub(crate) fn untouched(&self) -> Unread {
        Unread {
            bytes: 0,
            mark: self.parts.segment.capacity(),
        }
    }

    /// What there is to read at this moment.
    pub(crate) fn unread(&self) -> Result<Unread, Overdrawn> {
        let ledger = self.ledger();
        // Acquire: pairs with the release subtraction when a frame is committed.
        let free = self.free_bytes().load(Ordering::Acquire);
        let (held, capacity) = (ledger.held(), self.parts.segment.capacity());
        capacity
            .checked_sub(free)
            .and_then(|used| used.checked_sub(held))
            .map(|bytes| Unread {
                bytes,
                mark: self.mark_of(free),
            })
            .ok_or(Overdrawn {
                free,
                held,
                capacity,
            })
    }

    /// Whether the writer has done anything since `unread` was told, or the reader is interrupted.
    /// Memory that is being given back at this moment may look like it.
    #[inline]
    pub(crate) fn has_changed(&self, unread: Unread) -> bool {
        let free = self.free_bytes().load(Ordering::Relaxed);
        self.mark_of(free) != unread.mark || self.is_interrupted()
    }

    #[inline]
    fn mark_of(&self, free: u64) -> u64 {
        free.wrapping_sub(self.returned.load(Ordering::Relaxed))
    }

    /// Enters a frame of `bytes` that was read; its number is for [`Account::release`]. Whether it
    /// `may_wait` to be given back until more is.
    pub(crate) fn hold(&self, bytes: u64, may_wait: bool) -> u64 {
        let mut ledger = self.ledger();
        ledger.set_batching(may_wait);
        if !may_wait {
            let freed = ledger.flush();
            self.give_back(freed);
        }
        ledger.hold(bytes)
    }

    /// Releases the frame with this number.
    pub(crate) fn release(&self, number: u64) {
        let mut ledger = self.ledger();
        let freed = ledger.release(number);
        self.give_back(freed);
    }

    /// Enters skipped bytes. The frame behind them may be held for long: a writer that waits can
    /// use these before.
    pub(crate) fn skip(&self, bytes: u64) {
        let mut ledger = self.ledger();
        let freed = ledger.skip(bytes);
        self.give_back(freed);
    }

    /// Gives back all that can be: there is nothing more to read for now.
    pub(crate) fn settle(&self) {
        let mut ledger = self.ledger();
        ledger.set_batching(false);
        let freed = ledger.flush();
        self.give_back(freed);
    }

    /// Makes the account what it is if nothing is unread: after a writer that has died.
    pub(crate) fn write_off_unread(&self) {
        let ledger = self.ledger();
        let free = self.parts.segment.capacity() - ledger.held();
        self.free_bytes().store(free, Ordering::Relaxed);
    }

    /// Called with the ledger locked, so that `free + held` is right whenever it is not.
    fn give_back(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        // Release: what was read is read before the writer may overwrite it; pairs with the acquire
        // load in `Writer::refresh_free`, and with its subtraction.
        let free = self.free_bytes().fetch_add(bytes, Ordering::SeqCst);
        let mark = self.mark_of(free);
        let is_new = self.mark.load(Ordering::Relaxed) != mark;
        self.writer_works.store(is_new, Ordering::Relaxed);
        self.mark.store(mark, Ordering::Relaxed);
        let returned = self.returned.load(Ordering::Relaxed);
        self.returned
            .store(returned.wrapping_add(bytes), Ordering::Relaxed);
        if !self.is_signalled() {
            self.parts.space.post();
        }
    }

    /// Whether a writer that waits for space, now or later, finds a post that was made for it before.
    /// Whoever takes that post looks at the free bytes afterwards, and sees what was added just now.
    ///
    /// That needs the look here to come after the addition, and the other side's look after its
    /// taking, which x86-64 promises of its locked instructions; elsewhere each addition is posted.
    fn is_signalled(&self) -> bool {
        cfg!(target_arch = "x86_64") && self.parts.space.value() > 0
    }

    /// Whether the writer was writing while memory was given back: one that waits for space was not.
    pub(crate) fn writer_works(&self) -> bool {
        self.writer_works.load(Ordering::Relaxed)
    }

    fn free_bytes(&self) -> &AtomicU64 {
        &self.parts.segment.oieb().payload_free_bytes
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic cannot leave the ledger half-changed: its methods do not panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was an interrupt, which is over: what happened before it is visible now.
    pub(crate) fn rearm(&self) -> bool {
        // Acquire: pairs with the release in `Interrupt::raise`.
        self.interrupted.swap(false, Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Ends a reader's waits from another thread, this one and later ones, until it is rearmed.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<Account>);

impl Interrupt {
    pub(crate) fn of(account: &Arc<Account>) -> Interrupt {
        Interrupt(Arc::clone(account))
    }

    pub(crate) fn raise(&self) {
        // Release: pairs with the acquire in `Account::rearm`.
        if !self.0.interrupted.swap(true, Ordering::Release) {
            // Seen to be no frame, it makes the reader look at what was stored before it.
            self.0.parts.data.post();
        }
    }
}
