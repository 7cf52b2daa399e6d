//! A loan that stays open from one step to the next.
//!
//! A loan borrows its writer, so the two live on a thread of their own that takes orders.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use super::{Loan, Writer};
use crate::Error;
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::pattern;
use crate::span::in_current_span;

/// Memory for one frame, lent and not yet committed. Dropped, nothing is sent and the writer is
/// closed.
#[derive(Debug)]
pub struct OpenLoan {
    /// `None` when the thread is to end.
    orders: Option<Sender<Order>>,
    replies: Receiver<Result<(), Error>>,
    thread: Option<JoinHandle<Writer>>,
    size: usize,
    /// Whether all of it has the data of its sequence number.
    is_filled: bool,
}

#[derive(Debug)]
enum Order {
    /// The first bytes, so many of them.
    Fill(usize),
    Commit,
}

impl OpenLoan {
    /// Borrows memory for a frame of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the writer does not lend it; the writer is lost then.
    pub fn open(writer: Writer, size: usize) -> Result<OpenLoan, Failure> {
        let (orders, waiting) = mpsc::channel();
        let (reply, replies) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("loan".into())
            .spawn(in_current_span(move || {
                lend(writer, size, &waiting, &reply)
            }))?;
        let loan = OpenLoan {
            orders: Some(orders),
            replies,
            thread: Some(thread),
            size,
            is_filled: false,
        };
        loan.reply()??;
        Ok(loan)
    }

    /// Fills the frame in place with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If the lending thread is gone.
    pub fn fill(&mut self) -> StepOutcome {
        self.order(Order::Fill(self.size))??;
        self.is_filled = true;
        Ok(())
    }

    /// Size of the frame in bytes, if it was filled.
    pub fn filled(&self) -> Option<usize> {
        self.is_filled.then_some(self.size)
    }

    /// Fills the first half only.
    ///
    /// # Errors
    ///
    /// If the lending thread is gone.
    pub fn fill_half(&self) -> StepOutcome {
        Ok(self.order(Order::Fill(self.size / 2))??)
    }

    /// Sends the frame. The writer is free again, also if the reader has gone, as the error says.
    ///
    /// # Errors
    ///
    /// If the lending thread is gone.
    pub fn commit(mut self) -> Result<(Writer, Result<(), Error>), Failure> {
        let committed = self.order(Order::Commit)?;
        Ok((self.end().ok_or_else(gone)?, committed))
    }

    /// Ends the thread; the writer, unless it is gone.
    fn end(&mut self) -> Option<Writer> {
        self.orders = None;
        self.thread.take()?.join().ok()
    }

    fn order(&self, order: Order) -> Result<Result<(), Error>, Failure> {
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(order).map_err(|_| gone())?;
        self.reply()
    }

    fn reply(&self) -> Result<Result<(), Error>, Failure> {
        self.replies.recv().map_err(|_| gone())
    }
}

impl Drop for OpenLoan {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn gone() -> Failure {
    io::Error::other("the thread that holds the loan is gone").into()
}

fn lend(
    mut writer: Writer,
    size: usize,
    orders: &Receiver<Order>,
    reply: &Sender<Result<(), Error>>,
) -> Writer {
    let outcome = match writer.loan(size) {
        Ok(loan) => {
            // A reply that nobody waits for is one whose loan is being dropped.
            let _ = reply.send(Ok(()));
            obey(loan, orders, reply)
        }
        Err(error) => Some(Err(error)),
    };
    if let Some(outcome) = outcome {
        let _ = reply.send(outcome);
    }
    writer
}

/// Carries out orders; what came of the commit, if it was ordered.
fn obey(
    mut loan: Loan<'_>,
    orders: &Receiver<Order>,
    reply: &Sender<Result<(), Error>>,
) -> Option<Result<(), Error>> {
    for order in orders {
        match order {
            Order::Fill(length) => {
                fill(&mut loan, length);
                let _ = reply.send(Ok(()));
            }
            Order::Commit => return Some(loan.commit().map(drop)),
        }
    }
    None
}

/// Fills the first bytes, so many of them, with the data of the frame's sequence number: piece by piece,
/// with no copy of the whole.
fn fill(loan: &mut Loan<'_>, length: usize) {
    let piece = pattern::sequenced_piece(loan.sequence());
    for offset in (0..length).step_by(piece.len()) {
        let rest = piece.len().min(length - offset);
        loan.write_at(offset, &piece[..rest]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BufferConfig, BufferName, Reader};
    use std::time::Duration;

    fn pair(test: &str) -> (Reader, Writer) {
        let name = format!("serve-lending-{test}-{}", std::process::id());
        let name = BufferName::new(name).unwrap();
        let config = BufferConfig {
            metadata_size: 64,
            payload_size: 4096,
        };
        let reader = Reader::create(&name, &config).unwrap();
        let writer = Writer::connect(&name, Duration::ZERO).unwrap();
        (reader, writer)
    }

    #[test]
    fn nothing_is_sent_before_the_commit() {
        let (mut reader, writer) = pair("commit");
        let mut loan = OpenLoan::open(writer, 100).unwrap();
        loan.fill().unwrap();
        assert!(reader.read(Duration::ZERO).unwrap().is_none());
        let (mut writer, committed) = loan.commit().unwrap();
        committed.unwrap();
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.to_vec(), pattern::sequenced(100, 1).unwrap());
        assert_eq!(writer.write(b"x").unwrap(), 2);
    }

    #[test]
    fn a_dropped_loan_sends_nothing_and_closes_the_writer() {
        let (mut reader, writer) = pair("dropped");
        let name = writer.name().clone();
        let mut loan = OpenLoan::open(writer, 100).unwrap();
        loan.fill().unwrap();
        assert!(Writer::connect(&name, Duration::ZERO).is_err());
        drop(loan);
        let mut writer = Writer::connect(&name, Duration::ZERO).unwrap();
        writer.write(b"next").unwrap();
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.to_vec(), b"next");
    }

    #[test]
    fn a_loan_that_is_refused_says_why() {
        let (_reader, writer) = pair("refused");
        let failure = OpenLoan::open(writer, 5000).unwrap_err();
        assert!(failure.to_string().contains("5000"), "{failure}");
    }

    #[test]
    fn half_a_frame_can_be_filled_and_the_writer_outlives_its_reader() {
        let (mut reader, writer) = pair("half");
        let loan = OpenLoan::open(writer, 100).unwrap();
        loan.fill_half().unwrap();
        let (writer, committed) = loan.commit().unwrap();
        committed.unwrap();
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        let half = [&pattern::sequenced(50, 1).unwrap()[..], &[0; 50]].concat();
        assert_eq!(frame.to_vec(), half);
        drop(frame);
        let loan = OpenLoan::open(writer, 100).unwrap();
        drop(reader);
        let (_writer, committed) = loan.commit().unwrap();
        assert!(matches!(committed, Err(Error::ReaderDead { .. })));
    }
}
