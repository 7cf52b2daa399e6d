//! A request that is written in place, from one step to the next.
//!
//! Its memory is borrowed from the client, so the two live on a thread of their own that takes
//! orders.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use crate::duplex::{DuplexClient, RequestLoan};
use crate::serve::allocations::{are_counted, counted};
use crate::serve::failure::{Failure, StepOutcome};
use crate::serve::pattern;
use crate::span::in_current_span;

/// Memory for a request, borrowed and not yet committed. Dropped, nothing is sent and the client
/// has left.
#[derive(Debug)]
pub struct Draft {
    /// `None` when the thread is to end.
    orders: Option<Sender<Order>>,
    replies: Receiver<StepOutcome>,
    thread: Option<JoinHandle<Returned>>,
}

/// What the thread gives back: the client, and the request if it was sent.
type Returned = (DuplexClient, Option<SentDraft>);

/// A request that was written in place and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentDraft {
    /// Its sequence number.
    pub sequence: u64,
    /// Its size in bytes.
    pub size: usize,
    /// What it has cost.
    pub cost: Cost,
}

/// How often a request that was written in place has asked for memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Whether that is counted in this program at all.
    pub is_counted: bool,
    /// While it was borrowed.
    pub borrowing: u64,
    /// While it was filled.
    pub filling: u64,
    /// While it was committed.
    pub committing: u64,
}

impl Cost {
    /// Checks that nothing was asked for.
    ///
    /// # Errors
    ///
    /// If anything was, or if that is not counted in this program.
    pub fn expect_free(self) -> StepOutcome {
        if !self.is_counted {
            return Err(Failure::new(
                "expected this program's allocations to be counted, but it has not made \
                 CountingAllocator its own",
            ));
        }
        let Cost {
            borrowing,
            filling,
            committing,
            ..
        } = self;
        if (borrowing, filling, committing) == (0, 0, 0) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected no allocations, found {borrowing} while the request was borrowed, {filling} \
             while it was filled and {committing} while it was committed"
        )))
    }
}

#[derive(Debug)]
enum Order {
    Fill,
    Commit,
}

impl Draft {
    /// Borrows memory for a request of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the client does not lend it; the client is lost then.
    pub fn open(client: DuplexClient, size: usize) -> Result<Draft, Failure> {
        let (orders, waiting) = mpsc::channel();
        let (reply, replies) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("draft".into())
            .spawn(in_current_span(move || {
                lend(client, size, &waiting, &reply)
            }))?;
        let draft = Draft {
            orders: Some(orders),
            replies,
            thread: Some(thread),
        };
        draft.reply()?;
        Ok(draft)
    }

    /// Fills the request in place with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If the lending thread is gone.
    pub fn fill(&self) -> StepOutcome {
        self.order(Order::Fill)
    }

    /// Sends the request; the client is free again.
    ///
    /// # Errors
    ///
    /// If the server has gone.
    pub fn commit(mut self) -> Result<(DuplexClient, SentDraft), Failure> {
        self.order(Order::Commit)?;
        match self.end() {
            Some((client, Some(sent))) => Ok((client, sent)),
            _ => Err(gone()),
        }
    }

    fn end(&mut self) -> Option<Returned> {
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

impl Drop for Draft {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn gone() -> Failure {
    Failure::new("the thread that holds the borrowed request is gone")
}

fn lend(
    mut client: DuplexClient,
    size: usize,
    orders: &Receiver<Order>,
    reply: &Sender<StepOutcome>,
) -> Returned {
    let (borrowing, loan) = counted(|| client.loan(size));
    let cost = Cost {
        is_counted: are_counted(),
        borrowing,
        ..Cost::default()
    };
    let sent = loan.map_err(Failure::from).and_then(|loan| {
        // A reply that nobody waits for is one whose draft is being dropped.
        let _ = reply.send(Ok(()));
        obey(loan, cost, orders, reply)
    });
    let (outcome, sent) = match sent {
        Ok(sent) => (Ok(()), sent),
        Err(failure) => (Err(failure), None),
    };
    let _ = reply.send(outcome);
    (client, sent)
}

/// Carries out orders; what was sent, if that was among them.
fn obey(
    mut loan: RequestLoan<'_>,
    mut cost: Cost,
    orders: &Receiver<Order>,
    reply: &Sender<StepOutcome>,
) -> Result<Option<SentDraft>, Failure> {
    for order in orders {
        match order {
            Order::Fill => {
                cost.filling += counted(|| fill(&mut loan)).0;
                let _ = reply.send(Ok(()));
            }
            Order::Commit => {
                let size = loan.len();
                let (committing, sequence) = counted(|| loan.commit());
                return Ok(Some(SentDraft {
                    sequence: sequence?,
                    size,
                    cost: Cost { committing, ..cost },
                }));
            }
        }
    }
    Ok(None)
}

/// Piece by piece, with no copy of the whole.
fn fill(loan: &mut RequestLoan<'_>) {
    let piece = pattern::sequenced_piece(loan.sequence());
    for offset in (0..loan.len()).step_by(piece.len()) {
        let length = piece.len().min(loan.len() - offset);
        loan.write_at(offset, &piece[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duplex::{ChannelName, ClientOptions, ImmutableDuplexServer, Reply, ServerOptions};
    use std::time::Duration;

    fn pair(test: &str) -> (ImmutableDuplexServer, DuplexClient) {
        let name = format!("serve-drafting-{test}-{}", std::process::id());
        let name = ChannelName::new(name).unwrap();
        let options = ServerOptions::default();
        let server = ImmutableDuplexServer::start(&name, options, |request| {
            Ok(Reply::bytes(request.to_vec()))
        })
        .unwrap();
        let client = DuplexClient::connect(&name, ClientOptions::default()).unwrap();
        (server, client)
    }

    #[test]
    fn what_was_filled_in_place_is_sent_by_the_commit() {
        let (_server, client) = pair("commit");
        let draft = Draft::open(client, 1000).unwrap();
        draft.fill().unwrap();
        let (mut client, sent) = draft.commit().unwrap();
        assert_eq!((sent.sequence, sent.size), (1, 1000));
        let response = client.receive(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(response.data.to_vec(), pattern::sequenced(1000, 1).unwrap());
        // The unit tests have another allocator, and that is known.
        assert_eq!(sent.cost, Cost::default());
    }

    #[test]
    fn a_dropped_draft_sends_nothing_and_the_client_leaves() {
        let (_server, client) = pair("dropped");
        let name = client.name().clone();
        drop(Draft::open(client, 100).unwrap());
        let mut client = DuplexClient::connect(&name, ClientOptions::default()).unwrap();
        assert_eq!(client.send(b"next").unwrap(), 1);
        let response = client.receive(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(response.data.to_vec(), b"next");
    }

    #[test]
    fn a_draft_that_is_refused_says_why() {
        let (_server, client) = pair("refused");
        let failure = Draft::open(client, 2_000_000).unwrap_err().to_string();
        assert!(failure.contains("2000000"), "{failure}");
    }

    #[test]
    fn only_what_is_counted_can_be_free() {
        let free = Cost {
            is_counted: true,
            ..Cost::default()
        };
        assert_eq!(free.expect_free(), Ok(()));
        assert!(Cost::default().expect_free().is_err());
        for (borrowing, filling, committing) in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let cost = Cost {
                borrowing,
                filling,
                committing,
                ..free
            };
            assert!(cost.expect_free().is_err());
        }
    }
}
