//! Random numbers that a seed repeats.

use zerobuffer::WaitStrategy;

/// Number `index` (from 0) of splitmix64 begun with `seed`.
pub fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of random choices.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { seed, drawn: 0 }
    }

    pub fn next(&mut self) -> u64 {
        self.drawn += 1;
        word(self.seed, self.drawn)
    }

    /// A number from 0 to `end` - 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether one chance in `n` came true.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn strategy(&mut self) -> WaitStrategy {
        match self.below(5) {
            0 => WaitStrategy::BusyPoll,
            1 | 2 => WaitStrategy::Block,
            _ => WaitStrategy::default(),
        }
    }
}

#[test]
fn words_are_those_of_splitmix64() {
    // The reference implementation's first numbers, begun with 1234567.
    let expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ];
    assert_eq!([0, 1, 2].map(|index| word(1234567, index)), expected);
}
