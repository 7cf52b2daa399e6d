//! What a handler gets and what it gives back.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use super::handler::Answer;
use super::slices::reserve_in_slices;
use super::stop::Stop;
use super::{ChannelName, DuplexError, Result};
use crate::channel::{Error, Frame, Loan, Writer};

/// How often a wait for space looks whether the server is to be stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

/// A request, as a handler sees it.
pub struct Request<'r> {
    channel: &'r ChannelName,
    frame: Frame,
    memory: Cell<Option<ReplyMemory<'r>>>,
}

/// Where a handler can write its reply.
pub(crate) enum ReplyMemory<'r> {
    /// In the response buffer.
    InPlace(Responder<'r>),
    /// In memory of its own: the places of earlier replies are not known yet.
    Apart,
}

/// The server's way to the response buffer.
pub(crate) struct Responder<'r> {
    pub(crate) writer: &'r mut Writer,
    pub(crate) timeout: Duration,
    pub(crate) stop: &'r Stop,
}

impl<'r> Responder<'r> {
    /// Memory for a response; the way to it again if there is none.
    fn loan(self, length: usize) -> std::result::Result<Loan<'r>, (DuplexError, Self)> {
        let patience = || Ok(self.stop.patience());
        let reserve = |wait| self.writer.reserve_in_step(length, wait);
        match reserve_in_slices(self.timeout, STOP_POLL, patience, reserve) {
            Ok(placement) => Ok(Loan {
                writer: self.writer,
                placement,
                length,
            }),
            Err(error) => Err((error, self)),
        }
    }

    /// Sends `answer` as the response to request `sequence`.
    pub(crate) fn send(self, sequence: u64, answer: Answer) -> Result<()> {
        let loan = match &answer {
            Answer::Bytes(bytes) => {
                let mut loan = self.loan(bytes.len()).map_err(|(error, _)| error)?;
                loan.copy_from(bytes);
                loan
            }
            Answer::Frame(frame) => {
                let mut loan = self.loan(frame.len()).map_err(|(error, _)| error)?;
                frame.copy_to_loan(&mut loan);
                loan
            }
        };
        // Before the answer: the client that has it may send at once, and finds nobody at work there.
        drop(answer);
        loan.commit_as(sequence)?;
        Ok(())
    }

    /// Has what the response will change fetched while it is made.
    pub(crate) fn prefetch(&self) {
        self.writer.prefetch();
    }
}

impl<'r> Request<'r> {
    pub(crate) fn new(channel: &'r ChannelName, frame: Frame, memory: ReplyMemory<'r>) -> Self {
        Request {
            channel,
            frame,
            memory: Cell::new(Some(memory)),
        }
    }

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

    /// Memory for a reply of `length` bytes, to be filled by the handler and returned as its reply.
    ///
    /// With one handler at a time it is the reply's place in the response buffer, and nothing is
    /// copied. In a [pool](super::ProcessingMode::ThreadPool) it is memory apart, copied into the
    /// response buffer when the reply's turn comes: its place depends on the replies before it.
    ///
    /// # Errors
    ///
    /// [`DuplexError::AlreadyLoaned`] for a second one; what waiting for space can meet, after which
    /// the handler may reply in another way. Returned by the handler, a full buffer or a client
    /// that has gone is reported as such and not as the handler's failure.
    pub fn loan(&self, length: usize) -> Result<ReplyLoan<'r>> {
        let memory = match self.memory.take() {
            Some(ReplyMemory::InPlace(responder)) => match responder.loan(length) {
                Ok(loan) => Memory::InPlace(loan),
                Err((error, responder)) => {
                    self.memory.set(Some(ReplyMemory::InPlace(responder)));
                    return Err(error);
                }
            },
            Some(ReplyMemory::Apart) if length == 0 => {
                self.memory.set(Some(ReplyMemory::Apart));
                let name = self.channel.response().to_string();
                return Err(Error::InvalidFrameSize { name }.into());
            }
            Some(ReplyMemory::Apart) => Memory::Apart(vec![0; length]),
            None => {
                return Err(DuplexError::AlreadyLoaned {
                    channel: self.channel.to_string(),
                    sequence: self.sequence(),
                });
            }
        };
        Ok(ReplyLoan(memory))
    }

    /// Gives the request's memory back. Where the reply can be written, unless the handler has it.
    pub(crate) fn finish(self) -> Option<ReplyMemory<'r>> {
        self.memory.into_inner()
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

/// Memory for one reply, in the response buffer where that is possible; see [`Request::loan`].
///
/// Its bytes may be anything until they are written.
#[derive(Debug)]
pub struct ReplyLoan<'r>(Memory<'r>);

#[derive(Debug)]
enum Memory<'r> {
    InPlace(Loan<'r>),
    Apart(Vec<u8>),
}

impl ReplyLoan<'_> {
    /// Number of bytes; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match &self.0 {
            Memory::InPlace(loan) => loan.len(),
            Memory::Apart(bytes) => bytes.len(),
        }
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
        match &mut self.0 {
            Memory::InPlace(loan) => loan.write_at(offset, data),
            Memory::Apart(bytes) => bytes[offset..][..data.len()].copy_from_slice(data),
        }
    }

    /// The memory in place.
    ///
    /// # Safety
    ///
    /// As [`Loan::as_mut_slice`].
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        match &mut self.0 {
            // SAFETY: the caller's promise is the same.
            Memory::InPlace(loan) => unsafe { loan.as_mut_slice() },
            Memory::Apart(bytes) => bytes,
        }
    }
}

/// What a handler answers.
#[derive(Debug)]
pub struct Reply<'r>(pub(crate) Content<'r>);

#[derive(Debug)]
pub(crate) enum Content<'r> {
    /// Bytes that the handler brought.
    Bytes(Vec<u8>),
    /// What it wrote into memory apart.
    Apart(Vec<u8>),
    /// What it wrote into the response buffer.
    InPlace(Loan<'r>),
}

impl<'r> Reply<'r> {
    /// Bytes, at least one, to be copied into the response buffer.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Reply<'r> {
        Reply(Content::Bytes(bytes.into()))
    }
}

impl<'r> From<ReplyLoan<'r>> for Reply<'r> {
    fn from(loan: ReplyLoan<'r>) -> Self {
        Reply(match loan.0 {
            Memory::InPlace(loan) => Content::InPlace(loan),
            Memory::Apart(bytes) => Content::Apart(bytes),
        })
    }
}
