//! What a client sent and what it received.

use std::collections::BTreeMap;

use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;

/// What went out and what came back.
#[derive(Debug, Default)]
pub struct Correspondence {
    /// Every request, by its sequence number.
    sent: BTreeMap<u64, Vec<u8>>,
    /// Every response, in the order of arrival.
    received: Vec<(u64, Vec<u8>)>,
}

impl Correspondence {
    /// Notes a request.
    ///
    /// # Errors
    ///
    /// If an earlier one had the same sequence number.
    pub fn note_sent(&mut self, sequence: u64, data: Vec<u8>) -> StepOutcome {
        match self.sent.insert(sequence, data) {
            None => Ok(()),
            Some(_) => Err(Failure::new(format!(
                "two requests have the sequence number {sequence}"
            ))),
        }
    }

    /// Notes a response.
    pub fn note_received(&mut self, sequence: u64, data: Vec<u8>) {
        self.received.push((sequence, data));
    }

    /// How many requests were sent.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many responses were received.
    pub fn received(&self) -> usize {
        self.received.len()
    }

    /// How many requests have no response yet.
    pub fn outstanding(&self) -> usize {
        self.sent.len().saturating_sub(self.received.len())
    }

    /// Compares the last response with what is to be made of its request; the response.
    ///
    /// # Errors
    ///
    /// A failure that names the first difference, or says that there is no response.
    pub fn expect_last(&self, made_of: impl Fn(&[u8]) -> Vec<u8>) -> Result<&[u8], Failure> {
        self.expect_some()?;
        let last = self.received.len() - 1;
        let is_answered = |sequence: &u64| self.received[..last].iter().any(|(s, _)| s == sequence);
        if let Some(next) = self.sent.keys().find(|sequence| !is_answered(sequence)) {
            expect_equal("request that is answered", *next, self.received[last].0)?;
        }
        self.expect_answer(last, made_of)?;
        Ok(&self.received[last].1)
    }

    fn expect_answer(&self, index: usize, made_of: impl Fn(&[u8]) -> Vec<u8>) -> StepOutcome {
        let (sequence, found) = &self.received[index];
        let Some(request) = self.sent.get(sequence) else {
            return Err(Failure::new(format!(
                "expected responses to the requests {:?}, found one to {sequence}",
                self.sent.keys().collect::<Vec<_>>()
            )));
        };
        let what = format!("response to request {sequence}");
        pattern::compare(&what, &made_of(request), found)
    }

    /// Checks that every response holds the bytes of its request.
    ///
    /// # Errors
    ///
    /// A failure that names the first that differs, or says that there are none.
    pub fn expect_matches(&self) -> StepOutcome {
        self.expect_some()?;
        (0..self.received.len()).try_for_each(|index| self.expect_answer(index, <[u8]>::to_vec))
    }

    /// Checks that the responses came in the order of their requests.
    ///
    /// # Errors
    ///
    /// A failure that names the first one out of order, or says that there are none.
    pub fn expect_order(&self) -> StepOutcome {
        self.expect_some()?;
        for (index, (expected, (found, _))) in self.sent.keys().zip(&self.received).enumerate() {
            let what = format!("sequence number of response {index} in the order of arrival");
            expect_equal(&what, expected, found)?;
        }
        Ok(())
    }

    /// Checks that every request has exactly one response.
    ///
    /// # Errors
    ///
    /// A failure that lists the lost, the duplicated and the unexpected ones.
    pub fn expect_one_response_each(&self) -> StepOutcome {
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

    fn correspondence(sent: &[u64], received: &[u64]) -> Correspondence {
        let data = |sequence: &u64| (*sequence, sequence.to_le_bytes().to_vec());
        Correspondence {
            sent: sent.iter().map(data).collect(),
            received: received.iter().map(data).collect(),
        }
    }

    #[test]
    fn responses_are_compared_by_sequence() {
        let mut letters = correspondence(&[1, 2], &[2, 1]);
        assert!(letters.expect_matches().is_ok());
        letters.received[0].1[3] = 9;
        let failure = letters.expect_matches().unwrap_err().to_string();
        assert!(failure.contains("request 2: byte 3"), "{failure}");
        letters.received[0].0 = 7;
        let failure = letters.expect_matches().unwrap_err().to_string();
        assert!(failure.contains("found one to 7"), "{failure}");
    }

    #[test]
    fn the_last_response_is_compared_with_what_is_made_of_its_request() {
        let mut letters = correspondence(&[1, 2], &[2]);
        let doubled = |request: &[u8]| request.repeat(2);
        letters.note_received(1, 1_u64.to_le_bytes().repeat(2));
        assert_eq!(letters.expect_last(doubled).unwrap().len(), 16);
        let failure = letters.expect_last(<[u8]>::to_vec).unwrap_err().to_string();
        let expected = "response to request 1: expected 8 bytes, found 16";
        assert_eq!(failure, expected);
    }

    #[test]
    fn order_is_that_of_the_requests() {
        let order = |received| correspondence(&[1, 2, 3], received).expect_order();
        assert!(order(&[1, 2, 3]).is_ok());
        assert!(order(&[1, 3, 2]).is_err());
        assert!(order(&[2, 3]).is_err());
    }

    #[test]
    fn lost_duplicated_and_unexpected_responses_are_named() {
        let letters = correspondence(&[1, 2], &[2, 1]);
        assert!(letters.expect_one_response_each().is_ok());
        let letters = correspondence(&[1, 2, 3], &[1, 1, 3, 8]);
        let failure = letters.expect_one_response_each().unwrap_err().to_string();
        for part in ["lost [2]", "duplicated [1]", "unexpected [8]"] {
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn no_response_at_all_passes_no_check() {
        let letters = correspondence(&[1], &[]);
        assert!(letters.expect_matches().is_err());
        assert!(letters.expect_order().is_err());
        assert!(letters.expect_one_response_each().is_err());
        assert!(letters.expect_last(<[u8]>::to_vec).is_err());
        let counts = (letters.sent(), letters.received(), letters.outstanding());
        assert_eq!(counts, (1, 0, 1));
    }

    #[test]
    fn a_sequence_number_is_used_once() {
        let mut letters = Correspondence::default();
        assert!(letters.note_sent(1, vec![]).is_ok());
        assert!(letters.note_sent(1, vec![]).is_err());
    }
}
