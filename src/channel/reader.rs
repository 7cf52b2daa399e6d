//! The reading side of a buffer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::layout::{BufferConfig, METADATA_PREFIX};
use super::owner::{Owner, Parts};
use super::ring::{BadEntry, Found, HEADER, Header, Ledger};
use super::sys::process::{Watch, own_pid};
use super::wait::{self, Deadline, Look, WaitStrategy};
use super::{BufferName, Error, Frame, Result};

/// The reader of a buffer, which it makes and owns.
///
/// Dropped, it tells the writer and removes the buffer. Frames still held stay readable.
///
/// ```
/// use std::time::Duration;
/// use zerobuffer::{BufferConfig, BufferName, Error, Reader, Writer};
///
/// # fn main() -> Result<(), Error> {
/// # let name = BufferName::new(format!("doc-reader-{}", std::process::id()))?;
/// let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024))?;
/// assert!(reader.read(Duration::ZERO)?.is_none(), "no writer has come yet");
///
/// let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
/// writer.set_metadata(b"640x480")?;
/// writer.write(b"last words")?;
/// drop(writer);
///
/// let frame = reader.read(Duration::from_secs(1))?.expect("a frame was written");
/// assert_eq!(reader.metadata()?.as_deref(), Some(&b"640x480"[..]));
/// assert_eq!(frame.to_vec(), b"last words");
/// let end = reader.read(Duration::from_secs(1));
/// assert!(matches!(end, Err(Error::WriterDead { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    name: BufferName,
    shared: Arc<Shared>,
    position: u64,
    read_count: u64,
    expected: u64,
    gaps: Gaps,
    strategy: WaitStrategy,
    /// A post of the data semaphore has been taken and not been used.
    posted: bool,
    writer: WriterState,
    _owner: Owner,
}

/// What frames need of their reader when they are released.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parts: Arc<Parts>,
    ledger: Mutex<Ledger>,
    interrupted: AtomicBool,
}

/// Ends a reader's waits from another thread, this one and later ones, until it is rearmed.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<Shared>);

impl Interrupt {
    pub(crate) fn raise(&self) {
        // Release: pairs with the acquire in `Reader::rearm`.
        self.0.interrupted.store(true, Ordering::Release);
        // Seen to be no frame, it makes the reader look at what was stored before it.
        self.0.parts.data.post();
    }
}

/// What a reader does about a sequence number that is larger than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// An error: a frame was lost.
    Refused,
    /// The frame is handed out, and the next number is expected behind it.
    Allowed,
}

/// What the reader knows about the writer's side.
#[derive(Debug)]
enum WriterState {
    /// None has been seen since `written` entries were counted.
    Awaited { written: u64 },
    /// This one has been seen.
    Seen(Watch),
    /// One has come and gone, or left in good order.
    Left { pid: u64 },
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic cannot leave the ledger half-changed: its methods do not panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_bytes(&self) -> &AtomicU64 {
        &self.parts.segment.oieb().payload_free_bytes
    }

    pub(crate) fn release(&self, number: u64) {
        let mut ledger = self.ledger();
        let freed = ledger.release(number);
        self.give_back(freed);
    }

    /// Called with the ledger locked, so that `free + held` is right whenever it is not.
    fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            // Release: what was read is read before the writer may overwrite it; pairs with the
            // acquire load in `Writer::wait_for_space`.
            self.free_bytes().fetch_add(bytes, Ordering::Release);
            self.parts.space.post();
        }
    }
}

impl Reader {
    /// Makes the buffer `name`.
    ///
    /// What a dead reader left under this name is removed first.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderAlreadyConnected`] if another reader lives; [`Error::NoSpace`] if shared
    /// memory has no room for all of it; [`Error::InvalidConfig`], [`Error::PermissionDenied`],
    /// [`Error::Io`]. Nothing that was made is left.
    pub fn create(name: &BufferName, config: &BufferConfig) -> Result<Reader> {
        let owner = Owner::create(name, config)?;
        let parts = Arc::clone(owner.parts());
        let (ledger, interrupted) = Default::default();
        let shared = Arc::new(Shared {
            parts,
            ledger,
            interrupted,
        });
        Ok(Reader {
            name: name.clone(),
            shared,
            position: 0,
            read_count: 0,
            expected: 1,
            gaps: Gaps::Refused,
            strategy: WaitStrategy::default(),
            posted: false,
            writer: WriterState::Awaited { written: 0 },
            _owner: owner,
        })
    }

    /// The buffer's name.
    pub fn name(&self) -> &BufferName {
        &self.name
    }

    /// Size of the payload block, in bytes: a multiple of 64.
    pub fn payload_size(&self) -> usize {
        self.capacity() as usize
    }

    /// How [`Reader::read`] waits; [`WaitStrategy::default`] unless set.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.strategy = strategy;
    }

    pub(crate) fn set_gaps(&mut self, gaps: Gaps) {
        self.gaps = gaps;
    }

    /// The next frame, waiting for it up to `timeout`; `None` if the time ran out.
    ///
    /// Before the first writer has come, this waits for it. Several frames may be held at once.
    ///
    /// # Errors
    ///
    /// [`Error::WriterDead`] once the writer has left or died and everything that it wrote was
    /// read; a writer that comes later is read all the same. [`Error::Corrupt`] and
    /// [`Error::Sequence`] for a frame that is not as it should be: it stays where it is, and the
    /// next call says the same.
    pub fn read(&mut self, timeout: Duration) -> Result<Option<Frame>> {
        let mut deadline = None;
        loop {
            if !self.posted && !self.shared.parts.data.try_wait() {
                let deadline = *deadline.get_or_insert_with(|| Deadline::after(timeout));
                if !self.wait_for_post(deadline)? {
                    return Ok(None);
                }
            }
            self.posted = true;
            let frame = self.next_frame()?;
            // Used up: by a frame, or by nothing, since a post is no proof of a frame.
            self.posted = false;
            if frame.is_some() || self.is_interrupted() {
                return Ok(frame);
            }
        }
    }

    /// What ends this reader's waits from another thread; what is there is still read.
    pub(crate) fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.shared))
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.shared.interrupted.load(Ordering::Relaxed)
    }

    /// Forgets that it was interrupted. What happened before the interrupt is visible afterwards.
    pub(crate) fn rearm(&self) {
        // Acquire: pairs with the release in `Interrupt::raise`.
        self.shared.interrupted.swap(false, Ordering::Acquire);
    }

    /// The metadata, once the writer has written it.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if its length does not fit its block.
    pub fn metadata(&self) -> Result<Option<Vec<u8>>> {
        let segment = &self.shared.parts.segment;
        // Acquire: pairs with the release store in `Writer::set_metadata`.
        let written = segment
            .oieb()
            .metadata_written_bytes
            .load(Ordering::Acquire);
        if written == 0 {
            return Ok(None);
        }
        let block = segment.sizes().metadata;
        let corrupt = |what| Error::Corrupt {
            name: self.name.to_string(),
            what,
        };
        if written <= METADATA_PREFIX || written > block {
            return Err(corrupt(format!(
                "{written} bytes of metadata in a block of {block}"
            )));
        }
        let mut prefix = [0; METADATA_PREFIX as usize];
        segment.read_metadata(0, &mut prefix);
        let length = u64::from_le_bytes(prefix);
        if length == 0 || length > written - METADATA_PREFIX {
            return Err(corrupt(format!(
                "metadata of length {length} in {written} bytes"
            )));
        }
        let mut metadata = vec![0; length as usize];
        segment.read_metadata(METADATA_PREFIX, &mut metadata);
        Ok(Some(metadata))
    }

    /// Whether a living writer is attached at this moment.
    pub fn is_writer_connected(&mut self) -> bool {
        self.look_at_writer();
        matches!(&self.writer, WriterState::Seen(watch) if watch.is_alive())
    }

    /// Forgets a writer that has gone: [`Reader::read`] waits for the next one, which may write
    /// metadata of its own. Nothing happens while a writer is attached.
    pub fn await_next_writer(&mut self) {
        let oieb = self.shared.parts.segment.oieb();
        let own = own_pid();
        // Acquire and release: nobody else writes to what is reset in between.
        if oieb
            .writer_pid
            .compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        let metadata_size = self.shared.parts.segment.sizes().metadata;
        oieb.metadata_written_bytes.store(0, Ordering::Relaxed);
        oieb.metadata_free_bytes
            .store(metadata_size, Ordering::Relaxed);
        self.writer = WriterState::Awaited {
            written: oieb.payload_written_count.load(Ordering::Relaxed),
        };
        self.expected = 1;
        oieb.writer_pid.store(0, Ordering::Release);
    }

    fn capacity(&self) -> u64 {
        self.shared.parts.segment.capacity()
    }

    /// Waits for a post of the data semaphore, watching the writer; whether there is one to use.
    fn wait_for_post(&mut self, deadline: Deadline) -> Result<bool> {
        if self.is_interrupted() {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        wait::acquire(&shared.parts.data, self.strategy, deadline, || {
            self.look_around()
        })
    }

    /// Whether, with nothing posted a moment ago, there is still something to wait for.
    fn look_around(&mut self) -> Result<Look> {
        self.look_at_writer();
        match &self.writer {
            WriterState::Awaited { .. } => Ok(Look::KeepWaiting),
            WriterState::Seen(watch) if watch.is_alive() => Ok(Look::KeepWaiting),
            // What it posted before it went is there by now.
            _ if self.shared.parts.data.try_wait() => Ok(Look::Ready),
            WriterState::Seen(watch) => {
                let pid = watch.pid();
                if self.recover_from(pid) {
                    self.writer = WriterState::Left { pid };
                    return Err(self.writer_dead(pid));
                }
                Ok(Look::KeepWaiting)
            }
            // Written, but never posted where this reader looks.
            WriterState::Left { .. } if self.unread()? > 0 => Ok(Look::Ready),
            WriterState::Left { pid } => Err(self.writer_dead(*pid)),
        }
    }

    fn writer_dead(&self, pid: u64) -> Error {
        Error::WriterDead {
            name: self.name.to_string(),
            pid,
        }
    }

    /// Brings what is known about the writer up to date.
    fn look_at_writer(&mut self) {
        let oieb = self.shared.parts.segment.oieb();
        // Acquire: pairs with the release when a writer leaves; its last frames are visible then.
        let present = oieb.writer_pid.load(Ordering::Acquire);
        match &self.writer {
            WriterState::Seen(watch) if watch.pid() == present => {}
            WriterState::Seen(watch) if present == 0 => {
                self.writer = WriterState::Left { pid: watch.pid() }
            }
            WriterState::Awaited { written } if present == 0 => {
                let has_been_here = oieb.payload_written_count.load(Ordering::Relaxed) != *written
                    || oieb.metadata_written_bytes.load(Ordering::Relaxed) != 0;
                if has_been_here {
                    self.writer = WriterState::Left { pid: 0 };
                }
            }
            WriterState::Left { .. } if present == 0 => {}
            _ => self.writer = WriterState::Seen(Watch::new(present)),
        }
    }

    /// Puts the buffer in order after a writer that died, perhaps in the middle of a frame; whether
    /// it was still in its place. All that it posted has been read.
    fn recover_from(&mut self, pid: u64) -> bool {
        let oieb = self.shared.parts.segment.oieb();
        // Acquire and release: another writer that finds 0 finds the rest in order.
        let taken =
            oieb.writer_pid
                .compare_exchange(pid, own_pid(), Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return false;
        }
        let ledger = self.shared.ledger();
        oieb.payload_free_bytes
            .store(self.capacity() - ledger.held(), Ordering::Relaxed);
        drop(ledger);
        oieb.payload_write_pos
            .store(self.position, Ordering::Relaxed);
        oieb.payload_written_count
            .store(self.read_count, Ordering::Relaxed);
        oieb.writer_pid.store(0, Ordering::Release);
        tracing::debug!(name = %self.name, pid, "put the buffer in order after a dead writer");
        true
    }

    /// The frame at the read position, if one is there.
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let mut unread = self.unread()?;
        let mut skipped = false;
        while unread > 0 {
            let capacity = self.capacity();
            let header =
                Found::has_header(capacity, self.position).then(|| self.header(self.position));
            match Found::at(capacity, self.position, header, unread) {
                Ok(Found::Frame { total }) => {
                    let sequence = header.map_or(0, |header| header.sequence);
                    return self.take_frame(total, sequence).map(Some);
                }
                Ok(Found::Wrap { .. }) if skipped => {
                    return Err(self.corrupt("a second wrap marker at the beginning".into()));
                }
                Ok(Found::Wrap { skipped: bytes }) => {
                    self.skip(bytes);
                    skipped = true;
                    // Some writers account for the skipped bytes before their frame is there.
                    unread = self.unread()?;
                }
                Err(bad) => return Err(self.bad_entry(bad)),
            }
        }
        Ok(None)
    }

    /// Bytes that are written and not read.
    fn unread(&self) -> Result<u64> {
        let ledger = self.shared.ledger();
        // Acquire: pairs with the release subtraction when a frame is committed.
        let free = self.shared.free_bytes().load(Ordering::Acquire);
        let held = ledger.held();
        self.capacity()
            .checked_sub(free)
            .and_then(|used| used.checked_sub(held))
            .ok_or_else(|| {
                let capacity = self.capacity();
                self.corrupt(format!("{free} bytes free and {held} held, of {capacity}"))
            })
    }

    fn header(&self, position: u64) -> Header {
        let mut bytes = [0; HEADER as usize];
        self.shared.parts.segment.read_payload(position, &mut bytes);
        Header::from_bytes(bytes)
    }

    fn skip(&mut self, bytes: u64) {
        let mut ledger = self.shared.ledger();
        let freed = ledger.skip(bytes);
        // The frame behind them may be held for long: a writer that waits can use these before.
        self.shared.give_back(freed);
        drop(ledger);
        self.advance_to(0);
    }

    fn take_frame(&mut self, total: u64, sequence: u64) -> Result<Frame> {
        let restarted = self.check_sequence(sequence)?;
        let offset = self.position;
        let number = self.shared.ledger().hold(total);
        self.advance_to(offset + total);
        self.expected = sequence.wrapping_add(1);
        Ok(Frame {
            shared: Arc::clone(&self.shared),
            offset: offset + HEADER,
            length: (total - HEADER) as usize,
            sequence,
            restarted,
            number,
        })
    }

    /// Whether the sequence began anew.
    fn check_sequence(&self, got: u64) -> Result<bool> {
        let expected = self.expected;
        let is_next = got == expected || (self.gaps == Gaps::Allowed && got > expected);
        match got {
            _ if is_next => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Sequence {
                name: self.name.to_string(),
                expected,
                got,
            }),
        }
    }

    fn advance_to(&mut self, position: u64) {
        let oieb = self.shared.parts.segment.oieb();
        self.position = position % self.capacity();
        // The end is published as the end: a writer that leaves its own position there takes 0 for
        // a reader that has yet to begin, and would write behind the segment.
        self.read_count = self.read_count.wrapping_add(1);
        oieb.payload_read_pos.store(position, Ordering::Relaxed);
        oieb.payload_read_count
            .store(self.read_count, Ordering::Relaxed);
    }

    fn bad_entry(&self, bad: BadEntry) -> Error {
        self.corrupt(bad.to_string())
    }

    fn corrupt(&self, what: String) -> Error {
        Error::Corrupt {
            name: self.name.to_string(),
            what,
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
