//! A channel that this process is the client of: what it sent and what it received.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::failure::{Failure, StepOutcome, expect_equal};
use super::pattern;
use crate::duplex::{ChannelName, ClientOptions, DuplexClient};

/// How long a step waits for one response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to attach to the response buffer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(5);

/// How often that is looked at.
const ATTACH_TICK: Duration = Duration::from_millis(1);

/// How much longer than its lower bound a measured time may be.
const TIME_SLACK: Duration = Duration::from_millis(100);

/// A client and its history.
#[derive(Debug)]
pub struct CallingEnd {
    client: DuplexClient,
    history: History,
    first_sent: Option<Instant>,
    total_time: Option<Duration>,
}

/// What went out and what came back.
#[derive(Debug, Default)]
struct History {
    /// Every request, by its sequence number.
    sent: BTreeMap<u64, Vec<u8>>,
    /// Every response, in the order of arrival.
    received: Vec<(u64, Vec<u8>)>,
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
        let begun = Instant::now();
        while !client.is_server_connected() {
            if begun.elapsed() > ATTACH_TIMEOUT {
                return Err(Failure::new(format!(
                    "expected the server to attach to '{}', but it did not within \
                     {ATTACH_TIMEOUT:?}",
                    channel.response()
                )));
            }
            std::thread::sleep(ATTACH_TICK);
        }
        Ok(CallingEnd {
            client,
            history: History::default(),
            first_sent: None,
            total_time: None,
        })
    }

    /// Sends one request.
    ///
    /// # Errors
    ///
    /// Those of the client, or if two requests get the same sequence number.
    pub fn send(&mut self, data: Vec<u8>) -> StepOutcome {
        self.first_sent.get_or_insert_with(Instant::now);
        let sequence = self.client.send(&data)?;
        self.history.note_sent(sequence, data)
    }

    /// Sends `count` numbered requests, one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_numbered(&mut self, count: usize) -> StepOutcome {
        (0..count).try_for_each(|index| self.send(pattern::numbered_request(index)))
    }

    /// Receives one response and compares it with its request.
    ///
    /// # Errors
    ///
    /// If none comes in time, if it answers no request of this client, or holds other bytes.
    pub fn receive_matching(&mut self) -> Result<&[u8], Failure> {
        self.receive()?;
        let last = self.history.received.len() - 1;
        self.history.expect_match(last)?;
        Ok(&self.history.received[last].1)
    }

    fn receive(&mut self) -> StepOutcome {
        let response = self.client.receive(RESPONSE_TIMEOUT)?.ok_or_else(|| {
            Failure::new(format!(
                "expected a response, found none within {RESPONSE_TIMEOUT:?} ({} requests sent, \
                 {} responses received)",
                self.history.sent.len(),
                self.history.received.len()
            ))
        })?;
        let data = response.data.to_vec();
        self.history.received.push((response.sequence, data));
        Ok(())
    }

    /// Receives `count` responses.
    ///
    /// # Errors
    ///
    /// If one does not come in time.
    pub fn receive_many(&mut self, count: usize) -> StepOutcome {
        (0..count).try_for_each(|_| self.receive())
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
        self.receive_many(self.history.outstanding())?;
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
    /// If another response comes first.
    pub fn expect_no_more_responses(&mut self) -> StepOutcome {
        let data = b"no more responses".to_vec();
        let sequence = self.client.send(&data)?;
        self.receive()?;
        let (found, _) = self.history.received.pop().expect("one was just received");
        expect_equal("sequence number of the next response", sequence, found)
    }

    /// Checks that the responses came in the order of their requests.
    ///
    /// # Errors
    ///
    /// A failure that names the first one out of order, or says that there are none.
    pub fn expect_order(&self) -> StepOutcome {
        self.history.expect_order()
    }

    /// Checks that every response holds the bytes of its request.
    ///
    /// # Errors
    ///
    /// A failure that names the first that differs, or says that there are none.
    pub fn expect_matches(&self) -> StepOutcome {
        self.history.expect_matches()
    }

    /// Checks that every request has exactly one response.
    ///
    /// # Errors
    ///
    /// A failure that lists the lost, the duplicated and the unexpected ones.
    pub fn expect_one_response_each(&self) -> StepOutcome {
        self.history.expect_one_response_each()
    }

    /// Compares the number of responses received.
    ///
    /// # Errors
    ///
    /// A failure with both numbers.
    pub fn expect_count(&self, expected: usize) -> StepOutcome {
        expect_equal("number of responses", expected, self.history.received.len())
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

impl History {
    fn note_sent(&mut self, sequence: u64, data: Vec<u8>) -> StepOutcome {
        match self.sent.insert(sequence, data) {
            None => Ok(()),
            Some(_) => Err(Failure::new(format!(
                "two requests have the sequence number {sequence}"
            ))),
        }
    }

    fn outstanding(&self) -> usize {
        self.sent.len().saturating_sub(self.received.len())
    }

    fn expect_match(&self, index: usize) -> StepOutcome {
        let (sequence, found) = &self.received[index];
        let Some(expected) = self.sent.get(sequence) else {
            return Err(Failure::new(format!(
                "expected responses to the requests {:?}, found one to {sequence}",
                self.sent.keys().collect::<Vec<_>>()
            )));
        };
        pattern::compare(&format!("response to request {sequence}"), expected, found)
    }

    fn expect_matches(&self) -> StepOutcome {
        self.expect_some()?;
        (0..self.received.len()).try_for_each(|index| self.expect_match(index))
    }

    fn expect_order(&self) -> StepOutcome {
        self.expect_some()?;
        for (index, (expected, (found, _))) in self.sent.keys().zip(&self.received).enumerate() {
            let what = format!("sequence number of response {index} in the order of arrival");
            expect_equal(&what, expected, found)?;
        }
        Ok(())
    }

    fn expect_one_response_each(&self) -> StepOutcome {
        self.expect_some()?;
        let mut counts: BTreeMap<u64, usize> = self.sent.keys().map(|key| (*key, 0)).collect();
        for (sequence, _) in &self.received {
            *counts.entry(*sequence).or_default() += 1;
        }
        let with = |wanted: fn(usize) -> bool| -> Vec<u64> {
            let chosen = counts.iter().filter(|(_, count)| wanted(**count));
            chosen.map(|(sequence, _)| *sequence).collect()
        };
        let lost = with(|count| count == 0);
        let duplicated = with(|count| count > 1);
        let unexpected: Vec<_> = counts
            .keys()
            .filter(|sequence| !self.sent.contains_key(sequence))
            .collect();
        if lost.is_empty() && duplicated.is_empty() && unexpected.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "expected one response to each of {} requests, found lost {lost:?}, duplicated \
             {duplicated:?}, unexpected {unexpected:?}",
            self.sent.len()
        )))
    }

    fn expect_some(&self) -> StepOutcome {
        if self.received.is_empty() {
            return Err(Failure::new(
                "expected responses to have been received, found none",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(sent: &[u64], received: &[u64]) -> History {
        let data = |sequence: &u64| (*sequence, sequence.to_le_bytes().to_vec());
        History {
            sent: sent.iter().map(data).collect(),
            received: received.iter().map(data).collect(),
        }
    }

    #[test]
    fn responses_are_compared_by_sequence() {
        let mut history = history(&[1, 2], &[2, 1]);
        assert!(history.expect_matches().is_ok());
        history.received[0].1[3] = 9;
        let failure = history.expect_matches().unwrap_err().to_string();
        assert!(failure.contains("request 2: byte 3"), "{failure}");
        history.received[0].0 = 7;
        let failure = history.expect_matches().unwrap_err().to_string();
        assert!(failure.contains("found one to 7"), "{failure}");
    }

    #[test]
    fn order_is_that_of_the_requests() {
        assert!(history(&[1, 2, 3], &[1, 2, 3]).expect_order().is_ok());
        assert!(history(&[1, 2, 3], &[1, 3, 2]).expect_order().is_err());
        assert!(history(&[1, 2, 3], &[2, 3]).expect_order().is_err());
    }

    #[test]
    fn lost_duplicated_and_unexpected_responses_are_named() {
        assert!(history(&[1, 2], &[2, 1]).expect_one_response_each().is_ok());
        let failure = history(&[1, 2, 3], &[1, 1, 3, 8])
            .expect_one_response_each()
            .unwrap_err()
            .to_string();
        for part in ["lost [2]", "duplicated [1]", "unexpected [8]"] {
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn no_response_at_all_passes_no_check() {
        let history = history(&[1], &[]);
        assert!(history.expect_matches().is_err());
        assert!(history.expect_order().is_err());
        assert!(history.expect_one_response_each().is_err());
        assert_eq!(history.outstanding(), 1);
    }

    #[test]
    fn a_time_has_two_bounds() {
        let least = Duration::from_millis(300);
        assert!(expect_time(least, Duration::from_millis(299)).is_err());
        assert!(expect_time(least, least).is_ok());
        assert!(expect_time(least, Duration::from_millis(400)).is_err());
    }

    #[test]
    fn a_sequence_number_is_used_once() {
        let mut history = History::default();
        assert!(history.note_sent(1, vec![]).is_ok());
        assert!(history.note_sent(1, vec![]).is_err());
    }
}
