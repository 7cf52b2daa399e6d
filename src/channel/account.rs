//! The bytes of a ring between its reader and its writer: who has which.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::exchange::Exchange;
use super::owner::Parts;
use super::point::Point;
use super::ring::Ledger;
use super::sys::clock::coarse_now;

/// The reader's side of the account, shared with the frames that it has handed out.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) parts: Arc<Parts>,
    books: Mutex<Books>,
    /// Bytes that were ever given back.
    returned: AtomicU64,
    interrupted: AtomicBool,
}

/// What was read, and how much of it the writer knows.
#[derive(Debug)]
struct Books {
    ledger: Ledger,
    reached: Reached,
    /// Whether the writer can wait to be told: see [`Account::hold`].
    is_streaming: bool,
    /// When the writer was last told, by the coarse clock.
    told: Duration,
    /// The mark (see [`Unread`]) at that time, and whether it was another one the time before: the
    /// writer had written in between, and one that waits for space could not.
    mark: u64,
    writer_works: bool,
    /// The most bytes that are kept back.
    batch: u64,
}

/// How far a reader is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reached {
    /// Where the last entry ended: at the next one, or at the end of the ring.
    pub(crate) position: u64,
    /// Frames and wraps.
    pub(crate) count: u64,
}

/// In a stream, this part of the ring may be read before the writer is told.
pub(crate) const BATCH: u64 = 16;

impl Books {
    fn new(capacity: u64) -> Books {
        Books {
            ledger: Ledger::default(),
            reached: Reached::default(),
            is_streaming: false,
            told: Duration::ZERO,
            mark: capacity,
            writer_works: false,
            batch: capacity / BATCH,
        }
    }

    /// Whether what could go back is kept for a moment: a few milliseconds, or as long as the reader
    /// then takes for a frame. Asking how much the writer has left would cost it the batches of a full
    /// ring, in which most streams run.
    fn keeps_back(&self) -> bool {
        self.is_streaming
            && self.writer_works
            && self.ledger.settled() < self.batch
            && coarse_now() == self.told
    }
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
            books: Mutex::new(Books::new(parts.segment.capacity())),
            parts,
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
        let books = self.books();
        let free = self.parts.free_for_reader();
        let (held, capacity) = (books.ledger.held(), self.parts.segment.capacity());
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

    /// Enters a frame of `bytes` that was read, up to where the reader is now; its number is for
    /// [`Account::release`].
    ///
    /// In a stream, when the reader knows of more to read, the writer may be told of this frame and
    /// of those that are released later on; otherwise it is told at once.
    pub(crate) fn hold(&self, bytes: u64, reached: Reached, is_streaming: bool) -> u64 {
        let mut books = self.books();
        books.reached = reached;
        books.is_streaming = is_streaming;
        if !books.keeps_back() {
            self.tell(&mut books);
        }
        books.ledger.hold(bytes)
    }

    /// Releases the frame with this number.
    pub(crate) fn release(&self, number: u64) {
        let mut books = self.books();
        books.ledger.release(number);
        if !books.keeps_back() {
            self.tell(&mut books);
        }
    }

    /// Enters skipped bytes, up to where the reader is now. The frame behind them may be held for
    /// long: a writer that waits can use these before.
    pub(crate) fn skip(&self, bytes: u64, reached: Reached) {
        let mut books = self.books();
        books.reached = reached;
        books.ledger.skip(bytes);
        self.tell(&mut books);
    }

    /// Gives back all that can be: there is nothing more to read for now.
    pub(crate) fn give_back_all(&self) {
        let mut books = self.books();
        books.is_streaming = false;
        self.tell(&mut books);
    }

    /// Makes the account what it is if nothing is unread: after a writer that has died.
    pub(crate) fn write_off_unread(&self) {
        let books = self.books();
        let free = self.parts.segment.capacity() - books.ledger.held();
        self.free_bytes().store(free, Ordering::Relaxed);
    }

    /// Tells the writer how far the reader is, and gives back what can be.
    fn tell(&self, books: &mut Books) {
        let oieb = self.parts.segment.oieb();
        let Reached { position, count } = books.reached;
        // Before any memory goes back: some writers tell from the position what is free. The end is
        // told as the end: a writer that leaves its own position there takes 0 for a reader that has
        // yet to begin, and would write behind the segment.
        oieb.payload_read_pos.store(position, Ordering::Relaxed);
        // Release: pairs with the acquire in `Writer::find_end`.
        oieb.payload_read_count.store(count, Ordering::Release);
        Point::ReadPublished.passed();
        let bytes = books.ledger.flush();
        if bytes == 0 {
            return;
        }
        // With the books locked, so that `free + held` is right whenever they are not.
        let free = self.parts.give_back(bytes);
        let mark = self.mark_of(free);
        books.writer_works = books.mark != mark;
        books.mark = mark;
        if books.is_streaming {
            books.told = coarse_now();
        }
        let returned = self.returned.load(Ordering::Relaxed);
        self.returned
            .store(returned.wrapping_add(bytes), Ordering::Relaxed);
    }

    fn free_bytes(&self) -> &AtomicU64 {
        &self.parts.segment.oieb().payload_free_bytes
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic cannot leave the books half-changed: nothing that is done with them panics.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
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
