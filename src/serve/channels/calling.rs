//! A channel that this process is the client of.

use std::time::{Duration, Instant};

use super::correspondence::Correspondence;
use super::drafting::{Cost, Draft, SentDraft};
use super::ended_wait::{EndedWait, is_server_death};
use crate::duplex::{ChannelName, ClientOptions, DuplexClient, DuplexError};
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::faults::{Fault, strikes};
use crate::serve::patience::eventually;
use crate::serve::pattern;

/// How long a step waits for one response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to attach to the response buffer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(5);

/// How much longer than its lower bound a measured time may be.
const TIME_SLACK: Duration = Duration::from_millis(100);

/// A client and its history.
#[derive(Debug)]
pub struct CallingEnd {
    channel: ChannelName,
    state: State,
    correspondence: Correspondence,
    first_sent: Option<Instant>,
    total_time: Option<Duration>,
    /// How a wait has ended whose outcome a later step judges.
    wait: Option<EndedWait>,
    /// What the last request has cost that was written in place.
    cost: Option<Cost>,
}

#[derive(Debug)]
enum State {
    Ready(Box<DuplexClient>),
    Drafting(Draft),
    /// Why there is no client any more.
    Gone(&'static str),
}

impl CallingEnd {
    /// Connects, waiting for the server, and for it to attach to the response buffer as well: some
    /// servers look for that every 100 ms, which would count into the time of the first response.
    ///
    /// # Errors
    ///
    /// Those of [`DuplexClient::connect`], or if the server does not attach in time.
    pub fn connect(channel: &ChannelName) -> Result<Self, Failure> {
        let mut client = DuplexClient::connect(channel, ClientOptions::default())?;
        eventually(ATTACH_TIMEOUT, || match client.is_server_connected() {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "expected the server to attach to '{}', but it did not",
                channel.response()
            ))),
        })?;
        Ok(CallingEnd {
            channel: channel.clone(),
            state: State::Ready(Box::new(client)),
            correspondence: Correspondence::default(),
            first_sent: None,
            total_time: None,
            wait: None,
            cost: None,
        })
    }

    /// The channel.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// What was sent and received.
    pub fn correspondence(&self) -> &Correspondence {
        &self.correspondence
    }

    fn client(&mut self) -> Result<&mut DuplexClient, Failure> {
        match &mut self.state {
            State::Ready(client) => Ok(client),
            other => Err(Failure::new(other.what(&self.channel))),
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    ///
    /// Those of the client, or if two requests get the same sequence number.
    pub fn send(&mut self, data: Vec<u8>) -> StepOutcome {
        self.first_sent.get_or_insert_with(Instant::now);
        let sequence = self.client()?.send(&data)?;
        self.correspondence.note_sent(sequence, data)
    }

    /// Sends a request with the data of its own sequence number.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_sequenced(&mut self, size: usize) -> StepOutcome {
        let sequence = self.client()?.loan(size)?.sequence();
        self.send(pattern::sequenced(size, sequence)?)
    }

    /// Sends a request of so many bytes.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_plain(&mut self, size: usize) -> StepOutcome {
        // One that is too large is refused before memory is taken for its data.
        let _ = self.client()?.loan(size)?;
        self.send(pattern::plain(size)?)
    }

    /// Sends `count` numbered requests, one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_numbered(&mut self, count: usize) -> StepOutcome {
        (0..count).try_for_each(|index| self.send(pattern::numbered_request(index)))
    }

    /// Borrows memory for a request of `size` bytes.
    ///
    /// # Errors
    ///
    /// If the client does not lend it, or is not there.
    pub fn draft(&mut self, size: usize) -> StepOutcome {
        let refused = State::Gone("it did not lend memory for a request");
        match std::mem::replace(&mut self.state, refused) {
            State::Ready(client) => {
                self.state = State::Drafting(Draft::open(*client, size)?);
                Ok(())
            }
            other => {
                self.state = other;
                Err(Failure::new(self.state.what(&self.channel)))
            }
        }
    }

    /// Fills the borrowed memory with the data of its sequence number.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed.
    pub fn fill_draft(&mut self) -> StepOutcome {
        match &self.state {
            State::Drafting(draft) => draft.fill(),
            other => Err(other.no_draft(&self.channel)),
        }
    }

    /// Sends what was borrowed.
    ///
    /// # Errors
    ///
    /// If nothing was borrowed, or the server has gone.
    pub fn commit_draft(&mut self) -> StepOutcome {
        let failed = State::Gone("a request written in place could not be committed");
        match std::mem::replace(&mut self.state, failed) {
            State::Drafting(draft) => {
                self.first_sent.get_or_insert_with(Instant::now);
                let (client, sent) = draft.commit()?;
                self.state = State::Ready(Box::new(client));
                let SentDraft {
                    sequence,
                    size,
                    cost,
                } = sent;
                self.cost = Some(cost);
                let data = pattern::sequenced(size, sequence)?;
                self.correspondence.note_sent(sequence, data)
            }
            other => {
                self.state = other;
                Err(self.state.no_draft(&self.channel))
            }
        }
    }

    /// Checks that a request was written in place without asking for memory.
    ///
    /// # Errors
    ///
    /// If it asked for any, if that is not counted in this program, or if there was none.
    pub fn expect_no_allocations(&self) -> StepOutcome {
        let cost = self.cost.ok_or_else(|| {
            Failure::new("expected a request to have been written in place, found none")
        })?;
        cost.expect_free()
    }

    /// Receives one response and compares it with its request; its size.
    ///
    /// # Errors
    ///
    /// If none comes in time, if it answers no request of this client, or holds other bytes.
    pub fn receive_matching(&mut self) -> Result<usize, Failure> {
        self.receive_made_of(<[u8]>::to_vec)
    }

    /// Receives one response and compares it with what is to be made of its request; its size.
    ///
    /// # Errors
    ///
    /// As [`receive_matching`](Self::receive_matching).
    pub fn receive_made_of(
        &mut self,
        made_of: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<usize, Failure> {
        self.receive()?;
        Ok(self.correspondence.expect_last(made_of)?.len())
    }

    fn receive(&mut self) -> StepOutcome {
        match self.receive_within(RESPONSE_TIMEOUT)?? {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "expected a response, found none within {RESPONSE_TIMEOUT:?} ({} requests sent, \
                 {} responses received)",
                self.correspondence.sent(),
                self.correspondence.received()
            ))),
        }
    }

    /// Whether a response has come in time, or the client's error.
    fn receive_within(&mut self, timeout: Duration) -> Result<Result<bool, DuplexError>, Failure> {
        Ok(match self.client()?.receive(timeout) {
            Err(error)
                if is_server_death(&self.channel, &error)
                    && strikes(Fault::DeathNotNoticed, &error) =>
            {
                Ok(false)
            }
            Ok(Some(response)) => {
                let data = response.data.to_vec();
                self.correspondence.note_received(response.sequence, data);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Receives `count` responses.
    ///
    /// # Errors
    ///
    /// If one does not come in time.
    pub fn receive_many(&mut self, count: usize) -> StepOutcome {
        (0..count).try_for_each(|_| self.receive())
    }

    /// Receives until `count` responses have come, or one has not within `timeout`, or an error
    /// has, for a later step to judge.
    ///
    /// # Errors
    ///
    /// If there is no client.
    pub fn wait(&mut self, count: usize, timeout: Duration) -> StepOutcome {
        let mut wait = EndedWait {
            outstanding: self.correspondence.outstanding(),
            came: 0,
            error: None,
            took: Duration::ZERO,
        };
        while wait.came < count {
            let begun = Instant::now();
            let received = self.receive_within(timeout)?;
            wait.took = begun.elapsed();
            match received {
                Ok(true) => wait.came += 1,
                Ok(false) => break,
                Err(error) => {
                    tracing::info!("receiving ended after {:?}: {error}", wait.took);
                    wait.error = Some(error);
                    break;
                }
            }
        }
        self.wait = Some(wait);
        Ok(())
    }

    /// Checks that the last wait has ended because the server was dead, and soon.
    ///
    /// # Errors
    ///
    /// If it ended otherwise, or later, or if there was none.
    pub fn expect_server_death(&self) -> StepOutcome {
        self.ended_wait()?.expect_server_death(&self.channel)
    }

    /// Checks that the last wait brought an error that says so of the server, instead of a response.
    ///
    /// # Errors
    ///
    /// If it brought something else, or if no response was outstanding.
    pub fn expect_error_instead_of_response(&self) -> StepOutcome {
        let wait = self.ended_wait()?;
        wait.expect_responses(0)?;
        wait.expect_server_death(&self.channel)
    }

    /// Checks that the last wait brought all responses that were outstanding, each with the bytes of
    /// its request, and then an error that says that the server has gone.
    ///
    /// # Errors
    ///
    /// If it brought something else, or if no response was outstanding.
    pub fn expect_error_behind_responses(&self) -> StepOutcome {
        let wait = self.ended_wait()?;
        wait.expect_responses(wait.outstanding)?;
        self.correspondence.expect_matches()?;
        self.correspondence.expect_one_response_each()?;
        wait.expect_server_death(&self.channel)
    }

    fn ended_wait(&self) -> Result<&EndedWait, Failure> {
        let wait = self.wait.as_ref();
        wait.ok_or_else(|| Failure::new("expected a wait for responses to have ended, found none"))
    }

    /// Receives the responses to all requests sent, and takes the time since the first was sent.
    ///
    /// # Errors
    ///
    /// If nothing was sent, or a response does not come in time.
    pub fn measure(&mut self) -> StepOutcome {
        let Some(begun) = self.first_sent else {
            return Err(Failure::new(
                "expected requests to have been sent, found none",
            ));
        };
        self.receive_many(self.correspondence.outstanding())?;
        let total = begun.elapsed();
        tracing::info!("{total:?} from the first request to the last response");
        self.total_time = Some(total);
        Ok(())
    }

    /// Compares the measured time with its lower bound, and with one a little above.
    ///
    /// # Errors
    ///
    /// If nothing was measured, or the time lies outside.
    pub fn expect_total_time(&self, least: Duration) -> StepOutcome {
        let total = self
            .total_time
            .ok_or_else(|| Failure::new("expected a measured time, found none"))?;
        expect_time(least, total)
    }

    /// Sends one more request and expects the next response to be its own: nothing else is queued.
    ///
    /// # Errors
    ///
    /// If another response comes first, or none in time.
    pub fn expect_no_more_responses(&mut self) -> StepOutcome {
        let client = self.client()?;
        let sequence = client.send(b"no more responses")?;
        let response = client.receive(RESPONSE_TIMEOUT)?;
        let response = response.ok_or_else(|| Failure::new("expected a response, found none"))?;
        let what = "sequence number of the next response";
        expect_equal(what, sequence, response.sequence)
    }
}

impl State {
    fn what(&self, channel: &ChannelName) -> String {
        let channel = channel.as_str();
        match self {
            State::Ready(_) => format!("the client of '{channel}' is ready"),
            State::Drafting(_) => {
                format!("the client of '{channel}' has borrowed memory for a request")
            }
            State::Gone(why) => format!("the client of '{channel}' is gone: {why}"),
        }
    }

    fn no_draft(&self, channel: &ChannelName) -> Failure {
        let what = self.what(channel);
        Failure::new(format!("expected a borrowed request, but {what}"))
    }
}

fn expect_time(least: Duration, found: Duration) -> StepOutcome {
    let most = least + TIME_SLACK;
    if (least..most).contains(&found) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "total time: expected at least {least:?} and under {most:?}, found {found:?}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_bounds() {
        let least = Duration::from_millis(300);
        assert!(expect_time(least, Duration::from_millis(299)).is_err());
        assert!(expect_time(least, least).is_ok());
        assert!(expect_time(least, Duration::from_millis(400)).is_err());
    }
}
