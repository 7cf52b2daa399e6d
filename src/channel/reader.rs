//! The reading side of a buffer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::account::{Account, Interrupt, Reached, Unread};
use super::layout::{BufferConfig, METADATA_PREFIX, Oieb, Segment};
use super::owner::Owner;
use super::point::Point;
use super::posts::Posts;
use super::ring::{Found, HEADER, Header};
use super::sys::process::own_pid;
use super::wait::{Deadline, Pace, WaitStrategy, Waiter};
use super::writer_state::WriterState;
use super::{BufferName, Error, Frame, Result};

/// After so few looks a frame comes only if it was not asked for: an answer takes longer.
const FEW_LOOKS: u32 = 8;

/// After so many frames without a wait between them, the writer is in the middle of a stream.
const STREAM: u64 = 64;

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
    account: Arc<Account>,
    position: u64,
    reached: Reached,
    /// Frames that were read without a wait.
    run: u64,
    expected: u64,
    /// What there was to read when it was last looked at, less what was read since.
    unread: Unread,
    gaps: Gaps,
    waiter: Waiter,
    pace: Pace,
    posts: Posts,
    writer: WriterState,
    _owner: Owner,
}

/// What a reader does about a sequence number that is larger than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// An error: a frame was lost.
    Refused,
    /// The frame is handed out, and the next number is expected behind it.
    Allowed,
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
        let account = Arc::new(Account::new(Arc::clone(owner.parts())));
        Ok(Reader {
            name: name.clone(),
            unread: account.untouched(),
            account,
            position: 0,
            reached: Reached::default(),
            run: 0,
            expected: 1,
            gaps: Gaps::Refused,
            waiter: Waiter::new(WaitStrategy::default()),
            pace: Pace::Eager,
            posts: Posts::default(),
            writer: WriterState::awaited(0),
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
        self.waiter.set_strategy(strategy);
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
    #[inline]
    pub fn read(&mut self, timeout: Duration) -> Result<Option<Frame>> {
        match self.next_frame()? {
            Some(frame) => Ok(Some(frame)),
            None => self.wait_for_frame(timeout),
        }
    }

    /// What ends this reader's waits from another thread; what is there is still read.
    pub(crate) fn interrupt(&self) -> Interrupt {
        Interrupt::of(&self.account)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.account.is_interrupted()
    }

    /// Forgets that it was interrupted. What happened before the interrupt is visible afterwards.
    pub(crate) fn rearm(&mut self) {
        if self.account.rearm() {
            // Its post, or it would end a wait in vain.
            self.posts.take_one(&self.account.parts.data);
        }
    }

    /// The metadata, once the writer has written it.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if its length does not fit its block.
    pub fn metadata(&self) -> Result<Option<Vec<u8>>> {
        let segment = self.segment();
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
        self.writer.is_connected()
    }

    /// Forgets a writer that has gone: [`Reader::read`] waits for the next one, which may write
    /// metadata of its own. What the old one wrote is still read. Nothing happens while a writer is
    /// attached.
    pub fn await_next_writer(&mut self) {
        let oieb = self.oieb();
        let own = own_pid();
        // Acquire and release: nobody else writes to what is reset in between.
        if oieb
            .writer_pid
            .compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return;
        }
        self.segment().reset_metadata();
        let written = oieb.payload_written_count.load(Ordering::Relaxed);
        oieb.writer_pid.store(0, Ordering::Release);
        self.writer = WriterState::awaited(written);
        // What is still to be read goes on with the old writer's numbers.
        if matches!(self.account.unread(), Ok(Unread { bytes: 0, .. })) {
            self.expected = 1;
        }
    }

    /// Gives back all that can be, and says how many posts of the data semaphore were taken beyond
    /// the frames that were read. With its value they make the number of unread frames, unless a
    /// writer is at work.
    #[cfg(feature = "serve")]
    pub(crate) fn settle(&mut self) -> i64 {
        self.account.give_back_all();
        self.posts.balance(&self.account.parts.data)
    }

    /// The sequence number that the next frame should have.
    #[cfg(feature = "serve")]
    pub(crate) fn expected_sequence(&self) -> u64 {
        self.expected
    }

    fn segment(&self) -> &Segment {
        &self.account.parts.segment
    }

    fn oieb(&self) -> &Oieb {
        self.segment().oieb()
    }

    fn capacity(&self) -> u64 {
        self.segment().capacity()
    }

    /// The next frame, of which nothing was to be seen a moment ago.
    #[cold]
    fn wait_for_frame(&mut self, timeout: Duration) -> Result<Option<Frame>> {
        let deadline = Deadline::after(timeout);
        let pace = self.pace;
        self.run = 0;
        loop {
            let (seen, account) = (self.unread, &self.account);
            let mut looks = 0_u32;
            let has_changed = || {
                looks = looks.saturating_add(1);
                account.has_changed(seen)
            };
            if self.waiter.spin(deadline, pace, has_changed) {
                if let Some(frame) = self.next_frame()? {
                    self.learn_pace(looks);
                    return Ok(Some(frame));
                }
            } else {
                if let Some(frame) = self.look_around()? {
                    return Ok(Some(frame));
                }
                self.sleep(deadline);
            }
            if let Some(frame) = self.next_frame()? {
                return Ok(Some(frame));
            }
            if self.account.is_interrupted() || deadline.left().is_zero() {
                return Ok(None);
            }
        }
    }

    /// After `looks` for a frame that has come: whether the next ones come one after another without
    /// being asked for. A writer in the middle of a stream is faster if it is let alone; one that
    /// answers has nothing to do until it is asked again.
    fn learn_pace(&mut self, looks: u32) {
        let is_streaming = match self.pace {
            Pace::Eager => looks <= FEW_LOOKS,
            Pace::Patient => self.unread.bytes > 0,
        };
        self.pace = if is_streaming {
            Pace::Patient
        } else {
            Pace::Eager
        };
    }

    /// Sleeps until a post comes that is not of a frame taken before, or for a tick.
    fn sleep(&mut self, deadline: Deadline) {
        self.account.give_back_all();
        let data = &self.account.parts.data;
        self.posts.settle(data);
        if !self.account.has_changed(self.unread)
            && self.waiter.sleep(deadline, |time| data.wait(time))
        {
            self.posts.post_taken();
        }
    }

    /// What is still to be read of a writer that has gone; `None` while it may write more.
    fn look_around(&mut self) -> Result<Option<Frame>> {
        self.look_at_writer();
        let Some(gone) = self.writer.gone() else {
            return Ok(None);
        };
        // What it wrote before it went is there by now.
        if let Some(frame) = self.next_frame()? {
            return Ok(Some(frame));
        }
        // The next writer finds all that can be given back, and what is released from now on.
        self.account.give_back_all();
        if self.writer.is_in_its_place() && !self.recover_from(gone) {
            return Ok(None);
        }
        Err(Error::WriterDead {
            name: self.name.to_string(),
            pid: gone,
        })
    }

    fn look_at_writer(&mut self) {
        let account = Arc::clone(&self.account);
        if self.writer.look(account.parts.segment.oieb()) {
            self.posts.settle(&account.parts.data);
            self.posts.forget();
        }
    }

    /// Puts the buffer in order after a writer that died, perhaps in the middle of a frame; whether
    /// it was still in its place. All that it wrote has been read.
    fn recover_from(&mut self, pid: u64) -> bool {
        let oieb = self.oieb();
        // Acquire and release: another writer that finds 0 finds the rest in order.
        let taken =
            oieb.writer_pid
                .compare_exchange(pid, own_pid(), Ordering::Acquire, Ordering::Relaxed);
        if taken.is_err() {
            return false;
        }
        Point::RecoveryBegun.passed();
        self.account.write_off_unread();
        oieb.payload_write_pos
            .store(self.position, Ordering::Relaxed);
        oieb.payload_written_count
            .store(self.reached.count, Ordering::Relaxed);
        self.account.parts.data.drain();
        Point::RecoveryDone.passed();
        oieb.writer_pid.store(0, Ordering::Release);
        tracing::debug!(name = %self.name, pid, "put the buffer in order after a dead writer");
        self.writer = WriterState::left(pid);
        self.posts.begin_anew();
        self.unread = self.account.unread().unwrap_or(self.unread);
        true
    }

    /// The frame at the read position, if one is there.
    #[inline]
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let mut skipped = false;
        loop {
            if self.unread.bytes == 0 {
                self.unread = self.account.unread().map_err(|why| self.corrupt(why))?;
                if self.unread.bytes == 0 {
                    // The post of an interrupt is not for nothing.
                    if !self.account.is_interrupted() {
                        self.posts.nothing_there();
                    }
                    return Ok(None);
                }
            }
            let (capacity, position) = (self.capacity(), self.position);
            let header = Found::has_header(capacity, position).then(|| self.header(position));
            match Found::at(capacity, position, header, self.unread.bytes) {
                Ok(Found::Frame { total }) => {
                    let sequence = header.map_or(0, |header| header.sequence);
                    match self.check_sequence(sequence) {
                        Ok(restarted) => {
                            return Ok(Some(self.take_frame(total, sequence, restarted)));
                        }
                        Err(error) if self.is_refused()? => return Err(error),
                        Err(_) => {}
                    }
                }
                Ok(Found::Wrap { .. }) if skipped => {
                    if self.is_refused()? {
                        return Err(self.corrupt("a second wrap marker at the beginning"));
                    }
                }
                Ok(Found::Wrap { skipped: bytes }) => {
                    self.skip(bytes);
                    skipped = true;
                    // Some writers account for the skipped bytes before their frame is there.
                    continue;
                }
                Err(bad) if self.is_refused()? => return Err(self.corrupt(bad)),
                Err(_) => {}
            }
            if self.unread.bytes == 0 {
                return Ok(None);
            }
        }
    }

    /// Whether what stands at the read position, which is not a frame, is an error: if its post was
    /// taken before it was looked at. If there is a post now, it is to be looked at again. Otherwise it
    /// is the work of a writer that died within it, or that has not done with it yet, and nothing is
    /// there to be read.
    #[cold]
    fn is_refused(&mut self) -> Result<bool> {
        if self.posts.has_spare() && !self.account.is_interrupted() {
            return Ok(true);
        }
        let account = &self.account;
        let seen = account.unread().map_err(|why| self.corrupt(why))?;
        let is_posted = !account.is_interrupted() && self.posts.vouch(&account.parts.data);
        self.unread = if is_posted { seen } else { seen.nothing() };
        Ok(false)
    }

    fn header(&self, position: u64) -> Header {
        let mut bytes = [0; HEADER as usize];
        self.segment().read_payload(position, &mut bytes);
        Header::from_bytes(bytes)
    }

    fn skip(&mut self, bytes: u64) {
        self.advance(bytes, 0);
        self.account.skip(bytes, self.reached);
        Point::WrapGivenBack.passed();
    }

    fn take_frame(&mut self, total: u64, sequence: u64, restarted: bool) -> Frame {
        // A writer is watched from its first frame on, even by a reader that never has to wait: who
        // gets its process id later is not it.
        if restarted || !self.writer.is_in_its_place() {
            self.look_at_writer();
        }
        let offset = self.position;
        self.posts.frame_taken(&self.account.parts.data);
        self.advance(total, offset + total);
        // A writer in the middle of a stream can wait to be told: this reader knows of more to read.
        self.run += 1;
        let is_streaming = self.run > STREAM && self.unread.bytes > 0;
        let number = self.account.hold(total, self.reached, is_streaming);
        Point::ReadHeld.passed();
        self.expected = sequence.wrapping_add(1);
        Frame {
            account: Arc::clone(&self.account),
            offset: offset + HEADER,
            length: (total - HEADER) as usize,
            sequence,
            restarted,
            number,
        }
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

    /// Goes on by an entry of `bytes`, to `position`.
    fn advance(&mut self, bytes: u64, position: u64) {
        self.unread.bytes -= bytes;
        self.position = position % self.capacity();
        self.reached = Reached {
            position,
            count: self.reached.count.wrapping_add(1),
        };
    }

    fn corrupt(&self, what: impl ToString) -> Error {
        Error::Corrupt {
            name: self.name.to_string(),
            what: what.to_string(),
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
