//! The half of a client that sends requests.

use std::sync::Arc;
use std::time::Duration;

use super::halves::Halves;
use super::slices::reserve_in_slices;
use super::{ChannelName, DuplexError, Result};
use crate::channel::{self, Loan, Placement, TICK, Writer};

/// How long sending waits for space, unless set.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The half of a client that sends requests, from
/// [`DuplexClient::split`](super::DuplexClient::split).
///
/// Dropped, it tells the server that no more requests will come; those that were sent are answered
/// all the same.
#[derive(Debug)]
pub struct RequestSender {
    name: ChannelName,
    pub(crate) requests: Writer,
    pub(crate) halves: Arc<Halves>,
    write_timeout: Duration,
}

impl RequestSender {
    pub(crate) fn new(name: ChannelName, requests: Writer, halves: Arc<Halves>) -> RequestSender {
        RequestSender {
            name,
            requests,
            halves,
            write_timeout: WRITE_TIMEOUT,
        }
    }

    /// The channel's name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Gives the server metadata, once and before the first request.
    ///
    /// # Errors
    ///
    /// As [`Writer::set_metadata`].
    pub fn set_metadata(&mut self, metadata: &[u8]) -> Result<()> {
        Ok(self.requests.set_metadata(metadata)?)
    }

    /// How long sending waits for space; 5 seconds unless set.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.write_timeout = timeout;
    }

    /// The sequence number of the next request; the first is 1.
    pub fn next_sequence(&self) -> u64 {
        self.requests.next_sequence()
    }

    /// Sends a request; its sequence number.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`]; [`DuplexError::OtherHalfDropped`] if nobody would receive the answer,
    /// be the receiver dropped before or while this waits for space.
    pub fn send(&mut self, request: &[u8]) -> Result<u64> {
        let mut loan = self.loan(request.len())?;
        loan.copy_from(request);
        loan.commit()
    }

    /// Memory for a request of `length` bytes, to be filled in place.
    ///
    /// # Errors
    ///
    /// As [`RequestSender::send`].
    pub fn loan(&mut self, length: usize) -> Result<RequestLoan<'_>> {
        self.loan_where(length, Writer::reserve)
    }

    /// As [`RequestSender::send`], for who sends nothing else before the answer has come.
    pub(crate) fn send_in_step(&mut self, request: &[u8]) -> Result<u64> {
        let mut loan = self.loan_where(request.len(), Writer::reserve_in_step)?;
        loan.copy_from(request);
        loan.commit()
    }

    fn loan_where(
        &mut self,
        length: usize,
        reserve: impl Fn(&mut Writer, usize, Duration) -> channel::Result<Placement>,
    ) -> Result<RequestLoan<'_>> {
        let patience = || match self.halves.has_receiver() {
            true => Ok(Duration::MAX),
            false => Err(DuplexError::OtherHalfDropped {
                channel: self.name.to_string(),
            }),
        };
        let reserve = |wait| reserve(&mut self.requests, length, wait);
        let placement = reserve_in_slices(self.write_timeout, TICK, patience, reserve)?;
        Ok(RequestLoan {
            loan: Loan {
                writer: &mut self.requests,
                placement,
                length,
            },
            halves: &self.halves,
        })
    }

    /// Looks after the server, and after semaphores that it may have replaced while it started.
    pub(crate) fn check_server(&mut self) -> channel::Result<()> {
        self.requests.check_reader()
    }
}

impl Drop for RequestSender {
    fn drop(&mut self) {
        self.halves.sender_leaves();
    }
}

/// Memory in the request buffer for one request.
///
/// [`RequestLoan::commit`] sends it; dropped, nothing was sent.
#[derive(Debug)]
pub struct RequestLoan<'s> {
    loan: Loan<'s>,
    halves: &'s Halves,
}

impl RequestLoan<'_> {
    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.loan.len()
    }

    /// The sequence number that the request will have.
    pub fn sequence(&self) -> u64 {
        self.loan.sequence()
    }

    /// Copies `data` to the beginning.
    ///
    /// # Panics
    ///
    /// If it is longer than the loan.
    pub fn copy_from(&mut self, data: &[u8]) {
        self.loan.copy_from(data);
    }

    /// Copies `data` to `offset`.
    ///
    /// # Panics
    ///
    /// If it reaches beyond the loan.
    pub fn write_at(&mut self, offset: usize, data: &[u8]) {
        self.loan.write_at(offset, data);
    }

    /// The address of the memory, for writing [`RequestLoan::len`] bytes as long as the loan lives.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.loan.as_mut_ptr()
    }

    /// The memory in place.
    ///
    /// # Safety
    ///
    /// As [`Loan::as_mut_slice`].
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the caller's promise is the same.
        unsafe { self.loan.as_mut_slice() }
    }

    /// Sends the request; its sequence number.
    ///
    /// # Errors
    ///
    /// As [`Loan::commit`].
    pub fn commit(self) -> Result<u64> {
        self.halves.announce(self.loan.sequence());
        Ok(self.loan.commit()?)
    }
}
