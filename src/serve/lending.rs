//! A loan that stays open from one step to the next.
//!
//! A loan borrows its writer, so the two live on a thread of their own that takes orders.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use super::ends::{Loan, Writer};
use super::failure::{Failure, StepOutcome};
use super::pattern;

/// Memory for one frame, lent and not yet committed. Dropped, nothing is sent and the writer is
/// closed.
#[derive(Debug)]
pub struct OpenLoan {
    /// `None` when the thread is to end.
    orders: Option<Sender<Order>>,
    replies: Receiver<StepOutcome>,
    thread: Option<JoinHandle<Writer>>,
}

#[derive(Debug)]
enum Order {
    Fill,
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
            .spawn(move || lend(writer, size, &waiting, &reply))?;
        let loan = OpenLoan {
            orders: Some(orders),
            replies,
            thread: Some(thread),
        };
        loan.reply()?;
        Ok(loan)
    }

    /// Fills the frame in place with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If the lending thread is gone.
    pub fn fill(&self) -> StepOutcome {
        self.order(Order::Fill)
    }

    /// Sends the frame; the writer is free again.
    ///
    /// # Errors
    ///
    /// If the reader has gone.
    pub fn commit(mut self) -> Result<Writer, Failure> {
        self.order(Order::Commit)?;
        self.end().ok_or_else(gone)
    }

    /// Ends the thread; the writer, unless it is gone.
    fn end(&mut self) -> Option<Writer> {
        self.orders = None;
        self.thread.take()?.join().ok()
    }

    fn order(&self, order: Order) -> StepOutcome {
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send(order).map_err(|_| gone())?;
        self.reply()
    }

    fn reply(&self) -> StepOutcome {
        self.replies.recv().map_err(|_| gone())?
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
    reply: &Sender<StepOutcome>,
) -> Writer {
    let outcome = match writer.loan(size) {
        Ok(loan) => {
            // A reply that nobody waits for is one whose loan is being dropped.
            let _ = reply.send(Ok(()));
            obey(loan, orders, reply)
        }
        Err(error) => Some(Err(error.into())),
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
    reply: &Sender<StepOutcome>,
) -> Option<StepOutcome> {
    for order in orders {
        match order {
            Order::Fill => {
                let data = pattern::sequenced(loan.len(), loan.sequence());
                loan.copy_from(&data);
                let _ = reply.send(Ok(()));
            }
            Order::Commit => return Some(loan.commit().map(drop).map_err(Failure::from)),
        }
    }
    None
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
        let loan = OpenLoan::open(writer, 100).unwrap();
        loan.fill().unwrap();
        assert!(reader.read(Duration::ZERO).unwrap().is_none());
        let mut writer = loan.commit().unwrap();
        let frame = reader.read(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(frame.to_vec(), pattern::sequenced(100, 1));
        assert_eq!(writer.write(b"x").unwrap(), 2);
    }

    #[test]
    fn a_dropped_loan_sends_nothing_and_closes_the_writer() {
        let (mut reader, writer) = pair("dropped");
        let name = writer.name().clone();
        let loan = OpenLoan::open(writer, 100).unwrap();
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
}
