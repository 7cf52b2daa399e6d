//! The fuzz targets without a fuzzer: inputs that one has kept, and random ones.

#![allow(clippy::unwrap_used)]

mod fuzz_support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use fuzz_support::{history, segment, sweep};

/// How many random inputs each target gets.
const RANDOM: u64 = 500;

/// The longest of them, in bytes.
const LONGEST: u64 = 4096;

#[test]
fn kept_inputs_for_any_bytes_in_the_segment_pass() {
    replay("segment", segment::run);
}

#[test]
fn kept_inputs_for_any_history_pass() {
    replay("history", history::run);
}

#[test]
fn random_bytes_in_the_segment_pass() {
    generate(segment::run);
}

#[test]
fn random_histories_pass() {
    generate(history::run);
}

/// Runs `target` with everything in its corpus.
fn replay<T: for<'a> Arbitrary<'a>>(target: &str, run: fn(T)) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    sweep();
    let mut count = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        attempt(run, &fs::read(&path).unwrap(), &path.display().to_string());
        count += 1;
    }
    assert!(count > 0, "nothing in {}", corpus.display());
}

/// Runs `target` with random inputs, the same ones each time.
fn generate<T: for<'a> Arbitrary<'a>>(run: fn(T)) {
    for seed in 0..RANDOM {
        let mut random = SplitMix(seed);
        let length = random.next() % LONGEST;
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        attempt(run, &bytes, &format!("random input {seed}"));
    }
}

fn attempt<T: for<'a> Arbitrary<'a>>(run: fn(T), bytes: &[u8], what: &str) {
    let input = T::arbitrary_take_rest(Unstructured::new(bytes)).unwrap();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("with {what}");
        resume_unwind(panic);
    }
}

/// A generator of random numbers that need not be good ones.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
