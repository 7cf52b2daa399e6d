//! The writing side of a buffer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::attachment::Attachment;
use super::exchange::Exchange;
use super::layout::{METADATA_PREFIX, Segment};
use super::point::Point;
use super::reader_watch::ReaderWatch;
use super::ring::{Header, Placement};
use super::sys::prefetch;
use super::wait::{Deadline, Pace, WaitStrategy, Waiter};
use super::{BufferName, Error, Loan, Result};

/// How long a write waits for space unless told otherwise.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many loans lie between two drains of a space semaphore that nobody waits for.
const DRAIN_INTERVAL: u64 = 256;

/// How often a reader is looked at that is about to tell where it is.
const LOOKS: usize = 1000;

/// So many bytes at the beginning of a ring fit into the caches of a processor core beside what the
/// program itself works on.
const HOT: u64 = 512 * 1024;

/// How many cache lines of a frame are asked for before it is written.
const PREFETCHED_LINES: usize = 2;
const CACHE_LINE: usize = 64;

/// The writer of a buffer that a [`Reader`](super::Reader) has made.
///
/// Dropped, it leaves the buffer in good order for the next writer.
///
/// ```
/// use std::time::Duration;
/// use zerobuffer::{BufferConfig, BufferName, Error, Reader, Writer};
///
/// # fn main() -> Result<(), Error> {
/// # let name = BufferName::new(format!("doc-writer-{}", std::process::id()))?;
/// let reader = Reader::create(&name, &BufferConfig::new(64, 1024))?;
/// let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
/// writer.set_write_timeout(Duration::ZERO);
/// assert_eq!(writer.write(&[1; 600])?, 1);
/// assert!(matches!(writer.write(&[2; 700]), Err(Error::FrameTooLarge { .. })));
/// assert!(matches!(writer.write(&[2; 450]), Err(Error::BufferFull { .. })));
/// drop(reader);
/// assert!(matches!(writer.write(&[2; 100]), Err(Error::ReaderDead { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Writer {
    name: BufferName,
    attachment: Attachment,
    position: u64,
    written_count: u64,
    sequence: u64,
    /// Free bytes when they were last looked at, less what was written since: there may be more.
    free: u64,
    write_timeout: Duration,
    waiter: Waiter,
    /// Loans made since attaching.
    loans: u64,
}

impl Writer {
    /// Attaches to the buffer `name`, waiting up to `timeout` until its reader is there; with a
    /// timeout of 0, looks once.
    ///
    /// Whatever the timeout is, one thing is waited for: the reader of a writer that has died has 300
    /// milliseconds to put the buffer in order before its place is taken. All in all this takes no
    /// more than 600 milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::BufferNotFound`] or [`Error::NotReady`] if the time ran out;
    /// [`Error::WriterAlreadyConnected`] if another writer lives;
    /// [`Error::IncompatibleVersion`], [`Error::Corrupt`], [`Error::PermissionDenied`].
    pub fn connect(name: &BufferName, timeout: Duration) -> Result<Writer> {
        Self::connect_while(name, timeout, || true)
    }

    /// As [`Writer::connect`], but waits no longer than it is `wanted`, be it for the reader of a dead
    /// writer.
    pub(crate) fn connect_while(
        name: &BufferName,
        timeout: Duration,
        wanted: impl Fn() -> bool,
    ) -> Result<Writer> {
        let attachment = Attachment::attach(name, timeout, wanted)?;
        let segment = &attachment.parts.segment;
        let capacity = segment.capacity();
        let position = segment.oieb().payload_write_pos.load(Ordering::Relaxed);
        let written_count = segment.oieb().payload_written_count.load(Ordering::Relaxed);
        if position > capacity {
            return Err(Error::Corrupt {
                name: name.to_string(),
                what: format!("write position {position} in a ring of {capacity} bytes"),
            });
        }
        Ok(Writer {
            name: name.clone(),
            attachment,
            // Some writers leave it at the end after an exact fit.
            position: position % capacity,
            written_count,
            sequence: 1,
            free: 0,
            write_timeout: WRITE_TIMEOUT,
            waiter: Waiter::new(WaitStrategy::default()),
            loans: 0,
        })
    }

    /// The buffer's name.
    pub fn name(&self) -> &BufferName {
        &self.name
    }

    /// Size of the payload block, in bytes.
    pub fn payload_size(&self) -> usize {
        self.segment().capacity() as usize
    }

    /// How long a write waits for space; 5 seconds unless set.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.write_timeout = timeout;
    }

    /// How a write waits for space; [`WaitStrategy::default`] unless set.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.waiter.set_strategy(strategy);
    }

    /// The sequence number of the next frame; the first is 1.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes the metadata, once in the life of a buffer.
    ///
    /// # Errors
    ///
    /// [`Error::MetadataAlreadyWritten`], [`Error::MetadataTooLarge`], [`Error::InvalidFrameSize`]
    /// for no bytes at all, which readers refuse.
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<()> {
        let name = || self.name.to_string();
        let segment = self.segment();
        let (oieb, block) = (segment.oieb(), segment.sizes().metadata);
        if oieb.metadata_written_bytes.load(Ordering::Relaxed) != 0 {
            return Err(Error::MetadataAlreadyWritten { name: name() });
        }
        let size = metadata.len() as u64;
        if size == 0 {
            return Err(Error::InvalidFrameSize { name: name() });
        }
        let capacity = block.saturating_sub(METADATA_PREFIX);
        if size > capacity {
            return Err(Error::MetadataTooLarge {
                name: name(),
                size,
                capacity,
            });
        }
        segment.write_metadata(0, &size.to_le_bytes());
        segment.write_metadata(METADATA_PREFIX, metadata);
        Point::MetadataFilled.passed();
        let written = METADATA_PREFIX + size;
        oieb.metadata_free_bytes
            .store(block - written, Ordering::Relaxed);
        // Release: pairs with the acquire load in `Reader::metadata`.
        oieb.metadata_written_bytes
            .store(written, Ordering::Release);
        Point::MetadataWritten.passed();
        Ok(())
    }

    /// Forgets the metadata of an earlier writer, so that this one can write its own.
    pub(crate) fn reset_metadata(&mut self) {
        self.segment().reset_metadata();
    }

    /// Writes a frame, waiting for space up to the write timeout; its sequence number.
    ///
    /// # Errors
    ///
    /// [`Error::BufferFull`] after the timeout; [`Error::ReaderDead`]; [`Error::InvalidFrameSize`]
    /// for no bytes; [`Error::FrameTooLarge`] if no wait can make room.
    pub fn write(&mut self, data: &[u8]) -> Result<u64> {
        let mut loan = self.loan(data.len())?;
        loan.copy_from(data);
        loan.commit()
    }

    /// Memory for a frame of `length` bytes, to be filled in place; waits for space like
    /// [`Writer::write`].
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn loan(&mut self, length: usize) -> Result<Loan<'_>> {
        let timeout = self.write_timeout;
        let placement = self.reserve(length, timeout)?;
        Ok(Loan {
            writer: self,
            placement,
            length,
        })
    }

    /// Waits until there is room for a frame of `length` bytes.
    pub(crate) fn reserve(&mut self, length: usize, timeout: Duration) -> Result<Placement> {
        self.reserve_at(length, timeout, Placement::find)
    }

    /// As [`Writer::reserve`], for one that has an answer, or a next request, before it writes again:
    /// on an empty ring the frame stays near the beginning, where the memory is in the caches.
    pub(crate) fn reserve_in_step(
        &mut self,
        length: usize,
        timeout: Duration,
    ) -> Result<Placement> {
        let capacity = self.segment().capacity();
        if self.position.saturating_add(length as u64) > HOT {
            self.refresh_free()?;
            if self.free == capacity {
                let find = |capacity, position, size| {
                    Placement::find_in_empty(capacity, position, size, HOT)
                };
                return self.reserve_at(length, timeout, find);
            }
        }
        self.reserve(length, timeout)
    }

    /// Waits until there is room for a frame of `length` bytes where `find` says.
    fn reserve_at(
        &mut self,
        length: usize,
        timeout: Duration,
        find: impl Fn(u64, u64, u64) -> std::result::Result<Placement, u64>,
    ) -> Result<Placement> {
        if length == 0 {
            return Err(Error::InvalidFrameSize {
                name: self.name.to_string(),
            });
        }
        self.prefetch();
        if self.attachment.reader.has_left() {
            return Err(self.attachment.reader.dead());
        }
        self.keep_up()?;
        let (capacity, size) = (self.segment().capacity(), length as u64);
        let placement =
            find(capacity, self.position, size).map_err(|needed| Error::FrameTooLarge {
                name: self.name.to_string(),
                size,
                needed,
                capacity,
            })?;
        if self.free < placement.needed() {
            self.refresh_free()?;
            if self.free < placement.needed() {
                self.wait_for_space(placement.needed(), timeout)?;
            }
        }
        Point::WriteReserved.passed();
        Ok(placement)
    }

    /// Has the processor take what the next frame changes from the reader's cache, all at once.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let oieb = self.segment().oieb();
        prefetch::for_writing((&raw const oieb.payload_free_bytes).cast());
        prefetch::for_writing((&raw const oieb.payload_written_count).cast());
        // Most frames stand at the position; beyond the end, a prefetch is for nothing.
        let frame = self.segment().payload(self.position, 0);
        for line in 0..PREFETCHED_LINES {
            prefetch::for_writing(frame.wrapping_add(line * CACHE_LINE));
        }
    }

    /// Waits until all that was ever written has been read and given back.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] after the timeout; [`Error::ReaderDead`].
    pub(crate) fn wait_until_read(&mut self, timeout: Duration) -> Result<()> {
        let capacity = self.segment().capacity();
        match self.wait_for_space(capacity, timeout) {
            Err(Error::BufferFull { name, waited, .. }) => Err(Error::NotReady {
                name,
                why: "its reader has not dealt with what an earlier writer left",
                waited,
            }),
            result => result,
        }
    }

    /// Looks whether the reader still lives.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderDead`] if it does not.
    pub fn check_reader(&mut self) -> Result<()> {
        self.attachment.check()
    }

    /// The reader, for who has to look after it without the writer.
    pub(crate) fn reader(&self) -> Arc<ReaderWatch> {
        Arc::clone(&self.attachment.reader)
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.attachment.parts.segment
    }

    /// Whether the buffer's name still leads to the buffer that this writer is attached to.
    pub(crate) fn is_current(&self) -> bool {
        self.attachment.is_current()
    }

    /// What a writer that never has to wait does every now and then all the same.
    fn keep_up(&mut self) -> Result<()> {
        self.loans += 1;
        if self.loans == 1 {
            self.find_end(std::thread::yield_now);
        }
        // A reader that replaces its semaphores does so while it starts.
        if self.loans.is_power_of_two() {
            self.attachment.check()?;
        }
        // One that dies does so at any time, and a large buffer takes long to fill.
        self.attachment.check_now_and_then()?;
        // With some readers it grows by one a frame, and must not reach its largest value.
        if self.loans.is_multiple_of(DRAIN_INTERVAL) {
            self.attachment.parts.space.drain();
        }
        Ok(())
    }

    /// Goes on behind a frame that the writer before died over: one that had taken the frame's bytes
    /// and not told where it ends. A reader sees frames by their bytes; if it has read that one, it
    /// is further than has been written. It may be telling so at this moment: `pause` lets it go on.
    fn find_end(&mut self, mut pause: impl FnMut()) {
        let mut before = None;
        for look in 0..=LOOKS {
            let oieb = self.segment().oieb();
            // Acquire: pairs with the release in `Account::tell`; the position is as new as the count.
            let read = oieb.payload_read_count.load(Ordering::Acquire);
            // The frame, and perhaps a wrap before it.
            if !(1..=2).contains(&read.wrapping_sub(self.written_count)) {
                return;
            }
            let position = oieb.payload_read_pos.load(Ordering::Relaxed);
            // Ours tells 0 behind a wrap only, and the frame there is still to come.
            let is_told = position != 0 && before == Some((read, position));
            if is_told || look == LOOKS {
                self.position = position % self.segment().capacity();
                self.written_count = read;
                return;
            }
            before = Some((read, position));
            pause();
        }
    }

    /// Looks how many bytes are free.
    fn refresh_free(&mut self) -> Result<()> {
        self.set_free(self.attachment.parts.free_for_writer())
    }

    fn set_free(&mut self, free: u64) -> Result<()> {
        let capacity = self.segment().capacity();
        if free > capacity {
            let what = format!("{free} bytes free, of {capacity}");
            return Err(Error::Corrupt {
                name: self.name.to_string(),
                what,
            });
        }
        self.free = free;
        Ok(())
    }

    #[cold]
    fn wait_for_space(&mut self, needed: u64, timeout: Duration) -> Result<()> {
        let deadline = Deadline::after(timeout);
        loop {
            let oieb = self.attachment.parts.segment.oieb();
            let is_over = || {
                oieb.payload_free_bytes.load(Ordering::Relaxed) >= needed
                    || oieb.reader_pid.load(Ordering::Relaxed) == 0
            };
            let spun = self.waiter.spin(deadline, Pace::Patient, is_over);
            self.set_free(self.attachment.parts.free_before_sleep())?;
            if self.free >= needed {
                return Ok(());
            }
            self.attachment.check()?;
            if deadline.left().is_zero() {
                return Err(Error::BufferFull {
                    name: self.name.to_string(),
                    needed,
                    free: self.free,
                    waited: timeout,
                });
            }
            if !spun {
                let space = &self.attachment.parts.space;
                self.waiter.sleep(deadline, |time| space.wait(time));
            }
        }
    }

    pub(crate) fn commit(&mut self, placement: Placement, sequence: u64) -> Result<u64> {
        if self.attachment.reader.has_left() {
            return Err(self.attachment.reader.dead());
        }
        let segment = self.segment();
        let (oieb, capacity) = (segment.oieb(), segment.capacity());
        if placement.has_marker() {
            segment.write_payload(self.position, &Header::WRAP.to_bytes());
        } else {
            segment.zero_payload(self.position, placement.skipped);
        }
        Point::WriteMarked.passed();
        let size = placement.total - super::ring::HEADER;
        segment.write_payload(placement.offset, &Header { size, sequence }.to_bytes());
        segment.zero_payload(placement.offset + placement.total, placement.short_tail);

        Point::WriteFilled.passed();
        let position = placement.next_position(capacity);
        let entries = 1 + u64::from(placement.skipped > 0);
        let written_count = self.written_count.wrapping_add(entries);
        let free = self.attachment.parts.take(placement.needed());
        Point::WriteAccounted.passed();
        oieb.payload_write_pos.store(position, Ordering::Relaxed);
        oieb.payload_written_count
            .store(written_count, Ordering::Relaxed);
        Point::WriteCounted.passed();
        self.attachment.post_data();
        Point::WritePosted.passed();

        // What a peer has made of it is found to be wrong when it is next looked at.
        self.free = if free > capacity {
            0
        } else {
            free.saturating_sub(placement.needed())
        };
        self.position = position;
        self.written_count = written_count;
        self.sequence = sequence.wrapping_add(1);
        Ok(sequence)
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
