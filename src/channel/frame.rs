//! Frames as the reader hands them out.

use std::fmt;
use std::slice;
use std::sync::Arc;

use super::Loan;
use super::account::Account;

/// A frame that was read: its data stands in the segment until the frame is dropped.
///
/// Dropping it gives its memory back to the writer, in the order in which frames were written: a
/// frame dropped before an older one goes back together with that, and in a stream several go back at
/// once. A frame may be sent to another thread, and may outlive its reader.
pub struct Frame {
    pub(crate) account: Arc<Account>,
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) sequence: u64,
    pub(crate) restarted: bool,
    /// Its number in the ledger.
    pub(crate) number: u64,
}

impl Frame {
    /// The sequence number that its writer gave it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the sequence began anew with this frame: its writer is not the one before.
    pub fn restarted(&self) -> bool {
        self.restarted
    }

    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.length
    }

    /// A copy of the data.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut data = vec![0; self.length];
        self.copy_to(&mut data);
        data
    }

    /// Copies the data into `to`, as much as fits; the number of bytes copied.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let count = self.length.min(to.len());
        let segment = &self.account.parts.segment;
        segment.read_payload(self.offset, &mut to[..count]);
        count
    }

    /// The data in place, to be changed.
    ///
    /// # Safety
    ///
    /// As [`Frame::as_slice`], and the writer must not look at the data either.
    pub(crate) unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        let address = self.account.parts.segment.payload(self.offset, self.length);
        // SAFETY: `payload` has seen that the range is mapped, and a reader maps it writable; it
        // stays so as long as `self`, which the slice borrows alone. That nobody else touches it is
        // the caller's promise.
        unsafe { slice::from_raw_parts_mut(address, self.length) }
    }

    /// Copies the data to the beginning of `loan`, as much as fits.
    pub(crate) fn copy_to_loan(&self, loan: &mut Loan<'_>) {
        let count = self.length.min(loan.len());
        // SAFETY: both addresses are those of mapped ranges at least so long, which stay mapped as
        // long as `self` and `loan`; should a peer have made them overlap, `copy` allows it. As in
        // `Segment::read_payload`, a peer that writes meanwhile makes wrong values only.
        unsafe { std::ptr::copy(self.as_ptr(), loan.as_mut_ptr(), count) };
    }

    /// The address of the data, for reading [`Frame::len`] bytes as long as the frame lives.
    pub fn as_ptr(&self) -> *const u8 {
        self.account.parts.segment.payload(self.offset, self.length)
    }

    /// The data in place.
    ///
    /// # Safety
    ///
    /// The writer must keep to the protocol while the slice is in use: it does not touch memory
    /// that has not been given back. A peer that is not trusted is read with [`Frame::copy_to`].
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: `as_ptr` has seen that the range is mapped; it stays so as long as `self`, which
        // the slice borrows. That nobody writes to it is the caller's promise.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.length) }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("sequence", &self.sequence)
            .field("len", &self.length)
            .finish_non_exhaustive()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.account.release(self.number);
    }
}
