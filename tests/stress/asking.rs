//! A client's work.

use std::time::Duration;

use zerobuffer::Error;
use zerobuffer::duplex::{DuplexClient, DuplexError};

use crate::held::Held;
use crate::message::Messages;
use crate::random::Random;
use crate::roles::pause_now_and_then;
use crate::support::LONG;

/// The most requests that a client sends ahead of their answers.
const MOST_AHEAD: u64 = 8;

/// A client's way through its requests, as far ahead of the answers as there is room.
pub struct Asking<'m> {
    requests: &'m Messages,
    held: Held<'m>,
    random: Random,
    sent: u64,
    answered: u64,
}

impl<'m> Asking<'m> {
    pub fn new(requests: &'m Messages, answers: &'m Messages, random: Random) -> Asking<'m> {
        Asking {
            requests,
            held: Held::new(answers, random.clone()),
            random,
            sent: 0,
            answered: 0,
        }
    }

    /// Verified answers.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Sends up to `count` requests in all and takes one answer.
    pub fn turn(&mut self, client: &mut DuplexClient, count: u64) -> Result<(), DuplexError> {
        let ahead = 1 + self.random.below(MOST_AHEAD);
        while self.sent < count && self.sent - self.answered < ahead {
            if !self.send(client)? {
                break;
            }
        }
        self.take_answer(client)
    }

    /// Waits for the next answer and checks it.
    pub fn take_answer(&mut self, client: &mut DuplexClient) -> Result<(), DuplexError> {
        let frame = loop {
            match client.receive(self.held.wait())? {
                Some(response) => break response.data,
                None if self.held.is_empty() => {
                    panic!("no answer to request {}", self.answered + 1)
                }
                None => self.held.release_one(),
            }
        };
        self.answered += 1;
        self.held.keep(self.answered, frame);
        pause_now_and_then(&mut self.random);
        Ok(())
    }

    /// Whether the next request was sent. While answers are due there may be no room for it until
    /// they are read.
    fn send(&mut self, client: &mut DuplexClient) -> Result<bool, DuplexError> {
        let timeout = if self.sent > self.answered {
            Duration::ZERO
        } else {
            LONG
        };
        client.set_write_timeout(timeout);
        let request = self.requests.get(self.sent + 1);
        let sequence = match client.send(request) {
            Err(DuplexError::Channel(Error::BufferFull { .. })) if timeout.is_zero() => {
                return Ok(false);
            }
            result => result?,
        };
        self.sent += 1;
        assert_eq!(sequence, self.sent);
        Ok(true)
    }
}
