//! Frames that are written in place.

use std::fmt;
use std::slice;

use super::ring::Placement;
use super::{Result, Writer};

/// Memory in the segment for one frame, to be filled and committed.
///
/// Nothing shared changes before [`Loan::commit`]: dropped, or lost with its process, it leaves no
/// trace and the reader sees nothing. Its bytes are what was there before until they are written.
///
/// ```
/// use std::time::Duration;
/// use zerobuffer::{BufferConfig, BufferName, Reader, Writer};
///
/// # fn main() -> Result<(), zerobuffer::Error> {
/// # let name = BufferName::new(format!("doc-loan-{}", std::process::id()))?;
/// let mut reader = Reader::create(&name, &BufferConfig::new(64, 1024))?;
/// let mut writer = Writer::connect(&name, Duration::from_secs(5))?;
/// let mut loan = writer.loan(4)?;
/// loan.write_at(0, b"ab");
/// loan.write_at(2, b"cd");
/// let sequence = loan.commit()?;
/// let frame = reader.read(Duration::from_secs(1))?.expect("a frame was committed");
/// assert_eq!((frame.sequence(), frame.to_vec()), (sequence, b"abcd".to_vec()));
/// # Ok(())
/// # }
/// ```
pub struct Loan<'w> {
    pub(crate) writer: &'w mut Writer,
    pub(crate) placement: Placement,
    pub(crate) length: usize,
}

impl Loan<'_> {
    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.length
    }

    /// The sequence number that the frame will have.
    pub fn sequence(&self) -> u64 {
        self.writer.next_sequence()
    }

    /// Copies `data` to the beginning.
    ///
    /// # Panics
    ///
    /// If it is longer than the loan.
    pub fn copy_from(&mut self, data: &[u8]) {
        self.write_at(0, data);
    }

    /// Copies `data` to `offset`.
    ///
    /// # Panics
    ///
    /// If it reaches beyond the loan.
    pub fn write_at(&mut self, offset: usize, data: &[u8]) {
        let fits = offset
            .checked_add(data.len())
            .is_some_and(|end| end <= self.length);
        assert!(
            fits,
            "{} bytes at {offset} of a loan of {}",
            data.len(),
            self.length
        );
        self.writer
            .segment()
            .write_payload(self.placement.data() + offset as u64, data);
    }

    /// The address of the memory, for writing [`Loan::len`] bytes as long as the loan lives.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.writer
            .segment()
            .payload(self.placement.data(), self.length)
    }

    /// The memory in place.
    ///
    /// # Safety
    ///
    /// The reader must keep to the protocol while the slice is in use: it does not touch memory
    /// that it has given back.
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `as_mut_ptr` has seen that the range is mapped; the bytes are initialised as all
        // of a segment is; the slice borrows the loan. That nobody else touches it is the caller's
        // promise.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.length) }
    }

    /// Sends the frame; its sequence number.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderDead`](super::Error::ReaderDead) if the reader has left meanwhile.
    pub fn commit(self) -> Result<u64> {
        let sequence = self.sequence();
        self.commit_as(sequence)
    }

    pub(crate) fn commit_as(self, sequence: u64) -> Result<u64> {
        self.writer.commit(self.placement, sequence)
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}
