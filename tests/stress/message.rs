//! Messages that follow from a seed and their number, as `peers/cpp/src/stress.cpp` and
//! `peers/python/stress.py` say.

use crate::random::word;

/// The bytes at which a message may begin.
const OFFSETS: usize = 1 << 16;

/// Message k is a random piece of a pool of random bytes.
#[derive(Debug)]
pub struct Messages {
    seed: u64,
    largest: u64,
    pool: Vec<u8>,
}

impl Messages {
    pub fn new(seed: u64, largest: u64) -> Messages {
        let size = OFFSETS + largest as usize;
        let words = (0..).flat_map(|index| word(seed, index).to_le_bytes());
        Messages {
            seed,
            largest,
            pool: words.take(size).collect(),
        }
    }

    /// The answers to the requests of `seed`.
    pub fn answers(seed: u64, largest: u64) -> Messages {
        Messages::new(seed.wrapping_add(1), largest)
    }

    pub fn get(&self, number: u64) -> &[u8] {
        let drawn = word(!self.seed, number);
        let offset = drawn as usize % OFFSETS;
        let size = 1 + (drawn >> 32) % self.largest;
        &self.pool[offset..][..size as usize]
    }

    /// Fails unless this is message `number`, byte for byte.
    #[track_caller]
    pub fn check(&self, number: u64, sequence: u64, data: &[u8]) {
        assert_eq!(sequence, number, "a message was lost or came twice");
        let expected = self.get(number);
        assert_eq!(data.len(), expected.len(), "size of message {number}");
        if data != expected {
            let at = data.iter().zip(expected).position(|(got, due)| got != due);
            panic!(
                "message {number} of {} bytes differs at byte {at:?}",
                data.len()
            );
        }
    }
}

#[test]
fn a_changed_byte_does_not_pass() {
    let messages = Messages::new(7, 100);
    let mut data = messages.get(3).to_vec();
    messages.check(3, 3, &data);
    *data.last_mut().unwrap() ^= 1;
    let checked = std::panic::catch_unwind(|| messages.check(3, 3, &data));
    assert!(checked.is_err());
}
