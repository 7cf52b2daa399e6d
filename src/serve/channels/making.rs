//! An answer that was made out of a request's bytes.

use crate::duplex::Request;
use crate::serve::failure::{Failure, StepOutcome, expect_equal};
use crate::serve::pattern;

/// A request before and after an answer was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// The request, as the handler found it.
    pub found: Vec<u8>,
    /// The request, looked at again when the answer was made.
    pub left: Vec<u8>,
    /// The answer.
    pub answer: Vec<u8>,
    /// Whether the answer's memory is none of the request's.
    pub is_apart: bool,
}

impl Making {
    /// Checks that the request was what this sequence number asks for, before and after.
    ///
    /// # Errors
    ///
    /// A failure that names the first byte that was not.
    pub fn expect_request_unchanged(&self, sequence: u64) -> StepOutcome {
        let expected = pattern::sequenced(self.found.len(), sequence)?;
        pattern::compare("request, as the handler found it", &expected, &self.found)?;
        pattern::compare("request, as the handler left it", &expected, &self.left)
    }

    /// Checks that the answer is new: in memory of its own, and in every byte another than the
    /// request.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn expect_answer_new(&self) -> StepOutcome {
        if !self.is_apart {
            return Err(Failure::new(
                "expected the answer to have memory of its own, found it in the request's",
            ));
        }
        expect_equal("size of the answer", self.found.len(), self.answer.len())?;
        let mut bytes = self.found.iter().zip(&self.answer);
        match bytes.position(|(request, answer)| request == answer) {
            None => Ok(()),
            Some(offset) => Err(Failure::new(format!(
                "byte {offset} of the answer: expected another than the request's, found the same \
                 (0x{:02x})",
                self.answer[offset]
            ))),
        }
    }

    /// What came of answering `request`, which was `found` like this, with `answer`.
    pub fn new(found: Vec<u8>, answer: &[u8], request: &Request<'_>) -> Making {
        let (memory, own) = (request.frame().as_ptr().addr(), answer.as_ptr().addr());
        Making {
            is_apart: own + answer.len() <= memory || memory + request.len() <= own,
            left: request.to_vec(),
            found,
            answer: answer.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_new_and_its_request_as_it_was() {
        let making = Making {
            found: vec![1, 2],
            left: vec![1, 2],
            answer: vec![3, 4],
            is_apart: true,
        };
        assert_eq!(making.expect_request_unchanged(1), Ok(()));
        assert_eq!(making.expect_answer_new(), Ok(()));
        assert!(making.expect_request_unchanged(2).is_err());
        let changed = Making {
            left: vec![1, 3],
            answer: vec![3, 2],
            ..making.clone()
        };
        let failure = changed.expect_request_unchanged(1).unwrap_err().to_string();
        assert!(failure.contains("left it: byte 1 of 2"), "{failure}");
        let failure = changed.expect_answer_new().unwrap_err().to_string();
        assert!(failure.contains("byte 1 of the answer"), "{failure}");
        let shared = Making {
            is_apart: false,
            ..making
        };
        assert!(shared.expect_answer_new().is_err());
    }
}
