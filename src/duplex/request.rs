//! What a handler gets and what it gives back.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use super::session::Stop;
use super::{DuplexError, Result};
use crate::channel::{self, Error, Frame, Loan, TICK, Writer};

/// Any error of a handler.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// A request, as a handler sees it.
pub struct Request<'r> {
    pub(crate) channel: &'r str,
    pub(crate) frame: Frame,
    pub(crate) responder: Cell<Option<Responder<'r>>>,
}

/// The server's way to the response buffer.
pub(crate) struct Responder<'r> {
    pub(crate) writer: &'r mut Writer,
    pub(crate) timeout: Duration,
    pub(crate) stop: &'r Stop,
}

impl<'r> Responder<'r> {
    /// Memory for a response, waiting for it no longer than the server lives.
    pub(crate) fn loan(self, length: usize) -> channel::Result<Loan<'r>> {
        let mut left = self.timeout;
        loop {
            match self.writer.reserve(length, left.min(TICK)) {
                Ok(placement) => {
                    return Ok(Loan {
                        writer: self.writer,
                        placement,
                        length,
                    });
                }
                Err(Error::BufferFull { .. }) if left > TICK && !self.stop.is_requested() => {}
                Err(error) => return Err(error),
            }
            left = left.saturating_sub(TICK);
        }
    }
}

impl<'r> Request<'r> {
    /// The sequence number that the client gave it; its response carries the same.
    pub fn sequence(&self) -> u64 {
        self.frame.sequence()
    }

    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.frame.len()
    }

    /// A copy of the data.
    pub fn to_vec(&self) -> Vec<u8> {
        self.frame.to_vec()
    }

    /// Copies the data into `to`, as much as fits; the number of bytes copied.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        self.frame.copy_to(to)
    }

    /// The frame itself.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Memory in the response buffer for a reply of `length` bytes, to be filled in place.
    ///
    /// # Errors
    ///
    /// [`DuplexError::AlreadyLoaned`] for a second one; what waiting for space can meet.
    pub fn loan(&self, length: usize) -> Result<ReplyLoan<'r>> {
        let responder = self
            .responder
            .take()
            .ok_or_else(|| DuplexError::AlreadyLoaned {
                channel: self.channel.to_owned(),
                sequence: self.sequence(),
            })?;
        Ok(ReplyLoan {
            loan: responder.loan(length)?,
        })
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

/// Memory in the response buffer for one reply.
#[derive(Debug)]
pub struct ReplyLoan<'r> {
    pub(crate) loan: Loan<'r>,
}

impl ReplyLoan<'_> {
    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.loan.len()
    }

    /// Copies `data` to the beginning; panics if it is longer than the loan.
    pub fn copy_from(&mut self, data: &[u8]) {
        self.loan.copy_from(data);
    }

    /// Copies `data` to `offset`; panics if it reaches beyond the loan.
    pub fn write_at(&mut self, offset: usize, data: &[u8]) {
        self.loan.write_at(offset, data);
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
}

/// What a handler answers.
#[derive(Debug)]
pub struct Reply<'r>(pub(crate) Content<'r>);

#[derive(Debug)]
pub(crate) enum Content<'r> {
    Bytes(Vec<u8>),
    InPlace(ReplyLoan<'r>),
}

impl<'r> Reply<'r> {
    /// Bytes, at least one, to be copied into the response buffer.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Reply<'r> {
        Reply(Content::Bytes(bytes.into()))
    }
}

impl<'r> From<ReplyLoan<'r>> for Reply<'r> {
    fn from(loan: ReplyLoan<'r>) -> Self {
        Reply(Content::InPlace(loan))
    }
}
